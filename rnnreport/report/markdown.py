"""``summary.md``: the report as a pull-request comment."""

from __future__ import annotations

from rnnreport.report.environment import environment
from rnnreport.report.gather import model_line
from rnnreport.results.folder import RunFolder


def render_summary_markdown(folder: RunFolder) -> str:
    """Render the summary of a run as Markdown, far below the 60,000 characters a comment may have."""
    manifest, summary = folder.manifest(), folder.summary()
    template = environment().get_template("summary.md.j2")
    return template.render(summary=summary, manifest=manifest, model_line=model_line(manifest))
