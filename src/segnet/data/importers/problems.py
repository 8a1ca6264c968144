"""Everything that is wrong with an import, collected, so that one run reports all of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from segnet.errors import DataError, SegNetError


class ImportProblemsError(DataError):
    """Several problems of one import.

    Args:
        problems: at least two, in the order in which they were found.

    Attributes:
        problems: the same. A traceback shows all of them; the message shows the first.
    """

    def __init__(self, problems: Sequence[SegNetError]) -> None:
        super().__init__(
            f"{len(problems)} problems, the first: {problems[0]}; correct them, or leave out what is broken with "
            "--skip-broken"
        )
        self.problems = tuple(problems)
        for problem in problems:
            self.add_note(str(problem))


class Problems:
    """Collects errors, so that reading continues after a broken record.

    Attributes:
        found: the errors so far.
    """

    def __init__(self) -> None:
        self.found: list[SegNetError] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """A block that ends at its first error of this package; the error is kept and the program continues."""
        try:
            yield
        except SegNetError as error:
            self.found.append(error)

    def raise_any(self) -> None:
        """Raises what was found.

        Raises:
            SegNetError: the error itself where it is the only one.
            ImportProblemsError: several.
        """
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise ImportProblemsError(self.found)


@dataclass(frozen=True)
class ImportContext:
    """What every reader of a format gets besides the folder to read.

    Attributes:
        scratch: a temporary folder for images that are stored inside other files.
        problems: where a reader puts what is broken; it continues with the next record.
        colour_tolerance: largest difference, in each of red, green and blue, at which a colour of a label image still
            counts as a colour of the table.
    """

    scratch: Path
    problems: Problems = field(default_factory=Problems)
    colour_tolerance: int = 0
