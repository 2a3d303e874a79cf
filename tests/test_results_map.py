"""The map of results: all of it drawn, nothing overlapping, and the words say the same."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from itertools import combinations, pairwise

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from ibbook import results_map
from ibbook.results_map import NODE_HEIGHT, NODE_WIDTH, as_list, as_svg
from ibbook.statements import PROVENANCE, Statement

SVG = "{http://www.w3.org/2000/svg}"
STATUS = ("corroborated", "bound respected", "rate fitted", "contradicted", "not checked")


def link(docname: str, anchor: str) -> str:
    return f"{docname}.html#{anchor}" if anchor else f"{docname}.html"


def statement(number: int, uses: tuple[int, ...] = (), docname: str = "book/a") -> Statement:
    if not uses:
        return Statement(f"a-s{number}", "assumption", f"Premise {number}", docname)
    labels = tuple(f"a-s{used}" for used in uses)
    title = f"{number} (a longer title of a result & its <limits>)"
    return Statement(f"a-s{number}", "theorem", title, docname, labels, "seen")


@st.composite
def dags(draw: st.DrawFn, chapters: int = 3, most: int = 9) -> list[Statement]:
    """Statements of up to three chapters, each leaning on some of those before it."""
    found: list[Statement] = []
    for chapter in range(draw(st.integers(1, chapters))):
        for _ in range(draw(st.integers(1, most))):
            number = len(found)
            before = st.sets(st.integers(0, number - 1), max_size=4) if number else st.just(set())
            found.append(statement(number, tuple(sorted(draw(before))), f"book/{chapter}"))
    return found


def drawn(statements: list[Statement]) -> ET.Element:
    status = {s.id: STATUS[i % len(STATUS)] for i, s in enumerate(statements) if s.is_result}
    return ET.fromstring(as_svg(statements, status, {}, link))


def boxes(svg: ET.Element) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right and bottom of each node, by the address that it links to."""
    found = {}
    for node in svg.iter(f"{SVG}a"):
        rect = node.find(f"{SVG}rect")
        if rect is not None:
            x, y, w, h = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            found[node.attrib["href"]] = (x, y, x + w, y + h)
    return found


