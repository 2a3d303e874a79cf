"""Read the claims back out of executed notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nbformat

from ibbook.book import Book


@dataclass(frozen=True)
class Record:
    """One claim as a chapter recorded it.

    Parameters
    ----------
    docname : str
        The chapter.
    data : dict
        What `ibcore.reports.Report` put into the output's metadata.
    paper : dict
        What the chapter's front matter says of its paper.
    """

    docname: str
    data: dict[str, Any]
    paper: dict[str, Any]

    @property
    def id(self) -> str:
        """Label of the statement that the claim tests."""
        return str(self.data.get("id", ""))


def claims_in(notebook: nbformat.NotebookNode) -> Iterator[dict[str, Any]]:
    """Yield the claim records of an executed notebook, in order.

    Parameters
    ----------
    notebook : NotebookNode
        An executed notebook.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            claim = output.get("metadata", {}).get("ibcore", {}).get("claim")
            if claim is not None:
                yield claim


def read_records(book: Book) -> list[Record]:
    """The claims of all chapters, in the order of the book.

    Parameters
    ----------
    book : Book
        A book whose chapters have been executed.
    """
    found = []
    for docname in book.chapters:
        notebook = nbformat.read(book.notebook(docname), as_version=4)
        paper = dict(notebook.metadata.get("paper", {}))
        found += [Record(docname, claim, paper) for claim in claims_in(notebook)]
    return found
