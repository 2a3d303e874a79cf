"""Small books, built for real: what a sound one holds, and that an unsound one is not built."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from ibbook import ledger
from ibbook.book import Book
from ibbook.execute import ChapterError, execute_book

ROOT = Path(__file__).resolve().parents[1]

FIRST = """# The first chapter

:::{prf:assumption} 1 (separable data)
:label: first2020-chapter-a1
:nonumber:
The data are separable.
:::

:::{prf:theorem} 3 (direction)
:label: first2020-chapter-thm3
:nonumber:
:class: seen
The direction tends to a limit.
{uses}`first2020-chapter-a1`
:::

Some prose about {prf:ref}`first2020-chapter-thm3`.

```{code-cell} ipython3
from ibcore.claims import Claim, not_checked
from ibcore.measured import VALUE
print(f"The value is {VALUE}.")
```

```{code-cell} ipython3
claim = Claim("first2020-chapter-thm3", grade="exact instance", seeds=[0])
claim.equal("the value", measured=VALUE, predicted=1.25, atol=0.1)
claim.control("another constant", predicted=2.0)
claim.report()
```
"""

SECOND = """# The second chapter

:::{prf:proposition} Rate of the margin
:label: second2021-chapter-rate
:nonumber:
:class: derived
As follows from {prf:ref}`first2020-chapter-thm3`. {uses}`first2020-chapter-thm3`
:::

