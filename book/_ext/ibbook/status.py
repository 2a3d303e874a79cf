"""The page of status: when each chapter was executed, from which commit, and what it cost."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import nbformat

from ibbook import tables
from ibbook.book import Book
from ibcore.reports import number


def read_costs(book: Book) -> dict[str, dict[str, Any]]:
    """What the execution of each chapter cost, in the order of the book.

    Parameters
    ----------
    book : Book
        A book whose chapters have been executed.

    Returns
    -------
    dict
        By chapter: "execution_seconds", "peak_mib", "executed_at" and "commit".
    """
    return {
        docname: dict(nbformat.read(book.notebook(docname), as_version=4).metadata["ibbook"])
        for docname in book.chapters
    }


def as_html(
    costs: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    titles: Mapping[str, str],
    link: Callable[[str, str], str],
) -> str:
    """The status as a table with the versions below.

    Parameters
    ----------
    costs : mapping
        As `read_costs` returns it.
    versions : mapping
        Versions of what the chapters computed with.
    titles : mapping
        Titles of pages by name.
    link : callable
        From a page's name and an anchor to an address relative to the page of status.
    """
    heads = ("chapter", "seconds", "memory, MiB", "executed", "commit")
    rows = [
        (
            f'<a href="{link(docname, "")}">{html.escape(titles[docname])}</a>',
            number(cost["execution_seconds"]),
            str(cost["peak_mib"]),
            _day(cost["executed_at"]),
            f"<code>{_short(cost['commit'])}</code>",
        )
        for docname, cost in costs.items()
    ]
    total = sum(cost["execution_seconds"] for cost in costs.values())
    peak = max((cost["peak_mib"] for cost in costs.values()), default=0)
    used = ", ".join(f"{html.escape(name)} {html.escape(v)}" for name, v in versions.items())
    foot = ("together", f"{total:.0f}", f"at most {peak}", "", "")
    table = tables.scrolling("Status of the chapters", heads, rows, foot=foot)
    return f'{table}<p class="ib-small">Computed with {used}.</p>'


def _day(moment: str) -> str:
    """Date and time to the minute, in universal time."""
    shown = moment[:16].replace("T", " ")
    return f'<time datetime="{html.escape(moment)}">{html.escape(shown)} UTC</time>'


def _short(commit: str) -> str:
    """The first digits of a commit; a checkout with changes stays marked."""
    digits, _, changed = commit.partition("-")
    return html.escape(digits[:10] + ("-" + changed if changed else "")) or "none"
