"""Tables of the computed pages: they scroll by themselves where the page is narrow."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def scrolling(
    label: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    foot: Sequence[str] = (),
    kind: str = "",
    caption: bool = False,
) -> str:
    """A table in a box that scrolls and can be reached by keyboard.

    Parameters
    ----------
    label : str
        What the table shows, as text.
    heads : sequence of str
        Heads of the columns, as text.
    rows : iterable of sequence of str
        The cells as HTML; the first of each row is its head.
    foot : sequence of str, optional
        A last row that sums up, as HTML.
    kind : str
        A class of the table beside the common one.
    caption : bool
        Whether the label is shown above the table, or only read aloud.
    """
    head = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in heads)
    body = "".join(map(_row, rows))
    shown = f"<caption>{html.escape(label)}</caption>" if caption else ""
    end = f"<tfoot>{_row(foot)}</tfoot>" if foot else ""
    return (
        f'<div class="ib-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="{f"ib-table {kind}".strip()}">{shown}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody>{end}</table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{c}</td>" for c in rest)}</tr>'
