"""BibTeX of the book, its chapters and their papers; the index of results by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from ibbook import citing, downloads, results_index
from ibbook.statements import Statement

CITATION = """cff-version: 1.2.0
preferred-citation:
  title: "A title"
  authors:
    - name: "The group"
    - given-names: Ada
      family-names: Lovelace
  year: 2026
  version: 1.2.3
"""
BIBLIOGRAPHY = """@article{one2001,
  title = {One},
}

@misc{two2002,
  title = {{Two} and {a {nested}} brace},
}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "CITATION.cff").write_text(CITATION, encoding="utf-8")
    (tmp_path / "book").mkdir()
    (tmp_path / citing.REFERENCES).write_text(BIBLIOGRAPHY, encoding="utf-8")
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "git@github.com:owner/name.git")
    return tmp_path


def test_the_book_is_cited_as_its_citation_file_says(root: Path) -> None:
    assert citing.of_book(root) == (
        "@book{implicit-bias-executed,\n"
        "  title  = {A title},\n"
        "  author = {{The group} and {Ada Lovelace}},\n"
        "  year   = {2026},\n"
        "  url    = {https://github.com/owner/name},\n"
        "  note   = {Version 1.2.3},\n"
        "}\n"
    )


def test_an_address_that_nobody_knows_is_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "nowhere")
    assert "url" not in citing.of_book(root)


def test_a_chapter_is_part_of_the_book(root: Path) -> None:
    entry = citing.of_chapter(root, "book/part/one2001-chapter", "One, again", "abc123")
    assert list(citing.entries(entry)) == ["implicit-bias-executed:part:one2001-chapter"]
    assert "{One, again}" in entry
    assert "{Version 1.2.3, commit abc123}" in entry
    assert "booktitle = {A title}" in entry


def test_papers_are_taken_as_they_are_written(root: Path) -> None:
    assert citing.of_papers(root, ["two2002"]) == BIBLIOGRAPHY.partition("\n\n")[2]
    with pytest.raises(ValueError, match=r"keys: references\.bib has no entry three2003"):
        citing.of_papers(root, ["one2001", "three2003"])


def test_only_what_is_there_is_offered() -> None:
    without, with_pdf = (downloads.as_html("../", with_pdf=value) for value in (False, True))
    assert "implicit-bias.pdf" not in without
    assert 'href="../implicit-bias.pdf"' in with_pdf
    assert 'href="../ledger.json"' in without


def test_the_index_lists_statements_twice_and_links_both_ways() -> None:
    found = [
        Statement("a-one", "assumption", "1 (the data)", "book/a"),
        Statement("a-two", "theorem", "A limit & more", "book/a", ("a-one",), "derived"),
        Statement("b-three", "theorem", "3 (an end)", "book/b", ("a-two",), "seen"),
    ]
    titles = {"book/a": "Alpha", "book/b": "Beta"}
    text = results_index.as_html(
        found, {"a-two": "rate fitted"}, titles, lambda page, anchor: f"{page}#{anchor}", "ledger"
    )
    soup = BeautifulSoup(text, "html.parser")
    first, second, third = (
        [cell.get_text() for cell in row.select("th, td")]
        for row in soup.select("table.ib-results tbody tr")
    )
    assert first == ["Assumption 1", "the data", "", "a premise", "", "Theorem (A limit & more)"]
    assert second[2:5] == ["derived here", "rate fitted", "Assumption 1"]
    assert second[5] == "Theorem 3, in Beta"
    assert third[4] == "Theorem (A limit & more), in Alpha"
    assert soup.select_one("a.ib-badge")["href"] == "ledger#ledger-a-two"
    assert [h.text for h in soup.select("h3")] == ["D", "E", "L"]
    assert [a.text for a in soup.select(".ib-alphabet a")] == [
        "the data",
        "an end",
        "A limit & more",
    ]
