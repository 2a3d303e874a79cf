"""The labelled statements of the book, collected while Sphinx reads its pages.

A statement is a directive of sphinx-proof whose label is the id of its claim. What it rests on is
declared inside it with the role ``{uses}``; how well we know that the paper says so is declared by
one of the classes in `PROVENANCE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxRole

#: Kinds that assert something, and so need a claim.
RESULTS = frozenset(
    {"theorem", "lemma", "proposition", "corollary", "conjecture", "property", "observation"}
)
#: Kinds that results rest on; they appear on the map, but assert nothing.
PREMISES = frozenset({"assumption", "definition", "axiom"})

#: How well the text of a statement is known, by its class.
PROVENANCE = {
    "seen": "as in the paper, whose text was read",
    "secondhand": "as reported in independent write-ups; the paper's own text was not read",
    "recalled": "recalled, not read; rests on the derivation given here",
    "derived": "derived here; the paper does not state it in this form",
}

_NUMBER = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True)
class Statement:
    """One labelled statement.

    Parameters
    ----------
    id : str
        Its label.
    kind : str
        "theorem", "lemma", "assumption", ...
    title : str
        Its title as written, for instance "3 (direction of gradient descent)".
    docname : str
        The page it stands on.
    uses : tuple of str
        Labels of the statements that it rests on.
    provenance : str
        A key of `PROVENANCE`, or "" where none is declared.
    labelled : bool
        Whether the author gave a label.
    """

    id: str
    kind: str
    title: str
    docname: str
    uses: tuple[str, ...] = ()
    provenance: str = ""
    labelled: bool = True

    @property
    def is_result(self) -> bool:
        """Whether the statement asserts something that a claim can test."""
        return self.kind in RESULTS

    @property
    def number(self) -> str:
        """The paper's number, or "" for a statement named by its content."""
        found = _NUMBER.match(self.title)
        return found.group() if found else ""

    @property
    def content(self) -> str:
        """The title without number and parentheses."""
        rest = self.title[len(self.number) :].strip()
        return rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest

    @property
    def short(self) -> str:
        """Its kind, with the paper's number where that is known."""
        return f"{self.kind.capitalize()} {self.number}".rstrip()

    @property
    def name(self) -> str:
        """How other statements refer to it: by number, or else by content."""
        return self.short if self.number else f"{self.short} ({self.content})"

    @property
    def full_name(self) -> str:
        """Number and content."""
        return f"{self.short} ({self.content})" if self.content else self.short


class uses(nodes.Inline, nodes.TextElement):
    """Placeholder for the links to the statements that one rests on."""


class UsesRole(SphinxRole):
    """``{uses}`label, label```: what the statement around it rests on."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Leave a placeholder that knows the labels."""
        labels = tuple(label.strip() for label in self.text.split(",") if label.strip())
        node = uses(self.rawtext, "", labels=labels, classes=["ib-uses"])
        self.set_source_info(node)
        return [node], []


def proof_nodes(doctree: nodes.document) -> Iterator[nodes.Element]:
    """Yield the statements of a page as docutils nodes.

    Parameters
    ----------
    doctree : document
        A page.
    """
    for node in doctree.findall(nodes.Element):
        if node.get("realtype") in RESULTS | PREMISES and "label" in node:
            yield node


def collect(doctree: nodes.document, docname: str) -> list[Statement]:
    """The statements of a page, in order.

    Parameters
    ----------
    doctree : document
        The page, as read.
    docname : str
        Its name.
    """
    return [_statement(node, docname) for node in proof_nodes(doctree)]


def _statement(node: nodes.Element, docname: str) -> Statement:
    labels: list[str] = []
    for placeholder in node.findall(uses):
        labels += placeholder["labels"]
    title = node.next_node(nodes.title)
    declared: list[Any] = [c for c in node["classes"] if c in PROVENANCE]
    return Statement(
        id=node["label"],
        kind=node["realtype"],
        title=title.astext().strip() if title is not None else "",
        docname=docname,
        uses=tuple(dict.fromkeys(labels)),
        provenance=declared[0] if len(declared) == 1 else "",
        # sphinx-proof numbers what has no label: "theorem-12".
        labelled=not re.fullmatch(rf"{node['realtype']}-\d+", node["label"]),
    )
