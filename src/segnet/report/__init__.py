"""The report: the quality of a model on one HTML page that explains its scores and needs no network."""

from segnet.report.images import Panel, best_and_worst
from segnet.report.page import write_report

__all__ = ["Panel", "best_and_worst", "write_report"]
