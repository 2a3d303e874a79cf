"""Statements for Sphinx's search: found by kind, number, title and label, and led to directly."""

from __future__ import annotations

from collections.abc import Iterator

from docutils.nodes import Element
from sphinx.application import Sphinx
from sphinx.domains import Domain, ObjType

from ibbook.statements import PREMISES, RESULTS, Statement


class StatementDomain(Domain):
    """The statements as objects: the search shows each with its kind and its page."""

    name = "statement"
    label = "Statement"
    object_types = {kind: ObjType(kind) for kind in sorted(RESULTS | PREMISES)}  # noqa: RUF012

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        """Yield what Sphinx's search index and inventory hold of each statement, as important.

        The search compares words with the name shown, so the label is a part of it.
        """
        pages: dict[str, list[Statement]] = vars(self.env).get("ib_statements", {})
        for s in (s for found in pages.values() for s in found):
            shown = f"{s.full_name} · {s.id}"
            yield shown, shown, s.kind, s.docname, s.id, 0

    def resolve_any_xref(self, *arguments: object) -> list[tuple[str, Element]]:
        """Nothing: references to statements are those of sphinx-proof."""
        return []

    def get_type_name(self, type: ObjType, primary: bool = False) -> str:
        """The kind alone."""
        return type.lname


def drop_bare_titles(app: Sphinx) -> list[tuple[str, dict[str, object], str]]:
    """Take the titles of statements out of the index of titles, where they lack their kind.

    Without this, a search shows "(rates)" beside "Theorem (rates)". Adds no pages.
    """
    indexer = getattr(app.builder, "indexer", None)
    if indexer is not None:
        pages: dict[str, list[Statement]] = vars(app.env).get("ib_statements", {})
        for docname, found in pages.items():
            labels = {s.id for s in found}
            titles = indexer._all_titles.get(docname, [])
            indexer._all_titles[docname] = [pair for pair in titles if pair[1] not in labels]
    return []
