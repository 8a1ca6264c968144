"""The report: how good a model is, on one page that a stranger can read and that needs no network."""

from segnet.report.images import Panel, best_and_worst
from segnet.report.page import write_report

__all__ = ["Panel", "best_and_worst", "write_report"]
