"""The Sphinx extension: executes the chapters first, joins statements and claims, writes the score.

What it adds to the pages: the role ``{uses}``, the directives ``{ledger}``, ``{results-map}``,
``{results-index}``, ``{status}``, ``{trust}``, ``{benchmarks}``, ``{shown}``, ``{downloads}`` and
``{cite-book}``, a status line under each statement, names in references to statements, links back
in the bibliography, how to cite a chapter, launch and download buttons, the sliders of figures that
can be turned.
What it adds to the site: `ledger.json`, the executed notebooks, BibTeX, statements in the search.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import document
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from ibbook import (
    benchmarks,
    bibliography,
    chain,
    citing,
    downloads,
    figures,
    guard,
    images,
    json_files,
    ledger,
    repository,
    results_index,
    results_map,
    search,
    status,
    trust,
)
from ibbook.book import Book, commit
from ibbook.execute import ChapterError, execute_book, versions
from ibbook.records import Record, read_records
from ibbook.statements import Statement, UsesRole, collect, proof_nodes, uses


class score(nodes.General, nodes.Element):
    """Placeholder for the ledger or the map, filled in when all pages have been read."""


class ScoreDirective(SphinxDirective):
    """Where what is computed goes: the ledger, the map, the index of results, and the like.

    A map may be given a part, the folder of its chapters: it then shows that part alone, as a
    picture; or the word "chapters", and it shows which chapter leans on which. The words are on the
    page of the whole map. ``{trust}`` is given the kind of its table.
    """

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Leave a placeholder and remember the page."""
        part = self.arguments[0] if self.arguments else ""
        _score_pages(self.env).setdefault(f"{self.name} {part}".strip(), self.env.docname)
        return [score("", kind=self.name, part=part)]


class shown(nodes.General, nodes.Element):
    """Placeholder for a figure of a chapter, filled in when the chapters are known."""


class ShownDirective(SphinxDirective):
    """``{shown} name``: a figure of a chapter, linked to its place, with a text of its own."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Leave a placeholder above the text and remember the page."""
        name = self.arguments[0]
        _score_pages(self.env).setdefault(f"shown {name}", self.env.docname)
        box = nodes.container(classes=["ib-shown"])
        box += shown("", name=name)
        box += self.parse_content_to_nodes()
        return [box]


class BenchmarksDirective(SphinxDirective):
    """``{benchmarks}``: the committed record of the benchmarks as tables."""

    def run(self) -> list[nodes.Node]:
        """Render the record; the page depends on its file."""
        path = Path(self.env.srcdir) / benchmarks.RECORD
        self.env.note_dependency(str(path))
        return [nodes.raw("", benchmarks.as_html(json_files.read(path)), format="html")]


class CiteBookDirective(SphinxDirective):
    """``{cite-book}``: BibTeX of the book, made from CITATION.cff."""

    def run(self) -> list[nodes.Node]:
        """Render the entry; the page depends on its file."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "CITATION.cff"))
        return [_bibtex(citing.of_book(root))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension; from here on, this process reaches no network."""
    sys.addaudithook(guard.refuse_network)
    app.add_role("uses", UsesRole())
    for name in ("ledger", "results-map", "results-index", "status", "trust", "downloads"):
        app.add_directive(name, ScoreDirective)
    app.add_directive("cite-book", CiteBookDirective)
    app.add_domain(search.StatementDomain)
    app.add_directive("benchmarks", BenchmarksDirective)
    app.add_directive("shown", ShownDirective)
    app.add_node(score, html=(_skip, _skip))
    app.add_node(shown, html=(_skip, _skip))
    app.add_node(uses, html=(_skip, _skip))
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _execute)
    app.connect("builder-inited", _provide_charts)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _purge)
    app.connect("doctree-read", _read)
    app.connect("env-updated", _join)
    app.connect("doctree-resolved", _resolve)
    # The theme adds its header buttons at 501: downloads must be known before, launches come after.
    app.connect("html-page-context", _offer_download, priority=499)
    app.connect("html-page-context", _offer_bibtex, priority=502)
    app.connect("html-page-context", _offer_launch, priority=502)
    # What is added to a page has to be there before the list of its scripts is trimmed.
    app.connect("html-page-context", _load_charts)
    app.connect("html-page-context", _trim)
    app.connect("html-collect-pages", search.drop_bare_titles)
    app.connect("build-finished", _finish)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}


def _skip(translator: Any, node: nodes.Node) -> None:
    """Write nothing for a placeholder itself; its children speak."""


