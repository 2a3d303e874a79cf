"""BibTeX for the book, its chapters and their papers, from CITATION.cff and references.bib."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ibbook import repository
from ibbook.book import commit

#: The bibliography of the book.
REFERENCES = Path("book") / "references.bib"
#: Key of the book's own entry; those of its chapters begin with it.
KEY = "implicit-bias-executed"

_ENTRY = re.compile(r"^@\w+\{(?P<key>[^,\s]+),\n.*?^\}$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Citation:
    """How the book wants to be cited.

    Parameters
    ----------
    title : str
        Its title.
    authors : tuple of str
        Their names.
    year : int
        Year of this version.
    version : str
        This version.
    """

    title: str
    authors: tuple[str, ...]
    year: int
    version: str


def read(root: Path) -> Citation:
    """What CITATION.cff says under `preferred-citation`.

    Parameters
    ----------
    root : Path
        The root of the book.
    """
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    found = yaml.safe_load(text)["preferred-citation"]
    names = tuple(
        a["name"] if "name" in a else f"{a['given-names']} {a['family-names']}"
        for a in found["authors"]
    )
    return Citation(str(found["title"]), names, int(found["year"]), str(found["version"]))


def address(root: Path) -> str:
    """Address of the repository that the book is published from, or ""."""
    found = repository.find(root)
    return found.url if found else ""


def of_book(root: Path) -> str:
    """BibTeX of the book.

    Parameters
    ----------
    root : Path
        The root of the book.
    """
    cited = read(root)
    fields = {
        "title": cited.title,
        "author": _authors(cited),
        "year": str(cited.year),
        "url": address(root),
        "note": f"Version {cited.version}",
    }
    return _entry("book", KEY, fields)


def of_chapter(root: Path, docname: str, title: str) -> str:
    """BibTeX of a chapter of the book.

    Parameters
    ----------
    root : Path
        The root of the book.
    docname : str
        Name of the chapter.
    title : str
        Its title.
    """
    cited = read(root)
    state = commit(root)
    fields = {
        "title": title,
        "author": _authors(cited),
        "booktitle": cited.title,
        "year": str(cited.year),
        "url": address(root),
        "note": f"Version {cited.version}" + (f", commit {state}" if state else ""),
    }
    return _entry("incollection", f"{KEY}:{docname.rsplit('/', 1)[-1]}", fields)


def of_papers(root: Path, keys: Iterable[str]) -> str:
    """The entries of these keys, as they stand in the bibliography.

    Parameters
    ----------
    root : Path
        The root of the book.
    keys : iterable of str
        Keys of entries.

    Raises
    ------
    ValueError
        The bibliography has no such entry.
    """
    known = entries((root / REFERENCES).read_text(encoding="utf-8"))
    wanted = list(keys)
    missing = [key for key in wanted if key not in known]
    if missing:
        raise ValueError(f"keys: {REFERENCES.name} has no entry {', '.join(missing)}")
    return "\n".join(known[key] + "\n" for key in wanted)


def entries(bibliography: str) -> dict[str, str]:
    """The entries of a BibTeX file by key, each as it is written.

    Parameters
    ----------
    bibliography : str
        A file whose entries begin and end at the beginning of a line.
    """
    return {found["key"]: found.group() for found in _ENTRY.finditer(bibliography)}


def _authors(cited: Citation) -> str:
    """Names in BibTeX; a second pair of braces keeps the name of a group whole."""
    return " and ".join(f"{{{name}}}" for name in cited.authors)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    given = {name: value for name, value in fields.items() if value}
    width = max(map(len, given))
    lines = [f"  {name:<{width}} = {{{value}}},\n" for name, value in given.items()]
    return f"@{kind}{{{key},\n{''.join(lines)}}}\n"
