"""The whole book as one PDF: the pages of the site joined to one document, printed by a browser.

One document, and not one a page, because only within one do links lead anywhere, and only there
can figures, headings and page numbers be those of a book. The browser is needed for MathJax.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import matplotlib as mpl
import pikepdf
import yaml
from bs4 import BeautifulSoup, Tag

from ibbook import browser, citing
from ibbook.book import Book, commit, files_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Millimetres that a line may be long: A4 within the margins of print.css, upright and turned.
WIDTHS = {"upright": 170, "turned": 257}
#: What a reader of paper has no use for.
REMOVED = (
    "script, button, .headerlink, .ib-cite, .toctree-wrapper, "
    # Code that the author has folded away: what draws a figure.
    ".tag_hide-input details.hide"
)
#: Milliseconds that the mathematics of the whole book may take on a slow machine.
PATIENCE = 900_000

# matplotlib, which every chapter needs, brings a Times for text and a typewriter for code: with
# them the book looks the same wherever it is printed.
_FONTS = {
    ("Book Serif", "normal", "400"): "STIXGeneral.ttf",
    ("Book Serif", "normal", "700"): "STIXGeneralBol.ttf",
    ("Book Serif", "italic", "400"): "STIXGeneralItalic.ttf",
    ("Book Serif", "italic", "700"): "STIXGeneralBolIta.ttf",
    ("Book Sans", "normal", "400"): "DejaVuSans.ttf",
    ("Book Mono", "normal", "400"): "DejaVuSansMono.ttf",
    ("Book Mono", "normal", "700"): "DejaVuSansMono-Bold.ttf",
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_FIT = Path(__file__).with_name("printing.js")
# Paper has no menus, and nobody listens to the copies that MathJax makes for screen readers.
_QUICKLY = (
    "Object.assign(window.MathJax.options ??= {}, { enableMenu: false, enableAssistiveMml: false })"
)
_FILL_IN = """numbers => {
  for (const place of document.querySelectorAll("[data-page-of]")) {
    place.textContent = numbers[place.dataset.pageOf];
  }
}"""


class PrintingError(Exception):
    """A book that cannot be printed as it should be."""


@dataclass(frozen=True)
class Chapter:
    """A page of the site on its way into the document.

    Parameters
    ----------
    docname : str
        Its name.
    anchor : str
        Id of its beginning in the document.
    title : str
        Its title.
    turned : bool
        Whether it is printed in landscape.
    sections : list of (anchor, title)
        Its sections.
    body : Tag
        What it says.
    """

    docname: str
    anchor: str
    title: str
    turned: bool
    body: Tag
    sections: list[tuple[str, str]] = field(default_factory=list)


# --- joining the pages ---------------------------------------------------------------------------


def parts(book: Book) -> list[tuple[str, list[str]]]:
    """Captions of the parts with the names of their pages, the front page before them.

    Parameters
    ----------
    book : Book
        The book.
    """
    toc = yaml.safe_load((book.root / "_toc.yml").read_text(encoding="utf-8"))
    inner = [(p.get("caption", ""), list(files_of(p))) for p in toc.get("parts", [])]
    loose = list(files_of({key: toc[key] for key in ("chapters", "sections") if key in toc}))
    return [("", [toc["root"]]), *([("", loose)] if loose else []), *inner]


def chapters(book: Book) -> list[tuple[str, list[Chapter]]]:
    """The pages of the built site by part, ready to be joined.

    Parameters
    ----------
    book : Book
        A book whose site is built.
    """
    known = set(book.pages)
    return [
        (caption, [_chapter(book, docname, known, bool(caption)) for docname in docnames])
        for caption, docnames in parts(book)
    ]


def document(book: Book, joined: Sequence[tuple[str, Sequence[Chapter]]]) -> str:
    """One HTML document, to be read in the folder `folder(book)`.

    Parameters
    ----------
    book : Book
        A book whose site is built.
    joined : sequence of (caption, chapters)
        Its parts.
    """
    bodies, contents, styles = [], [], []
    for caption, within in joined:
        contents.append(_contents(caption, within))
        for number, chapter in enumerate(within):
            head = f'<h1 class="ib-part">{html.escape(caption)}</h1>' if caption else ""
            styles.append(_running_head(chapter))
            bodies.append(_section(chapter, "" if number else head))
    first = _soup(book, next(iter(book.chapters), book.pages[0]))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en" data-theme="light" data-mode="light" class="ib-book"><head>',
            f'<meta charset="utf-8"><title>{html.escape(_title(book))}</title>',
            *_head(first, book),
            f"<style>{_font_faces()}{''.join(styles)}</style>",
            '</head><body><main class="bd-content">',
            _title_page(book),
            f'<nav class="ib-contents"><p class="ib-contents-title">Contents</p>'
            f"{''.join(contents)}</nav>",
            *bodies,
            "</main></body></html>",
        ]
    )


def folder(book: Book) -> Path:
    """Where the document is put together, beside the site whose pictures it shows."""
    return book.build / "print"


def _soup(book: Book, docname: str) -> BeautifulSoup:
    return BeautifulSoup((book.html / f"{docname}.html").read_text("utf-8"), "html.parser")


def _chapter(book: Book, docname: str, known: set[str], in_part: bool) -> Chapter:
    soup = _soup(book, docname)
    body = soup.select_one("article.bd-article")
    if body is None:
        raise PrintingError(f"{docname}: the page has no article")
    for tag in body.select(REMOVED):
        tag.decompose()
    for tag in body.select("details"):
        tag["open"] = ""
    _rename_ids(body, docname)
    _redirect(body, docname, known)
    heading = body.find("h1")
    title = heading.get_text(" ", strip=True) if isinstance(heading, Tag) else docname
    if docname == book.pages[0] and isinstance(heading, Tag):
        title = heading.string = "Introduction"  # the book's own title is on the title page
    sections = [
        (str(h.find_parent("section")["id"]), h.get_text(" ", strip=True))  # type: ignore[index]
        for h in body.select("section[id] > section[id] > h2")
    ]
    if in_part:
        _lower_headings(body)
    turned = body.select_one(".ib-ledger, .ib-map-twin, .ib-results") is not None
    return Chapter(docname, anchor(docname), title, turned, body, sections)


def anchor(docname: str, fragment: str = "") -> str:
    """The id, in the document, of a page or of a place on it.

    Parameters
    ----------
    docname : str
        Name of the page.
    fragment : str
        Id of the place on its page.
    """
    page = docname.replace("/", "-")
    return f"{page}--{fragment}" if fragment else page


def _rename_ids(body: Tag, docname: str) -> None:
    """Make ids unique in the document; sphinx-proof repeats some on one page."""
    seen = set()
    for tag in body.find_all(id=True):
        name = str(tag["id"])
        if name in seen:
            del tag["id"]
        else:
            tag["id"] = anchor(docname, name)
            seen.add(name)
    # Pictures refer to their own parts: the arrow heads of the map.
    for tag in body.select("[marker-end]"):
        tag["marker-end"] = str(tag["marker-end"]).replace("url(#", f"url(#{anchor(docname)}--")


def _redirect(body: Tag, docname: str, known: set[str]) -> None:
    """Links between pages become links in the document; those to other files of the site go."""
    for tag in body.select("[href]"):
        target = urlsplit(str(tag["href"]))
        if target.scheme or target.netloc:
            continue
        path = normpath(PurePosixPath(docname).parent / unquote(target.path))
        page = path.removesuffix(".html") if target.path else docname
        if page in known:
            tag["href"] = f"#{anchor(page, unquote(target.fragment))}"
        else:
            tag.unwrap()
    for tag in body.select("[src]"):
        source = urlsplit(str(tag["src"]))
        if not source.scheme:
            where = normpath(PurePosixPath(docname).parent / unquote(source.path))
            tag["src"] = f"../html/{where}"


def _lower_headings(body: Tag) -> None:
    """One level down, below the heading of the part."""
    for tag in body.find_all(_HEADINGS[:-1]):
        tag.name = _HEADINGS[_HEADINGS.index(tag.name) + 1]


def _section(chapter: Chapter, head: str) -> str:
    turned = " ib-turned" if chapter.turned else ""
    width = WIDTHS["turned" if chapter.turned else "upright"]
    return (
        f'<section class="ib-chapter{turned}" id="{chapter.anchor}" '
        f'style="page: {_page_name(chapter)}; width: {width}mm">{head}{chapter.body}</section>'
    )


def _page_name(chapter: Chapter) -> str:
    """A name that CSS accepts: every chapter has pages with a running head of its own."""
    return f"page-{chapter.anchor.lower()}"


def _running_head(chapter: Chapter) -> str:
    size = "size: A4 landscape;" if chapter.turned else ""
    head = f"@top-left {{ content: {_css(chapter.title)} }}"
    return f"@page {_page_name(chapter)} {{ {size} {head} }}\n"


def _css(text: str) -> str:
    """A string of CSS; JSON escapes the same two characters."""
    return json.dumps(text, ensure_ascii=False)


def _contents(caption: str, chapters: Sequence[Chapter]) -> str:
    rows = [f'<p class="ib-contents-part">{html.escape(caption)}</p>'] if caption else []
    for chapter in chapters:
        rows.append(_contents_row("ib-contents-chapter", chapter.anchor, chapter.title))
        rows += [_contents_row("ib-contents-section", *section) for section in chapter.sections]
    return "".join(rows)


def _contents_row(kind: str, target: str, title: str) -> str:
    """A line whose page number is filled in once it is known; no number is longer than this."""
    return (
        f'<p class="{kind}"><a href="#{target}"><span>{html.escape(title)}</span>'
        f'<span class="ib-leader"></span><span data-page-of="{target}">000</span></a></p>'
    )


def _title(book: Book) -> str:
    config = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf-8"))
    return str(config["title"])


def _title_page(book: Book) -> str:
    cited = citing.read(book.root)
    lines = [
        ", ".join(cited.authors),
        f"Version {cited.version}, {cited.year}",
        f"Printed from commit {state}" if (state := commit(book.root)) else "",
    ]
    where = citing.address(book.root)
    if where:
        lines.append(f'<a href="{html.escape(where)}">{html.escape(where)}</a>')
    paragraphs = "".join(f"<p>{line}</p>" for line in lines if line)
    return (
        f'<header class="ib-title-page"><p class="ib-title">{html.escape(_title(book))}</p>'
        f"{paragraphs}</header>"
    )


def _head(soup: BeautifulSoup, book: Book) -> Iterator[str]:
    """The style sheets and MathJax of a page of the site."""
    base = PurePosixPath(next(iter(book.chapters), book.pages[0])).parent

    def moved(address: str) -> str:
        return "../html/" + normpath(base / urlsplit(address).path)

    for tag in soup.select('link[rel="stylesheet"]'):
        media = html.escape(str(tag.get("media", "all")))
        yield f'<link rel="stylesheet" media="{media}" href="{moved(str(tag["href"]))}">'
    for tag in soup.select("head script"):
        source = str(tag.get("src", ""))
        if "mathjax" in source:
            yield f'<script defer src="{moved(source)}"></script>'
        elif "window.MathJax" in tag.text:
            yield str(tag)
            yield f"<script>{_QUICKLY}</script>"


def _font_faces() -> str:
    return "".join(
        f"@font-face {{ font-family: {_css(family)}; font-style: {style}; font-weight: {weight};"
        f" src: url({_css(file)}) }}\n"
        for (family, style, weight), file in _FONTS.items()
    )


def _lay_out_fonts(target: Path) -> None:
    for file in _FONTS.values():
        shutil.copyfile(Path(mpl.get_data_path()) / "fonts" / "ttf" / file, target / file)


# --- printing ------------------------------------------------------------------------------------


def print_book(book: Book) -> Path:
    """Print a built book into its site.

    Parameters
    ----------
    book : Book
        A book whose site is built.

    Returns
    -------
    Path
        The PDF.

    Raises
    ------
    PrintingError
        There is no browser, or something would not be whole on paper.
    """
    work = folder(book)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _lay_out_fonts(work)
    joined, draft = chapters(book), work / "draft.pdf"
    (work / "book.html").write_text(document(book, joined), encoding="utf-8")
    try:
        with browser.launch() as chromium:
            page = chromium.new_page()
            _load(page, work / "book.html")
            # The first time only to see on which page everything stands.
            page.pdf(path=draft, prefer_css_page_size=True)
            numbers = page_numbers(draft)
            page.evaluate(_FILL_IN, numbers)
            page.pdf(path=draft, prefer_css_page_size=True, print_background=True, tagged=True)
    except browser.NoBrowserError as error:
        raise PrintingError(str(error)) from error
    now = page_numbers(draft)
    moved = [name for name, number in numbers.items() if now.get(name) != number]
    if moved:
        raise PrintingError(f"the table of contents is wrong about {', '.join(moved[:5])}")
    _finish(draft, book, joined, now)
    return book.pdf


def _load(page: Page, path: Path) -> None:
    """Open the document, wait for its mathematics, and fit what is wider than the paper."""
    page.set_default_timeout(PATIENCE)
    page.emulate_media(media="print", color_scheme="light")
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
    page.evaluate("async () => { await document.fonts.ready }")
    too_wide = page.evaluate(_FIT.read_text(encoding="utf-8"))
    if too_wide:
        raise PrintingError("wider than the paper:\n  " + "\n  ".join(too_wide))


def page_numbers(pdf: Path) -> dict[str, int]:
    """Number of the page, from one, of every place that a link leads to.

    Parameters
    ----------
    pdf : Path
        A PDF as Chromium prints it.
    """
    with pikepdf.open(pdf) as opened:
        numbers: dict[Any, int] = {page.objgen: n for n, page in enumerate(opened.pages, 1)}
        places: Any = opened.Root.get("/Dests", {})
        return {
            unquote(name.removeprefix("/")): numbers[place[0].objgen]
            for name, place in places.items()
        }


def _finish(
    draft: Path,
    book: Book,
    joined: Sequence[tuple[str, Sequence[Chapter]]],
    numbers: Mapping[str, int],
) -> None:
    """Add the bookmarks, say in the file what it is, and pack it.

    Chromium would write bookmarks too, but repeats the text of headings that it has moved to
    another page.
    """
    with pikepdf.open(draft) as opened:

        def bookmark(title: str, target: str) -> pikepdf.OutlineItem:
            return pikepdf.OutlineItem(title, numbers[target] - 1)

        with opened.open_outline() as outline:
            for caption, within in joined:
                level = outline.root
                if caption:
                    level.append(bookmark(caption, within[0].anchor))
                    level = level[-1].children
                for chapter in within:
                    level.append(bookmark(chapter.title, chapter.anchor))
                    level[-1].children.extend(bookmark(t, name) for name, t in chapter.sections)
        opened.docinfo["/Title"] = _title(book)
        opened.docinfo["/Author"] = ", ".join(citing.read(book.root).authors)
        opened.Root.PageMode = pikepdf.Name.UseOutlines
        opened.save(book.pdf, object_stream_mode=pikepdf.ObjectStreamMode.generate)
