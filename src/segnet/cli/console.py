"""The two streams of the command line: what a command answers, and what it complains about."""

from rich.console import Console

out_console, error_console = Console(), Console(stderr=True)
