"""The book on paper: a small one, printed for real, and looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pypdf
import pytest
from bs4 import BeautifulSoup
from pypdf.generic import Destination

from ibbook import printing
from ibbook.book import Book

ROOT = Path(__file__).resolve().parents[1]

INDEX = """# A small book

What it is about.

```{downloads}
```
"""
LONG = " + ".join(rf"\frac{{\alpha_{{{n}}}}}{{\beta_{{{n}}}}}" for n in range(14))
FIRST = (
    r"""# The first chapter

:::{prf:theorem} 3 (direction)
:label: first2020-chapter-thm3
:nonumber:
:class: seen
The direction tends to a limit $\hat w$.
:::

$$
"""
    + LONG
    + r"""
$$

## A section

See [the other chapter](second2021-chapter.md) and {prf:ref}`second2021-chapter-rate`.

```{code-cell} ipython3
:tags: [hide-input]
hidden_from_paper = 1
```

```{code-cell} ipython3
from ibcore.claims import Claim
a_long_line = "begins here", 1234567890, 1234567890, 1234567890, 1234567890, 1234567890, "ends_here"
claim = Claim("first2020-chapter-thm3", grade="exact instance", seeds=[0])
claim.equal("the value", measured=1.25, predicted=1.25, atol=0.1)
claim.control("another constant", predicted=2.0)
claim.report()
```
"""
)
SECOND = """# The second chapter

:::{prf:proposition} Rate of the margin
:label: second2021-chapter-rate
:nonumber:
:class: derived
As follows from {prf:ref}`first2020-chapter-thm3`. {uses}`first2020-chapter-thm3`
:::

```{dropdown} Answer
Forty-two.
```

```{code-cell} ipython3
import matplotlib.pyplot as plt
from ibcore.claims import not_checked
plt.plot([0, 1])
plt.show()
not_checked("second2021-chapter-rate", "it speaks of all data sets")
```
"""


def run(book: Book, command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(book.root), str(ROOT / "book" / "_ext")])
    environment = {**os.environ, "PYTHONPATH": path, "BOOK_REPOSITORY_URL": ""}
    arguments = [sys.executable, "-m", "ibbook", "--root", str(book.root), command]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Printed:
    """A small book that was printed, and what its front page then offered."""

    book: Book
    pdf: pypdf.PdfReader
    offered: list[str]

    @property
    def texts(self) -> list[str]:
        texts = (unicodedata.normalize("NFKC", page.extract_text()) for page in self.pdf.pages)
        return [" ".join(text.split()) for text in texts]


def offered(book: Book) -> list[str]:
    front = (book.html / "book" / "index.html").read_text("utf-8")
    links = BeautifulSoup(front, "html.parser").select(".ib-downloads a[href]")
    return [str(link["href"]) for link in links]


@pytest.fixture(scope="module")
def printed(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> Printed:
    root = tmp_path_factory.mktemp("printed")
    book = make_book(root, {"first2020-chapter": FIRST, "second2021-chapter": SECOND})
    book.source("book/index").write_text(INDEX, encoding="utf-8")
    done = run(book, "pdf")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The book is printed" in done.stdout
    return Printed(book, pypdf.PdfReader(book.pdf), offered(book))


def test_no_page_is_blank(printed: Printed) -> None:
    assert len(printed.pdf.pages) >= 8
    for number, (page, text) in enumerate(zip(printed.pdf.pages, printed.texts, strict=True), 1):
        assert len(text) > 20 or page.images, f"page {number} is blank"


def test_what_the_book_says_is_on_paper(printed: Printed) -> None:
    text = " ".join(printed.texts)
    assert "The direction tends to a limit" in text
    assert "Theorem 3" in text
    assert "As follows from Theorem 3" in text
    assert "corroborated on 1 instance" in text
    assert "Forty-two." in text, "an answer is unfolded on paper"
    assert "begins here" in text
    assert "ends_here" in text, "a long line of code is cut off"
    assert "hidden_from_paper" not in text
    assert text.count("α") == 14, "a long formula is cut off"
    assert sum(len(page.images) for page in printed.pdf.pages) >= 1


def test_it_has_a_title_page_and_bookmarks(printed: Printed) -> None:
    assert "Implicit bias, executed" in printed.texts[0]
    assert "The ibcore developers" in printed.texts[0]
    assert printed.pdf.metadata
    assert printed.pdf.metadata.title == "Implicit bias, executed"
    assert printed.pdf.metadata.author == "The ibcore developers"
    top = [entry.title for entry in printed.pdf.outline if isinstance(entry, Destination)]
    assert top[:3] == ["Introduction", "The first chapter", "The second chapter"]
    (sections, *_) = [entry for entry in printed.pdf.outline if isinstance(entry, list)]
    assert [entry.title for entry in sections] == ["A section"]


def test_the_contents_name_the_right_pages(printed: Printed) -> None:
    contents = printed.texts[1]
    for title in ("The first chapter", "A section", "The second chapter", "The ledger"):
        found = re.search(rf"{title} (\d+)", contents)
        assert found, contents
        page = printed.texts[int(found[1]) - 1]
        assert title in page
        assert found[1] in page, "the page does not bear its number"


def test_links_lead_within_the_document(printed: Printed) -> None:
    places = printed.pdf.named_destinations
    links = [
        annotation.get_object()
        for page in printed.pdf.pages
        for annotation in page.get("/Annots", [])
    ]
    targets = {str(link["/Dest"]) for link in links if "/Dest" in link}
    assert "/book-first2020-chapter--first2020-chapter-thm3" in targets
    assert targets <= {f"/{name.removeprefix('/')}" for name in places}
    addresses = [str(link["/A"]["/URI"]) for link in links if "/URI" in link.get("/A", {})]
    assert not [address for address in addresses if address.startswith("file:")]


def test_every_font_is_embedded(printed: Printed) -> None:
    fonts = {}
    for page in printed.pdf.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            found = font.get_object()
            inner = (
                found["/DescendantFonts"][0].get_object() if "/DescendantFonts" in found else found
            )
            fonts[str(found.get("/BaseFont", found["/Subtype"]))] = inner
    assert any("STIX" in name for name in fonts), sorted(fonts)
    for name, font in fonts.items():
        descriptor = font.get("/FontDescriptor", {})
        embedded = {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)
        assert embedded or font["/Subtype"] == "/Type3", f"{name} is not embedded"


def test_pages_of_the_ledger_lie_on_their_side(printed: Printed) -> None:
    wide = [
        text
        for page, text in zip(printed.pdf.pages, printed.texts, strict=True)
        if page.mediabox.width > page.mediabox.height
    ]
    assert any("The ledger" in text for text in wide)
    assert len(wide) < len(printed.texts) / 2


def test_what_is_wider_than_the_paper_is_not_printed(printed: Printed) -> None:
    path = printed.book.html / "book" / "second2021-chapter.html"
    sound = path.read_text("utf-8")
    path.write_text(sound.replace("As follows", '<p style="width: 300mm">As'), encoding="utf-8")
    try:
        with pytest.raises(printing.PrintingError, match="book-second2021-chapter: p by"):
            printing.print_book(printed.book)
    finally:
        path.write_text(sound, encoding="utf-8")


def test_the_pdf_is_offered_only_where_it_is(printed: Printed) -> None:
    assert "../implicit-bias.pdf" in printed.offered
    done = run(printed.book, "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert offered(printed.book) == ["../ledger.json", "../references.bib"]
    assert not printed.book.pdf.exists(), "a PDF of an older book"
