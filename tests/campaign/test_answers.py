"""The short form of the campaign's comparison of answers."""

import random

import pytest
import torch
from answers import compare, drawn_images, run_answers


def test_a_class_is_wrong_only_where_the_model_was_sure() -> None:
    logits = torch.tensor([[[[5.0, 5.0]], [[4.999, 1.0]]]])  # (1, 2, 1, 2): in doubt, and sure
    assert compare(logits, torch.tensor([[[0, 0]]]), 1e-3) == (0, 0)
    assert compare(logits, torch.tensor([[[1, 0]]]), 1e-3) == (1, 0)
    assert compare(logits, torch.tensor([[[1, 1]]]), 1e-3) == (2, 1)


@pytest.mark.slow
def test_one_answer_whatever_size_batch_threads_and_repetition() -> None:
    found = run_answers(("segnet-basic",), 6, 1, backends=(("eager", "float32"), ("eager", "bfloat16")), most_px=40)
    for key, answers in found.items():
        assert answers.images >= 6 and answers.pixels > 500, key
        assert (answers.beyond_doubt, answers.not_repeated, answers.refused) == (0, 0, 0), key
    assert found["segnet-basic, eager float32"].differing <= 1
    coarse = found["segnet-basic, eager bfloat16"]
    assert 0 < coarse.differing < 0.15 * 2 * coarse.pixels


def test_images_are_drawn_again_from_their_seed() -> None:
    first, again = (drawn_images(random.Random(3), 50) for _ in range(2))
    assert torch.equal(first, again) and first.dtype == torch.uint8 and first.shape[1] == 3
