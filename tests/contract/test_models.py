"""What every model of `MODELS` must do, whichever paper it comes from."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segnet.errors import ConfigError
from segnet.models import MODELS, create_model
from segnet.pooling import max_pool

KEYS = Path(__file__).with_name("keys")
NUM_CLASSES = 11
ODD_SIZES = [(1, 1), (1, 9), (7, 13), (33, 47)]
BAYESIAN = {"bayesian-segnet": "segnet", "bayesian-segnet-basic": "segnet-basic"}
# 82 to 134 million parameters, nearly all in two layers. What a model does is tested with few units there, its keys and
# its number of parameters with all.
NARROW = {key: {"fc_channels": 32} for key in ("fcn-32s", "fcn-16s", "fcn-8s", "fcn-8s-learnt", "deconvnet")}


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(name: str) -> nn.Module:
    """One model of each kind for the whole module: drawing 29 million weights takes its time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create(name)


@pytest.fixture
def model(made: nn.Module) -> Iterator[nn.Module]:
    """That model in evaluation mode; what a test does to BN's statistics is undone."""
    before = {key: value.clone() for key, value in made.named_buffers()}
    yield made.eval()
    for key, value in made.named_buffers():
        value.copy_(before[key])
    made.zero_grad(set_to_none=True)


@pytest.fixture
def whole(model: nn.Module, name: str) -> nn.Module:
    """The model as its name gives it; a large one without memory for its values."""
    if name not in NARROW:
        return model
    with torch.device("meta"):
        return create_model(name, NUM_CLASSES)


def create(name: str) -> nn.Module:
    return MODELS[name](NUM_CLASSES, **NARROW.get(name, {}))


def images(batch: int, height: int, width: int) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def as_text(model: nn.Module) -> str:
    """One line per entry of the state_dict: key and shape."""
    lines = [f"{key} {'x'.join(map(str, value.shape)) or 'scalar'}" for key, value in model.state_dict().items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_logits_have_the_size_of_the_image(model: nn.Module, size: tuple[int, int]) -> None:
    with torch.no_grad():
        logits = model(images(2, *size))
    assert logits.shape == (2, NUM_CLASSES, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 6])
def test_other_channels(name: str, channels: int) -> None:
    model = MODELS[name](NUM_CLASSES, in_channels=channels, normalisation="mean_std", **NARROW.get(name, {}))
    image = torch.rand(2, channels, 33, 47, generator=torch.Generator().manual_seed(1))
    logits = model(image)
    assert logits.shape == (2, NUM_CLASSES, 33, 47)
    # every channel is read, and the input normalisation has one constant for each
    gradient = torch.autograd.grad(model.eval()(image.requires_grad_()).square().sum(), image)[0]
    assert gradient.flatten(2).any(2).all()
    assert model.normalisation.in_channels == channels


def test_other_channels_change_the_first_layer_only(name: str) -> None:
    with torch.device("meta"):
        rgb, six = (
            {key: tuple(value.shape) for key, value in create_model(name, NUM_CLASSES, channels).state_dict().items()}
            for channels in (3, 6)
        )
    first = next(key for key, shape in rgb.items() if len(shape) == 4)
    assert {key for key in six if six[key] != rgb.get(key)} == {"normalisation.mean", "normalisation.std", first}
    assert six.keys() - rgb.keys() == {"normalisation.mean", "normalisation.std"}
    assert (rgb[first][1], six[first][1]) == (3, 6)


def test_two_images_together_are_the_two_alone(model: nn.Module) -> None:
    # in float64, where the order of sums changes 1e-16 of a value and no maximum of a window can change hands
    image = images(2, 9, 14).double()
    model.double()
    try:
        with torch.no_grad():
            both, alone = model(image), torch.cat([model(image[:1]), model(image[1:])])
    finally:
        model.float()
    torch.testing.assert_close(both, alone, rtol=0, atol=1e-10 * both.abs().max().item())
    assert (both[0] - both[1]).abs().max() > 1e-3 * both.abs().max()  # and they are not just the same twice


