"""A build that is killed leaves a book that the next build makes whole; two builds take turns."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import psutil
import pytest

from ibbook import execute
from ibbook.book import Book
from ibbook.execute import execute_book

ROOT = Path(__file__).resolve().parents[1]
#: In the environment of a build and of its kernels, so that none of them can hide.
OURS = "IBBOOK_TEST_OF_INTERRUPTION"

CHAPTER = """# The chapter {name}

:::{{prf:theorem}} A number
:label: {name}-number
:nonumber:
:class: derived
The number is one.
:::

```{{code-cell}} ipython3
import time
from ibcore.claims import Claim
time.sleep(0.5)
```

```{{code-cell}} ipython3
claim = Claim("{name}-number", grade="exact instance")
claim.equal("the number", measured=1.0, predicted=1.0, atol=0.1)
claim.control("two", measured=2.0)
claim.report()
```
"""
NAMES = ("one2020-chapter", "two2021-chapter")
MakeBook = Callable[[Path, Mapping[str, str]], Book]


@pytest.fixture
def book(tmp_path: Path, make_book: MakeBook) -> Book:
    return make_book(tmp_path / "book of tests", {n: CHAPTER.format(name=n) for n in NAMES})


def start(book: Book) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        OURS: str(book.root),
        "PYTHONPATH": os.pathsep.join([str(book.root), str(ROOT / "book" / "_ext")]),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ibbook", "--root", str(book.root), "build"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(build: subprocess.Popen[str]) -> str:
    log, _ = build.communicate(timeout=300)
    assert build.returncode == 0, log
    return log


def kill_at(build: subprocess.Popen[str], sign: str) -> None:
    """Kill the build, and everything that it started in its group, when it says something."""
    assert build.stdout
    for line in build.stdout:
        if re.search(sign, line):
            os.killpg(build.pid, signal.SIGKILL)
            break
    else:
        raise AssertionError(f"the build never said {sign!r}")
    build.wait()
    build.stdout.close()


def processes(book: Book) -> list[psutil.Process]:
    """What still runs of the builds of a book: kernels have sessions of their own."""

    def is_ours(process: psutil.Process) -> bool:
        try:
            return process.environ().get(OURS) == str(book.root)
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if is_ours(process)]


def gone(book: Book, seconds: float = 60.0) -> bool:
    """Whether nothing of the builds is left, at the latest after so long; a kernel looks once a
    second whether its parent is still there."""
    deadline = time.monotonic() + seconds
    while processes(book) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes(book)


#: What has the times of the execution in it, or words about them.
VOLATILE = {"book/status.html", "searchindex.js"}


def site(book: Book) -> dict[str, object]:
    """The files of the site; of those that tell the times of the execution, only the names."""
    found: dict[str, object] = {}
    for path in sorted(book.html.rglob("*")):
        name = path.relative_to(book.html).as_posix()
        if path.is_dir():
            continue
        if name in VOLATILE:
            found[name] = path.stat().st_size > 0
        elif path.suffix == ".ipynb":
            notebook = nbformat.read(path, as_version=4)
            assert set(notebook.metadata.pop("ibbook")) > {"executed_at"}
            found[name] = json.dumps(notebook, sort_keys=True)
        else:
            found[name] = path.read_bytes()
    return found


def strays(book: Book) -> list[str]:
    """Drafts of files that were never finished."""
    return [path.name for path in book.build.rglob("*") if path.suffix in {".tmp", ".new"}]


#: When a build is killed, and by what it says that it has come so far.
MOMENTS = {
    "a chapter is executed": r"\[2/2\] .*: executing",
    "pages are read": r"reading sources",
    "pages are written": r"writing output",
}


def test_a_killed_build_is_made_whole(book: Book) -> None:
    finish(start(book))
    undisturbed = site(book)
    for moment, sign in MOMENTS.items():
        source = book.source(f"book/{NAMES[1]}")
        text = source.read_text("utf-8")
        # Something to do in every moment: code to execute and a page to read and write.
        changed = text.replace("sleep(0.5)", f"sleep(0.5 + {len(moment)} / 1000)")
        source.write_text(changed, encoding="utf-8")
        kill_at(start(book), sign)
        assert not (book.build / ".complete").exists(), moment
        assert gone(book), f"{moment}: {processes(book)}"
        source.write_text(text, encoding="utf-8")
        log = finish(start(book))
        assert "Another build" not in log, f"{moment}: the lock of a dead build"
        assert site(book) == undisturbed, moment
        assert strays(book) == [], moment


def test_two_builds_take_turns(book: Book) -> None:
    first, second = start(book), start(book)
    logs = sorted([finish(first), finish(second)], key=lambda log: "Another build" in log)
    assert [log.count("Another build of this book is running; waiting") for log in logs] == [0, 1]
    assert "2 executed" in logs[0]
    assert "0 executed" in logs[1], "the second finds the work of the first"
    assert (book.build / ".complete").exists()
    assert {path.stem for path in (book.html / "book").glob("*.html")} >= set(NAMES)


def test_the_child_keeps_the_lock_of_a_killed_parent(book: Book) -> None:
    """Sphinx goes on when only `python -m ibbook` is killed: the next build must wait for it."""
    build = start(book)
    assert build.stdout
    next(line for line in build.stdout if "executing" in line)
    os.kill(build.pid, signal.SIGKILL)
    build.wait()
    log = finish(start(book))
    assert "Another build of this book is running" in log
    assert "The book is built" in log
    build.stdout.close()
    assert gone(book)


# --- a cache in which a build was killed --------------------------------------------------------


#: What can be left of an entry of the cache.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "no file": lambda path: path.unlink(),
    "no folder": lambda path: (path.unlink(), path.parent.rmdir()),
    "half a file": lambda path: path.write_text(path.read_text("utf-8")[:100]),
    "an empty file": lambda path: path.write_text(""),
}


def test_a_notebook_that_was_written_by_half_is_executed_again(
    tmp_path: Path, make_book: MakeBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(notebook: nbformat.NotebookNode, folder: Path, bar: object = None) -> None:
        for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
            cell.execution_count, cell.outputs = number, []

    monkeypatch.setattr(execute, "run_notebook", run)
    book = make_book(tmp_path, {NAMES[0]: "# A\n\n```{code-cell} ipython3\nprint(1)\n```\n"})
    assert execute_book(book) == [f"book/{NAMES[0]}"]
    assert execute_book(book) == []
    for damage in DAMAGES.values():
        (stored,) = (book.cache / "executed").rglob("base.ipynb")
        damage(stored)
        assert execute_book(book) == [f"book/{NAMES[0]}"]
        assert execute_book(book) == []
