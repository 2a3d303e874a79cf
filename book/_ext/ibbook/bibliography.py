"""Links back from the bibliography to the pages that cite an entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docutils import nodes
from sphinx.environment import BuildEnvironment

Link = Callable[[str, str], str]


def pages(env: BuildEnvironment) -> set[str]:
    """Names of the pages that hold a bibliography.

    Parameters
    ----------
    env : BuildEnvironment
        The environment, when all pages have been read.
    """
    return {key.docname for key in _domain(env).bibliographies}


def add_links_back(
    doctree: nodes.document, env: BuildEnvironment, titles: Mapping[str, str], link: Link
) -> None:
    """Say below each entry which pages cite it, once a page.

    Parameters
    ----------
    doctree : document
        A page, resolved.
    env : BuildEnvironment
        The environment.
    titles : mapping
        From the name of a page to its title.
    link : callable
        From a page's name and an anchor to an address relative to this page.
    """
    cited: dict[str, dict[str, str]] = {}
    for reference in _domain(env).citation_refs:
        for target in reference.targets:
            places = cited.setdefault(target.key, {})
            places.setdefault(reference.docname, reference.citation_ref_id)
    keys = {c.citation_id: c.key for c in _domain(env).citations}
    for entry in doctree.findall(nodes.citation):
        key = next((keys[name] for name in entry["ids"] if name in keys), None)
        if key in cited:
            line = nodes.paragraph("", "Cited in ", classes=["ib-cited-in"])
            for number, (docname, anchor) in enumerate(cited[key].items()):
                if number:
                    line += nodes.Text("; ")
                address = link(docname, anchor)
                line += nodes.reference("", titles[docname], internal=True, refuri=address)
            line += nodes.Text(".")
            entry += line


def _domain(env: BuildEnvironment) -> Any:
    """The domain of sphinxcontrib-bibtex, which keeps what is cited where."""
    return env.get_domain("cite")
