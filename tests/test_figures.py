"""Figures shown again: found by name in executed chapters, with their words and size."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from ibbook import figures
from ibbook.book import Book
from ibcore.interactive import MIME

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)


CHART = {"title": "</script>", "params": [{"name": "a", "bind": {"input": "range"}}, {"name": "b"}]}


@pytest.fixture
def book(make_book, tmp_path: Path) -> Book:
    """A book whose one chapter shows a picture, a number and a chart under names."""
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
        nbformat.v4.new_code_cell(
            "turn()",
            metadata={"mystnb": {"figure": {"name": "tiny-turn"}, "image": {"alt": "A chart"}}},
            outputs=[
                nbformat.v4.new_output(
                    "execute_result",
                    {"image/png": PIXEL, MIME: CHART},
                    metadata={"image/png": {"width": 700, "height": 300}},
                    execution_count=1,
                )
            ],
        ),
    ]
    path = book.notebook(book.chapters[0])
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return book


def test_a_figure_is_found_with_its_words_and_size(book: Book) -> None:
    figure = figures.read(book)["tiny-curve"]
    assert figure.docname == "book/tiny2020-chapter"
    assert (figure.alt, figure.width, figure.height) == ("A curve", 720, 290)
    assert figure.png == base64.b64decode(PIXEL)
    assert figure.spec is None


def test_only_pictures_are_figures(book: Book) -> None:
    assert set(figures.read(book)) == {"tiny-curve", "tiny-turn"}


def test_the_picture_links_to_its_place_and_keeps_its_room(book: Book) -> None:
    figure = figures.read(book)["tiny-curve"]
    text = figures.as_html(figure, f"_images/{figure.file}", "book/tiny.html#tiny-curve")
    link = BeautifulSoup(text, "html.parser").a
    assert link["href"] == "book/tiny.html#tiny-curve"
    assert dict(link.img.attrs) == {
        "src": "_images/shown-tiny-curve.png", "alt": "A curve",
        "width": "720", "height": "290",
    }  # fmt: skip


def test_a_chart_keeps_its_still_its_link_and_room_for_its_sliders(book: Book) -> None:
    figure = figures.read(book)["tiny-turn"]
    soup = BeautifulSoup(
        figures.as_html(figure, "a.png", "book/tiny.html#tiny-turn"), "html.parser"
    )
    assert soup.select_one(".ib-turn > img")["alt"] == "A chart"
    assert soup.a["href"] == "book/tiny.html#tiny-turn"
    room = soup.select_one(".ib-turn-chart")["style"]
    assert room == "--ib-width: 700px; --ib-ratio: 700 / 300; --ib-charts: 1"
    knobs = soup.select_one(".ib-turn-knobs")
    assert knobs["style"] == "--ib-knobs: 1"
    assert knobs.noscript


def test_a_chart_cannot_end_its_script(book: Book) -> None:
    figure = figures.read(book)["tiny-turn"]
    text = figures.turning(figure)
    assert text.count("</script>") == 1
    found = json.loads(BeautifulSoup(text, "html.parser").script.string)
    assert found.pop("$schema").endswith(f"/v{figures.VEGA_LITE}.json")
    assert found == {**CHART, "description": "A chart"}


def test_the_libraries_are_one_classic_script_written_once(tmp_path: Path) -> None:
    figures.write_library(tmp_path / "_static")
    (path,) = (tmp_path / "_static").iterdir()
    text = path.read_text("utf-8")
    assert "window.vegaEmbed" in text
    assert not re.search(r"(?:^|[;}])\s*(?:import|export)\s", text), "file:// loads no modules"
    path.write_text("kept")
    figures.write_library(tmp_path / "_static")
    assert path.read_text() == "kept"
