"""The ledger: one row a result, computed from executed notebooks, as JSON and as a page."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema

from ibbook import json_files
from ibbook.records import Record
from ibbook.statements import PROVENANCE, Statement
from ibcore import reports
from ibcore.comparisons import BOUNDS

SCHEMA_PATH = Path(__file__).with_name("ledger.schema.json")
#: Identifies the format of `ledger.json`; a change that breaks its readers changes the number.
SCHEMA = "implicit-bias-ledger/1"


def schema() -> dict[str, Any]:
    """The JSON schema of `ledger.json`."""
    return json_files.read(SCHEMA_PATH)


def build(
    statements: Sequence[Statement],
    records: Sequence[Record],
    versions: Mapping[str, str],
    commit: str,
) -> dict[str, Any]:
    """Join statements and claims into the ledger.

    Parameters
    ----------
    statements : sequence of Statement
        All labelled statements, in the order of the book.
    records : sequence of Record
        All claims; the chain must be sound.
    versions : mapping
        Versions of what the chapters computed with.
    commit : str
        Commit of the sources.

    Returns
    -------
    dict
        JSON-ready, valid against `schema`.

    Raises
    ------
    jsonschema.ValidationError
        A record that does not fit the schema.
    """
    by_id = {record.id: record for record in records}
    rows = [_row(s, by_id[s.id]) for s in statements if s.is_result and s.id in by_id]
    ledger = {"schema": SCHEMA, "versions": dict(versions), "commit": commit, "claims": rows}
    jsonschema.validate(ledger, schema())
    return ledger


def _row(statement: Statement, record: Record) -> dict[str, Any]:
    """One result. The flat fields are those of its first comparison, the principal one."""
    data = record.data
    comparisons = data["comparisons"]
    first = comparisons[0] if comparisons else {}
    return {
        "id": statement.id,
        "chapter": statement.docname,
        "paper": record.paper,
        "result": statement.name,
        "title": statement.content,
        "provenance": statement.provenance,
        "status": data["status"],
        "because": data.get("because", ""),
        "relation": first.get("relation"),
        "predicted": first.get("predicted", []),
        "measured": first.get("measured", []),
        "error": first.get("error"),
        "tolerance": first.get("tolerance"),
        "instances": sum(c["instances"] for c in comparisons),
        "controls": [
            {"quantity": c["quantity"], **control} for c in comparisons for control in c["controls"]
        ],
        "grade": data.get("grade"),
        "scope": data.get("scope", ""),
        "seeds": data.get("seeds", []),
        "dtype": data.get("dtype"),
        "uses": list(statement.uses),
        "comparisons": comparisons,
    }


def two_sided(ledger: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The comparisons whose prediction is a number that can be wrong either way, with their claims.

    Bounds have a slack instead, and comparisons with words nothing to change.

    Parameters
    ----------
    ledger : mapping
        A ledger.

    Returns
    -------
    list of (id, comparison)
    """
    return [
        (row["id"], c)
        for row in ledger["claims"]
        for c in row["comparisons"]
        if c["resolution"] is not None and c["relation"] not in BOUNDS
    ]


def blunt(ledger: Mapping[str, Any], change: float, change_of_rates: float) -> list[str]:
    """The comparisons that would not notice their prediction changed by so much, with what they do.

    Only those of `two_sided` are asked; where zero is predicted the change is one of what the
    control shows.

    Parameters
    ----------
    ledger : mapping
        A ledger.
    change, change_of_rates : float
        Relative changes, of everything but fitted rates and of these.

    Returns
    -------
    list of str
        One sentence each, the bluntest first.
    """
    found = [
        (c["resolution"], f"{label}: {c['quantity']!r} could miss {reports.resolution(c)}")
        for label, c in two_sided(ledger)
        if c["resolution"] > (change_of_rates if c["relation"] == "rate" else change)
    ]
    return [sentence for _, sentence in sorted(found, key=lambda pair: -pair[0])]


# --- the page ------------------------------------------------------------------------------------


def as_html(ledger: Mapping[str, Any], link: Callable[[str, str], str]) -> str:
    """The ledger as the body of a page: a table for each chapter.

    Parameters
    ----------
    ledger : mapping
        A ledger.
    link : callable
        From a page's name and an anchor to an address relative to the ledger's page.
    """
    parts = []
    for docname, rows in groupby(ledger["claims"], key=lambda row: str(row["chapter"])):
        chapter = list(rows)
        parts.append(_chapter_html(docname, chapter, link))
    return "\n".join(parts)


