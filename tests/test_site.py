"""The built site: every link leads somewhere, every picture speaks, every number is today's.

Each check is a function from what was built to the sentences that say what is wrong with it, and
is shown to find one planted mistake of each kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import nbformat
import pytest
from bs4 import BeautifulSoup, Tag

from ibbook import json_files, ledger, reference
from ibbook.book import Book
from ibbook.records import read_records

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.at(ROOT)
REFERENCE = ROOT / "tests" / "reference" / "ledger.json"


@dataclass(frozen=True)
class Page:
    """A page of the site: its address, what it holds, and the other files of the site."""

    address: str
    html: str
    site: Site

    @cached_property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.html, "html.parser")

    @cached_property
    def anchors(self) -> set[str]:
        return {str(tag["id"]) for tag in self.soup.find_all(id=True)}

    @property
    def article(self) -> Tag | BeautifulSoup:
        return self.soup.select_one("article.bd-article") or self.soup

    def resolve(self, path: str) -> str:
        """The address, within the site, that a relative one leads to."""
        return normpath(PurePosixPath(self.address).parent / unquote(path))


@dataclass(frozen=True)
class Site:
    """The texts of the pages, and the addresses of all files."""

    texts: Mapping[str, str]
    files: frozenset[str]

    @cached_property
    def pages(self) -> dict[str, Page]:
        return {address: Page(address, html, self) for address, html in self.texts.items()}


@cache
def built() -> Site:
    assert (BOOK.build / ".complete").exists(), "there is no finished site: run `make book` first"
    found = {p.relative_to(BOOK.html).as_posix() for p in BOOK.html.rglob("*") if p.is_file()}
    texts = {
        address: (BOOK.html / address).read_text("utf-8")
        for address in sorted(found)
        if address.endswith(".html") and not address.startswith("_static/")
    }
    return Site(texts, frozenset(found))


# --- the checks of a page -----------------------------------------------------------------------


def links(page: Page) -> Iterator[str]:
    """Links within the site whose file or anchor does not exist."""
    for tag in page.soup.select("a[href], area[href]"):
        found = urlsplit(str(tag["href"]))
        if found.scheme or found.netloc:
            continue
        target = page.resolve(found.path) if found.path else page.address
        if target not in page.site.files:
            yield f"{tag['href']}: no such file"
            continue
        page_there = page.site.pages.get(target)
        if found.fragment and page_there and unquote(found.fragment) not in page_there.anchors:
            yield f"{tag['href']}: no such anchor"


def resources(page: Page) -> Iterator[str]:
    """What a page loads from elsewhere, or from nowhere: the book is read without a network."""
    loading = {"stylesheet", "preload", "modulepreload", "icon", "preconnect", "dns-prefetch"}
    for tag in page.soup.select("script[src], img[src], iframe[src], source[src], link[href]"):
        if tag.name == "link" and not loading & set(tag.get("rel") or []):
            continue
        address = str(tag.get("src") or tag.get("href"))
        found = urlsplit(address)
        if found.scheme == "data":
            continue
        if found.scheme or found.netloc:
            yield f"{tag.name} loads {address}"
        elif page.resolve(found.path) not in page.site.files:
            yield f"{tag.name} loads {address}, which does not exist"
    for style in page.soup.select("style"):
        yield from (f"style loads {a}" for a in re.findall(r"https?://[^\s)'\"]+", style.text))


def pictures(page: Page) -> Iterator[str]:
    for image in page.article.select("img"):
        alt = str(image.get("alt", "")).strip()
        if not alt:
            yield f"{image.get('src')}: no alt text"
        elif re.search(r"\.(png|svg|jpe?g)$", alt) or alt in str(image.get("src")):
            yield f"{image.get('src')}: the alt text is a file name, {alt!r}"


def outputs(page: Page) -> Iterator[str]:
    """What only the author of a cell should ever have seen."""
    for output in page.article.select(".cell_output"):
        text = output.get_text()
        for sign in re.findall(r"Traceback \(most|[A-Z]\w*(?:Error|Warning):|\d%\|", text):
            yield f"an output says {sign!r}: {text.strip()[:80]!r}"
        if output.select(".stderr, .traceback"):
            yield f"an output shows stderr or a traceback: {text.strip()[:80]!r}"
        if re.search(r"<[\w. ]+ (?:object )?at 0x[0-9a-f]+>", text):
            yield f"an output shows an address in memory: {text.strip()[:80]!r}"


def markup(page: Page) -> Iterator[str]:
    """Markup that nothing has turned into what it means."""
    for tag in page.article.select(".problematic, .system-message"):
        yield f"a message of docutils: {tag.get_text().strip()[:80]!r}"
    text = " ".join(
        string
        for string in page.article.find_all(string=True)
        if not any(parent.name in {"code", "pre", "script", "style"} for parent in string.parents)
    )
    for raw in re.findall(r"\{[a-z]+(?::[a-z]+)?\}(?=[`\[])|:::+\{?\w*|\[\?+\]|\?\?", text):
        yield f"raw markup {raw!r}"


Check = Callable[[Page], Iterator[str]]
CHECKS: list[Check] = [links, resources, pictures, outputs, markup]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_page_is_sound(check: Check) -> None:
    pages = built().pages
    assert [f"{name}: {line}" for name, page in pages.items() for line in check(page)] == []


def test_style_sheets_load_nothing_from_elsewhere() -> None:
    loads = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^\s)'\"]+")
    sheets = [path for path in BOOK.html.rglob("*.css") if built()]
    assert [f"{p.name}: {a}" for p in sheets for a in loads.findall(p.read_text("utf-8"))] == []


# --- the checks of the book ---------------------------------------------------------------------


def test_every_page_of_the_book_is_there_and_no_other() -> None:
    extra = {"index.html", "genindex.html", "search.html", "prf-prf.html"}
    assert set(built().pages) - extra == {f"{name}.html" for name in BOOK.pages}


def test_the_front_page_leads_to_the_book() -> None:
    assert "book/index.html" in built().texts["index.html"]


@pytest.mark.parametrize("docname", BOOK.chapters)
def test_a_chapter_offers_notebook_and_source(docname: str) -> None:
    page = built().pages[f"{docname}.html"]
    offered = {page.resolve(str(a["href"])) for a in page.soup.select(".dropdown-menu a[href]")}
    assert {f"_sources/{docname}.ipynb", f"_sources/{docname}.md"} <= offered
    downloaded = BOOK.html / "_sources" / f"{docname}.ipynb"
    assert downloaded.read_bytes() == BOOK.notebook(docname).read_bytes()
    assert (BOOK.html / "_sources" / f"{docname}.md").read_bytes() == (
        BOOK.source(docname).read_bytes()
    ), "the site is older than the chapter: run `make book`"


def unexecuted(notebook: nbformat.NotebookNode) -> list[str]:
    """Code cells without an execution count: nbval compares nothing there, and does not say so."""
    return [
        f"cell {number}: {cell.source[:40]!r}"
        for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None
    ]


@pytest.mark.parametrize("docname", BOOK.chapters)
def test_every_code_cell_was_executed(docname: str) -> None:
    built()
    notebook = nbformat.read(BOOK.notebook(docname), as_version=4)
    nbformat.validate(notebook)
    assert unexecuted(notebook) == []
    assert any(cell.get("outputs") for cell in notebook.cells)


# --- the ledger ---------------------------------------------------------------------------------


def published() -> dict[str, Any]:
    built()
    found: dict[str, Any] = json.loads((BOOK.html / "ledger.json").read_text("utf-8"))
    return found


def test_the_ledger_is_valid() -> None:
    jsonschema.validate(published(), ledger.schema())


def test_the_ledger_has_the_claims_of_the_executed_notebooks() -> None:
    records = {record.id: record for record in read_records(BOOK)}
    assert {row["id"] for row in published()["claims"]} == set(records)
    for row in published()["claims"]:
        assert row["comparisons"] == records[row["id"]].data["comparisons"]


def test_the_ledger_page_has_a_row_a_claim() -> None:
    rows = built().pages["book/ledger.html"].soup.select("table.ib-ledger tbody tr")
    assert len(rows) == len(published()["claims"])


def test_the_map_has_a_node_a_statement() -> None:
    nodes = built().pages["book/map.html"].soup.select("svg.ib-map a.ib-node")
    shown = {str(node["href"]).partition("#")[2] for node in nodes}
    for row in published()["claims"]:
        assert {row["id"], *row["uses"]} <= shown


def test_the_numbers_are_those_of_the_committed_reference() -> None:
    assert REFERENCE.exists(), "there is no reference: run `make reference` and commit it"
    moved = reference.differences(json_files.read(REFERENCE), reference.extract(published()))
    assert not moved, "\n".join([*moved, "if this is meant: `make reference`, and commit it"])


# --- the checks, tested -------------------------------------------------------------------------

SOUND = """<html><head><link rel="stylesheet" href="../_static/a.css?v=1">
<link rel="canonical" href="https://example.org/book/"></head><body>
<article class="bd-article"><h1 id="top">A title</h1>
<a href="#top">up</a> <a href="other.html#part%20two">there</a> <a href="../index.html">home</a>
<a href="https://example.org/#nothing">elsewhere</a> <a href="mailto:a@example.org">mail</a>
<p>The code <code>{uses}`label`</code>, what is 2?</p><img src="../_images/a1.png" alt="A line">
<div class="cell"><pre>raise ValueError("Error: in the source")</pre>
<div class="cell_output">Error: 0.1 at 100%.</div></div></article>
<script src="../_static/a.js"></script><img src="data:image/png;base64,AA"></body></html>"""

OTHERS = {"book/other.html": '<p id="part two"></p>', "index.html": ""}
FILES = frozenset({*OTHERS, "book/a.html", "_images/a1.png", "_static/a.css", "_static/a.js"})


def page_with(html: str) -> Page:
    return Site({"book/a.html": html, **OTHERS}, FILES).pages["book/a.html"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_page_passes_every_check(check: Check) -> None:
    assert list(check(page_with(SOUND))) == []


CELL = "Error: 0.1 at 100%."

MISTAKES: list[tuple[Check, str, str, str]] = [
    (links, "../index.html", "index.html", "index.html: no such file"),
    (links, "other.html#part%20two", "gone.html", "gone.html: no such file"),
    (links, "#part%20two", "#part", "other.html#part: no such anchor"),
    (links, 'href="#top"', 'href="#bottom"', "#bottom: no such anchor"),
    (resources, "../_static/a.js", "https://cdn.example.org/a.js", "script loads https://cdn"),
    (resources, "../_static/a.js", "//cdn.example.org/a.js", "script loads //cdn"),
    (resources, "../_static/a.js", "../_static/b.js", "b.js, which does not exist"),
    (resources, "../_static/a.css?v=1", "https://fonts.example.org/a.css", "link loads https"),
    (resources, "../_images/a1.png", "https://img.example.org/a.png", "img loads https"),
    (resources, "../_images/a1.png", "../_images/a2.png", "a2.png, which does not exist"),
    (resources, "</head>", "<style>@import url(http://a.org/b.css)</style></head>", "style loads"),
    (pictures, ' alt="A line"', "", "no alt text"),
    (pictures, 'alt="A line"', 'alt=" "', "no alt text"),
    (pictures, 'alt="A line"', 'alt="../_images/a1.png"', "is a file name"),
    (pictures, 'alt="A line"', 'alt="a1"', "is a file name"),
    (outputs, CELL, "Traceback (most recent call last)", "Traceback"),
    (outputs, CELL, "a.py:3: UserWarning: too large", "UserWarning:"),
    (outputs, CELL, "ValueError: too large", "ValueError:"),
    (outputs, CELL, " 40%|████      | 4/10 [00:01, 3.2it/s]", "0%|"),
    (outputs, CELL, '<div class="output stderr">careful</div>', "shows stderr"),
    (outputs, CELL, "&lt;matplotlib.lines.Line2D at 0x7f0a1&gt;", "an address in memory"),
    (outputs, CELL, "&lt;Axes object at 0x7f0a1&gt;", "an address in memory"),
    (markup, "what is 2?", '<span class="problematic">x</span>', "a message of docutils"),
    (markup, "what is 2?", "see {prf:ref}`label`", "{prf:ref}"),
    (markup, "what is 2?", "rests on {uses}`label`", "{uses}"),
    (markup, "what is 2?", ":::{prf:theorem}", ":::"),
    (markup, "what is 2?", "as in [?]", "[?]"),
    (markup, "what is 2?", "Figure ??", "??"),
]


@pytest.mark.parametrize(
    ("check", "old", "new", "expected"),
    MISTAKES,
    ids=[f"{check.__name__}-{number}" for number, (check, *_) in enumerate(MISTAKES)],
)
def test_a_mistake_is_found(check: Check, old: str, new: str, expected: str) -> None:
    assert old in SOUND
    (found,) = check(page_with(SOUND.replace(old, new)))
    assert expected in found


def test_an_unexecuted_notebook_is_found() -> None:
    cells = [nbformat.v4.new_code_cell("x = 1", execution_count=1), nbformat.v4.new_code_cell("x")]
    assert unexecuted(nbformat.v4.new_notebook(cells=cells)) == ["cell 1: 'x'"]
