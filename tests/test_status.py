"""The page of status: one row a chapter, the sum below, commits and dates as they were."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup

from ibbook import status

COSTS: dict[str, dict[str, Any]] = {
    "book/a/one": {
        "execution_seconds": 12.5,
        "peak_mib": 300,
        "executed_at": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef-dirty",
    },
    "book/a/two": {
        "execution_seconds": 30.0,
        "peak_mib": 200,
        "executed_at": "2026-01-02T03:05:00+00:00",
        "commit": "",
    },
}


def page() -> BeautifulSoup:
    titles = {"book/a/one": "One & only", "book/a/two": "Two"}
    text = status.as_html(COSTS, {"python": "3.11"}, titles, lambda name, _: f"{name}.html")
    return BeautifulSoup(text, "html.parser")


def test_a_row_a_chapter_that_links_to_it() -> None:
    rows = page().select("tbody tr")
    assert [row.a["href"] for row in rows] == ["book/a/one.html", "book/a/two.html"]
    cells = [cell.text for cell in rows[0].select("th, td")]
    assert cells == ["One & only", "12.5", "300", "2026-01-02 03:04 UTC", "0123456789-dirty"]
    assert rows[0].time["datetime"] == "2026-01-02T03:04:05+00:00"
    assert rows[1].code.text == "none"


def test_the_sum_and_the_versions_are_below() -> None:
    foot = [cell.text for cell in page().select("tfoot th, tfoot td")]
    assert foot[:3] == ["together", "42", "at most 300"]
    assert "python 3.11" in page().text