def test_every_parameter_gets_a_gradient(model: nn.Module) -> None:
    torch.manual_seed(2)
    model.train()
    logits = model(images(2, 48, 48))
    weight = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))
    (logits * weight).mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("training", [False, True])
def test_mode_and_input_are_untouched(model: nn.Module, training: bool) -> None:
    model.train(training)
    image = images(2, 24, 40)
    before = image.clone()
    with torch.no_grad():
        model(image)
    assert torch.equal(image, before)
    assert {module.training for module in model.modules()} == {training}


def test_evaluation_changes_nothing_and_is_repeatable(model: nn.Module) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        first, second = model(images(1, 17, 18)), model(images(1, 17, 18))
    assert torch.equal(first, second)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_state_dict_round_trip(model: nn.Module, name: str) -> None:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = create(name)
    assert not torch.equal(next(other.parameters()), next(model.parameters()))
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(other.eval()(images(1, 21, 22)), model(images(1, 21, 22)))


def test_keys_and_shapes_are_the_stored_ones(whole: nn.Module, name: str) -> None:
    # the names are public: weights on disk carry them. To change them on purpose, write `as_text(model)` to the file.
    assert as_text(whole) == (KEYS / f"{BAYESIAN.get(name, name)}.txt").read_text(encoding="utf-8")


def test_every_stored_list_belongs_to_a_model() -> None:
    assert {path.stem for path in KEYS.glob("*.txt")} == set(MODELS) - set(BAYESIAN)


def test_number_of_parameters(whole: nn.Module, name: str) -> None:
    # convolutions 14,710,464 + 14,715,072 (the authors' model without its biases, which BN makes redundant), the bias
    # of the classifier, and scale and shift for the 4,224 + 3,712 channels with BN
    segnet = 14_710_464 + 14_715_072 + 11 + 2 * (4_224 + 3_712)
    # 7x7 convolutions: 3 -> 64 once and 64 -> 64 seven times; the 1x1 classifier; scale and shift of 8 x 64 channels
    basic = 49 * 64 * (3 + 7 * 64) + 64 * 11 + 11 + 2 * 8 * 64
    # the encoder's 14,710,464 again, fc6 and fc7, the 1x1 classifier; scale and shift of 4,224 + 2 x 1,024 channels
    deeplab = 14_710_464 + 9 * 512 * 1024 + 1024 * 1024 + 1024 * 11 + 11 + 2 * (4_224 + 2 * 1024)
    # the others: convolutions as their own tests explain them, biases where no BN follows, BN
    shared = 49 * 64 * (3 + 3 * 64) + 2 * 4 * 64  # SegNet-Basic's encoder
    fcn32 = 14_710_464 + 2 * 4_224 + 512 * 4096 * 49 + 4096 * 4096 + 2 * 2 * 4096 + 4096 * 11 + 11
    fcn8 = fcn32 + 512 * 11 + 11 + 256 * 11 + 11
    fully_connected = 2 * 512 * 1024 * 49 + 1024 * 1024 + 2 * (2 * 1024 + 512)
    expected = {
        "segnet": segnet,
        "segnet-basic": basic,
        "bayesian-segnet-camvid": segnet + 9 * 64 * 64 + 2 * 64,  # one convolution more
        "deeplab-largefov": deeplab,
        "bilinear-interpolation": shared + 64 * 11 + 11,
        "segnet-basic-encoder-addition": basic,
        "segnet-basic-single-channel-decoder": shared + 4 * (64 * 49 + 2 * 64) + 64 * 11 + 11,
        "fcn-basic": shared + 4 * (11 * 11 * 64 + 2 * 11) + 4 * 64 * 11,
        "fcn-basic-no-addition": shared + 4 * (11 * 11 * 64 + 2 * 11) + 64 * 11,
        "fcn-basic-no-dim-reduction": shared + 4 * (64 * 64 * 64 + 2 * 64) + 64 * 11 + 11,
        "fcn-basic-no-addition-no-dim-reduction": shared + 4 * (64 * 64 * 64 + 2 * 64) + 64 * 11 + 11,
        "fcn-32s": fcn32,
        "fcn-16s": fcn32 + 512 * 11 + 11,
        "fcn-8s": fcn8,
        "fcn-8s-learnt": fcn8 + 11 * 11 * (16 + 16 + 256),
        "deconvnet": 14_710_464 + 2 * 4_224 + fully_connected + 14_745_600 + 2 * 3_776 + 64 * 11 + 11,
        "unet": 31_030_658 + 2 * 64 * 9 + 9 * 64 + 9 + 5_888,
        "enet": 362_383 + 11 * (16 * 4 + 1),
        "autoencoder": 49 * 64 * (3 + 3 * 64) + 4 * 64 + 49 * 64 * (3 * 64 + 11) + 3 * 64 + 11,
    }[BAYESIAN.get(name, name)]
    assert sum(parameter.numel() for parameter in whole.parameters()) == expected


