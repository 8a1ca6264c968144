from pathlib import Path

import pytest
import torch

from segnet.labels import LabelSet, distinct_colours
from segnet.models import MODELS, create_model
from segnet.weights.class_rows import carry_classes, class_axes
from segnet.weights.file import WeightsCard, load_matching, save_weights


def labels(*names: str) -> LabelSet:
    return LabelSet("-".join(names), names, distinct_colours(len(names)))


def test_the_axes_that_count_classes() -> None:
    assert class_axes("segnet-basic", 5) == {"classifier.weight": (0,), "classifier.bias": (0,)}
    assert class_axes("enet", 5) == {"classifier.weight": (1,), "classifier.bias": (0,)}  # a transposed convolution
    assert (0, 1) in class_axes("fcn-basic", 5).values()  # from classes to classes


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_such_axes(model: str) -> None:
    assert class_axes(model, 4)


def test_rows_go_where_the_names_are() -> None:
    old = {"w": torch.arange(6.0).view(3, 2), "square": torch.arange(9.0).view(3, 3), "other": torch.ones(3)}
    new = {"w": torch.full((2, 2), -1.0), "square": torch.full((2, 2), -1.0), "other": torch.ones(9)}
    axes = {"w": (0,), "square": (0, 1), "absent": (0,)}
    carried = carry_classes(old, new, axes, labels("road", "car", "sky"), labels("boat", "sky"))
    assert carried["w"].tolist() == [[-1, -1], [4, 5]]
    assert carried["square"].tolist() == [[-1, -1], [-1, 8]]
    assert sorted(carried) == ["square", "w"]
    assert new["w"].tolist() == [[-1, -1], [-1, -1]]  # as it was
    assert carry_classes(old, new, axes, labels("a", "b", "c"), labels("d", "e")) == {}


def test_fine_tuning_keeps_the_rows_of_classes_of_the_same_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old, path = create_model("segnet-basic", 3), tmp_path / "w.safetensors"
    save_weights(path, old, WeightsCard("segnet-basic", labels("road", "car", "sky")), torch.float32)
    new = create_model("segnet-basic", 3)
    drawn = new.classifier.weight.clone()  # type: ignore[operator,union-attr]
    assert load_matching(new, path, labels("sky", "boat", "road")) == []
    rows, kept = new.classifier.weight, old.classifier.weight
    assert torch.equal(rows[0], kept[2])  # type: ignore[index]
    assert torch.equal(rows[1], drawn[1])  # type: ignore[index]
    assert torch.equal(rows[2], kept[0])  # type: ignore[index]
    assert torch.equal(
        new.state_dict()["encoder.stage1.0.conv.weight"], old.state_dict()["encoder.stage1.0.conv.weight"]
    )


def test_as_many_classes_of_other_names_are_not_taken_for_the_same(tmp_path: Path) -> None:
    old, path = create_model("segnet-basic", 3), tmp_path / "w.safetensors"
    save_weights(path, old, WeightsCard("segnet-basic", labels("road", "car", "sky")), torch.float32)
    new = create_model("segnet-basic", 3)
    drawn = new.classifier.weight.clone()  # type: ignore[operator,union-attr]
    assert load_matching(new, path, labels("a", "b", "c")) == ["classifier.weight", "classifier.bias"]
    assert torch.equal(new.classifier.weight, drawn)  # type: ignore[arg-type]
    assert load_matching(new, path, labels("road", "car", "sky")) == []