# --- state on the environment --------------------------------------------------------------------


def _state(env: BuildEnvironment, name: str) -> dict[str, Any]:
    """A mapping that lives, and is pickled, with the environment; empty at first."""
    found: dict[str, Any] = vars(env).setdefault(name, {})
    return found


def _statements(env: BuildEnvironment) -> dict[str, list[Statement]]:
    return _state(env, "ib_statements")


def _score_pages(env: BuildEnvironment) -> dict[str, str]:
    return _state(env, "ib_score_pages")


def _digests(env: BuildEnvironment) -> dict[str, str]:
    return _state(env, "ib_digests")


def _book(app: Sphinx) -> Book:
    return Book.at(Path(app.srcdir), Path(app.outdir).parent)


def _ordered(app: Sphinx, book: Book) -> list[Statement]:
    """All statements in the order of the book."""
    found = _statements(app.env)
    return [s for docname in book.pages for s in found.get(docname, [])]


# --- reading -------------------------------------------------------------------------------------


def _configure(app: Sphinx, config: Config) -> None:
    found = repository.find(Path(app.srcdir))
    if found is not None:
        config.html_theme_options.update(
            repository_url=found.url,
            repository_branch=found.branch,
            use_issues_button=True,
            use_repository_button=True,
        )


def _execute(app: Sphinx) -> None:
    try:
        execute_book(_book(app))
    except ChapterError as error:
        raise ExtensionError(f"chapters that failed:\n\n{error}") from error


def _provide_charts(app: Sphinx) -> None:
    figures.write_library(Path(app.outdir) / "_static")


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Sequence[str]:
    """Chapters whose executed notebook differs from the one that their page was made from."""
    book, stale = _book(app), []
    for docname in book.chapters:
        digest = hashlib.sha256(book.notebook(docname).read_bytes()).hexdigest()
        if _digests(env).get(docname) != digest:
            _digests(env)[docname] = digest
            stale.append(docname)
    return stale


def _purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _statements(env).pop(docname, None)
    for kind, page in list(_score_pages(env).items()):
        if page == docname:
            del _score_pages(env)[kind]


def _read(app: Sphinx, doctree: document) -> None:
    docname = app.env.docname
    found = collect(doctree, docname)
    if found:
        _statements(app.env)[docname] = found


# --- joining -------------------------------------------------------------------------------------


def _join(app: Sphinx, env: BuildEnvironment) -> Sequence[str]:
    """Hold statements and claims together; rewrite every page that shows the score."""
    book = _book(app)
    statements, records = _ordered(app, book), read_records(book)
    wrong = chain.problems(statements, records)
    if wrong:
        raise ExtensionError(
            "the chain from statement to claim is broken:\n  " + "\n  ".join(wrong)
        )
    app.ib_figures = figures.read(book)  # type: ignore[attr-defined]
    app.ib_records = {record.id: record for record in records}  # type: ignore[attr-defined]
    app.ib_ledger = ledger.build(  # type: ignore[attr-defined]
        statements, records, versions(), commit(book.root)
    )
    shown = {*_statements(env), *_score_pages(env).values(), *bibliography.pages(env)}
    return sorted(shown | set(book.chapters))


def _records(app: Sphinx) -> dict[str, Record]:
    found: dict[str, Record] = app.ib_records  # type: ignore[attr-defined]
    return found


def _resolve(app: Sphinx, doctree: document, docname: str) -> None:
    """Fill the placeholders of a page now that the whole book is known."""
    by_id = {s.id: s for page in _statements(app.env).values() for s in page}
    for placeholder in list(doctree.findall(uses)):
        placeholder.replace_self(_uses_links(app, docname, placeholder, by_id))
    _name_references(doctree, by_id)
    for node in proof_nodes(doctree):
        line = _status_line(app, docname, by_id[node["label"]])
        if line:
            node.append(nodes.raw("", line, format="html"))
    for node in doctree.findall(nodes.figure):
        _make_turnable(app, node)
    for placeholder in list(doctree.findall(shown)):
        text = _picture(app, docname, placeholder["name"])
        placeholder.replace_self(nodes.raw("", text, format="html"))
    for placeholder in list(doctree.findall(score)):
        text = _score(app, placeholder, docname)
        placeholder.replace_self(nodes.raw("", text, format="html"))
    bibliography.add_links_back(
        doctree, app.env, _titles(app), lambda page, anchor: _address(app, docname, page, anchor)
    )
    if docname in _book(app).chapters:
        doctree.next_node(nodes.section).extend(_citation(app, docname))


