"""The second lock: what `ibbook.chain` says of statements and claims that do not fit together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ibbook import chain
from ibbook.records import Record
from ibbook.statements import PREMISES, PROVENANCE, RESULTS, Statement
from ibcore.claims import Claim, not_checked

CHAPTER, OTHER = "book/part/tiny2020-chapter", "book/part/other2021-chapter"
PREMISE = Statement("tiny2020-chapter-a1", "assumption", "1 (separable data)", CHAPTER)
THEOREM = Statement(
    "tiny2020-chapter-thm3", "theorem", "3 (direction)", CHAPTER, (PREMISE.id,), "seen"
)
COROLLARY = Statement(
    "tiny2020-chapter-rate", "corollary", "Rate of the margin", CHAPTER, (THEOREM.id,), "derived"
)


def claimed(label: str) -> dict[str, Any]:
    claim = Claim(label, grade="exact instance")
    claim.equal("a number", measured=[1.0, 2.0], predicted=[1.0, 2.0], atol=1e-6)
    claim.control("twice as large", measured=[2.0, 4.0])
    return copy.deepcopy(claim.report().record)


def sound() -> tuple[list[Statement], list[Record]]:
    """A book of one chapter: a premise, a measured theorem and a corollary that nobody checks."""
    records = [
        Record(CHAPTER, claimed(THEOREM.id), {}),
        Record(CHAPTER, not_checked(COROLLARY.id, "it is about all step sizes").record, {}),
    ]
    return [PREMISE, THEOREM, COROLLARY], records


Statements = list[Statement]
Records = list[Record]


def test_a_sound_book_has_no_problems() -> None:
    assert chain.problems(*sound()) == []


def test_an_empty_book_has_no_problems() -> None:
    assert chain.problems([], []) == []


def changed(**changes: Any) -> Callable[[Statements, Records], None]:
    """A mistake in the theorem."""

    def plant(statements: Statements, records: Records) -> None:
        statements[1] = replace(THEOREM, **changes)

    return plant


STATEMENT_MISTAKES: dict[str, tuple[Callable[[Statements, Records], None], list[str]]] = {
    "no claim": (
        lambda statements, records: records.pop(0) and None,
        [f"{THEOREM.id}: the theorem has neither a claim nor a reason why it is not checked"],
    ),
    "no title": (changed(title=""), [f"{THEOREM.id}: the theorem has no title"]),
    "no provenance": (
        changed(provenance=""),
        [f"{THEOREM.id}: give the theorem exactly one class of {', '.join(PROVENANCE)}"],
    ),
    "a number that nobody saw": (
        changed(provenance="secondhand"),
        [f"{THEOREM.id}: numbered 3 as in the paper, where the number was not seen"],
    ),
    "two statements with one label": (
        lambda statements, records: statements.append(THEOREM),
        [f"{THEOREM.id}: 2 statements have this label"],
    ),
    "leaning on nothing known": (
        changed(uses=("tiny2020-chapter-a2",)),
        [f"{THEOREM.id}: uses the unknown statement tiny2020-chapter-a2"],
    ),
    "leaning on itself": (
        changed(uses=(THEOREM.id,)),
        [f"statements lean on each other in a circle: {THEOREM.id} <- {THEOREM.id}"],
    ),
}


@pytest.mark.parametrize("mistake", STATEMENT_MISTAKES)
def test_a_mistake_in_a_statement_is_named(mistake: str) -> None:
    plant, expected = STATEMENT_MISTAKES[mistake]
    statements, records = sound()
    plant(statements, records)
    assert chain.problems(statements, records) == expected


def test_a_longer_circle_is_spelled_out() -> None:
    statements, records = sound()
    statements[1] = replace(THEOREM, uses=(COROLLARY.id,))
    (problem,) = chain.problems(statements, records)
    assert problem.startswith("statements lean on each other in a circle: ")
    assert {THEOREM.id, COROLLARY.id} <= set(problem.replace(" <- ", " ").split())


def test_an_unlabelled_result_is_told_how_to_label_it() -> None:
    statements, records = sound()
    statements.append(Statement("theorem-0", "theorem", "Nameless", CHAPTER, labelled=False))
    assert chain.problems(statements, records) == [
        f"{CHAPTER}: theorem 'Nameless' has no label; give it :label: tiny2020-chapter-<result>"
    ]


def test_a_label_begins_with_the_slug_of_its_chapter() -> None:
    label = "someone-thm3"
    statements, records = sound()
    statements[1:] = [replace(THEOREM, id=label)]
    records[:] = [Record(CHAPTER, claimed(label), {})]
    assert chain.problems(statements, records) == [
        f"{label}: the label does not begin with the slug of its chapter, tiny2020-chapter"
    ]


@pytest.mark.parametrize("kind", sorted(RESULTS))
def test_every_kind_of_result_needs_a_claim(kind: str) -> None:
    problems = chain.problems([replace(THEOREM, kind=kind, uses=())], [])
    assert problems == [
        f"{THEOREM.id}: the {kind} has neither a claim nor a reason why it is not checked"
    ]


@pytest.mark.parametrize("kind", sorted(PREMISES))
def test_a_premise_needs_no_claim_and_no_provenance(kind: str) -> None:
    assert chain.problems([replace(PREMISE, kind=kind)], []) == []


def test_a_claim_needs_a_statement() -> None:
    statements, records = sound()
    records.append(Record(CHAPTER, claimed("tiny2020-chapter-thm7"), {}))
    assert chain.problems(statements, records) == [
        f"tiny2020-chapter-thm7: a claim in {CHAPTER} tests no known statement"
    ]


def test_two_claims_with_one_id_are_refused() -> None:
    statements, records = sound()
    records.append(records[0])
    assert chain.problems(statements, records) == [f"{THEOREM.id}: 2 claims have this id"]


def test_a_claim_stands_in_the_chapter_of_its_statement() -> None:
    statements, records = sound()
    records[0] = replace(records[0], docname=OTHER)
    assert chain.problems(statements, records) == [
        f"{THEOREM.id}: claimed in {OTHER}, but stated in {CHAPTER}"
    ]


# What somebody who edits a record by hand, or displays one of their own making, could leave out.
RECORD_MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "zero instances": (
        lambda data: data["comparisons"][0].update(instances=0),
        f"{THEOREM.id}: 'a number' has zero instances",
    ),
    "nothing compared": (
        lambda data: data.update(comparisons=[]),
        f"{THEOREM.id}: nothing was compared",
    ),
    "no control": (
        lambda data: data["comparisons"][0].update(controls=[]),
        f"{THEOREM.id}: 'a number' has no control",
    ),
    "a control without teeth": (
        lambda data: data["comparisons"][0]["controls"][0].update(bites=False),
        f"{THEOREM.id}: 'a number': the control 'twice as large' does not bite",
    ),
    "a control on no instance": (
        lambda data: data["comparisons"][0]["controls"][0].update(instances=0),
        f"{THEOREM.id}: 'a number': the control 'twice as large' does not bite",
    ),
    "a number out of tolerance": (
        lambda data: data["comparisons"][0].update(error=0.5),
        f"{THEOREM.id}: 'a number' does not hold, though the claim says 'corroborated'",
    ),
    "contradicted without a reason": (
        lambda data: data.update(status="contradicted", because=""),
        f"{THEOREM.id}: contradicted, without a reason",
    ),
    "no reason": (
        lambda data: data.update(status="not checked", because=""),
        f"{THEOREM.id}: not checked, without a reason",
    ),
}


@pytest.mark.parametrize("mistake", RECORD_MISTAKES)
def test_a_mistake_in_a_record_is_named(mistake: str) -> None:
    plant, expected = RECORD_MISTAKES[mistake]
    statements, records = sound()
    plant(records[0].data)
    assert chain.problems(statements, records) == [expected]


def test_a_contradicted_result_is_an_honest_red_row() -> None:
    claim = Claim(THEOREM.id, grade="exact instance", contradicted="the constant is 2, not 1")
    claim.equal("the constant", measured=[2.0], predicted=[1.0], rtol=1e-3)
    claim.control("the right constant", predicted=[2.0])
    statements, records = sound()
    records[0] = Record(CHAPTER, claim.report().record, {})
    assert chain.problems(statements, records) == []


def test_all_mistakes_are_reported_at_once() -> None:
    statements, records = sound()
    for plant, _ in (STATEMENT_MISTAKES["no title"], STATEMENT_MISTAKES["no claim"]):
        plant(statements, records)
    assert len(chain.problems(statements, records)) == 2
