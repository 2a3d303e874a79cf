"""Settings that every test needs: no window system, the same examples in every run."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest
import yaml
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from ibbook.book import Book

mpl.use("Agg", force=True)
settings.register_profile(
    "book", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("book")

ROOT = Path(__file__).resolve().parents[1]

MakeBook = Callable[[Path, Mapping[str, str]], "Book"]

FRONT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
paper:
  title: The paper of {name}
  edition: the only one
  url: https://example.org/{name}
---

"""


@pytest.fixture(scope="session")
def make_book() -> MakeBook:
    """Write a small book: a real configuration, a copy of ibcore, and the chapters given by name.

    The copy has a module more, `ibcore.measured`, for chapters whose numbers should move.
    """
    # Here, so that tests of the mathematics do not wait for the builder to be imported.
    from ibbook.book import Book

    def make(root: Path, chapters: Mapping[str, str]) -> Book:
        config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
        sphinx = config["sphinx"]
        sphinx["local_extensions"] = {"ibbook": str(ROOT / "book" / "_ext")}
        config["html"]["favicon"] = str(ROOT / config["html"]["favicon"])
        sphinx["config"]["html_static_path"] = [str(ROOT / "book" / "_static")]
        scores = ("map", "ledger", "results", "status")
        pages = [f"book/{name}" for name in (*chapters, *scores)]
        toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": p} for p in pages]}
        (root / "book").mkdir(parents=True, exist_ok=True)
        (root / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        for name in (*(f"{score}.md" for score in scores), "references.bib"):
            shutil.copyfile(ROOT / "book" / name, root / "book" / name)
        shutil.copyfile(ROOT / "CITATION.cff", root / "CITATION.cff")
        (root / "book" / "index.md").write_text("# A small book\n", encoding="utf-8")
        for name, text in chapters.items():
            front = FRONT.format(name=name)
            (root / "book" / f"{name}.md").write_text(front + text, encoding="utf-8")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "ibcore", root / "ibcore", ignore=ignored, dirs_exist_ok=True)
        (root / "ibcore" / "measured.py").write_text("VALUE = 1.25\n", encoding="utf-8")
        return Book.at(root)

    return make
