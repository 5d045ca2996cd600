"""The table of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..report.mathml import text
from .chapter import Chapter, Part
from .formulas import prose
from .page import LayerPage


def layers_table(pages: Sequence[LayerPage]) -> Chapter:
    """A section a group: every layer with what it is and its gradients."""
    parts = [
        Part(group.lower().replace(" ", "-"), group, _group(list(found)))
        for group, found in groupby(pages, key=lambda page: page.group)
    ]
    lead = f"<p>{len(pages)} layers, each with its gradients as they are derived.</p>"
    return Chapter(lead, tuple(parts))


def _group(pages: Sequence[LayerPage]) -> str:
    rows = "".join(_row(page) for page in pages)
    head = "<tr><th>layer</th><th>what it is</th><th>gradients</th></tr>"
    return (
        f'<div class="scroll"><table class="layers"><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(page: LayerPage) -> str:
    return (
        f'<tr><td><a href="{page.name}.html">{text(page.title)}</a></td>'
        f"<td>{prose(page.summary)}</td><td>{page.gradients}</td></tr>"
    )
