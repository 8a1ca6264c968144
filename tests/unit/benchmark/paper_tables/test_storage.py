import pytest

from segnet.benchmark.paper_tables.storage import count_storage, require_size
from segnet.benchmark.paper_tables.table_models import TABLE_1_MODELS, TABLE_MODELS
from segnet.errors import ConfigError, ShapeError
from segnet.models import MODELS

SIZE = (360, 480)
# After each pooling of a 360x480 image, rounded up.
POOLED = (180 * 240, 90 * 120, 45 * 60, 23 * 30, 12 * 15)
INDICES_BASIC = 64 * sum(POOLED[:4]) // 4  # 64 channels, 2 bits each, 8 to a byte
INDICES_VGG = sum(c * p for c, p in zip((64, 128, 256, 512, 512), POOLED, strict=True)) // 4
BY_HAND = {
    # model: bytes of indices, bytes of maps
    "segnet": (INDICES_VGG, 0),
    "bayesian-segnet": (INDICES_VGG, 0),
    "bayesian-segnet-camvid": (INDICES_VGG, 0),
    "segnet-basic": (INDICES_BASIC, 0),
    "bayesian-segnet-basic": (INDICES_BASIC, 0),
    "autoencoder": (INDICES_BASIC, 0),
    "bilinear-interpolation": (0, 0),
    "segnet-basic-encoder-addition": (INDICES_BASIC, 4 * 64 * sum(POOLED[:3])),
    "segnet-basic-single-channel-decoder": (INDICES_BASIC, 0),
    "fcn-basic": (0, 4 * 11 * sum(POOLED[:3])),
    "fcn-basic-no-addition": (0, 0),
    "fcn-basic-no-dim-reduction": (0, 4 * 64 * sum(POOLED[:3])),
    "fcn-basic-no-addition-no-dim-reduction": (0, 0),
    "fcn-32s": (0, 0),
    "fcn-16s": (0, 4 * 512 * POOLED[3]),
    "fcn-8s": (0, 4 * (512 * POOLED[3] + 256 * POOLED[2])),
    "fcn-8s-learnt": (0, 4 * (512 * POOLED[3] + 256 * POOLED[2])),
    "deeplab-largefov": (0, 0),
    "deconvnet": (INDICES_VGG, 0),
    # before each pooling, at 1, 1/2, 1/4 and 1/8 of the size
    "unet": (0, 4 * (64 * 360 * 480 + 128 * POOLED[0] + 256 * POOLED[1] + 512 * POOLED[2])),
    # 16 maps pooled to 1/4 and 64 to 1/8
    "enet": ((16 * POOLED[1] + 64 * POOLED[2]) // 4, 0),
}


@pytest.mark.parametrize("model", BY_HAND)
def test_storage_equals_arithmetic_by_hand(model: str) -> None:
    storage = count_storage(model, SIZE)
    assert (storage.index_bytes, storage.map_bytes) == BY_HAND[model]
    assert storage.total_bytes == sum(BY_HAND[model])


def test_every_model_of_every_table_is_counted_here_and_known() -> None:
    named = {model for models in TABLE_MODELS.values() for model in models}
    assert named == BY_HAND.keys()
    assert named <= MODELS.keys()
    assert len(TABLE_1_MODELS) == 8


@pytest.mark.parametrize(
    ("model", "ours", "printed"),
    [
        ("segnet-basic", 1, 1),
        ("fcn-basic", 2.75, 11),  # 1.90 MB of maps against .69 MB of indices, where the paper says .17 MB
        ("fcn-basic-no-dim-reduction", 16, 64),
        ("segnet-basic-encoder-addition", 17, 64),  # it keeps its indices too
        ("fcn-basic-no-addition", 0, None),
    ],
)
def test_the_papers_multiplier_is_four_times_too_large(model: str, ours: float, printed: float | None) -> None:
    storage = count_storage(model, SIZE)
    assert storage.multiplier == ours
    assert storage.paper_multiplier == printed


def test_odd_sizes_and_class_counts_count() -> None:
    # 33x47 is pooled to 17x24, 9x12, 5x6; 37 maps of float32 each
    assert count_storage("fcn-basic", (33, 47), 37).map_bytes == 4 * 37 * (17 * 24 + 9 * 12 + 5 * 6)
    assert count_storage("segnet-basic", (33, 47)).index_bytes == 16 * (17 * 24 + 9 * 12 + 5 * 6 + 3 * 3)


def test_a_size_that_batch_normalisation_cannot_take_is_named() -> None:
    require_size("fcn-32s", (33, 33), 1)
    require_size("fcn-32s", (24, 32), 2)
    with pytest.raises(ShapeError, match=r"fcn-32s.*24x32 at batch 1.*smallest square is 33x33"):
        require_size("fcn-32s", (24, 32), 1)


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'fcn-basic'"):
        count_storage("fcn-basik", SIZE)