```{code-cell} ipython3
from ibcore.claims import not_checked
not_checked("second2021-chapter-rate", "it speaks of all data sets")
```
"""


@dataclass(frozen=True)
class Built:
    """What a build left behind, copied out of its folder before the next one changes it."""

    code: int
    log: str
    pages: dict[str, BeautifulSoup]
    notebooks: dict[str, nbformat.NotebookNode]
    downloads: dict[str, nbformat.NotebookNode]
    ledger: dict[str, Any]

    @property
    def executed(self) -> int:
        found = re.search(r"chapters: \d+ in the book, (\d+) executed", self.log)
        assert found, self.log
        return int(found[1])


def notebooks_in(folder: Path) -> dict[str, nbformat.NotebookNode]:
    return {path.stem: nbformat.read(path, as_version=4) for path in folder.rglob("*.ipynb")}


def build(book: Book) -> Built:
    environment = {
        **os.environ,
        # The small book's own ibcore, not the installed one; the builder finds itself.
        "PYTHONPATH": os.pathsep.join([str(book.root), str(ROOT / "book" / "_ext")]),
        "BOOK_REPOSITORY_URL": "git@github.com:owner/name.git",
    }
    command = [sys.executable, "-m", "ibbook", "--root", str(book.root), "build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    scores = book.html / "ledger.json"
    return Built(
        done.returncode,
        done.stdout + done.stderr,
        {
            path.stem: BeautifulSoup(path.read_text("utf-8"), "html.parser")
            for path in (book.html / "book").glob("*.html")
        },
        notebooks_in(book.executed),
        notebooks_in(book.html / "_sources"),
        json.loads(scores.read_text("utf-8")) if scores.exists() else {},
    )


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --- one book and what happens to it ------------------------------------------------------------


@pytest.fixture(scope="module")
def history(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> dict[str, Built]:
    """The builds of one book, in order."""
    root = tmp_path_factory.mktemp("sound book")
    book = make_book(root, {"first2020-chapter": FIRST, "second2021-chapter": SECOND})
    builds = {"first": build(book), "unchanged": build(book)}

    (root / "ibcore" / "measured.py").write_text("VALUE = 1.26\n", encoding="utf-8")
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    toc["chapters"] = [c for c in toc["chapters"] if "second" not in c["file"]]
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    builds["package changed"] = build(Book.at(root))

    rewrite(book.source("book/first2020-chapter"), "Some prose", "See {prf:ref}`nowhere`, prose")
    builds["broken reference"] = build(Book.at(root))
    builds["broken reference, again"] = build(Book.at(root))
    return builds


def outputs(notebook: nbformat.NotebookNode) -> list[int]:
    return [len(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def stream(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))


@pytest.mark.parametrize("name", ["first", "unchanged", "package changed"])
def test_a_sound_book_is_built(history: dict[str, Built], name: str) -> None:
    assert history[name].code == 0, history[name].log
    assert "The book is built" in history[name].log


def test_progress_says_which_chapter_of_how_many(history: dict[str, Built]) -> None:
    for number, name in enumerate(["first2020-chapter", "second2021-chapter"], 1):
        assert f"[{number}/2] book/{name}: executing" in history["first"].log
        assert re.search(rf"\[{number}/2\] book/{name}: [\d.]+ s, \d+ MiB", history["first"].log)


def test_the_ledger_is_valid_and_says_what_was_measured(history: dict[str, Built]) -> None:
    found = history["first"].ledger
    jsonschema.validate(found, ledger.schema())
    theorem, proposition = found["claims"]
    assert theorem["id"] == "first2020-chapter-thm3"
    assert theorem["result"] == "Theorem 3"
    assert theorem["status"] == "corroborated"
    assert theorem["measured"] == [1.25]
    assert theorem["uses"] == ["first2020-chapter-a1"]
    assert theorem["seeds"] == [0]
    assert theorem["paper"]["title"] == "The paper of first2020-chapter"
    assert [c["broken"] for c in theorem["controls"]] == ["another constant"]
    assert proposition["status"] == "not checked"
    assert proposition["because"] == "it speaks of all data sets"


def test_the_pages_show_the_score(history: dict[str, Built]) -> None:
    pages = history["first"].pages
    rows = pages["ledger"].select("table.ib-ledger tbody tr")
    assert len(rows) == 2
    assert "Theorem 3" in rows[0].text
    assert "because it speaks of all data sets" in rows[1].text
    svg = pages["map"].select_one("svg.ib-map")
    ET.fromstring(str(svg))
    assert len(svg.select("a.ib-node")) == 3
    assert len(svg.select("path.ib-edge")) == 2


def test_the_status_is_that_of_the_execution_shown(history: dict[str, Built]) -> None:
    first, unchanged = (history[name].pages["status"] for name in ("first", "unchanged"))
    rows = first.select("table.ib-table tbody tr")
    assert [row.a["href"] for row in rows] == ["first2020-chapter.html", "second2021-chapter.html"]
    assert [t["datetime"] for t in first.select("time")] == [
        t["datetime"] for t in unchanged.select("time")
    ]
    assert rows[0].time["datetime"] != history["package changed"].pages["status"].time["datetime"]


def test_statements_carry_their_status_and_links(history: dict[str, Built]) -> None:
    page = history["first"].pages["first2020-chapter"]
    lines = [line.get_text() for line in page.select("p.ib-status-line")]
    assert "used by Theorem 3" in lines[0]
    assert "corroborated on 1 instance" in lines[1]
    assert "as in the paper, whose text was read" in lines[1]
    assert "used by Proposition (Rate of the margin)" in lines[1]
    badge = page.select_one("p.ib-status-line a.ib-badge")
    assert page.find(id=badge["href"].removeprefix("#")), "the badge leads to the claim"


def test_references_carry_names(history: dict[str, Built]) -> None:
    page = history["first"].pages["first2020-chapter"]
    assert "Some prose about Theorem 3." in page.get_text()
    assert "Leans on Assumption 1." in page.get_text()
    other = history["first"].pages["second2021-chapter"].get_text()
    assert "As follows from Theorem 3. Leans on Theorem 3." in other


def test_launch_and_download_buttons_are_there(history: dict[str, Built]) -> None:
    page = history["first"].pages["first2020-chapter"]
    addresses = [a["href"] for a in page.select("a.dropdown-item")]
    assert any("mybinder.org/v2/gh/owner/name" in a for a in addresses)
    assert any("colab.research.google.com/github/owner/name" in a for a in addresses)
    assert "../_sources/book/first2020-chapter.ipynb" in addresses
    assert "../_sources/book/first2020-chapter.md" in addresses


@pytest.mark.parametrize("name", ["first", "unchanged", "package changed"])
def test_downloads_always_hold_their_outputs(history: dict[str, Built], name: str) -> None:
    built = history[name]
    assert outputs(built.downloads["first2020-chapter"]) == [1, 1]
    assert built.downloads["first2020-chapter"] == built.notebooks["first2020-chapter"]


def test_nothing_is_executed_when_nothing_changed(history: dict[str, Built]) -> None:
    assert history["first"].executed == 2
    assert history["unchanged"].executed == 0
    assert history["unchanged"].notebooks == history["first"].notebooks
    assert history["unchanged"].ledger == history["first"].ledger


def test_a_changed_package_changes_the_page(history: dict[str, Built]) -> None:
    before, after = history["unchanged"], history["package changed"]
    assert after.executed == 1
    assert "The value is 1.25." in before.pages["first2020-chapter"].get_text()
    assert "The value is 1.26." in after.pages["first2020-chapter"].get_text()
    assert "The value is 1.26." in stream(after.downloads["first2020-chapter"])
    assert after.ledger["claims"][0]["measured"] == [1.26]


def test_a_removed_chapter_is_gone(history: dict[str, Built]) -> None:
    after = history["package changed"]
    assert list(after.notebooks) == ["first2020-chapter"]
    assert list(after.downloads) == ["first2020-chapter"]
    assert "second2021-chapter" not in after.pages
    assert len(after.ledger["claims"]) == 1
    assert len(after.pages["ledger"].select("table.ib-ledger tbody tr")) == 1


@pytest.mark.parametrize("name", ["broken reference", "broken reference, again"])
def test_a_warning_fails_every_build_until_it_is_mended(
    history: dict[str, Built], name: str
) -> None:
    # Sphinx reports a page's warnings only while it reads it: a second build could hide them.
    assert history[name].code != 0
    assert "nowhere" in history[name].log
    assert "The book was NOT built" in history[name].log


# --- books that must not be built ---------------------------------------------------------------


def theorem(label: str) -> str:
    return (
        f":::{{prf:theorem}} About {label}\n:label: unsound2022-chapter-{label}\n:nonumber:\n"
        ":class: derived\nSomething holds.\n:::\n\n"
    )


UNSOUND = (
    "# An unsound chapter\n\n"
    + "".join(map(theorem, ["nobody", "twice", "empty", "tame", "free", "silent"]))
    + """
