"""A broken chapter turns the test command red: `make check`, run for real on a small book.

The small book has this repository's Makefile, builder and tests of the site. It is green first;
then one thing at a time is broken, and the command must fail at the step and say why.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ibbook.book import Book

ROOT = Path(__file__).resolve().parents[1]

CHAPTER = """# A sound chapter

:::{prf:theorem} A number
:label: planted2020-chapter-number
:nonumber:
:class: derived
The number is 1.25.
:::

A link to [the ledger](ledger.md).

```{code-cell} ipython3
import matplotlib.pyplot as plt
from ibcore.claims import Claim, not_checked
value = 1.25
print(value)
```

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line that goes up
---
_ = plt.plot([1, 2])
```

```{code-cell} ipython3
claim = Claim("planted2020-chapter-number", grade="exact instance")
claim.equal("the number", measured=value, predicted=1.25, atol=0.1)
claim.control("two", predicted=2.0)
claim.report()
```
"""
NAME = "planted2020-chapter"

PYPROJECT = """[tool.pytest.ini_options]
pythonpath = ["book/_ext"]
addopts = ["--import-mode=importlib"]
filterwarnings = ["error"]
"""


@dataclass(frozen=True)
class Plant:
    """A mistake: what is replaced by what, the step that must fail, and what must be said."""

    old: str
    new: str
    step: str
    said: str


PLANTS = {
    "a failed claim": Plant(
        "predicted=1.25", "predicted=1.5", "book", "'the number' does not hold"
    ),
    "a warning in a cell": Plant(
        "print(value)",
        "import warnings; warnings.warn('the step is large')",
        "book",
        "the step is large",
    ),
    "a cell that raises": Plant("print(value)", "value / 0", "book", "ZeroDivisionError"),
    "a control that does not bite": Plant(
        "predicted=2.0", "predicted=1.3", "book", "the control 'two' does not bite"
    ),
    "no control": Plant(
        'claim.control("two", predicted=2.0)', "", "book", "'the number' has no control"
    ),
    "a statement without a claim": Plant(
        "claim.report()", "None", "book", f"{NAME}-number: the theorem has neither a claim nor"
    ),
    "a claim without a statement": Plant(
        "claim.report()",
        f'display(claim.report())\nnot_checked("{NAME}-lemma", "no time")',
        "book",
        f"{NAME}-lemma: a claim in book/{NAME} tests no known statement",
    ),
    "a link to a page that is not there": Plant(
        "[the ledger](ledger.md)", "[the ledger](leger.md)", "book", "leger.md"
    ),
    "a link to a file that is not there": Plant(
        "[the ledger](ledger.md)", '<a href="leger.html">the ledger</a>', "pytest", "leger.html"
    ),
    "no alt text": Plant(
        "alt: A line that goes up", "width: 300px", "pytest", "the alt text is a file name"
    ),
    "a cell that was not executed": Plant(
        "```{code-cell} ipython3\nclaim =",
        "```{code-cell} ipython3\n:tags: [skip-execution]\nprint(value)\n```\n\n"
        "```{code-cell} ipython3\nclaim =",
        "pytest",
        "test_every_code_cell_was_executed",
    ),
    "a ledger that has moved": Plant(
        "value = 1.25", "value = 1.3", "pytest", "was 1.25, is 1.3"
    ),
    "an output that differs": Plant(
        "print(value)", "import os; print(os.getpid())", "nbval", f"{NAME}.ipynb::Cell 0"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def book(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> Book:
    """A sound book with the Makefile of this repository, green."""
    root = tmp_path_factory.mktemp("planted")
    book = make_book(root, {NAME: CHAPTER})
    (root / "book" / "_ext").symlink_to(ROOT / "book" / "_ext")
    (root / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(ROOT / "Makefile", root)
    (root / "tests" / "reference").mkdir(parents=True)
    for name in ("conftest.py", "test_site.py"):
        shutil.copy(ROOT / "tests" / name, root / "tests")
    ibbook = [sys.executable, "-m", "ibbook", "--root", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "book" / "_ext")}
    for command in ("build", "reference"):
        subprocess.run([*ibbook, command], env=environment, check=True, capture_output=True)
    return book


def check(book: Book) -> tuple[int, str]:
    """Run `make check`, whose environment is that of this test."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHONPATH", "PYTEST_ADDOPTS"}
    environment = {k: v for k, v in os.environ.items() if k not in outer}
    installed = [f"--assume-old=.venv/{mark}" for mark in (".installed-test", ".browser")]
    command = ["make", "check", f"PY={sys.executable}", "VENV=.venv", *installed]
    done = subprocess.run(
        command,
        cwd=book.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@contextmanager
def planted(book: Book, plant: Plant) -> Iterator[None]:
    source = book.source(f"book/{NAME}")
    text = source.read_text("utf-8")
    assert text.count(plant.old) == 1
    source.write_text(text.replace(plant.old, plant.new), encoding="utf-8")
    try:
        yield
    finally:
        source.write_text(text, encoding="utf-8")


def test_the_sound_book_is_green(book: Book) -> None:
    code, log = check(book)
    assert code == 0, log
    assert re.findall("^== (.*)$", log, re.MULTILINE) == ["book", "pytest", "nbval"]


@pytest.mark.parametrize("name", PLANTS)
def test_a_broken_chapter_turns_the_command_red(book: Book, name: str) -> None:
    plant = PLANTS[name]
    with planted(book, plant):
        code, log = check(book)
    assert code == 2, log
    last = log.splitlines()[-60:]
    assert f"== FAILED: {plant.step}" in last[-3:], log
    assert any(plant.said in line for line in last), log
