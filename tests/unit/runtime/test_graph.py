"""Every model of `MODELS` in its inference form: the same numbers, BN folded, plain operators, any size."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from trained_models import random_images, trained

from segnet.errors import ConfigError
from segnet.models import MODELS
from segnet.runtime.graph import InferenceModel, exported, inference_model

FORBIDDEN = ("gather", "scatter", "unpool", "indices", "index", "flip", "batch_norm", "dropout", "function mod")


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[nn.Module, InferenceModel]]:
    model = trained(request.param)
    yield model, inference_model(model)


@pytest.mark.parametrize("size", [(1, 1), (17, 30), (33, 47)], ids=str)
def test_the_logits_are_those_of_the_model(pair: tuple[nn.Module, InferenceModel], size: tuple[int, int]) -> None:
    model, inference = pair
    image = random_images(2, 3, *size)
    with torch.no_grad():
        expected, got = model(image), inference(image)
    # folding changes roundings by some 1e-7 of a value, through up to 26 layers
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-5 * expected.abs().max().item())


def test_the_source_model_is_unchanged_and_shares_nothing(pair: tuple[nn.Module, InferenceModel]) -> None:
    model, inference = pair
    own = {p.data_ptr() for p in model.parameters()}
    assert not own & {p.data_ptr() for p in inference.parameters()}
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in inference.parameters())


def test_only_a_norm_after_no_convolution_is_left(pair: tuple[nn.Module, InferenceModel]) -> None:
    model, inference = pair
    norms = [name for name, module in inference.named_modules() if isinstance(module, nn.BatchNorm2d)]
    # ENet's first block normalises a convolution's maps and pooled ones together
    assert norms == (["model.encoder.initial.norm"] if type(model).__name__ == "ENet" else [])


@pytest.mark.slow  # the exporter traces and compares at several sizes
@pytest.mark.parametrize("name", ["segnet-basic", "enet"])
def test_a_dynamic_export_holds_for_all_sizes_in_plain_operators(name: str) -> None:
    inference = inference_model(trained(name))
    program = exported(inference, None)
    operators = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    allowed = {"aten.batch_norm.default"} if name == "enet" else set()
    assert not [o for o in operators - allowed if any(word in o for word in FORBIDDEN)]
    assert "aten.conv2d.default" in operators
    run = program.module()
    for size in ((1, 7), (16, 24), (21, 30)):
        image = random_images(1, 3, *size)
        with torch.no_grad():
            assert torch.equal(run(image), inference(image)), size


def test_an_export_of_one_size() -> None:
    inference = inference_model(trained("segnet-basic"), answer="classes")
    image = (255 * random_images(1, 3, 21, 30)).to(torch.uint8)
    with torch.no_grad():
        got = exported(inference, (21, 30), torch.uint8).module()(image)
        assert torch.equal(got, inference(image))


def test_classes_are_the_argmax_of_the_logits_also_for_uint8_images() -> None:
    model = trained("segnet")
    image = (255 * random_images(2, 3, 33, 20)).to(torch.uint8)
    with torch.no_grad():
        classes = inference_model(model, answer="classes")(image)
        logits = inference_model(model)(image.float() / 255)
    assert classes.dtype == torch.uint8
    assert torch.equal(classes, logits.argmax(1).to(torch.uint8))
    assert len(classes.unique()) > 3


def test_an_unknown_answer() -> None:
    with pytest.raises(ConfigError, match="unknown answer 'class'; did you mean 'classes'"):
        inference_model(trained("segnet-basic"), answer="class")  # type: ignore[arg-type]
