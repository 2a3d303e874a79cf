"""Where things are: the root of the book, its chapters, the folders of a build."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from myst_nb.core.read import is_myst_markdown_notebook

#: The whole book on paper, in the folder of the site.
PDF = "implicit-bias.pdf"


@dataclass(frozen=True)
class Book:
    """A book on disk.

    Parameters
    ----------
    root : Path
        The folder that holds `_config.yml` and `_toc.yml`.
    build : Path
        The folder of everything generated, by default ``_build`` in the root.
    """

    root: Path
    build: Path

    @classmethod
    def at(cls, root: Path, build: Path | None = None) -> Book:
        """Describe the book at a root, its build folder in the usual place unless given."""
        return cls(root.resolve(), (build or root / "_build").resolve())

    @property
    def html(self) -> Path:
        """The finished site."""
        return self.build / "html"

    @property
    def pdf(self) -> Path:
        """The whole book as PDF, where it has been printed."""
        return self.html / PDF

    @property
    def cache(self) -> Path:
        """Executed code cells, where myst-nb looks for them."""
        return self.build / ".jupyter_cache"

    @property
    def executed(self) -> Path:
        """The executed notebooks: downloads, the nbval references, the source of the ledger."""
        return self.build / "executed"

    @cached_property
    def pages(self) -> list[str]:
        """Names of all pages, in the order of the table of contents."""
        toc = yaml.safe_load((self.root / "_toc.yml").read_text(encoding="utf-8"))
        return list(files_of(toc))

    @cached_property
    def chapters(self) -> list[str]:
        """Names of the pages that are notebooks, in the order of the table of contents."""
        return [
            name
            for name in self.pages
            if self.source(name).is_file()
            and is_myst_markdown_notebook(self.source(name).read_text(encoding="utf-8"))
        ]

    def paper(self, docname: str) -> dict[str, Any]:
        """What the front matter of a chapter says of its paper."""
        text = self.source(docname).read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("\n---\n", 1)[0].removeprefix("---\n"))
        return dict(front.get("paper", {}))

    def source(self, docname: str) -> Path:
        """The MyST Markdown source of a page."""
        return self.root / f"{docname}.md"

    def notebook(self, docname: str) -> Path:
        """The executed notebook of a chapter."""
        return self.executed / f"{docname}.ipynb"


def files_of(entry: Any) -> Any:
    """Yield the file names of a table of contents, depth first."""
    if isinstance(entry, list):
        for item in entry:
            yield from files_of(item)
    elif isinstance(entry, dict):
        for key in ("root", "file"):
            if key in entry:
                yield entry[key]
        for key in ("parts", "chapters", "sections"):
            yield from files_of(entry.get(key, []))


def commit(root: Path) -> str:
    """The commit of a checkout, with ``-dirty`` where tracked files differ; "" outside git.

    Parameters
    ----------
    root : Path
        A folder in the checkout.
    """
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*", "--abbrev=40"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
