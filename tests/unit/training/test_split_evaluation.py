"""Scores and statistics of a dataset that several processes share are those of one process."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import in_processes

from segnet.data import open_dataset
from segnet.data.sample import Dataset
from segnet.device import choose_device
from segnet.errors import DataError
from segnet.models import create_model
from segnet.training.batch_norm_statistics import recompute_statistics
from segnet.training.distributed import ALONE, Processes
from segnet.training.split_evaluation import evaluate_split
from segnet.training.sync_batch_norm import normalise_over

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a safe fork")
CPU = choose_device("cpu", "float32")


def open_train(root: Path) -> Dataset:
    return open_dataset(root, "train", "camvid")


@pytest.mark.parametrize("count", [2, 4])  # six images: three each; two, two, one and one
def test_scores_are_exactly_those_of_one_process(count: int, tiny_camvid: Path) -> None:
    dataset = open_train(tiny_camvid)
    torch.manual_seed(0)
    model = create_model("segnet-basic", 11, normalisation="mean_std")
    expected = evaluate_split(ALONE, model, dataset, CPU).to_dict()
    assert [image["name"] for image in expected["images"]] == list(dataset.names)
    assert in_processes(count, lambda p: evaluate_split(p, model, dataset, CPU).to_dict()) == [expected] * count


def test_fewer_images_than_processes(tiny_camvid: Path) -> None:
    dataset = open_dataset(tiny_camvid, "val", "camvid")  # two
    model = create_model("segnet-basic", 11, normalisation="mean_std")
    expected = evaluate_split(ALONE, model, dataset, CPU, boundaries=False).counts.tolist()
    found = in_processes(3, lambda p: evaluate_split(p, model, dataset, CPU, boundaries=False).counts.tolist())
    assert found == [expected] * 3


class Broken:
    """A dataset the second image of which cannot be read."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.names, self.label_set = dataset, dataset.names, dataset.label_set

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> object:
        if index == 1:
            raise DataError("train1.png: broken")
        return self.dataset[index]


def test_an_image_that_one_process_cannot_read_ends_all(tiny_camvid: Path) -> None:
    dataset = Broken(open_train(tiny_camvid))
    model = create_model("segnet-basic", 11, normalisation="mean_std")
    found = in_processes(2, lambda p: evaluate_split(p, model, dataset, CPU, boundaries=False))
    assert found == [("DataError", "train1.png: broken")] * 2


@pytest.mark.parametrize(("count", "batch_size"), [(2, 2), (4, 2), (2, 4)])  # three batches; four and two images
def test_statistics_are_those_of_one_process(count: int, batch_size: int, tiny_camvid: Path) -> None:
    dataset = open_train(tiny_camvid)

    def statistics(processes: Processes) -> dict[str, np.ndarray]:
        torch.manual_seed(0)
        model = create_model("segnet-basic", 11, normalisation="mean_std")
        normalise_over(processes, model)
        recompute_statistics(model, dataset, CPU, batch_size, processes)
        return {name: value.numpy() for name, value in model.named_buffers()}

    expected = statistics(ALONE)
    for found in in_processes(count, statistics):
        assert found.keys() == expected.keys()
        for name, value in expected.items():  # averages in another order round otherwise
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