def _figures(app: Sphinx) -> dict[str, figures.Figure]:
    found: dict[str, figures.Figure] = app.ib_figures  # type: ignore[attr-defined]
    return found


def _make_turnable(app: Sphinx, node: nodes.figure) -> None:
    """Give a figure that can be turned its chart and its sliders, beside the still picture."""
    for name in node["ids"]:
        figure = _figures(app).get(name)
        if figure is not None and figure.spec is not None:
            node["classes"].append("ib-turn")
            node.insert(1, nodes.raw("", figures.turning(figure), format="html"))


def _picture(app: Sphinx, docname: str, name: str) -> str:
    """A figure shown again; its file is put among the images of the site."""
    figure = _figures(app).get(name)
    if figure is None:
        raise ExtensionError(f"{docname}: no chapter has a figure {name!r}")
    folder = Path(app.outdir) / "_images"
    folder.mkdir(exist_ok=True)
    (folder / figure.file).write_bytes(figure.png)
    up = "../" * docname.count("/")
    address = _address(app, docname, figure.docname, name)
    return figures.as_html(figure, f"{up}_images/{figure.file}", address)


def _titles(app: Sphinx) -> dict[str, str]:
    """Titles of the pages by name."""
    return {name: title.astext() for name, title in app.env.titles.items()}


def _address(app: Sphinx, docname: str, target: str, anchor: str) -> str:
    address = app.builder.get_relative_uri(docname, target)
    return f"{address}#{anchor}" if anchor else address or "#"


def _uses_links(
    app: Sphinx, docname: str, placeholder: nodes.Element, by_id: dict[str, Statement]
) -> nodes.inline:
    links = nodes.inline("", "Leans on ", classes=["ib-uses"])
    for number, label in enumerate(placeholder["labels"]):
        s = by_id[label]
        if number:
            links += nodes.Text(", ")
        address = _address(app, docname, s.docname, s.id)
        links += nodes.reference("", s.name, internal=True, refuri=address)
    links += nodes.Text(".")
    return links


def _name_references(doctree: document, by_id: dict[str, Statement]) -> None:
    """Write "Theorem 3" where sphinx-proof, which counts nothing here, writes "Theorem "."""
    for reference in doctree.findall(nodes.reference):
        label = reference.get("refid") or reference.get("refuri", "").partition("#")[2]
        s = by_id.get(label)
        if s is not None and reference.astext().strip() == s.kind.capitalize():
            reference.children = [nodes.Text(s.name)]


def _status_line(app: Sphinx, docname: str, statement: Statement) -> str:
    used_by = [
        (s.name, _address(app, docname, s.docname, s.id))
        for page in _statements(app.env).values()
        for s in page
        if statement.id in s.uses
    ]
    page = _score_pages(app.env).get("ledger", docname)
    record = _records(app).get(statement.id)
    row = _address(app, docname, page, ledger.row_anchor(statement.id))
    return ledger.statement_html(statement, record, used_by, row)


def _score(app: Sphinx, placeholder: nodes.Element, docname: str) -> str:
    def link(target: str, anchor: str) -> str:
        return _address(app, docname, target, anchor)

    found: dict[str, Any] = app.ib_ledger  # type: ignore[attr-defined]
    if placeholder["kind"] == "ledger":
        return ledger.as_html(found, link)
    titles = _titles(app)
    outcomes = {row["id"]: row["status"] for row in found["claims"]}
    if placeholder["kind"] == "downloads":
        return downloads.as_html("../" * docname.count("/"), with_pdf=_printing())
    if placeholder["kind"] == "results-index":
        page = _score_pages(app.env).get("ledger", docname)
        everything = _ordered(app, _book(app))
        return results_index.as_html(everything, outcomes, titles, link, page)
    if placeholder["kind"] == "status":
        return status.as_html(status.read_costs(_book(app)), found["versions"], titles, link)
    part = placeholder["part"]
    if placeholder["kind"] == "trust":
        return trust.as_html(part, _book(app).root, found)
    statements = [
        s for s in _ordered(app, _book(app)) if not part or part in s.docname.split("/")[:-1]
    ]
    if part == "chapters":
        return _map_of_chapters(app, docname)
    arguments = (statements, outcomes, titles, link)
    picture = _map_box(results_map.as_svg(*arguments))
    if part:
        return picture
    return (
        f'{picture}<details class="ib-map-twin" open><summary>The map in words</summary>'
        f"{results_map.as_list(*arguments)}</details>"
    )