@pytest.mark.parametrize("normalisation", ["mean_std", "caffe_bgr", "raw_bgr", "lrn", "lcn"])
def test_any_normalisation_and_number_of_classes(normalisation: str) -> None:
    model = create_model("segnet-basic", 3, normalisation=normalisation).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model(images(1, 9, 8))
    assert logits.shape == (1, 3, 9, 8)
    assert logits.isfinite().all()


def test_the_input_normalisation_is_part_of_the_model(model: nn.Module) -> None:
    image = images(1, 16, 16)
    seen: list[Tensor] = []
    hook = model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(image)
        hook.remove()
        assert torch.equal(seen[0], model.normalisation(image))
    assert not torch.equal(seen[0], image)


# ------------------------------------------------------------------------------------------------ dropout


def dropouts(model: nn.Module) -> dict[str, float]:
    found = {key: module.p for key, module in model.named_modules() if isinstance(module, nn.Dropout)}
    return {key: probability for key, probability in found.items() if probability > 0}


def test_dropout_stands_at_the_published_places(model: nn.Module, name: str) -> None:
    central = {
        "bayesian-segnet": (3, 4, 5),
        "bayesian-segnet-camvid": (3, 4, 5),
        "bayesian-segnet-basic": (3, 4),
    }.get(name, ())
    expected = {f"{half}.dropout{number}": 0.5 for half in ("encoder", "decoder") for number in central}
    others = {
        "deeplab-largefov": ("dropout6", "dropout7"),
        "unet": ("encoder.dropout4", "encoder.dropout5"),  # the end of the contracting path
        **dict.fromkeys(NARROW, ("fc.dropout6", "fc.dropout7")),  # where VGG16 has them
    }
    expected |= dict.fromkeys(others.get(name, ()), 0.5)
    assert dropouts(model) == expected


@pytest.mark.parametrize("name", BAYESIAN, scope="module")
def test_dropout_acts_on_pooled_values_and_after_decoder_stages(model: nn.Module) -> None:
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda _, inputs, output, key=key: seen.update({key: (inputs[0], output)}))
        for key, module in model.named_modules()
        if key.count(".") == 1 and key.startswith(("encoder", "decoder"))
    ]
    with torch.no_grad():
        model(images(1, 33, 47))
    for hook in hooks:
        hook.remove()
    for key in dropouts(model):
        stage_output = seen[key.replace("dropout", "stage")][1]
        expected = max_pool(stage_output)[0] if key.startswith("encoder") else stage_output
        assert torch.equal(seen[key][0], expected), key


@pytest.mark.parametrize("name", BAYESIAN, scope="module")
def test_a_bayesian_model_is_the_plain_one_with_dropout_that_is_drawn_anew(model: nn.Module, name: str) -> None:
    plain = create_model(BAYESIAN[name], NUM_CLASSES)
    plain.load_state_dict(model.state_dict())
    image = images(1, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(image), plain.eval()(image))
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        torch.manual_seed(4)
        assert not torch.equal(model(image), model(image))


# ------------------------------------------------------------------------------------------------ errors


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown model 'segnet_basic'; did you mean 'segnet-basic'"):
        create_model("segnet_basic", 11)


@pytest.mark.parametrize("num_classes", [0, -1])
def test_a_model_wants_a_class(num_classes: int) -> None:
    with pytest.raises(ConfigError, match=f"model 'segnet-basic': expected at least one class, got {num_classes}"):
        create_model("segnet-basic", num_classes)
