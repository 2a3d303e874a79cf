"""The index of results: every statement of the book by chapter, and by name."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from ibbook import tables
from ibbook.ledger import row_anchor
from ibbook.statements import Statement

Link = Callable[[str, str], str]

#: How well the text of a statement is known, in a word or two.
KNOWN = {
    "seen": "read in the paper",
    "secondhand": "at second hand",
    "recalled": "recalled",
    "derived": "derived here",
}
_ARTICLE = re.compile(r"(?:the|an?)\s+", re.IGNORECASE)
_HEADS = ("Statement", "What it says", "Text", "Measured", "Leans on", "Used by")


def as_html(
    statements: Sequence[Statement],
    outcomes: Mapping[str, str],
    titles: Mapping[str, str],
    link: Link,
    ledger: str,
) -> str:
    """The index as the body of a page: a table a chapter, then all titles in alphabetical order.

    Parameters
    ----------
    statements : sequence of Statement
        All statements, in the order of the book.
    outcomes : mapping
        From the id of a result to what was measured.
    titles : mapping
        From the name of a page to its title.
    link : callable
        From a page's name and an anchor to an address relative to this page.
    ledger : str
        Name of the ledger's page.
    """
    by_id = {s.id: s for s in statements}
    used_by: dict[str, list[Statement]] = {s.id: [] for s in statements}
    for s in statements:
        for label in s.uses:
            used_by[label].append(s)

    def row(s: Statement) -> tuple[str, ...]:
        status = outcomes.get(s.id)
        return (
            _named(s, s.short, link),
            html.escape(s.content),
            KNOWN.get(s.provenance, ""),
            _measured(status, link(ledger, row_anchor(s.id))) if status else "a premise",
            _names([by_id[label] for label in s.uses], s.docname, titles, link),
            _names(used_by[s.id], s.docname, titles, link),
        )

    sections = [
        f'<section><h2><a href="{link(docname, "")}">{html.escape(titles[docname])}</a></h2>'
        + tables.scrolling(
            f"Results of {titles[docname]}", _HEADS, map(row, group), kind="ib-results"
        )
        + "</section>"
        for docname, group in groupby(statements, key=lambda s: s.docname)
    ]
    return "\n".join([*sections, _alphabet(statements, titles, link)])


def _named(statement: Statement, text: str, link: Link) -> str:
    return f'<a href="{link(statement.docname, statement.id)}">{html.escape(text)}</a>'


def _measured(status: str, address: str) -> str:
    kind = html.escape(status.replace(" ", "-"))
    return f'<a class="ib-badge ib-{kind}" href="{address}">{html.escape(status)}</a>'


def _names(found: Sequence[Statement], docname: str, titles: Mapping[str, str], link: Link) -> str:
    """Links to statements; those of other chapters say whose they are."""
    items = []
    for s in found:
        where = f', <span class="ib-small">in {html.escape(titles[s.docname])}</span>'
        items.append(f"<li>{_named(s, s.name, link)}{'' if s.docname == docname else where}</li>")
    return f'<ul class="ib-plain">{"".join(items)}</ul>' if items else ""


def _alphabet(statements: Sequence[Statement], titles: Mapping[str, str], link: Link) -> str:
    """All titles from A to Z; an article at the beginning does not count."""
    ordered = sorted(statements, key=lambda s: (_key(s), s.id))
    letters = []
    for letter, group in groupby(ordered, key=lambda s: _key(s)[0].upper()):
        items = "".join(
            f"<li>{_named(s, s.content, link)} "
            f'<span class="ib-small">{html.escape(s.short)}, {html.escape(titles[s.docname])}'
            "</span></li>"
            for s in group
        )
        letters.append(f'<h3>{letter}</h3><ul class="ib-plain">{items}</ul>')
    return (
        '<section><h2 id="by-title">By title</h2>'
        f'<div class="ib-alphabet">{"".join(letters)}</div></section>'
    )


def _key(statement: Statement) -> str:
    content = statement.content or statement.kind
    start = _ARTICLE.match(content)
    return content[start.end() if start else 0 :].casefold()
