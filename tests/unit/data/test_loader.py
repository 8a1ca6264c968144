import random
from collections import Counter

import numpy as np
import pytest
import torch

from segnet.data.loader import TorchView, TrainLoader, collate, ordered_batches
from segnet.data.sample import Batch, Sample
from segnet.data.transforms import Augmentation
from segnet.errors import ConfigError, DataError, ShapeError
from segnet.labels import CAMVID_11, LabelSet


class Numbered:
    """Images of one colour, their own number; image `odd` is of another size, image `broken` cannot be read."""

    label_set: LabelSet = CAMVID_11

    def __init__(self, count: int, odd: int = -1, broken: int = -1) -> None:
        self.count, self.odd, self.broken = count, odd, broken
        self.names = tuple(f"p{i}" for i in range(count))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise DataError(f"p{index}.png is broken")
        size = (6, 6) if index == self.odd else (4, 6)
        return Sample(np.full((*size, 3), index, np.uint8), np.full(size, index % 11, np.uint8), f"p{index}")


def loader(workers: int = 0, seed: int = 0, dataset: Numbered | None = None) -> TrainLoader:
    return TrainLoader(dataset or Numbered(7), Augmentation(brightness=0.5), batch_size=2, seed=seed, workers=workers)


def test_every_image_once_per_epoch_in_another_order_each_time() -> None:
    names = [batch.names for batch in loader().batches(0, 6)]
    assert loader().steps_per_epoch == 3
    epochs = [sum(names[:3], ()), sum(names[3:], ())]
    for epoch in epochs:
        assert len(set(epoch)) == 6  # of seven: the incomplete batch is left out
    assert epochs[0] != epochs[1]
    assert max(Counter(sum(names, ())).values()) == 2


@pytest.mark.parametrize("first_step", [1, 2, 3, 4, 5, 6])
def test_going_on_gives_the_same_batches(first_step: int) -> None:
    whole = list(loader().batches(0, 7))
    rest = list(loader().batches(first_step, 7))
    assert [b.names for b in rest] == [b.names for b in whole[first_step:]]
    assert all(torch.equal(a.image, b.image) for a, b in zip(rest, whole[first_step:], strict=True))


def test_workers_change_nothing_and_seeds_do() -> None:
    here, there = list(loader().batches(0, 4)), list(loader(workers=2).batches(0, 4))
    assert all(torch.equal(a.image, b.image) and a.names == b.names for a, b in zip(here, there, strict=True))
    assert [b.names for b in loader(seed=1).batches(0, 3)] != [b.names for b in here[:3]]


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    list(loader().batches(0, 4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_arrive_as_they_were_raised(workers: int) -> None:
    with pytest.raises(DataError) as caught:
        list(loader(workers, dataset=Numbered(7, broken=3)).batches(0, 30))
    assert str(caught.value) == "p3.png is broken"
    with pytest.raises(ShapeError, match=r"a batch needs one size; set augment\.crop_px"):
        list(loader(workers, dataset=Numbered(7, odd=2)).batches(0, 30))


def test_a_data_set_smaller_than_a_batch() -> None:
    with pytest.raises(DataError, match="1 images, fewer than a batch of 2"):
        TrainLoader(Numbered(1), Augmentation(), batch_size=2, seed=0)


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_put_together_are_the_batches(parts: int) -> None:
    def batches(part: int, parts: int) -> list[Batch]:
        settings = {"batch_size": 6, "seed": 0, "part": part, "parts": parts}
        return list(TrainLoader(Numbered(13), Augmentation(brightness=0.5), **settings).batches(1, 5))

    whole = batches(0, 1)
    assert [len(batch.names) for batch in whole] == [6] * 4
    for batch, *own in zip(whole, *(batches(part, parts) for part in range(parts)), strict=True):
        assert sum((b.names for b in own), ()) == batch.names
        assert torch.equal(torch.cat([b.image for b in own]), batch.image)
        assert torch.equal(torch.cat([b.target for b in own]), batch.target)


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch_size 4 .* must be a multiple of 3; use 6"):
        TrainLoader(Numbered(7), Augmentation(), batch_size=4, seed=0, part=0, parts=3)


def test_ordered_batches() -> None:
    batches = list(ordered_batches(Numbered(5), 2))
    assert [b.names for b in batches] == [("p0", "p1"), ("p2", "p3"), ("p4",)]
    assert batches[0].image.shape == (2, 3, 4, 6)
    assert batches[1].target[1, 0, 0] == 3
    assert batches[2].image[0, 0, 0, 0] == pytest.approx(4 / 255)


def test_collate_names_the_images_that_differ() -> None:
    dataset = Numbered(3, odd=1)
    with pytest.raises(ShapeError, match=r"'p0' is .*'p1' is"):
        collate([dataset[0], dataset[1]])


def test_every_epoch_draws_other_changes() -> None:
    settings = {"batch_size": 1, "seed": 0}
    grey = [Sample(np.full((4, 6, 3), 100, np.uint8), np.zeros((4, 6), np.uint8), "grey")]
    images = [b.image for b in TrainLoader(Listed(grey), Augmentation(brightness=0.5), **settings).batches(0, 3)]
    assert len({float(image.mean()) for image in images}) == 3


class Listed:
    label_set = CAMVID_11

    def __init__(self, samples: list[Sample]) -> None:
        self.samples, self.names = samples, tuple(s.name for s in samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def test_a_transform_of_the_caller_is_seeded_by_epoch_and_index() -> None:
    def noisy(image: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        changed = image + torch.rand(()) + float(np.random.rand()) + random.random()
        return changed, target

    def images(first_step: int, workers: int = 0) -> list[torch.Tensor]:
        made = TrainLoader(Numbered(4), Augmentation(), noisy, batch_size=2, seed=3, workers=workers)
        return [b.image for b in made.batches(first_step, 4)]

    whole = images(0)
    assert len({float(i.sum()) for i in whole}) == 4
    assert all(torch.equal(a, b) for a, b in zip(images(3), whole[3:], strict=True))
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(images(0), whole, strict=True))
    assert before[0] == random.getstate()
    assert before[1] == np.random.get_state()[1].tolist()
    assert torch.equal(before[2], torch.get_rng_state())


def test_mixing_takes_a_second_sample_and_repeats() -> None:
    def batches() -> list[Batch]:
        return list(TrainLoader(Numbered(6), Augmentation(cutmix=1.0), batch_size=2, seed=0).batches(0, 3))

    first, second = batches(), batches()
    assert all("+" in name for batch in first for name in batch.names)
    assert all(torch.equal(a.image, b.image) and a.names == b.names for a, b in zip(first, second, strict=True))
    mixed = first[0].image[0]
    assert torch.equal((mixed[0] * 255).round().long() % 11, first[0].target[0])


def test_the_default_dataloader_batches_a_view() -> None:
    view = TorchView(Numbered(5), Augmentation(brightness=0.5), seed=1)
    batch = next(iter(torch.utils.data.DataLoader(view, batch_size=2)))
    assert batch["image"].shape == (2, 3, 4, 6)
    assert batch["image"].dtype == torch.float32
    assert batch["target"].dtype == torch.int64
    assert batch["name"] == ["p0", "p1"]
    before = view[4]["image"]
    assert torch.equal(view[4]["image"], before)
    view.set_epoch(1)
    assert not torch.equal(view[4]["image"], before)
    assert torch.equal(TorchView(Numbered(5))[3]["image"], torch.full((3, 4, 6), 3 / 255))
