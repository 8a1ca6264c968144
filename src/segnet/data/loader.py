"""From a dataset to batches, in an order that depends on seed and epoch alone: a run can stop and go on anywhere."""

import multiprocessing
import signal
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch.utils.data import DataLoader

from segnet.data.sample import Batch, Dataset, Sample
from segnet.data.transforms import Augmentation, augment, image_to_tensor, target_to_tensor
from segnet.errors import ConfigError, DataError, SegNetError, ShapeError


def collate(samples: list[Sample]) -> Batch:
    """Stacks samples of one size.

    Raises:
        ShapeError: sizes differ; names two of the images.
    """
    for sample in samples[1:]:
        if sample.target.shape != samples[0].target.shape:
            raise ShapeError(
                f"'{samples[0].name}' is {samples[0].target.shape} but '{sample.name}' is {sample.target.shape}: "
                "a batch wants one size; set augment.crop_px, or a batch size of 1"
            )
    return Batch(
        torch.stack([image_to_tensor(s.image) for s in samples]),
        torch.stack([target_to_tensor(s.target) for s in samples]),
        tuple(s.name for s in samples),
    )


class _Draws(torch.utils.data.Dataset[Sample | SegNetError]):
    """The dataset as seen in one epoch: each sample with its own source of chance, whichever worker draws it.

    An error travels back as a value: raised in a worker, it would arrive wrapped in that worker's traceback.
    """

    def __init__(self, dataset: Dataset, augmentation: Augmentation, seed: int, epoch: int) -> None:
        self.dataset, self.augmentation, self.seed, self.epoch = dataset, augmentation, seed, epoch

    def __getitem__(self, index: int) -> Sample | SegNetError:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        try:
            return augment(self.dataset[index], self.augmentation, rng)
        except SegNetError as error:
            return error


def _collate_or_error(drawn: list[Sample | SegNetError]) -> Batch | SegNetError:
    samples = []
    for sample in drawn:
        if isinstance(sample, SegNetError):
            return sample
        samples.append(sample)
    try:
        return collate(samples)
    except ShapeError as error:
        return error


def _leave_ctrl_c_to_the_run(worker: int) -> None:
    """A terminal's Ctrl-C reaches the workers too, while the run still wants batches to come to a whole step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class TrainLoader:
    """Endless shuffled batches: every image once per epoch, the last incomplete batch left out.

    Args:
        dataset: not empty.
        augmentation: of each sample.
        batch_size: N; no larger than the dataset.
        seed: of order and augmentation.
        workers: processes that read ahead; 0 reads in this one.
        part: which part of each batch is read here, 0 .. parts - 1.
        parts: into how many each batch is cut, in its order; the same images come, whatever their number.

    Raises:
        DataError: the dataset is smaller than a batch.
        ConfigError: a batch cannot be cut into `parts` equal ones.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        if batch_size % parts:
            raise ConfigError(
                f"train.batch_size {batch_size} is that of all {parts} processes together and wants to be a multiple "
                f"of {parts}; use {batch_size + -batch_size % parts}, or another number of processes"
            )
        if len(dataset) < batch_size:
            raise DataError(f"the training split has {len(dataset)} images, fewer than a batch of {batch_size}")
        self.dataset, self.augmentation = dataset, augmentation
        self.batch_size, self.seed = batch_size, seed
        self.workers = 0 if multiprocessing.current_process().daemon else workers  # a daemon may have no children
        self.part, self.parts = part, parts
        self.steps_per_epoch = len(dataset) // batch_size

    def batches(self, first_step: int, num_steps: int) -> Iterator[Batch]:
        """Our part of the batches of steps `first_step` .. `num_steps - 1`, the same after an interruption as without.

        Raises:
            SegNetError: what reading or stacking the samples raises.
        """
        own_size = self.batch_size // self.parts
        for epoch in range(first_step // self.steps_per_epoch, -(-num_steps // self.steps_per_epoch)):
            skipped = max(first_step - epoch * self.steps_per_epoch, 0)
            stop = min(num_steps - epoch * self.steps_per_epoch, self.steps_per_epoch)
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
            batches = order[skipped * self.batch_size : stop * self.batch_size].reshape(-1, self.parts, own_size)
            loader = DataLoader(
                _Draws(self.dataset, self.augmentation, self.seed, epoch),
                batch_size=own_size,
                sampler=batches[:, self.part].ravel().tolist(),
                num_workers=self.workers,
                collate_fn=_collate_or_error,
                worker_init_fn=_leave_ctrl_c_to_the_run,
                generator=torch.Generator(),  # else it draws from the global state, once more in a resumed epoch
            )
            for batch in cast(Iterator[Batch | SegNetError], iter(loader)):
                if isinstance(batch, SegNetError):
                    raise batch
                yield batch


def ordered_batches(dataset: Dataset, batch_size: int = 1) -> Iterator[Batch]:
    """All samples once, in order, as they are; the last batch may be smaller.

    Raises:
        ShapeError: `batch_size` is above 1 and images of one batch differ in size.
    """
    for start in range(0, len(dataset), batch_size):
        yield collate([dataset[i] for i in range(start, min(start + batch_size, len(dataset)))])