def paths(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Points along each arrow, at every end of a piece and closely between."""
    return [
        _along(path.attrib["d"])
        for path in svg.iter(f"{SVG}path")
        if path.attrib["class"].startswith("ib-edge")
    ]


def _along(data: str) -> list[tuple[float, float]]:
    """Points on lines and cubic Bezier curves, as an SVG path describes them."""
    found: list[tuple[float, float]] = []
    for letter, text in re.findall(r"([MLC])([^MLC]+)", data):
        ends = [tuple(map(float, pair.split(","))) for pair in text.split()]
        assert len(ends) == {"M": 1, "L": 1, "C": 3}[letter]
        # A line is a curve whose handles lie on it; a move is where the next piece starts.
        start = found[-1] if found else ends[0]
        curve = np.array([start, *ends] if letter == "C" else [start, start, ends[0], ends[0]])
        for t in np.linspace(0, 1, 21):
            weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
            x, y = (weights @ curve).tolist()
            found.append((x, y))
    return found


def edges(statements: list[Statement]) -> list[tuple[str, str]]:
    return [(used, s.id) for s in statements for used in s.uses]


@given(dags())
@settings(max_examples=40)
def test_one_node_a_statement_linked_to_it(statements: list[Statement]) -> None:
    assert list(boxes(drawn(statements))) == [link(s.docname, s.id) for s in statements]


@given(dags())
@settings(max_examples=40)
def test_nodes_lie_in_the_picture_and_never_overlap(statements: list[Statement]) -> None:
    svg = drawn(statements)
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    found = list(boxes(svg).values())
    for left, top, right, bottom in found:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for a, b in combinations(found, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{a} lies on {b}"


@given(dags())
@settings(max_examples=40)
def test_every_use_is_an_arrow_between_its_two_nodes(statements: list[Statement]) -> None:
    svg = drawn(statements)
    place = {href.partition("#")[2]: box for href, box in boxes(svg).items()}

    def touches(point: tuple[float, float], label: str) -> bool:
        left, top, right, bottom = place[label]
        edge = min(abs(point[1] - top), abs(point[1] - bottom)) < 0.2
        return edge and abs(point[0] - (left + right) / 2) < 0.2

    arrows = paths(svg)
    assert len(arrows) == len(edges(statements))
    for used, user in edges(statements):
        assert any(touches(a[0], used) and touches(a[-1], user) for a in arrows), (used, user)


@given(dags(chapters=1))
@settings(max_examples=40)
def test_an_arrow_within_a_chapter_crosses_no_node(statements: list[Statement]) -> None:
    svg = drawn(statements)
    nodes = list(boxes(svg).values())
    for arrow in paths(svg):
        for x, y in arrow:
            for left, top, right, bottom in nodes:
                inside = left < x < right and top + 0.1 < y < bottom - 0.1
                assert not inside, f"({x}, {y}) lies in {left, top, right, bottom}"


@given(dags(chapters=1))
@settings(max_examples=40)
def test_what_is_leaned_on_stands_higher(statements: list[Statement]) -> None:
    place = {href.partition("#")[2]: box for href, box in boxes(drawn(statements)).items()}
    for used, user in edges(statements):
        assert place[used][3] < place[user][1]


@given(dags())
@settings(max_examples=40)
def test_the_words_say_what_the_picture_says(statements: list[Statement]) -> None:
    words = BeautifulSoup(as_list(statements, {}, {}, link), "html.parser")
    items = words.select("li")
    told = defaultdict(set)
    for item in items:
        first, *rests = [a["href"].partition("#")[2] for a in item.select("a")]
        told[first] = set(rests)
    assert told == {s.id: set(s.uses) for s in statements}
    for s, item in zip(statements, items, strict=True):
        assert ("Leans on nothing before it" in item.text) is (not s.uses)


def test_the_picture_is_the_same_every_time() -> None:
    statements = [statement(0), statement(1, (0,)), statement(2, (0, 1)), statement(3, (0, 2))]
    assert ET.tostring(drawn(statements)) == ET.tostring(drawn(statements))


def test_a_long_arrow_runs_down_beside_what_lies_between() -> None:
    chain = [statement(0), *(statement(n, (n - 1,)) for n in range(1, 4)), statement(4, (0, 3))]
    svg = drawn(chain)
    long = max(paths(svg), key=len)
    assert all(a[1] <= b[1] + 0.01 for a, b in pairwise(long)), "it never turns back"
    for _, top, right, bottom in list(boxes(svg).values())[1:4]:
        beside = [x for x, y in long if top < y < bottom]
        assert beside
        assert min(abs(x - right + NODE_WIDTH / 2) for x in beside) > NODE_WIDTH / 2


def test_layers_are_depths() -> None:
    statements = [statement(0), statement(1, (0,)), statement(2, (0,)), statement(3, (0, 2))]
    assert results_map._depths(statements) == {"a-s0": 0, "a-s1": 1, "a-s2": 1, "a-s3": 2}


def test_arrows_between_chapters_are_told_apart() -> None:
    statements = [statement(0), statement(1, (0,), "book/b")]
    (path,) = [
        p for p in drawn(statements).iter(f"{SVG}path") if p.attrib["class"] != "ib-arrow-head"
    ]
    assert path.attrib["class"] == "ib-edge ib-edge-across"


@pytest.mark.parametrize("status", STATUS)
@pytest.mark.parametrize("provenance", PROVENANCE)
def test_border_and_fill_are_two_channels(status: str, provenance: str) -> None:
    found = Statement("a-t", "theorem", "Limit", "book/a", (), provenance)
    svg = ET.fromstring(as_svg([found], {"a-t": status}, {}, link))
    (node,) = [n for n in svg.iter(f"{SVG}a") if "ib-node" in n.attrib.get("class", "")]
    assert node.attrib["class"].split() == [
        "ib-node", f"ib-{status.replace(' ', '-')}", f"ib-known-{provenance}",
    ]  # fmt: skip


def test_a_node_names_itself_to_a_screen_reader_and_escapes_markup() -> None:
    text = as_svg([statement(0), statement(1, (0,))], {"a-s1": "rate fitted"}, {}, link)
    svg = ET.fromstring(text)
    titles = [title.text for title in svg.iter(f"{SVG}title")]
    assert "Theorem 1 (a longer title of a result & its <limits>). rate fitted" in titles
    assert "<limits>" not in text


def test_a_chapter_is_named_by_its_title() -> None:
    titles = {"book/a": "Descent & <bias>"}
    svg = as_svg([statement(0)], {}, titles, link)
    assert "Descent & <bias>" in [t.text for t in ET.fromstring(svg).iter(f"{SVG}text")]
    words = BeautifulSoup(as_list([statement(0)], {}, titles, link), "html.parser")
    assert words.select_one("h2 a").text == "Descent & <bias>"


def test_a_book_without_statements_has_an_empty_map() -> None:
    assert boxes(drawn([])) == {}
    assert as_list([], {}, {}, link) == ""


def test_the_text_of_a_node_fits_into_it() -> None:
    long = Statement("a-t", "theorem", "word " * 40, "book/a", (), "seen")
    svg = ET.fromstring(as_svg([long], {}, {}, link))
    ((_, top, _, bottom),) = boxes(svg).values()
    lines = [t for t in svg.iter(f"{SVG}text") if t.attrib.get("class") != "ib-map-chapter"]
    assert len(lines) == 4  # its name and three lines of content
    assert all(top < float(t.attrib["y"]) < bottom for t in lines)
    assert max(len(t.text or "") for t in lines) * 6 <= NODE_WIDTH
    assert bottom - top == NODE_HEIGHT


def test_chapters_lean_on_the_chapters_of_what_their_results_lean_on() -> None:
    statements = [
        statement(0, docname="book/a/one"),
        statement(1, (0,), "book/a/one"),
        statement(2, (1,), "book/b/two"),
        statement(3, (0, 2), "book/b/two"),
        statement(4, (2,), "book/b/three"),
    ]
    titles = {f"book/{name}": name.upper() for name in ("a/one", "b/two", "b/three")}
    papers = dict.fromkeys(titles, "author 2020")
    chapters, results = results_map.of_chapters(statements, titles, papers)
    assert [(c.id, c.docname, c.uses) for c in chapters] == [
        ("book/a/one", "book/a/index", ()),
        ("book/b/two", "book/b/index", ("book/a/one",)),
        ("book/b/three", "book/b/index", ("book/b/two",)),
    ]
    assert list(results.values()) == ["1 result", "2 results", "1 result"]
    svg = ET.fromstring(as_svg(chapters, results, {}, link))
    assert len(boxes(svg)) == 3
    assert "Author 2020 (B/TWO). 2 results" in "".join(svg.itertext())
