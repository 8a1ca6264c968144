"""The report: how good a net is, on one page that a stranger can read and that needs no network."""

from segnet.report.page import write_report
from segnet.report.pictures import Panel, best_and_worst

__all__ = ["Panel", "best_and_worst", "write_report"]
