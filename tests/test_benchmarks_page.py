"""The page of benchmarks shows the committed record, and nothing that was not measured."""

import re
from pathlib import Path

from ibbook import benchmarks, json_files

ROOT = Path(__file__).parents[1]
RECORD = json_files.read(ROOT / benchmarks.RECORD)


def test_every_measured_method_has_a_row() -> None:
    page = benchmarks.as_html(RECORD)
    methods = [name for c in RECORD["comparisons"] for name in c["methods"]]
    assert len(re.findall(r'<th scope="row">', page)) == len(methods)
    assert all(name in page for name in methods)


def test_machine_and_versions_stand_below() -> None:
    page = benchmarks.as_html(RECORD)
    assert RECORD["machine"]["cpu"] in page
    assert all(f"{name} {version}" in page for name, version in RECORD["versions"].items())


def test_what_was_not_measured_is_left_empty() -> None:
    method = {"seconds": [1.0], "median_s": 1.0, "times_slower": 1.0, "error": None}
    page = benchmarks.as_html(
        {**RECORD, "comparisons": [{"task": "a < b", "methods": {"one": method}}]}
    )
    assert "<td></td>" in page
    assert "a &lt; b" in page
