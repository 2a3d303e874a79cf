"""Executing chapters: what counts as changed, what is refused, what a reader of the log sees."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ibbook import execute
from ibbook.book import Book
from ibbook.execute import ChapterError, execute_book, fingerprint, run_notebook, versions

# --- the fingerprint of everything but the chapter ----------------------------------------------


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "sub" / "b.py").write_text("y = 2\n")
    return folder


def test_fingerprint_is_the_same_for_the_same_package(package: Path) -> None:
    before = fingerprint(package)
    (package / "a.py").write_text("x = 1\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert fingerprint(package) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p / "a.py").write_text("x = 2\n"),
        lambda p: (p / "sub" / "b.py").write_text("y = 3\n"),
        lambda p: (p / "c.py").write_text(""),
        lambda p: (p / "a.py").unlink(),
        lambda p: (p / "a.py").rename(p / "z.py"),
        lambda p: (p / "a.py").rename(p / "sub" / "a.py"),
        lambda p: (p / "weights.npz").write_bytes(b"1"),
    ],
    ids=[
        "a line",
        "a line below",
        "a new file",
        "a file gone",
        "a new name",
        "a new folder",
        "data",
    ],
)
def test_fingerprint_sees_every_change_of_the_package(
    package: Path, change: Callable[[Path], object]
) -> None:
    before = fingerprint(package)
    change(package)
    assert fingerprint(package) != before


class Distribution:
    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version


def test_fingerprint_sees_what_is_installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(*distributions: Distribution) -> str:
        monkeypatch.setattr(metadata, "distributions", lambda: iter(distributions))
        return fingerprint(package)

    numpy, scipy = Distribution("numpy", "2.0"), Distribution("scipy", "1.14")
    assert install(numpy, scipy) == install(scipy, numpy)
    assert install(numpy, scipy) != install(Distribution("numpy", "2.1"), scipy)
    assert install(numpy, scipy) != install(numpy)


def test_fingerprint_sees_the_interpreter(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(package)
    monkeypatch.setattr(sys, "version", "3.99")
    assert fingerprint(package) != before


def test_versions_name_what_chapters_compute_with() -> None:
    assert {"python", "numpy", "scipy", "torch", "matplotlib", "ibcore"} <= set(versions())
    assert all(versions().values())


# --- one notebook -------------------------------------------------------------------------------


def notebook(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def with_output(**fields: Any) -> nbformat.NotebookNode:
    book = notebook("print(1)")
    book.cells[0].outputs = [nbformat.v4.new_output("stream", **fields)]
    return book


def test_stderr_is_refused_with_the_cell_that_wrote_it() -> None:
    with pytest.raises(ChapterError, match=r"wrote to stderr:\ncareful\nprint\(1\)"):
        execute._refuse_noise(with_output(name="stderr", text="careful"))


def test_stdout_is_not_refused() -> None:
    execute._refuse_noise(with_output(name="stdout", text="fine"))


def test_a_figure_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    broken = "import matplotlib.pyplot as plt\n_ = plt.title('$\\\\frac{1$')"
    drawn = notebook("%matplotlib inline", broken)
    execute.run_notebook(drawn, tmp_path)  # the kernel calls the cell executed
    with pytest.raises(ChapterError, match=r"could not be shown: ValueError.*\n"):
        execute._refuse_noise(drawn)


def test_a_cell_that_raises_is_shown_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(ChapterError, match=r"(?s)planted = 1.*ZeroDivisionError"):
        run_notebook(notebook("planted = 1\nplanted / 0", "print('never')"), tmp_path)


def test_a_notebook_runs_in_its_folder_and_reports_each_cell(tmp_path: Path) -> None:
    class Bar:
        cells = 0

        def update(self) -> None:
            self.cells += 1

    bar, book = Bar(), notebook("import os", "print(os.getcwd())")
    run_notebook(book, tmp_path, bar)
    assert book.cells[1].outputs[0].text.strip() == str(tmp_path)
    assert bar.cells == 2


# --- a book, with a kernel that costs nothing ---------------------------------------------------


def chapter(source: str) -> str:
    return f"# A chapter\n\n```{{code-cell}} ipython3\n{source}\n```\n"


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of a kernel: every cell prints itself; one that says `raise` or `warn` does so."""
    ran: list[str] = []

    def run(book: nbformat.NotebookNode, folder: Path, bar: Any = None) -> None:
        for number, cell in enumerate((c for c in book.cells if c.cell_type == "code"), 1):
            ran.append(cell.source)
            if cell.source.startswith("raise"):
                raise ChapterError(f"the cell said {cell.source}")
            name = "stderr" if cell.source.startswith("warn") else "stdout"
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", name=name, text=cell.source)]

    monkeypatch.setattr(execute, "run_notebook", run)
    return ran


