"""The two streams of the command line: what a command answers, and what it complains about.

Names and paths are printed as they are: brackets in them are no markup, and no line is broken.
"""

from rich.console import Console
from rich.text import Text

out_console, error_console = Console(), Console(stderr=True)


def say(text: str, style: str = "") -> None:
    """A line of the answer; `dim` is the style of a line that names what was written."""
    out_console.print(Text(text, style), soft_wrap=True)


def complain(what: str, text: str) -> None:
    """A line of complaint: `what` in red, and a colon."""
    error_console.print(Text.assemble((f"{what}:", "red"), " ", text), soft_wrap=True)
