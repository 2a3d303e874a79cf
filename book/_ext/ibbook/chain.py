"""The chain from statement to claim, and what breaks it.

Claims check themselves when they run. This is the second lock: it looks at what arrived, so that a
claim that was never shown, a statement nobody measured or a record edited by hand stops the build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from ibbook.records import Record
from ibbook.statements import PROVENANCE, Statement


def problems(statements: Sequence[Statement], records: Sequence[Record]) -> list[str]:
    """Everything that is wrong between the statements and the claims of the book.

    Parameters
    ----------
    statements : sequence of Statement
        All labelled statements.
    records : sequence of Record
        All claims.

    Returns
    -------
    list of str
        One sentence a problem; empty for a sound book.
    """
    return [
        *_statement_problems(statements, {record.id for record in records}),
        *_dependency_problems(statements),
        *_claim_problems({s.id: s for s in statements}, records),
    ]


def _statement_problems(statements: Sequence[Statement], claimed: set[str]) -> Iterator[str]:
    for label, count in Counter(s.id for s in statements).items():
        if count > 1:
            yield f"{label}: {count} statements have this label"
    for s in statements:
        where = f"{s.docname}: {s.kind} {s.title!r}"
        if not s.labelled:
            yield f"{where} has no label; give it :label: {_slug(s)}-<result>"
            continue
        if not s.title:
            yield f"{s.id}: the {s.kind} has no title"
        if not s.id.startswith(f"{_slug(s)}-"):
            yield f"{s.id}: the label does not begin with the slug of its chapter, {_slug(s)}"
        if not s.is_result:
            continue
        if s.id not in claimed:
            yield f"{s.id}: the {s.kind} has neither a claim nor a reason why it is not checked"
        if not s.provenance:
            yield f"{s.id}: give the {s.kind} exactly one class of {', '.join(PROVENANCE)}"
        if s.number and s.provenance not in ("seen", ""):
            yield f"{s.id}: numbered {s.number} as in the paper, where the number was not seen"


def _slug(statement: Statement) -> str:
    return statement.docname.rsplit("/", 1)[-1]


def _dependency_problems(statements: Sequence[Statement]) -> Iterator[str]:
    known = {s.id for s in statements}
    for s in statements:
        for label in s.uses:
            if label not in known:
                yield f"{s.id}: uses the unknown statement {label}"
    try:
        TopologicalSorter({s.id: s.uses for s in statements}).prepare()
    except CycleError as error:
        yield f"statements lean on each other in a circle: {' <- '.join(error.args[1])}"


def _claim_problems(statements: dict[str, Statement], records: Sequence[Record]) -> Iterator[str]:
    for label, count in Counter(record.id for record in records).items():
        if count > 1:
            yield f"{label}: {count} claims have this id"
    for record in records:
        statement = statements.get(record.id)
        if statement is None:
            yield f"{record.id}: a claim in {record.docname} tests no known statement"
        elif statement.docname != record.docname:
            yield f"{record.id}: claimed in {record.docname}, but stated in {statement.docname}"
        yield from _record_problems(record)


def _record_problems(record: Record) -> Iterator[str]:
    if record.data["status"] == "not checked":
        if not record.data.get("because"):
            yield f"{record.id}: not checked, without a reason"
        return
    contradicted = record.data["status"] == "contradicted"
    if contradicted and not record.data.get("because"):
        yield f"{record.id}: contradicted, without a reason"
    if not record.data["comparisons"]:
        yield f"{record.id}: nothing was compared"
    for comparison in record.data["comparisons"]:
        quantity = f"{record.id}: {comparison['quantity']!r}"
        if comparison["instances"] < 1:
            yield f"{quantity} has zero instances"
        if not contradicted and comparison["error"] > comparison["tolerance"]:
            yield f"{quantity} does not hold, though the claim says {record.data['status']!r}"
        if not comparison["controls"]:
            yield f"{quantity} has no control"
        for control in comparison["controls"]:
            if not control["bites"] or control["instances"] < 1:
                yield f"{quantity}: the control {control['broken']!r} does not bite"
