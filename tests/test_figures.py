"""Figures shown again: found by name in executed chapters, with their words and size."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from ibbook import figures
from ibbook.book import Book

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)


@pytest.fixture
def book(make_book, tmp_path: Path) -> Book:
    """A book whose one chapter shows one picture and one number under a name."""
    book = make_book(tmp_path, {"tiny2020-chapter": "# Tiny\n"})
    cells = [
        nbformat.v4.new_code_cell(
            "draw()",
            metadata={"mystnb": {"figure": {"name": "tiny-curve"}, "image": {"alt": "A\n curve"}}},
            outputs=[
                nbformat.v4.new_output(
                    "display_data",
                    {"image/png": PIXEL, "text/plain": "<Figure>"},
                    metadata={"image/png": {"width": 720, "height": 290}},
                )
            ],
        ),
        nbformat.v4.new_code_cell(
            "1", metadata={"mystnb": {"figure": {"name": "tiny-number"}}}, outputs=[]
        ),
    ]
    path = book.notebook(book.chapters[0])
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return book


def test_a_figure_is_found_with_its_words_and_size(book: Book) -> None:
    figure = figures.find(book, "tiny-curve")
    assert figure.docname == "book/tiny2020-chapter"
    assert (figure.alt, figure.width, figure.height) == ("A curve", 720, 290)
    assert figure.png == base64.b64decode(PIXEL)


@pytest.mark.parametrize("name", ["tiny-number", "nowhere"])
def test_a_name_without_a_picture_is_refused(book: Book, name: str) -> None:
    with pytest.raises(ValueError, match=f"no chapter has a figure '{name}'"):
        figures.find(book, name)


def test_the_picture_links_to_its_place_and_keeps_its_room(book: Book) -> None:
    figure = figures.find(book, "tiny-curve")
    text = figures.as_html(figure, f"_images/{figure.file}", "book/tiny.html#tiny-curve")
    link = BeautifulSoup(text, "html.parser").a
    assert link["href"] == "book/tiny.html#tiny-curve"
    assert dict(link.img.attrs) == {
        "src": "_images/shown-tiny-curve.png", "alt": "A curve",
        "width": "720", "height": "290",
    }  # fmt: skip