MakeBook = Callable[[Path, Mapping[str, str]], Book]


def test_all_failing_chapters_are_named_and_the_sound_one_is_kept(
    tmp_path: Path, make_book: MakeBook, instant: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chapters = {"a": chapter("raise a"), "b": chapter("fine"), "c": chapter("warn c")}
    book = make_book(tmp_path, chapters)
    with pytest.raises(ChapterError) as caught:
        execute_book(book)
    assert "book/a: the cell said raise a" in str(caught.value)
    assert "book/c: a cell wrote to stderr:\nwarn c" in str(caught.value)
    assert "book/b" not in str(caught.value)
    assert [path.stem for path in book.executed.rglob("*.ipynb")] == ["b"]
    assert "3 in the book, 1 executed, 2 failed" in capsys.readouterr().err


def test_a_failed_chapter_is_tried_again(
    tmp_path: Path, make_book: MakeBook, instant: list[str]
) -> None:
    book = make_book(tmp_path, {"a": chapter("raise a"), "b": chapter("fine")})
    for _ in range(2):
        with pytest.raises(ChapterError):
            execute_book(book)
    assert instant == ["raise a", "fine", "raise a"]


def test_a_changed_package_runs_every_chapter_again(
    tmp_path: Path, make_book: MakeBook, instant: list[str]
) -> None:
    book = make_book(tmp_path, {"a": chapter("one"), "b": chapter("two")})
    assert execute_book(book) == ["book/a", "book/b"]
    assert execute_book(book) == []
    (book.root / "ibcore" / "measured.py").write_text("VALUE = 2\n")
    assert execute_book(book) == ["book/a", "book/b"]


def test_executed_notebooks_are_written_only_when_they_differ(
    tmp_path: Path, make_book: MakeBook, instant: list[str]
) -> None:
    book = make_book(tmp_path, {"a": chapter("one")})
    execute_book(book)
    before = book.notebook("book/a").stat()
    execute_book(book)
    after = book.notebook("book/a").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_executed_notebook_says_what_its_run_cost(
    tmp_path: Path, make_book: MakeBook, instant: list[str]
) -> None:
    book = make_book(tmp_path, {"a": chapter("one")})
    execute_book(book)
    read = nbformat.read(book.notebook("book/a"), as_version=4)
    nbformat.validate(read)
    assert set(read.metadata["ibbook"]) == {
        "execution_seconds", "peak_mib", "executed_at", "commit",
    }  # fmt: skip
    assert read.metadata["paper"]["title"] == "The paper of a"
    assert read.metadata["kernelspec"]["name"] == "python3"


def test_the_log_names_chapter_count_cells_and_time(
    tmp_path: Path, make_book: MakeBook, instant: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    execute_book(make_book(tmp_path, {"a": chapter("one"), "b": chapter("two")}))
    log = capsys.readouterr().err.splitlines()
    assert log[0] == "[1/2] book/a: executing 1 cells"
    assert re.fullmatch(r"\[1/2\] book/a: \d+\.\d s, \d+ MiB", log[1])
    assert log[2].startswith("[2/2] book/b")
    assert re.fullmatch(r"chapters: 2 in the book, 2 executed, 0 failed, \d+ s", log[-1])


def test_pages_and_chapters_follow_the_table_of_contents(
    tmp_path: Path, make_book: MakeBook
) -> None:
    book = make_book(tmp_path, {"b": chapter("one"), "a": chapter("two")})
    assert book.pages == [
        "book/index", "book/b", "book/a", "book/map", "book/ledger", "book/results", "book/status",
    ]  # fmt: skip
    assert book.chapters == ["book/b", "book/a"], "pages without code are no chapters"
