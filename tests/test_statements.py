"""Statements: their names, and how they are collected from a page."""

from __future__ import annotations

from typing import Any

import pytest
from docutils import nodes
from docutils.utils import new_document

from ibbook.statements import PREMISES, PROVENANCE, RESULTS, Statement, collect, proof_nodes, uses


@pytest.mark.parametrize(
    ("title", "number", "content", "name"),
    [
        ("3 (direction of descent)", "3", "direction of descent", "Theorem 3"),
        ("3.1 (direction)", "3.1", "direction", "Theorem 3.1"),
        ("12", "12", "", "Theorem 12"),
        ("Rate of the margin", "", "Rate of the margin", "Theorem (Rate of the margin)"),
        ("(in parentheses)", "", "in parentheses", "Theorem (in parentheses)"),
        ("3 (a) and (b)", "3", "a) and (b", "Theorem 3"),
    ],
)
def test_number_content_and_name_come_from_the_title(
    title: str, number: str, content: str, name: str
) -> None:
    found = Statement("a-b", "theorem", title, "book/a")
    assert (found.number, found.content, found.name) == (number, content, name)


@pytest.mark.parametrize("kind", sorted(RESULTS | PREMISES))
def test_a_kind_is_a_result_or_a_premise(kind: str) -> None:
    assert Statement("a-b", kind, "1", "book/a").is_result is (kind in RESULTS)
    assert not RESULTS & PREMISES


def proof(
    kind: str,
    label: str,
    title: str = "",
    classes: tuple[str, ...] = (),
    leans: tuple[Any, ...] = (),
) -> nodes.Element:
    """A statement as sphinx-proof leaves it in a page."""
    node = nodes.admonition("", realtype=kind, label=label, classes=["proof", kind, *classes])
    if title:
        node += nodes.title("", title)
    body = nodes.paragraph()
    for labels in leans:
        body += uses("", "", labels=labels)
    node += body
    return node


def page(*children: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += list(children)
    return document


def collected(*children: nodes.Node) -> list[Statement]:
    return collect(page(*children), "book/part/chapter")


def test_statements_are_collected_in_order_with_all_they_say() -> None:
    found = collected(
        proof("assumption", "chapter-a1", "1 (data)"),
        nodes.paragraph("", "Prose."),
        proof("theorem", "chapter-t", "Limit", ("seen",), (("chapter-a1",),)),
    )
    assert found == [
        Statement("chapter-a1", "assumption", "1 (data)", "book/part/chapter"),
        Statement(
            "chapter-t", "theorem", "Limit", "book/part/chapter", ("chapter-a1",), "seen"
        ),
    ]  # fmt: skip


def test_what_is_used_twice_is_counted_once() -> None:
    (found,) = collected(proof("lemma", "c-l", "L", leans=(("c-a", "c-b"), ("c-b", "c-d"))))
    assert found.uses == ("c-a", "c-b", "c-d")


@pytest.mark.parametrize("name", PROVENANCE)
def test_one_class_of_provenance_counts(name: str) -> None:
    (found,) = collected(proof("lemma", "c-l", "L", ("wide", name)))
    assert found.provenance == name


@pytest.mark.parametrize("classes", [(), ("wide",), ("seen", "derived")])
def test_none_or_two_classes_of_provenance_are_none(classes: tuple[str, ...]) -> None:
    (found,) = collected(proof("lemma", "c-l", "L", classes))
    assert found.provenance == ""


@pytest.mark.parametrize(
    ("label", "labelled"),
    [("theorem-0", False), ("theorem-12", False), ("chapter-thm3", True), ("theorem-3b", True)],
)
def test_labels_of_sphinx_proof_are_told_from_those_of_the_author(
    label: str, labelled: bool
) -> None:
    (found,) = collected(proof("theorem", label, "T"))
    assert found.labelled is labelled


def test_remarks_examples_and_algorithms_are_no_statements() -> None:
    kinds = ["remark", "example", "algorithm", "criterion"]
    assert not list(proof_nodes(page(*(proof(kind, f"c-{kind}") for kind in kinds))))
