"""Finding one's way: symbols, results by name, what uses what, papers and where they are cited.

Each check is a function from what was built to the sentences that say what is wrong with it, and
is shown to find a planted mistake.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup, Tag

from ibbook import citing, json_files
from ibbook.book import Book

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.at(ROOT)


@cache
def page(docname: str) -> BeautifulSoup:
    assert (BOOK.build / ".complete").exists(), "there is no finished site: run `make book` first"
    return BeautifulSoup((BOOK.html / f"{docname}.html").read_text("utf-8"), "html.parser")


def chapters() -> list[BeautifulSoup]:
    return [page(docname) for docname in BOOK.chapters]


def fragment(link: Tag) -> str:
    return urlsplit(str(link["href"])).fragment


# --- what uses what -----------------------------------------------------------------------------


def one_sided(pages: Iterable[BeautifulSoup]) -> Iterator[str]:
    """Pairs of statements that only one of the two knows about."""
    leans: set[tuple[str, str]] = set()
    used: set[tuple[str, str]] = set()
    for soup in pages:
        for statement in soup.select("div.proof[id]"):
            name = str(statement["id"])
            leans |= {(name, fragment(a)) for a in statement.select(".ib-uses a[href]")}
            used |= {(fragment(a), name) for a in statement.select(".ib-used-by a[href]")}
    assert leans | used, "no statement uses another"
    yield from (f"{b} does not say that {a} uses it" for a, b in sorted(leans - used))
    yield from (f"{a} does not say that it uses {b}" for a, b in sorted(used - leans))


def test_results_that_use_each_other_say_so_on_both_sides() -> None:
    assert list(one_sided(chapters())) == []


def test_what_the_pages_say_of_uses_is_in_the_ledger() -> None:
    links = {
        str(statement["id"]): {fragment(a) for a in statement.select(".ib-uses a[href]")}
        for soup in chapters()
        for statement in soup.select("div.proof[id]")
    }
    claims = json_files.read(BOOK.html / "ledger.json")["claims"]
    assert claims
    assert {row["id"]: set(row["uses"]) for row in claims} == {
        row["id"]: links[row["id"]] for row in claims
    }


PAIR = """<div class="proof" id="a"><span class="ib-uses"><a href="x.html#b">B</a></span></div>
<div class="proof" id="b"><p><span class="ib-used-by">used by <a href="#a">A</a></span></p></div>"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('href="#a"', 'href="#c"', ["b does not say that a uses it", "c does not say that it us"]),
        ('class="ib-used-by"', "", ["b does not say that a uses it"]),
        ('class="ib-uses"', "", ["a does not say that it uses b"]),
    ],
)
def test_a_pair_that_one_side_forgets_is_found(old: str, new: str, expected: list[str]) -> None:
    assert list(one_sided([BeautifulSoup(PAIR, "html.parser")])) == []
    found = list(one_sided([BeautifulSoup(PAIR.replace(old, new), "html.parser")]))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


# --- the index of results -----------------------------------------------------------------------


def statements() -> dict[str, str]:
    """The page of every statement."""
    return {
        str(found["id"]): docname
        for docname in BOOK.chapters
        for found in page(docname).select("div.proof[id]")
    }


def test_the_index_has_every_statement_by_chapter_and_by_title() -> None:
    soup = page("book/results")
    rows = [fragment(a) for a in soup.select("table.ib-results tbody th a")]
    titles = [fragment(a) for a in soup.select(".ib-alphabet a")]
    assert rows == list(statements())
    assert sorted(titles) == sorted(statements())


def test_the_index_says_of_a_result_what_the_ledger_says() -> None:
    claims = {row["id"]: row for row in json_files.read(BOOK.html / "ledger.json")["claims"]}
    anchors = {str(row["id"]) for row in page("book/ledger").select("table.ib-ledger tr[id]")}
    for row in page("book/results").select("table.ib-results tbody tr"):
        link = row.select_one("a.ib-badge")
        name = fragment(row.select_one("th a"))
        assert (link is not None) == (name in claims)
        if link is not None:
            assert fragment(link) in anchors
            assert fragment(link).endswith(name)
            assert link.text == claims[name]["status"]


def test_titles_stand_in_alphabetical_order_whatever_their_article() -> None:
    titles = [a.text.casefold() for a in page("book/results").select(".ib-alphabet a")]
    bare = [re.sub(r"^(the|an?)\s+", "", title) for title in titles]
    assert bare == sorted(bare)


# --- search -------------------------------------------------------------------------------------


@cache
def index() -> dict[str, Any]:
    """Sphinx's search index, as its script reads it."""
    page("book/index")
    text = (BOOK.html / "searchindex.js").read_text("utf-8").strip()
    found: dict[str, Any] = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    return found


