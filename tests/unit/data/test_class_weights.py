import numpy as np
import pytest
import torch

from segnet.data.class_weights import ClassFrequencies, count_frequencies, median_frequency
from segnet.data.datasets.camvid import CamVid
from segnet.data.sample import Sample
from segnet.errors import DataError, LabelError
from segnet.labels import VOID, LabelSet

THREE = LabelSet("three", ("a", "b", "c"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))


class Listed:
    label_set = THREE

    def __init__(self, *targets):
        self.targets = [np.array(t, np.uint8) for t in targets]
        self.names = tuple(map(str, range(len(targets))))

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        target = self.targets[index]
        return Sample(np.zeros((*target.shape, 3), np.uint8), target, self.names[index])


def test_a_class_counts_over_the_images_that_contain_it_and_void_pixels_count_in_them():
    counted = count_frequencies(Listed([[0, 0, 1, VOID]], [[0, 0, 0, 0]]))
    assert counted.pixels.tolist() == [6, 1, 0, 1]
    assert counted.images.tolist() == [2, 1, 0, 1]
    assert counted.pixels_of_images.tolist() == [8, 4, 0, 4]
    assert counted.frequency.tolist() == [0.75, 0.25, 0.0, 0.25]


def test_the_median_runs_over_the_classes_that_occur_and_the_absent_one_weighs_1():
    counted = count_frequencies(Listed([[0, 0, 1, VOID]], [[0, 0, 0, 0]]))
    without, with_void = median_frequency(counted), median_frequency(counted, with_void=True)
    assert without.tolist() == pytest.approx([0.5 / 0.75, 0.5 / 0.25, 1])
    assert with_void.tolist() == pytest.approx([0.25 / 0.75, 1, 1])
    assert without.dtype == torch.float32


def test_counting_in_parts_equals_counting_at_once():
    parts = ClassFrequencies.none(THREE).add(np.array([[0, 1]], np.uint8)).add(np.array([[2, VOID]], np.uint8))
    whole = count_frequencies(Listed([[0, 1]], [[2, VOID]]))
    assert parts.pixels.tolist() == whole.pixels.tolist() == [1, 1, 1, 1]
    assert parts.pixels_of_images.tolist() == whole.pixels_of_images.tolist() == [2, 2, 2, 2]


def test_an_empty_data_set_and_one_without_labels_are_refused():
    with pytest.raises(DataError, match="empty"):
        count_frequencies(Listed())
    with pytest.raises(LabelError, match="no labelled pixel in any of the 2 images"):
        count_frequencies(Listed([[VOID]], [[VOID]]))
    with pytest.raises(LabelError, match="at least one class"):
        median_frequency(ClassFrequencies.none(THREE))


@pytest.mark.data
def test_camvid_gives_the_published_figures(shared_data):
    counted = count_frequencies(CamVid(shared_data / "camvid", "train"))
    assert counted.images[:-1].tolist() == [366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201]
    # the reference figures are printed with 4 decimals
    expected = [0.2565, 0.1853, 4.3963, 0.1369, 0.9185, 0.3873, 3.5331, 1.8127, 0.7246, 5.8550, 8.1365]
    assert median_frequency(counted, with_void=True).tolist() == pytest.approx(expected, abs=6e-5)
    expected = [0.2793, 0.2017, 4.7865, 0.1490, 1.0000, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587]
    assert median_frequency(counted).tolist() == pytest.approx(expected, abs=6e-5)
    candidates = counted.frequency
    assert np.median(candidates) / candidates[-1] == pytest.approx(1.0974, abs=6e-5)
