"""One image, one answer: backends, precisions, batches, numbers of threads and repetitions beside the model itself.

Sizes, images and all else are drawn from the seed. Where classes differ in float32, the model must have been in doubt:
its two best logits then lie closer than rounding moves them, measured in shares of the largest logit. In bfloat16
another pixel of a pooling window can win, which moves logits by any amount; there the share of other classes is counted
alone.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from trained_models import trained

from segnet.errors import ShapeError
from segnet.runtime.create import choose_backend

MODELS = ("segnet-basic", "segnet", "enet", "unet", "fcn-basic", "bilinear-interpolation")
BACKENDS = (("eager", "float32"), ("eager", "bfloat16"), ("onnxruntime", "float32"), ("openvino", "float32"))
# How far rounding moves a logit, as a share of the largest: in sums of some thousand products of 24 bits.
DOUBT = {"float32": 1e-4, "bfloat16": float("inf")}


@dataclass
class Answers:
    """Pixels that were compared, and those whose class is another one."""

    images: int = 0
    pixels: int = 0
    differing: int = 0  # of twice the pixels: in a batch, and each image alone with other threads
    beyond_doubt: int = 0
    refused: int = 0
    not_repeated: int = 0


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def drawn_images(rng: random.Random, most_px: int) -> Tensor:
    """One to three images, uint8 (N, 3, H, W), of any size from 1x1 on; often odd, narrow or one of a power of two."""
    height, width = (rng.choice((1, 2, 3, 16, 32, rng.randint(1, most_px), rng.randint(1, most_px))) for _ in range(2))
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    coarse = torch.rand(rng.randint(1, 3), 3, 1 + height // 8, 1 + width // 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (255 * (smooth + 0.1 * torch.rand(smooth.shape, generator=generator)).clamp(0, 1)).to(torch.uint8)


def compare(logits: Tensor, classes: Tensor, doubt: float) -> tuple[int, int]:
    """How many classes (N, H, W) are not those of the logits (N, K, H, W); how many of these the model was sure of."""
    best = logits.topk(2, dim=1).values
    sure = best[:, 0] - best[:, 1] > doubt * logits.abs().max()
    wrong = classes != logits.argmax(1)
    return int(wrong.sum()), int((wrong & sure).sum())


def run_answers(
    models: tuple[str, ...],
    count: int,
    seed: int,
    *,
    backends: tuple[tuple[str, str], ...] = BACKENDS,
    most_px: int = 96,
) -> dict[str, Answers]:
    """Compares `count` drawn batches of each model on each backend."""
    cpu, found = torch.device("cpu"), dict[str, Answers]()
    for name in models:
        model = trained(name)
        for backend_name, precision in backends:
            backend = choose_backend(model, backend_name, cpu, precision)  # type: ignore[arg-type]
            answers = found[f"{name}, {backend_name} {precision}"] = Answers()
            for number in range(count):
                rng = random.Random(f"{seed}:{name}:{number}")
                images = drawn_images(rng, most_px)
                with torch.no_grad():
                    logits = model(images.float() / 255)
                try:
                    first = backend.classes(images)
                except ShapeError:  # in one line that names the smallest size
                    answers.refused += 1
                    continue
                with threads(rng.randint(1, 3)):
                    alone = torch.cat([backend.classes(image[None]) for image in images])
                answers.images += len(images)
                answers.pixels += first.numel()
                answers.not_repeated += int((backend.classes(images) != first).sum())
                for classes in (first, alone):
                    wrong, beyond = compare(logits, classes, DOUBT[precision])
                    answers.differing += wrong
                    answers.beyond_doubt += beyond
    return found