def _map_box(svg: str) -> str:
    start = '<div class="ib-scroll" tabindex="0" role="region" aria-label="Map of results">'
    return f"{start}{svg}</div>"


def _map_of_chapters(app: Sphinx, docname: str) -> str:
    """The chapters by part, and which leans on which."""
    book, titles = _book(app), _titles(app)
    keys = {name: str(book.paper(name).get("key", "")) for name in book.chapters}
    papers = {name: re.sub(r"^(\D+)(\d{4}).*", r"\1 \2", key) for name, key in keys.items()}
    chapters, results = results_map.of_chapters(_ordered(app, book), titles, papers)

    def link(page: str, chapter: str) -> str:
        return _address(app, docname, chapter or page, "")

    return _map_box(results_map.as_svg(chapters, results, titles, link))


def _bibtex(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language="bibtex")


def _citation(app: Sphinx, docname: str) -> list[nodes.Node]:
    """A folded box at the end of a chapter: how to cite it and its paper."""
    texts = _citations(app, docname)
    what = "this chapter and its paper" if len(texts) > 1 else "this chapter"
    start = f'<details class="ib-cite"><summary>Cite {what}</summary>'
    return [
        nodes.raw("", start, format="html"),
        *map(_bibtex, texts),
        nodes.raw("", "</details>", format="html"),
    ]


def _citations(app: Sphinx, docname: str) -> list[str]:
    """BibTeX of a chapter, and of its paper where the bibliography has it."""
    book = _book(app)
    state = str(app.ib_ledger["commit"])  # type: ignore[attr-defined]
    chapter = citing.of_chapter(book.root, docname, _titles(app)[docname], state)
    key = book.paper(docname).get("key")
    return [chapter, citing.of_papers(book.root, [key])] if key else [chapter]


def _printing() -> bool:
    """Whether this build is going to be printed: only then does it offer the PDF."""
    return os.environ.get(downloads.VARIABLE) == "1"


# --- writing -------------------------------------------------------------------------------------


def _offer_download(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if pagename in _book(app).chapters:
        context["ipynb_source"] = f"{pagename}.ipynb"


def _offer_bibtex(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    if pagename not in _book(app).chapters:
        return
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            button = downloads.button(f"{context['pathto']('_sources', 1)}/{pagename}.bib")
            # Behind the notebook and the source, before what prints the page.
            group["buttons"].insert(2, button)


def _offer_launch(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    found = repository.find(Path(app.srcdir))
    if found is not None and pagename in _book(app).chapters:
        context["header_buttons"].insert(0, repository.launch_buttons(found, pagename))


def _trim(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Size the images; mend the roles of citations, and leave out thebe, which nothing here uses.

    docutils gives the items of a list of citations a role that is deprecated and is no item.
    """
    body = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')
    context["body"] = images.sized(body)
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{script} {script.attributes.get('body', '')}".lower()
    ]


def _load_charts(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load the libraries of the charts, on the pages that have one."""
    if "ib-turn-chart" in context.get("body", ""):
        app.add_js_file(figures.LIBRARY, loading_method="defer")
        app.add_js_file(figures.SCRIPT, loading_method="defer")


def _finish(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None or not isinstance(app.builder, StandaloneHTMLBuilder):
        return
    book, out = _book(app), Path(app.outdir)
    _forget_removed(app.env, out)
    images.compress(out / "_images", book.build / ".images")
    json_files.write(app.ib_ledger, out / "ledger.json")  # type: ignore[attr-defined]
    for docname in book.chapters:
        target = out / "_sources" / f"{docname}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(book.notebook(docname), target)
        target.with_suffix(".bib").write_text("\n".join(_citations(app, docname)), "utf-8")
    shutil.copyfile(book.root / citing.REFERENCES, out / citing.REFERENCES.name)
    if not _printing():
        book.pdf.unlink(missing_ok=True)  # it shows an older book


def _forget_removed(env: BuildEnvironment, out: Path) -> None:
    """Delete the pages and downloads of a site that its book no longer has; Sphinx leaves them."""
    for source in [path for path in (out / "_sources").rglob("*") if path.is_file()]:
        docname = source.relative_to(out / "_sources").with_suffix("").as_posix()
        if docname not in env.found_docs:
            source.unlink()
            (out / f"{docname}.html").unlink(missing_ok=True)
