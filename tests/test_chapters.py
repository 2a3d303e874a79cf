"""The contract of a chapter: what every one of them has, and what none of them does.

Each rule is a function from a chapter to the sentences that say what is wrong with it. A sound
small chapter breaks none; one planted violation at a time breaks the rule that is meant for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from myst_nb.core.read import read_myst_markdown_notebook

from ibbook.book import Book
from ibbook.execute import read_chapter
from ibbook.statements import PREMISES, PROVENANCE, RESULTS

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.at(ROOT)

#: Lines of code that a reader sees at once, and of a folded cell, which draws.
VISIBLE_LINES, FOLDED_LINES = 20, 30
FOLDED = {"hide-input", "hide-cell"}
REMOVED = {"remove-input", "remove-output", "remove-cell"}
SKIPPED = {"nbval-skip", "nbval-ignore-output", "skip-execution", "raises-exception"}
#: Calls that begin or make a figure.
DRAWS = {"panels", "subplots", "turnable"}
SHORTEST_ALT = 40
FIRST_SECTIONS = ["At a glance", "Setting"]
LAST_SECTIONS = ["Where it breaks", "Beyond the paper", "Try it", "Notes"]


@dataclass(frozen=True)
class Chapter:
    """A chapter as its author wrote it."""

    docname: str
    text: str
    notebook: nbformat.NotebookNode
    keys: frozenset[str]

    @property
    def slug(self) -> str:
        return self.docname.rsplit("/", 1)[-1]

    @property
    def front(self) -> dict[str, Any]:
        found = re.match(r"---\n(.*?)\n---\n", self.text, re.DOTALL)
        return yaml.safe_load(found[1]) if found else {}

    @property
    def prose(self) -> str:
        return "\n\n".join(c.source for c in self.notebook.cells if c.cell_type == "markdown")

    @cached_property
    def cells(self) -> list[Cell]:
        code = [c for c in self.notebook.cells if c.cell_type == "code"]
        return [Cell(n, c.source, c.metadata) for n, c in enumerate(code, 1)]


@dataclass(frozen=True)
class Cell:
    """A code cell: its place among the code cells, its source, its metadata."""

    number: int
    source: str
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        return f"code cell {self.number} ({self.source.strip().splitlines()[0][:50]!r})"

    @property
    def tags(self) -> set[str]:
        return set(self.metadata.get("tags", []))

    @property
    def lines(self) -> int:
        return sum(bool(line.strip()) for line in self.source.splitlines())

    @cached_property
    def nodes(self) -> list[ast.AST]:
        try:
            return list(ast.walk(ast.parse(self.source)))
        except SyntaxError:  # `plain_python` reports it
            return []

    @property
    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """The calls of the cell with the dotted names of what is called."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


@dataclass(frozen=True)
class Directive:
    """A directive of sphinx-proof, as written."""

    kind: str
    title: str
    options: dict[str, str]


DIRECTIVE = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{prf:(?P<kind>\w+)\}(?P<title>[^\n]*)\n"
    r"(?P<options>(?:\s*:[\w-]+:[^\n]*\n)*)",
    re.MULTILINE,
)


def directives(chapter: Chapter) -> list[Directive]:
    return [
        Directive(
            found["kind"],
            found["title"].strip(),
            dict(re.findall(r":([\w-]+):[ \t]*([^\n]*)", found["options"])),
        )
        for found in DIRECTIVE.finditer(chapter.prose)
    ]


# --- the rules ----------------------------------------------------------------------------------


def front_matter(chapter: Chapter) -> Iterator[str]:
    front = chapter.front
    text = front.get("jupytext", {}).get("text_representation", {})
    if (text.get("extension"), text.get("format_name")) != (".md", "myst"):
        yield "jupytext.text_representation: expected extension .md and format_name myst"
    if front.get("kernelspec", {}).get("name") != "python3":
        yield "kernelspec.name: expected python3"
    paper = front.get("paper", {})
    for key in ("title", "edition", "url"):
        if not str(paper.get(key, "")).strip():
            yield f"paper.{key}: missing"
    if not re.fullmatch(r"https://\S+", str(paper.get("url", "https://-"))):
        yield f"paper.url: expected an https address, got {paper['url']}"


