"""From a dataset to batches, in an order that depends on seed and epoch alone: a run can stop and go on anywhere."""

import multiprocessing
import signal
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader

from segnet.data.adapting import apply_transform
from segnet.data.mixing import draw_mix, mix
from segnet.data.sample import Batch, Dataset, Sample
from segnet.data.seeding import seeded
from segnet.data.transforms import Augmentation, JointTransform, augment, image_to_tensor, target_to_tensor
from segnet.errors import ConfigError, DataError, SegNetError, ShapeError


def collate(samples: list[Sample]) -> Batch:
    """Stacks samples of one size to images (N, C, H, W) and targets (N, H, W).

    Raises:
        ShapeError: sizes differ; names two of the images.
    """
    for sample in samples[1:]:
        if sample.image.shape != samples[0].image.shape:
            raise ShapeError(
                f"'{samples[0].name}' is {samples[0].image.shape} but '{sample.name}' is {sample.image.shape}: "
                "a batch needs one size; set augment.crop_px, or a batch size of 1"
            )
    return Batch(
        torch.stack([image_to_tensor(s.image) for s in samples]),
        torch.stack([target_to_tensor(s.target) for s in samples]),
        tuple(s.name for s in samples),
    )


def draw_sample(
    dataset: Dataset,
    index: int,
    augmentation: Augmentation,
    transform: JointTransform | None = None,
    *,
    seed: int = 0,
    epoch: int = 0,
) -> Sample:
    """One training sample: read, augmented, perhaps mixed with another, then given to the caller's own transform.

    Args:
        dataset: to read from.
        index: of the sample.
        augmentation: random changes.
        transform: of the caller, after ours; global random numbers that it draws are seeded too.
        seed: of the run.
        epoch: of the run. The same (seed, epoch, index) gives the same sample, in any process and after a resume.

    Raises:
        SegNetError: what reading, augmenting or the transform raises.
    """
    # seeded by the image, not by a running state: workers, batch size and resuming change no draw
    rng = np.random.default_rng([seed, epoch, index])
    sample = augment(dataset[index], augmentation, rng)
    kind = draw_mix(augmentation, rng)
    if kind is not None:
        other = augment(dataset[int(rng.integers(len(dataset)))], augmentation, rng)
        sample = mix(sample, other, kind, rng)
    if transform is not None:
        with seeded(int(rng.integers(2**32))):
            sample = apply_transform(sample, transform)
    return sample


class _Draws(torch.utils.data.Dataset[Sample | SegNetError]):
    """The dataset as seen in one epoch, whichever worker draws it.

    An error travels back as a value: raised in a worker, it would arrive wrapped in that worker's traceback.
    """

    def __init__(
        self, dataset: Dataset, augmentation: Augmentation, transform: JointTransform | None, seed: int, epoch: int
    ) -> None:
        self.dataset, self.augmentation, self.transform = dataset, augmentation, transform
        self.seed, self.epoch = seed, epoch

    def __getitem__(self, index: int) -> Sample | SegNetError:
        try:
            return draw_sample(self.dataset, index, self.augmentation, self.transform, seed=self.seed, epoch=self.epoch)
        except SegNetError as error:
            return error


class TorchView(torch.utils.data.Dataset[dict[str, Any]]):
    """A dataset of ours for PyTorch's own `DataLoader` and its default collate.

    Each item is a dict: `image` float32 (C, H, W), `target` int64 (H, W) with `VOID` where ignored, `name` str.

    Args:
        dataset: one of ours.
        augmentation: random changes; the default none. Batches need one size: set `crop_px` where images differ.
        transform: of the caller: (image (C, H, W), target (H, W)) -> the same.
        seed: of the random changes.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: Augmentation | None = None,
        transform: JointTransform | None = None,
        seed: int = 0,
    ) -> None:
        self.dataset, self.augmentation, self.transform = dataset, augmentation or Augmentation(), transform
        self.label_set, self.seed, self.epoch = dataset.label_set, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Draws other random changes from now on; call it before each epoch, as for `DistributedSampler`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = draw_sample(self.dataset, index, self.augmentation, self.transform, seed=self.seed, epoch=self.epoch)
        return {
            "image": image_to_tensor(sample.image),
            "target": target_to_tensor(sample.target),
            "name": sample.name,
        }


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
    """A terminal's Ctrl-C reaches the workers too, while the run still needs batches to finish its step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class TrainLoader:
    """Shuffled batches: every image once per epoch, the last incomplete batch left out.

    Args:
        dataset: not empty.
        augmentation: of each sample.
        transform: of the caller, applied after the augmentation.
        batch_size: N; no larger than the dataset.
        accumulate: batches per step.
        seed: of order and augmentation.
        workers: processes that read ahead; 0 reads in this one.
        part: which part of each batch is read here, 0 .. parts - 1.
        parts: into how many equal parts each batch is divided, in its order; the batches do not depend on it.

    Raises:
        DataError: the dataset is smaller than the batches of a step.
        ConfigError: a batch cannot be divided into `parts` equal ones.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: Augmentation,
        transform: JointTransform | None = None,
        *,
        batch_size: int,
        seed: int,
        accumulate: int = 1,
        workers: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        if batch_size % parts:
            raise ConfigError(
                f"train.batch_size {batch_size} is that of all {parts} processes together and must be a multiple of "
                f"{parts}; use {batch_size + -batch_size % parts}, or another number of processes"
            )
        if len(dataset) < batch_size * accumulate:
            times = f" x {accumulate} (train.accumulate)" if accumulate > 1 else ""
            raise DataError(f"the training split has {len(dataset)} images, fewer than a batch of {batch_size}{times}")
        self.dataset, self.augmentation, self.transform = dataset, augmentation, transform
        self.batch_size, self.accumulate, self.seed = batch_size, accumulate, seed
        self.workers = 0 if multiprocessing.current_process().daemon else workers  # a daemon may not have children
        self.part, self.parts = part, parts
        self.steps_per_epoch = len(dataset) // (batch_size * accumulate)

    def batches(self, first_step: int, num_steps: int) -> Iterator[Batch]:
        """Yields this process's part of the batches of steps `first_step` .. `num_steps - 1`, the same after a resume.

        There are `accumulate` batches per step.

        Raises:
            SegNetError: what reading or stacking the samples raises.
        """
        own_size, images_per_step = self.batch_size // self.parts, self.batch_size * self.accumulate
        for epoch in range(first_step // self.steps_per_epoch, -(-num_steps // self.steps_per_epoch)):
            skipped = max(first_step - epoch * self.steps_per_epoch, 0)
            stop = min(num_steps - epoch * self.steps_per_epoch, self.steps_per_epoch)
            # the order follows from seed and epoch alone, so a checkpoint stores no random state
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
            batches = order[skipped * images_per_step : stop * images_per_step].reshape(-1, self.parts, own_size)
            loader = DataLoader(
                _Draws(self.dataset, self.augmentation, self.transform, self.seed, epoch),
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


def ordered_batches(dataset: Dataset, batch_size: int = 1, part: int = 0, parts: int = 1) -> Iterator[Batch]:
    """All samples once, in order, as they are; the last batch may be smaller.

    Args:
        dataset: to read from.
        batch_size: images per batch.
        part: of the batches, numbers `part`, `part + parts` and so on are read; 0 .. parts - 1.
        parts: into how many parts they are divided; the batches do not depend on it.

    Raises:
        ShapeError: `batch_size` is above 1 and images of one batch differ in size.
    """
    for start in range(part * batch_size, len(dataset), parts * batch_size):
        yield collate([dataset[i] for i in range(start, min(start + batch_size, len(dataset)))])
