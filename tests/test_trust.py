"""The tables of the page on how the book is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from ibbook import elsewhere, json_files, tables, trust

ROOT = Path(__file__).resolve().parents[1]
COMPARISON = {"relation": "equal", "quantity": "a", "resolution": 0.02, "unit": "relative",
              "predicted": [1.0]}  # fmt: skip


def cells(text: str) -> list[list[str]]:
    rows = BeautifulSoup(text, "html.parser").select("tr")
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows]


def test_a_table_scrolls_is_named_and_heads_its_rows() -> None:
    text = tables.scrolling("A < B", ["x", "y & z"], [["<b>1</b>", "2"]], foot=["3", "4"])
    soup = BeautifulSoup(text, "html.parser")
    assert soup.div["aria-label"] == "A < B"
    assert soup.div["tabindex"] == "0"
    assert cells(text) == [["x", "y & z"], ["1", "2"], ["3", "4"]]
    assert [th["scope"] for th in soup.find_all("th")] == ["col", "col", "row", "row"]
    assert soup.caption is None
    shown = tables.scrolling("A < B", ["x"], [["1"]], caption=True)
    assert BeautifulSoup(shown, "html.parser").caption.get_text() == "A < B"


def test_mutants_are_counted_by_module_and_together() -> None:
    counts = {"mutants": 30, "sampled": 20, "tests": 15, "claims": 3, "explained": 1,
              "survived": 1, "rate": 0.95}  # fmt: skip
    record = {
        "date": "2026-01-01",
        "versions": {"python": "3.12.0"},
        "explained_since": 1,
        "modules": {"flow": counts},
        "all": {**counts, "interval": [0.9, 0.975]},
    }
    text = trust.mutants(record)
    assert cells(text)[1] == ["flow", "30", "20", "15", "3", "1", "1", "95.0 %"]
    assert cells(text)[2] == ["together", "30", "20", "15", "3", "1", "1", "95.0 %"]
    assert "90.0 % to 97.5 %; of the explained, 1 were explained after" in text
    assert "had survived; python 3.12.0." in text


def test_bad_input_is_counted() -> None:
    counts = {"functions": 2, "arguments": 5, "refused": 40, "allowed": 1}
    text = trust.bad_input({**counts, "modules": {"losses": counts}})
    assert cells(text)[1:] == [[name, "2", "5", "40", "1"] for name in ("losses", "together")]


def test_other_seeds_are_summed_over_shifts_and_chapters() -> None:
    chapter = {"seeds": 3, "claims": 20, "drawn": 15, "comparisons": 90}
    record = {
        "date": "2026-01-01",
        "versions": {"python": "3.12.0"},
        "shifts": [0, 8, 9],
        "chapters": [
            {"chapter": "book/part/first", **chapter, "failures": {"0": 0, "8": 0, "9": 2}},
            {"chapter": "book/part/<next>", **chapter, "failures": {"0": 0, "8": 1, "9": 0}},
        ],
    }
    text = trust.other_seeds(record)
    assert cells(text)[1:] == [
        ["first", "3", "20", "15", "90", "2"],
        ["<next>", "3", "20", "15", "90", "1"],
        ["together", "6", "40", "30", "180", "3"],
    ]
    assert "with 2 other sets of seeds (<code>SHIFT</code> 8, 9); python 3.12.0." in text


def test_machines_are_summed_over_chapters_and_compared_with_the_first() -> None:
    versions = {"python": "3.11.7", "numpy": "2.4.6", "scipy": "1.17.1", "torch": "2.13.0+cpu"}
    row = {"chapter": "a", "claims": 2, "numbers": 30, "largest": 0.0, "printed": "x",
           "failures": []}  # fmt: skip
    here = {"date": "2026-01-01", "system": "Linux", "versions": versions,
            "chapters": [row, {**row, "chapter": "b"}]}  # fmt: skip
    other = {**row, "chapter": "b", "largest": 0.123, "printed": "y", "failures": ["p", "q"]}
    there = {**here, "date": "2026-01-02", "chapters": [row, other]}
    text = trust.machines({"environments": {"here": here, "<there>": there}})
    known = ["3.11.7", "2.4.6", "1.17.1", "2.13.0", "4", "60"]
    assert cells(text)[1:] == [
        ["here", *known, "0", "0", "2 of 2"],
        ["<there>", *known, "0.12", "2", "1 of 2"],
    ]
    assert "Recorded on 2026-01-01 and 2026-01-02, on Linux" in text


def test_resolution_counts_what_notices() -> None:
    found = {"claims": [{"id": "a", "comparisons": [COMPARISON]}]}
    assert cells(trust.resolution(found))[1:] == [
        ["0.1 %", "0", "1"], ["1 %", "0", "1"], ["5 %", "1", "0"], ["20 %", "1", "0"],
    ]  # fmt: skip


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(
        ValueError, match="kind: no table 'luck'; allowed: resolution, mutants, seeds, machines"
    ):
        trust.as_html("luck", ROOT, {})


@pytest.mark.parametrize("path", [trust.MUTANTS, trust.BAD_INPUT, elsewhere.RECORD], ids=str)
def test_the_committed_records_can_be_shown(path: Path) -> None:
    assert json_files.read(ROOT / path)