def title(chapter: Chapter) -> Iterator[str]:
    found = re.findall(r"^# (.+)$", chapter.prose, re.MULTILINE)
    if len(found) != 1:
        yield f"expected one title, got {found}"


def sections(chapter: Chapter) -> Iterator[str]:
    found = re.findall(r"^## (.+?)\s*$", chapter.prose, re.MULTILINE)
    expected = FIRST_SECTIONS + LAST_SECTIONS
    if [name for name in found if name in expected] != expected:
        yield f"expected the sections {', '.join(expected)} in this order, got {', '.join(found)}"
        return
    if found[:2] != FIRST_SECTIONS or found[-4:] != LAST_SECTIONS:
        yield f"expected {FIRST_SECTIONS} first and {LAST_SECTIONS} last, got {found}"
    if len(found) == len(expected):
        yield "expected a section a result between Setting and Where it breaks"


def statements(chapter: Chapter) -> Iterator[str]:
    found = [d for d in directives(chapter) if d.kind in RESULTS | PREMISES]
    if not any(d.kind in RESULTS for d in found):
        yield "no labelled result"
    for d in found:
        label = d.options.get("label", "")
        where = f"{d.kind} {label or d.title!r}"
        if not re.fullmatch(rf"{re.escape(chapter.slug)}-[a-z0-9-]+", label):
            yield f"{where}: expected a label that begins with {chapter.slug}-"
        if not d.title:
            yield f"{where}: no title"
        if "nonumber" not in d.options:
            yield f"{where}: no :nonumber:, so the book would number what the paper does"
        known = set(d.options.get("class", "").split()) & set(PROVENANCE)
        if d.kind in RESULTS and len(known) != 1:
            yield f"{where}: expected one class of {', '.join(PROVENANCE)}"


def plain_python(chapter: Chapter) -> Iterator[str]:
    """No magics: a chapter means the same wherever its code is pasted."""
    for cell in chapter.cells:
        if not cell.nodes:
            yield f"{cell.name}: not plain Python"


