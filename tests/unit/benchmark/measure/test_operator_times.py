"""Where the time of an image goes: what is counted, not how long it takes."""

import pytest

from segnet.benchmark.measure.operator_times import OTHER, PARTS, Profile, matrix_rates, measure_profile, profile_table


def test_every_operator_has_its_part_and_the_arithmetic_is_counted() -> None:
    result = measure_profile("segnet-basic", "bfloat16", (24, 32), repeats=1)
    assert list(result.part_ms) == [*PARTS, OTHER]
    for part in ("convolution", "ReLU", "pooling", "unpooling", "packing and unpacking indices", "argmax"):
        assert result.part_ms[part] > 0, part
    assert result.part_ms["batch normalisation"] == 0  # multiplied into the convolutions
    # 7x7 filters: 3 and 64 channels in, 64 out, encoder and decoder at 1, 1/4, 1/16, 1/64 of the pixels; classifier
    per_pixel = 49 * 64 * (3 + 64 * (1 / 4 + 1 / 16 + 1 / 64) + 64 * (1 + 1 / 4 + 1 / 16 + 1 / 64)) + 64 * 11
    normalisation = 0.01
    expected = 2 * 24 * 32 * per_pixel / 1e9
    assert result.convolution_gflop == pytest.approx(expected, rel=normalisation)
    assert measure_profile("segnet-basic", None, (24, 32), repeats=1).part_ms["batch normalisation"] > 0


def test_rates_of_all_precisions() -> None:
    rates = matrix_rates(side=64)  # large ones take minutes in bfloat16 where the CPU has none
    assert list(rates) == ["float32", "bfloat16", "int8"]
    assert min(rates.values()) > 0


def test_profile_table() -> None:
    parts = dict.fromkeys((*PARTS, OTHER), 0.0) | {"convolution": 90.0, "ReLU": 10.0}
    text = profile_table([Profile("segnet", "naive", parts, 18.0)], {"float32": 100.0, "int8": 390.0}, (360, 480))
    assert text.columns == ("part", "segnet, naive")
    assert text.rows[0] == ("convolution", "90 (90%)")
    assert text.rows[-4:] == (
        ("total, ms", "100"),
        ("convolutions, GFLOP", "18"),
        ("GFLOP per second of total time", "180"),
        ("share of the matrix product's rate", "180%"),
    )
    assert "relative to float32: int8 3.9x." in text.notes[-1]
