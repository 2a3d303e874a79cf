"""Figures of executed chapters: shown again on other pages, and turned by the reader."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import vl_convert

from ibbook.book import Book
from ibcore.interactive import MIME

#: The version of Vega-Lite on the site; it draws the charts for the older one of Jupyter as well.
VEGA_LITE = "6.4"
#: The libraries that draw such charts in the browser, one file for all pages.
LIBRARY = f"vega-lite-{VEGA_LITE}-{metadata.version('vl-convert-python')}.js"
#: What starts them.
SCRIPT = "turn.js"


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
    spec : dict, optional
        The Vega-Lite chart, of a figure that can be turned.
    """

    name: str
    docname: str
    alt: str
    png: bytes
    width: int
    height: int
    spec: dict[str, Any] | None = None

    @property
    def file(self) -> str:
        """Name of the picture's file in the folder of images of the site."""
        return f"shown-{self.name}.png"


def read(book: Book) -> dict[str, Figure]:
    """The figures of all chapters, by name.

    Parameters
    ----------
    book : Book
        A book whose chapters have been executed.
    """
    return {figure.name: figure for docname in book.chapters for figure in _of(book, docname)}


def _of(book: Book, docname: str) -> Iterator[Figure]:
    for cell in nbformat.read(book.notebook(docname), as_version=4).cells:
        about = cell.metadata.get("mystnb", {})
        name = about.get("figure", {}).get("name")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if name is None or "image/png" not in data:
                continue
            size = output["metadata"]["image/png"]
            yield Figure(
                name=name,
                docname=docname,
                alt=" ".join(str(about["image"]["alt"]).split()),
                png=base64.b64decode(data["image/png"]),
                width=int(size["width"]),
                height=int(size["height"]),
                spec=data.get(MIME),
            )
            break


def as_html(figure: Figure, source: str, address: str) -> str:
    """The figure as a link to where it comes from, or with what turns it and such a link below.

    Parameters
    ----------
    figure : Figure
        The figure.
    source : str
        Address of its file.
    address : str
        Address of the figure in its chapter.
    """
    image = (
        f'<img src="{html.escape(source)}" alt="{html.escape(figure.alt)}" '
        f'width="{figure.width}" height="{figure.height}">'
    )
    if figure.spec is None:
        return f'<a class="ib-shown-picture" href="{html.escape(address)}">{image}</a>'
    return (
        f'<div class="ib-shown-picture ib-turn">{image}{turning(figure)}</div>'
        f'<p class="ib-small"><a href="{html.escape(address)}">The figure in its place</a></p>'
    )


def turning(figure: Figure) -> str:
    """What stands beside the still picture of a figure that can be turned.

    Room for the chart and its sliders is kept from the start, so that nothing jumps when they come.

    Parameters
    ----------
    figure : Figure
        A figure with a chart.
    """
    assert figure.spec is not None
    schema = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE}.json"
    spec = {**figure.spec, "$schema": schema, "description": figure.alt}
    sliders = sum("bind" in parameter for parameter in spec["params"])
    charts = len(spec.get("hconcat", [spec]))
    size = (
        f"--ib-width: {figure.width}px; --ib-ratio: {figure.width} / {figure.height}; "
        f"--ib-charts: {charts}"
    )
    # A script ends at the first "</": inside it JSON may write the slash with a backslash.
    written = json.dumps(spec, separators=(",", ":"), ensure_ascii=False).replace("</", r"<\/")
    return (
        f'<div class="ib-turn-chart" style="{size}"></div>'
        f'<div class="ib-turn-knobs" style="--ib-knobs: {sliders}">'
        "<noscript>The sliders of this figure need JavaScript.</noscript></div>"
        f'<script type="application/json">{written}</script>'
    )


def write_library(static: Path) -> None:
    """Put the libraries of the charts beside the static files of the site, unless they are there.

    Parameters
    ----------
    static : Path
        The folder of static files.
    """
    path = static / LIBRARY
    if not path.exists():
        static.mkdir(parents=True, exist_ok=True)
        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
        path.write_text(f"(() => {{\n{bundle}\n}})();\n", encoding="utf-8")