def cell_length(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        most = FOLDED_LINES if cell.tags & FOLDED else VISIBLE_LINES
        if cell.lines > most:
            yield f"{cell.name}: {cell.lines} lines; at most {most} are read at once"


def figures(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        if not any(name.split(".")[-1] in DRAWS for name, _ in cell.calls):
            continue
        about = cell.metadata.get("mystnb", {})
        figure = about.get("figure", {})
        caption, name = str(figure.get("caption", "")), str(figure.get("name", ""))
        alt = str(about.get("image", {}).get("alt", ""))
        if not caption.strip() or not name.strip():
            yield f"{cell.name}: a figure has a caption and a name"
        if len(alt.strip()) < SHORTEST_ALT:
            yield f"{cell.name}: alt text of at least {SHORTEST_ALT} characters, got {alt!r}"
        elif alt.split() == caption.split():
            yield f"{cell.name}: the alt text repeats the caption; it says what is to be seen"


def seeds(chapter: Chapter) -> Iterator[str]:
    # `make seeds` replaces the first two; the third names the draw that stored data belong to.
    makers = {"default_rng", "manual_seed", "PCG64"}
    for cell in chapter.cells:
        for name, call in cell.calls:
            if name.split(".")[-1] in makers and not (call.args or call.keywords):
                yield f"{cell.name}: {name}() without a seed"
            found = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", name)
            if found and found[1] not in makers | {"Generator"}:
                yield f"{cell.name}: {name} draws from a global state; use default_rng(seed)"


def imports(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        for node in cell.nodes:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] in {"os", "sys", "pathlib", "random", "warnings", "logging"}:
                    yield f"{cell.name}: a chapter does not import {name}"


def hidden_assertions(chapter: Chapter) -> Iterator[str]:
    """Whatever is compared goes through a claim, whose record the reader sees."""
    for cell in chapter.cells:
        for node in cell.nodes:
            if isinstance(node, ast.Assert):
                yield f"{cell.name}: an assertion; make it a comparison of a claim"
            if isinstance(node, (ast.Try, ast.TryStar)):
                yield f"{cell.name}: try/except; a chapter that fails must fail"
            if isinstance(node, (ast.Attribute, ast.Import, ast.ImportFrom)) and re.search(
                r"\b(np|numpy|torch)\.testing\b", ast.unparse(node)
            ):
                yield f"{cell.name}: numpy.testing; make it a comparison of a claim"


def tags(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        for tag in sorted(cell.tags & (SKIPPED | REMOVED)):
            yield f"{cell.name}: the tag {tag} hides from readers or from nbval what was computed"


def files(chapter: Chapter) -> Iterator[str]:
    """Data come from `ibcore.datasets`: what lies beside a chapter is not where readers run it."""
    readers = {"open", "load", "loadtxt", "genfromtxt", "fromfile", "read_csv", "Path", "savefig"}
    for cell in chapter.cells:
        for name, _ in cell.calls:
            if name.split(".")[-1] in readers:
                yield f"{cell.name}: {name} reads or writes a file"


def claims_in_sight(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        makes = any(name.split(".")[-1] in ("Claim", "not_checked") for name, _ in cell.calls)
        if makes and cell.tags & FOLDED:
            yield f"{cell.name}: a claim is visible prose; do not fold it"


def citations(chapter: Chapter) -> Iterator[str]:
    cited = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", chapter.prose)
    if not cited:
        yield "no citation of the paper"
    for key in (key.strip() for group in cited for key in group.split(",")):
        if key not in chapter.keys:
            yield f"references.bib has no {key}"


def repository_address(chapter: Chapter) -> Iterator[str]:
    """The address of the book is read from git; a fork's buttons must lead to the fork."""
    for place in ("mybinder.org", "colab.research.google.com"):
        if place in chapter.text:
            yield f"{place}: launch buttons are made by the builder"


def standard_tex(chapter: Chapter) -> Iterator[str]:
    """JupyterLab, Colab and the downloads know no macros of ours: they would print them in red."""
    for found in re.finditer(r"\\(R|T|loss|norm|argmin|newcommand|def)(?![A-Za-z])", chapter.prose):
        yield f"{found[0]}: a private macro; write it out"


Rule = Callable[[Chapter], Iterator[str]]
RULES: list[Rule] = [
    front_matter, title, sections, statements, plain_python, cell_length, figures, seeds, imports,
    hidden_assertions, tags, files, claims_in_sight, citations, repository_address,
    standard_tex,
]  # fmt: skip


# --- the chapters -------------------------------------------------------------------------------


def bibliography() -> frozenset[str]:
    text = (ROOT / "book" / "references.bib").read_text("utf-8")
    return frozenset(re.findall(r"^\s*@\w+\{([^,\s]+),", text, re.MULTILINE))


def chapter_of_the_book(docname: str) -> Chapter:
    text = BOOK.source(docname).read_text("utf-8")
    return Chapter(docname, text, read_chapter(BOOK, docname), bibliography())


#: The opening page of a part may be a notebook too; it states no results of its own.
OPENINGS = [name for name in BOOK.chapters if name.endswith("/index")]
CHAPTERS = [name for name in BOOK.chapters if name not in OPENINGS]
#: What only a chapter with results can keep.
OF_CHAPTERS = {front_matter, sections, statements}


def test_the_book_has_chapters() -> None:
    assert CHAPTERS


def test_every_page_of_the_table_of_contents_exists() -> None:
    assert [name for name in BOOK.pages if not BOOK.source(name).is_file()] == []


def test_every_chapter_on_disk_is_in_the_table_of_contents() -> None:
    found = {p.relative_to(ROOT).with_suffix("").as_posix() for p in ROOT.glob("book/*/*.md")}
    assert found <= set(BOOK.pages)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("docname", CHAPTERS)
def test_a_chapter_keeps_the_contract(docname: str, rule: Rule) -> None:
    assert list(rule(chapter_of_the_book(docname))) == []


@pytest.mark.parametrize(
    "rule", [r for r in RULES if r not in OF_CHAPTERS], ids=lambda rule: rule.__name__
)
@pytest.mark.parametrize("docname", OPENINGS)
def test_an_opening_page_keeps_the_rest_of_it(docname: str, rule: Rule) -> None:
    assert list(rule(chapter_of_the_book(docname))) == []


# --- the rules, tested --------------------------------------------------------------------------

SOUND = """---
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
  title: A paper
  edition: arXiv v2
  url: https://arxiv.org/abs/0000.00000
---

# A title

As {cite:t}`someone2020` say, and others {cite}`someone2020, other2021`.

## At a glance

## Setting

:::{prf:assumption} 1 (data)
:label: tiny2020-chapter-a1
:nonumber:
Separable.
:::

```{code-cell} ipython3
import numpy as np
from ibcore import plotting
rng = np.random.default_rng(3)
measured = rng.normal(size=3)
```

## The direction

:::{prf:theorem} 3 (direction)
:label: tiny2020-chapter-thm3
:nonumber:
:class: seen

It converges. {uses}`tiny2020-chapter-a1`
:::

```{code-cell} ipython3
:tags: [hide-input]
:mystnb:
:  figure:
:    caption: What to see.
:    name: tiny-figure
:  image:
:    alt: Points that lie on a falling line from the left to the right.
fig, ax = plotting.panels()
_ = plotting.measured(ax, [0, 1, 2], measured)
```

```{code-cell} ipython3
claim = Claim("tiny2020-chapter-thm3", grade="exact instance", seeds=[3])
```

## Where it breaks

## Beyond the paper

## Try it

## Notes
"""


def planted(text: str) -> Chapter:
    notebook = read_myst_markdown_notebook(text)
    keys = frozenset({"someone2020", "other2021"})
    return Chapter("book/part/tiny2020-chapter", text, notebook, keys)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_chapter_breaks_no_rule(rule: Rule) -> None:
    assert list(rule(planted(SOUND))) == []


CODE = "measured = rng.normal(size=3)"
SEEN = "Points that lie on a falling line from the left to the right."

VIOLATIONS: list[tuple[Rule, str, str, str]] = [
    (front_matter, "format_name: myst", "format_name: markdown", "jupytext.text_representation"),
    (front_matter, "  name: python3", "  name: julia", "kernelspec.name"),
    (front_matter, "  title: A paper\n", "", "paper.title: missing"),
    (front_matter, "  edition: arXiv v2\n", "", "paper.edition: missing"),
    (front_matter, "  url: https://arxiv.org/abs/0000.00000\n", "", "paper.url: missing"),
    (front_matter, "https://arxiv.org/abs/0000.00000", "arXiv", "paper.url: expected"),
    (title, "# A title\n", "", "expected one title"),
    (title, "## Setting", "# Setting", "expected one title"),
    (sections, "## At a glance", "## Overview", "expected the sections"),
    (sections, "## Beyond the paper\n\n## Try it", "## Try it\n\n## Beyond the paper", "order"),
    (sections, "## The direction\n", "", "a section a result"),
    (sections, "## Notes\n", "## Notes\n\n## Afterthoughts\n", "last"),
    (statements, "prf:theorem", "prf:remark", "no labelled result"),
    (statements, ":label: tiny2020-chapter-thm3\n", "", "expected a label"),
    (statements, "tiny2020-chapter-thm3\n:non", "other-thm3\n:non", "begins with tiny2020"),
    (statements, ":::{prf:theorem} 3 (direction)", ":::{prf:theorem}", "no title"),
    (statements, ":nonumber:\n:class", ":class", "no :nonumber:"),
    (statements, ":class: seen\n", "", "expected one class"),
    (statements, ":class: seen", ":class: seen derived", "expected one class"),
    (statements, ":class: seen", ":class: proved", "expected one class"),
    (plain_python, CODE, "%timeit rng.normal()", "not plain Python"),
    (plain_python, CODE, "!ls", "not plain Python"),
    (cell_length, CODE, "\n".join([CODE] * 18), "21 lines; at most 20"),
    (cell_length, "_ = plotting", "x = 1\n" * 29 + "_ = plotting", "31 lines; at most 30"),
    (figures, ":    caption: What to see.\n", "", "a caption and a name"),
    (figures, ":    name: tiny-figure\n", "", "a caption and a name"),
    (figures, SEEN, "A line.", "alt text of at least 40"),
    (figures, f":  image:\n:    alt: {SEEN}\n", "", "alt text of at least 40"),
    (figures, "caption: What to see.", f"caption: {SEEN}", "repeats the caption"),
    (figures, CODE, "fig, ax = plt.subplots()", "a caption and a name"),
    (figures, CODE, "turnable(chart, knobs=[eta])", "a caption and a name"),
    (seeds, "default_rng(3)", "default_rng()", "without a seed"),
    (seeds, CODE, "torch.manual_seed()", "without a seed"),
    (seeds, CODE, "measured = np.random.normal(size=3)", "draws from a global state"),
    (seeds, CODE, "np.random.seed(0)", "draws from a global state"),
    (imports, CODE, "import random", "does not import random"),
    (imports, CODE, "from pathlib import Path", "does not import pathlib"),
    (imports, CODE, "import os.path", "does not import os.path"),
    (imports, CODE, "import warnings", "does not import warnings"),
    (hidden_assertions, CODE, "assert rng", "an assertion"),
    (hidden_assertions, CODE, "np.testing.assert_allclose(1, 1)", "numpy.testing"),
    (hidden_assertions, CODE, "from numpy.testing import assert_allclose", "numpy.testing"),
    (hidden_assertions, CODE, "try:\n    1\nexcept ValueError:\n    2", "try/except"),
    *[(tags, "[hide-input]", f"[hide-input, {tag}]", tag) for tag in sorted(SKIPPED | REMOVED)],
    (files, CODE, "open('data.csv')", "open reads or writes a file"),
    (files, CODE, "np.load('data.npy')", "np.load reads or writes a file"),
    (files, CODE, "fig.savefig('a.png')", "fig.savefig reads or writes a file"),
    (claims_in_sight, "claim = C", ":tags: [hide-input]\nclaim = C", "do not fold it"),
    (citations, "other2021", "nobody1999", "references.bib has no nobody1999"),
    (citations, "As {cite:t}`someone2020` say, and others {cite}`someone2020, other2021`.", "",
     "no citation"),
    (repository_address, "# A title", "# A title\n\nOn https://mybinder.org/v2/gh/a/b", "mybinder"),
    (standard_tex, "# A title", "# A title\n\n$\\loss(w)$", "a private macro"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "old", "new", "expected"),
    VIOLATIONS,
    ids=[f"{rule.__name__}-{number}" for number, (rule, *_) in enumerate(VIOLATIONS)],
)
def test_a_violation_breaks_its_rule(rule: Rule, old: str, new: str, expected: str) -> None:
    assert old in SOUND
    broken = list(rule(planted(SOUND.replace(old, new, 1))))
    assert any(expected in sentence for sentence in broken), broken


def test_every_rule_has_a_violation() -> None:
    assert {rule.__name__ for rule, *_ in VIOLATIONS} == {rule.__name__ for rule in RULES}
