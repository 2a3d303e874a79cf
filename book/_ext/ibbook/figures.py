"""Figures of executed chapters, to be shown again on other pages without being made again."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass

import nbformat

from ibbook.book import Book


@dataclass(frozen=True)
class Figure:
    """A figure of a chapter.

    Parameters
    ----------
    name : str
        The name under which the chapter shows it.
    docname : str
        The chapter.
    alt : str
        Its alternative text.
    png : bytes
        The picture.
    width, height : int
        In CSS pixels.
    """

    name: str
    docname: str
    alt: str
    png: bytes
    width: int
    height: int

    @property
    def file(self) -> str:
        """Name of the picture's file in the folder of images of the site."""
        return f"shown-{self.name}.png"


def find(book: Book, name: str) -> Figure:
    """The figure of this name.

    Parameters
    ----------
    book : Book
        A book whose chapters have been executed.
    name : str
        The name that a cell gives its figure.

    Raises
    ------
    ValueError
        No chapter has a figure of this name.
    """
    for docname in book.chapters:
        for cell in nbformat.read(book.notebook(docname), as_version=4).cells:
            about = cell.metadata.get("mystnb", {})
            if about.get("figure", {}).get("name") != name:
                continue
            for output in cell.get("outputs", []):
                png = output.get("data", {}).get("image/png")
                if png is not None:
                    size = output["metadata"]["image/png"]
                    alt = " ".join(str(about["image"]["alt"]).split())
                    return Figure(name, docname, alt, base64.b64decode(png),
                                  int(size["width"]), int(size["height"]))  # fmt: skip
    raise ValueError(f"name: no chapter has a figure {name!r}")


def as_html(figure: Figure, source: str, address: str) -> str:
    """The picture as a link to where it comes from.

    Parameters
    ----------
    figure : Figure
        The figure.
    source : str
        Address of its file.
    address : str
        Address of the figure in its chapter.
    """
    return (
        f'<a class="ib-shown-picture" href="{html.escape(address)}">'
        f'<img src="{html.escape(source)}" alt="{html.escape(figure.alt)}" '
        f'width="{figure.width}" height="{figure.height}"></a>'
    )