```{code-cell} ipython3
from ibcore.claims import Claim, Report
from IPython.display import display
def claimed(name):
    claim = Claim(f"unsound2022-chapter-{name}", grade="exact instance")
    claim.equal("one", measured=1.0, predicted=1.0, atol=0.1)
    claim.control("two", measured=2.0)
    return claim.report()
```

```{code-cell} ipython3
display(claimed("twice"))
display(claimed("twice"))
display(claimed("unknown"))
```

```{code-cell} ipython3
empty, tame, free = claimed("empty"), claimed("tame"), claimed("free")
empty.record["comparisons"][0]["instances"] = 0
tame.record["comparisons"][0]["controls"][0]["bites"] = False
free.record["comparisons"][0]["controls"] = []
display(empty, tame, free)
```

```{code-cell} ipython3
claim = Claim("unsound2022-chapter-silent", grade="exact instance")
claim.equal("one", measured=1.0, predicted=1.0, atol=0.1)
```
"""
)


@pytest.fixture(scope="module")
def unsound(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> Built:
    root = tmp_path_factory.mktemp("unsound")
    return build(make_book(root, {"unsound2022-chapter": UNSOUND}))


@pytest.mark.parametrize(
    "sentence",
    [
        "unsound2022-chapter-nobody: the theorem has neither a claim nor a reason",
        "unsound2022-chapter-silent: the theorem has neither a claim nor a reason",
        "unsound2022-chapter-twice: 2 claims have this id",
        "unsound2022-chapter-unknown: a claim in book/unsound2022-chapter tests no known statement",
        "unsound2022-chapter-empty: 'one' has zero instances",
        "unsound2022-chapter-tame: 'one': the control 'two' does not bite",
        "unsound2022-chapter-free: 'one' has no control",
    ],
)
def test_a_broken_chain_is_not_built(unsound: Built, sentence: str) -> None:
    assert unsound.code != 0
    assert sentence in unsound.log
    assert "The book was NOT built" in unsound.log
    assert not unsound.ledger, "no ledger is published"


CLAIM_FAILS = """# A chapter whose claim fails

```{code-cell} ipython3
from ibcore.claims import Claim
claim = Claim("fails2023-chapter-thm1", grade="exact instance")
claim.equal("the value", measured=1.0, predicted=2.0, atol=0.1)
```
"""
WARNS = """# A chapter that warns

```{code-cell} ipython3
import warnings
warnings.warn("the step size is large")
```
"""


def test_chapters_that_fail_are_all_named(
    tmp_path: Path, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> None:
    chapters = {"fails2023-chapter": CLAIM_FAILS, "warns2024-chapter": WARNS}
    built = build(make_book(tmp_path, chapters))
    assert built.code != 0
    assert "'the value' does not hold" in built.log
    assert "a cell wrote to stderr" in built.log
    assert "the step size is large" in built.log
    assert "chapters: 2 in the book, 2 executed" not in built.log
    assert "0 executed, 2 failed" in built.log
    assert not built.pages
    assert not built.notebooks


# --- what makes a chapter run again -------------------------------------------------------------


def test_what_makes_a_chapter_run_again(
    tmp_path: Path, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> None:
    text = "# A chapter\n\nProse.\n\n```{code-cell} ipython3\nprint(1)\n```\n"
    book = make_book(tmp_path, {"quick2025-chapter": text})
    name, source = "book/quick2025-chapter", tmp_path / "book" / "quick2025-chapter.md"
    assert execute_book(book) == [name]
    assert execute_book(book) == []
    rewrite(source, "Prose.", "Better prose.")
    assert execute_book(book) == [], "prose does not change numbers"
    downloaded = nbformat.read(book.notebook(name), as_version=4)
    assert "Better prose." in downloaded.cells[0].source, "but the download has the new prose"
    assert stream(downloaded) == "1\n"
    rewrite(source, "print(1)", "print(2)")
    assert execute_book(book) == [name]
    assert stream(nbformat.read(book.notebook(name), as_version=4)) == "2\n"
    rewrite(source, "print(2)", "1 / 0")
    with pytest.raises(ChapterError, match="ZeroDivisionError"):
        execute_book(book)
    assert not book.notebook(name).exists(), "a chapter that fails offers no old notebook"
