"""Global random numbers, seeded for a block and put back after it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds `random`, NumPy's global generator and PyTorch's CPU generator inside a `with`; restores them after it.

    Transforms of other projects draw from one of the three, and only so do they repeat after a resume.

    Args:
        seed: 0 .. 2**32 - 1.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
