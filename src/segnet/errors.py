"""All errors that this package raises on purpose.

    SegNetError
    +-- ConfigError     (ValueError)          a recipe, a setting or a name that cannot be used
    +-- DataError       (OSError)             a file or folder that is missing, broken or empty; says the path
    +-- LabelError      (ValueError)          a class id or colour that the label set lacks, and how many pixels
    +-- ShapeError      (ValueError)          a tensor or image of the wrong size
    +-- WeightsError    (OSError)             weights or a checkpoint that cannot be read, or fit another model
    +-- NonFiniteError  (FloatingPointError)  a loss that is NaN or infinite, with the step and the files
    +-- ExportError     (ArithmeticError)     an export that runs, but whose results differ from PyTorch's
    +-- CallbackError   (RuntimeError)        a callback that raised; says which, and where the run is saved

A message says what was expected, what it got, and what to do. The command line prints one line and exits with 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc")
_NO_THREAD = "can't start new thread"  # for lack of memory or of processes that a user may have


class SegNetError(Exception):
    """Root of the tree: catch this to catch everything the package raises on purpose."""


class ConfigError(SegNetError, ValueError):
    """A recipe, a setting or a name that cannot be used."""


class DataError(SegNetError, OSError):
    """A file or folder that is missing, broken or empty."""


class LabelError(SegNetError, ValueError):
    """A class id or colour that the label set does not contain."""


class ShapeError(SegNetError, ValueError):
    """A tensor or image of the wrong size."""


class WeightsError(SegNetError, OSError):
    """Weights or a checkpoint that cannot be read, or that fit another model."""


class NonFiniteError(SegNetError, FloatingPointError):
    """A loss that is NaN or infinite."""


class ExportError(SegNetError, ArithmeticError):
    """An export that runs, but whose results differ from PyTorch's."""


class CallbackError(SegNetError, RuntimeError):
    """A callback of the caller that raised; the run was saved first."""


def lacks_memory(cause: BaseException) -> bool:
    """Whether an error means that memory ran out, on a CPU or on a GPU: PyTorch raises a RuntimeError of its own."""
    return isinstance(cause, MemoryError) or any(words in str(cause) for words in (*_NO_MEMORY, _NO_THREAD))


def nearest(name: str, known: Iterable[str]) -> str:
    """Text for an error message about an unknown name.

    Returns:
        `did you mean 'x'?` if a known name is similar, else the list of all known names.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