def search(found: Mapping[str, Any], query: str) -> set[str]:
    """Addresses of the objects that Sphinx's script shows for a query.

    Every word has to be in the name, the kind or the title of the page, and one in the name.
    """
    words = set(re.findall(r"\w+", query.lower()))
    hits = set()
    for prefix, objects in found["objects"].items():
        for docindex, kind, _, anchor, name in objects:
            shown = f"{prefix}.{name}" if prefix else name
            title = found["titles"][docindex]
            haystack = f"{prefix} {name} {found['objnames'][str(kind)][2]} {title}".lower()
            if any(word in shown.lower() for word in words) and all(w in haystack for w in words):
                hits.add(f"{found['docnames'][docindex]}#{anchor or shown}")
    return hits


def unfound(found: Mapping[str, Any], wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """Queries that do not lead to the statement they name."""
    return [
        f"{query!r} does not find {address}"
        for address, queries in wanted.items()
        for query in queries
        if address not in search(found, query)
    ]


def test_every_statement_is_found_by_name_title_and_label() -> None:
    wanted = defaultdict(list)
    for row in json_files.read(BOOK.html / "ledger.json")["claims"]:
        wanted[f"{row['chapter']}#{row['id']}"] += [row["result"], row["title"], row["id"]]
    assert len(wanted) > 100
    assert unfound(index(), wanted) == []


def test_premises_are_found_too() -> None:
    found = search(index(), "Assumption 1 separable data")
    assert found == {"book/separable/soudry2018-separable#soudry2018-separable-a1"}


def test_the_search_shows_no_statement_without_its_kind() -> None:
    places = {f"{docname}#{label}" for label, docname in statements().items()}
    shown = {
        f"{index()['docnames'][docindex]}#{anchor}"
        for found in index()["alltitles"].values()
        for docindex, anchor in found
    }
    assert places & shown == set()


SMALL_INDEX = {
    "docnames": ["book/a"],
    "titles": ["A chapter"],
    "objnames": {"0": ["statement", "theorem", "theorem"]},
    "objects": {"Theorem 4": [[0, 0, 0, "a-thm", "1 (stagewise path) · a-thm"]]},
}


@pytest.mark.parametrize("query", ["Theorem 4.1", "stagewise path", "a-thm", "path chapter"])
def test_the_search_finds(query: str) -> None:
    assert search(SMALL_INDEX, query) == {"book/a#a-thm"}


def test_a_statement_that_search_misses_is_found() -> None:
    wanted = {"book/a#a-thm": ["Theorem 5", "chapter"], "book/a#b": ["path"]}
    assert len(unfound(SMALL_INDEX, wanted)) == 3


# --- notation -----------------------------------------------------------------------------------

GREEK = re.compile(
    r"\\(?:alpha|beta|[Gg]amma|[Dd]elta|(?:var)?epsilon|zeta|eta|[Tt]heta|kappa|[Ll]ambda|mu|nu"
    r"|[Xx]i|[Pp]i|rho|[Ss]igma|tau|(?:var)?phi|Phi|[Pp]si|[Oo]mega|ell)"
)
#: Letters that count: indices, and the d and e of calculus.
COUNTING = frozenset("ijklnde")
DECORATED = r"\\(?:hat|tilde|bar|dot|mathcal|mathbb)(?![a-z])\s*(?:\{[^{}]*\}|\\?[A-Za-z]+)"
SYMBOL = re.compile(rf"{DECORATED}|\\[A-Za-z]+|[A-Za-z]")
STATEMENT = re.compile(r"^:::+\{prf:\w+\}.*?\n:label: (\S+)\n(.*?)^:::+$", re.MULTILINE | re.DOTALL)
PARTS = {
    "separable": "Separable data",
    "deep": "Deep models",
    "stability": "Stability",
    "interpolators": "Interpolators and readers",
}


def symbols(text: str) -> set[str]:
    """The letters of the formulas of a text, decorated ones as one symbol."""
    found = set()
    for pair in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL):
        formula = "".join(pair)
        formula = re.sub(r"\\(?:text|mathrm|operatorname\*?|mathbf)\s*(?:\{.*?\}|.)", "", formula)
        formula = re.sub(r"\\(?:begin|end)\{.*?\}", "", formula)
        for token in SYMBOL.findall(formula):
            bare = re.sub(r"[\s{}]", "", token)
            if len(bare) == 1 or GREEK.fullmatch(bare) or re.fullmatch(DECORATED, token):
                found.add(bare)
    return found - COUNTING


