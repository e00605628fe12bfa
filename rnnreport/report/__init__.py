"""From results to pages: strings only, no torch, no analysis. Rendering is a pure function of run folders."""

from rnnreport.report.index import IndexEntry, render_index
from rnnreport.report.markdown import render_summary_markdown
from rnnreport.report.page import render_report
from rnnreport.report.page_compare import render_comparison

__all__ = ["IndexEntry", "render_comparison", "render_index", "render_report", "render_summary_markdown"]