def _chapter_html(
    docname: str, rows: Sequence[Mapping[str, Any]], link: Callable[[str, str], str]
) -> str:
    paper = rows[0]["paper"]
    title = html.escape(str(paper.get("title", docname)))
    edition = html.escape(str(paper.get("edition", "")))
    heads = ("result", "status", "measured", "predicted", "error", "could miss", "n", "controls")
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    body = "\n".join(_row_html(row, link) for row in rows)
    counted = f"<p>Counted against: {edition}.</p>" if edition else ""
    return (
        f'<section class="ib-ledger-chapter"><h2><a href="{link(docname, "")}">{title}</a></h2>'
        f'{counted}<div class="ib-scroll" tabindex="0" role="region" aria-label="{title}">'
        f'<table class="ib-table ib-ledger"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _row_html(row: Mapping[str, Any], link: Callable[[str, str], str]) -> str:
    e = html.escape
    status = str(row["status"])
    name = f'<a href="{link(str(row["chapter"]), str(row["id"]))}">{e(str(row["result"]))}</a>'
    title = f'<br><span class="ib-small">{e(str(row["title"]))}</span>'
    first = f'<th scope="row">{name}{title if row["title"] not in row["result"] else ""}</th>'
    anchor = html.escape(row_anchor(str(row["id"])))
    badge = f'<span class="ib-badge ib-{status.replace(" ", "-")}">{e(status)}</span>'
    if not row["comparisons"]:
        return (
            f'<tr id="{anchor}">{first}<td>{badge}</td>'
            f'<td colspan="6">because {e(str(row["because"]))}</td></tr>'
        )
    principal = row["comparisons"][0]
    shown = reports.summary(principal)
    target = link(str(row["chapter"]), f"claim-{row['id']}")
    more = len(row["comparisons"]) - 1
    others = f' <a class="ib-small" href="{target}">and {more} more</a>' if more else ""
    why = f'<br><span class="ib-small">{e(str(row["because"]))}</span>' if row["because"] else ""
    grade = f'<br><span class="ib-small">{e(str(row["grade"]))}</span>'
    scope = f'<br><span class="ib-small">not: {e(str(row["scope"]))}</span>' if row["scope"] else ""
    cells = (
        f"<td>{badge}{why}{grade}{scope}</td>",
        f'<td>{e(shown["measured"])} <span class="ib-small">{e(principal["quantity"])}</span>'
        f"{others}</td>",
        f"<td>{e(shown['sign'])} {e(shown['predicted'])}</td>",
        f"<td>{e(shown['error'])}</td>",
        f"<td>{e(reports.resolution(principal))}</td>",
        f"<td>{row['instances']}</td>",
        f"<td>{_controls(row)}</td>",
    )
    return f'<tr id="{anchor}">{first}{"".join(cells)}</tr>'


def row_anchor(label: str) -> str:
    """Id of the row of a result on the ledger's page.

    Parameters
    ----------
    label : str
        Label of its statement.
    """
    return f"ledger-{label}"


def _controls(row: Mapping[str, Any]) -> str:
    """The controls by what they broke; each was checked to bite before it came here."""
    items = dict.fromkeys(html.escape(str(c["broken"])) for c in row["controls"])
    return f'<ul class="ib-controls">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def statement_html(
    statement: Statement,
    record: Record | None,
    used_by: Sequence[tuple[str, str]],
    ledger: str,
) -> str:
    """The line under a statement: what was measured, how well its text is known, who uses it.

    Parameters
    ----------
    statement : Statement
        The statement.
    record : Record or None
        Its claim; premises have none.
    used_by : sequence of (name, address)
        The statements that rest on it.
    ledger : str
        Address of its row in the ledger.
    """
    e = html.escape
    parts = []
    if record is not None:
        status = str(record.data["status"])
        parts.append(
            f'<a class="ib-badge ib-{status.replace(" ", "-")}" '
            f'href="#claim-{e(statement.id)}">{e(reports.headline(record.data))}</a>'
        )
    if statement.provenance:
        parts.append(f'<span class="ib-provenance">{e(PROVENANCE[statement.provenance])}</span>')
    if used_by:
        links = ", ".join(f'<a href="{e(address)}">{e(name)}</a>' for name, address in used_by)
        parts.append(f'<span class="ib-used-by">used by {links}</span>')
    if record is not None:
        parts.append(f'<a href="{e(ledger)}">ledger</a>')
    return f'<p class="ib-status-line">{" · ".join(parts)}</p>' if parts else ""