def explained(notation: str) -> dict[str, set[str]]:
    """The symbols of the first column of each table."""
    tables = re.split(r"^## ", notation, flags=re.MULTILINE)[1:]
    return {
        table.partition("\n")[0]: set().union(
            *(symbols(cell) for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
        )
        for table in tables
    }


def unexplained(chapter: str, known: set[str]) -> list[str]:
    """Symbols that two statements of a chapter share and the notation does not have."""
    users = defaultdict(set)
    for label, body in STATEMENT.findall(chapter):
        for symbol in symbols(body):
            users[symbol].add(label)
    return sorted(
        symbol for symbol, labels in users.items() if len(labels) > 1 and symbol not in known
    )


@pytest.mark.parametrize("docname", BOOK.chapters)
def test_every_symbol_that_statements_share_is_in_the_notation(docname: str) -> None:
    tables = explained(BOOK.source("book/notation").read_text("utf-8"))
    part = PARTS[docname.split("/")[1]]
    text = BOOK.source(docname).read_text("utf-8")
    assert len(STATEMENT.findall(text)) == len(page(docname).select("div.proof[id]"))
    assert unexplained(text, tables["Everywhere"] | tables[part]) == []


def test_a_symbol_that_is_missing_is_found() -> None:
    statement = ":::{{prf:lemma}} A\n:label: {0}\nLet $\\hat w_n=\\sum_n\\alpha_nx_n$, {1}.\n:::\n"
    chapter = statement.format("a", "$q$") + statement.format("b", "$$r\\,\\tilde{C}$$")
    assert unexplained(chapter, {"\\alpha"}) == ["\\hatw", "x"]
    assert symbols("$\\operatorname{sign}\\mathcal L+\\dots\\bar{\\mathcal L}$") == {
        "\\mathcalL",
        "\\bar\\mathcalL",
    }


def dead_rows(soup: BeautifulSoup, anchors: Callable[[str], set[str]]) -> list[str]:
    """Rows of the tables of symbols without a link that leads to a statement."""
    rows = soup.select("article table tbody tr")
    assert rows, "no symbols"
    return [
        row.text.strip()
        for row in rows
        if not any(fragment(a) in anchors(urlsplit(a["href"]).path) for a in row.select("a[href]"))
    ]


def test_every_symbol_leads_to_where_it_is_defined() -> None:
    places = statements()

    def anchors(path: str) -> set[str]:
        return {label for label, docname in places.items() if f"book/{path}" == f"{docname}.html"}

    assert dead_rows(page("book/notation"), anchors) == []


def test_a_symbol_without_a_place_is_found() -> None:
    row = "<tr><td>{}</td><td>{}</td></tr>"
    link = '<a href="a.html#thm">Theorem</a>'
    body = row.format("w", link) + row.format("x", "") + row.format("y", link.replace("#thm", ""))
    soup = BeautifulSoup(f"<article><table><tbody>{body}</tbody></table></article>", "html.parser")
    assert dead_rows(soup, lambda path: {"thm"} if path == "a.html" else set()) == ["x", "yTheorem"]


# --- papers -------------------------------------------------------------------------------------


def test_every_entry_of_the_bibliography_leads_out_and_back() -> None:
    entries = page("book/bibliography").select("div.citation")
    assert len(entries) == len(citing.entries((ROOT / citing.REFERENCES).read_text("utf-8")))
    for entry in entries:
        out = [a for a in entry.select("a.external[href]") if urlsplit(a["href"]).scheme == "https"]
        assert out, f"no link out: {entry.text}"
        assert entry.select(".ib-cited-in a[href]"), f"cited nowhere: {entry.text}"


def test_the_bibliography_says_where_every_paper_is_cited() -> None:
    back = {
        (fragment_page(a), str(entry["id"]))
        for entry in page("book/bibliography").select("div.citation")
        for a in entry.select(".ib-cited-in a")
    }
    cited = {
        (docname, fragment(a))
        for docname in BOOK.pages
        for a in page(docname).select("article a[href*='bibliography.html#']")
    }
    assert cited
    assert back == cited


def fragment_page(link: Tag) -> str:
    return f"book/{urlsplit(str(link['href'])).path.removesuffix('.html')}"


@pytest.mark.parametrize("docname", BOOK.chapters)
def test_a_chapter_and_its_paper_can_be_cited(docname: str) -> None:
    offered = (BOOK.html / "_sources" / f"{docname}.bib").read_text("utf-8")
    chapter, paper = citing.entries(offered).items()
    assert chapter[0] == f"{citing.KEY}:{docname.rsplit('/', 1)[-1]}"
    assert page(docname).select_one("h1").contents[0] in chapter[1]
    assert paper[0] == BOOK.paper(docname)["key"]
    assert paper[1] in (ROOT / citing.REFERENCES).read_text("utf-8")
    shown = [block.get_text() for block in page(docname).select("details.ib-cite pre")]
    assert "\n".join(text.strip() for text in shown) == "\n".join((chapter[1], paper[1]))
    assert any(
        str(a["href"]).endswith(f"_sources/{docname}.bib")
        for a in page(docname).select(".dropdown-menu a[href]")
    )


def test_the_whole_bibliography_can_be_taken_away() -> None:
    page("book/index")
    published = BOOK.html / citing.REFERENCES.name
    assert published.read_bytes() == (ROOT / citing.REFERENCES).read_bytes()
    addresses = {str(a["href"]) for a in page("book/index").select(".ib-downloads a")}
    assert {"../references.bib", "../ledger.json"} <= addresses
    assert ("../implicit-bias.pdf" in addresses) == BOOK.pdf.exists()


def test_the_front_page_cites_the_book_as_its_citation_file_does() -> None:
    shown = [block.get_text().strip() for block in page("book/index").select("pre")]
    (entry,) = (text for text in shown if text.startswith("@book"))
    cited = citing.read(ROOT)
    for part in (cited.title, *cited.authors, str(cited.year), f"Version {cited.version}"):
        assert part in entry
