"""The benchmark runs in quick mode, and its record, fresh or committed, can be read and trusted."""

from __future__ import annotations

import datetime
import importlib.util
import json
import platform
import statistics
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    pytest.importorskip("cvxpy")
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("benchmarks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def quick(benchmark, tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "record.json"
    benchmark.main(["--quick", "--output", str(path)])
    return path


@pytest.fixture(params=["quick", "committed"])
def record(request):
    path = request.getfixturevalue("quick") if request.param == "quick" else FOLDER / "record.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_record_says_where_and_when(record):
    assert record["schema"] == 1
    assert set(record) == {"schema", "quick", "date", "machine", "versions", "comparisons"}
    datetime.date.fromisoformat(record["date"])
    assert set(record["machine"]) == {"cpu", "cores", "system"}
    assert record["machine"]["cores"] >= 1
    assert {"python", "numpy", "scipy", "scikit-learn", "cvxpy"} <= set(record["versions"])


def test_record_names_no_host_and_no_path(record):
    text = json.dumps(record)
    assert platform.node() not in text or len(platform.node()) < 3
    assert not any(part in text for part in ("/home", "/tmp", "/work", "/root", "\\\\"))


def test_each_comparison_has_medians_and_ratios(record):
    assert len(record["comparisons"]) == 5
    for comparison in record["comparisons"]:
        rows = list(comparison["methods"].values())
        assert len(rows) >= 3
        assert rows[0]["times_slower"] == 1.0
        for row in rows:
            assert row["median_s"] == pytest.approx(statistics.median(row["seconds"]), abs=1e-6)
            assert row["times_slower"] == pytest.approx(
                row["median_s"] / rows[0]["median_s"], rel=0.02, abs=2e-3
            )


def test_accuracy_stands_beside_the_time(record):
    flow, *margins, sharpness, solutions = record["comparisons"]
    after = flow["methods"]["descent, then flow"]["difference_from_direct"]
    corrected = flow["methods"]["the same with the correction for discrete steps"]
    assert corrected["difference_from_direct"] < after < 1e-3
    for comparison in margins:
        exact = comparison["methods"]["ibcore.margins.hard_margin"]
        assert exact["violation"] < 1e-13
        for row in comparison["methods"].values():
            assert exact["error"] <= row["error"] < 1e-3
    assert all(row["relative_error"] < 1e-9 for row in sharpness["methods"].values())
    closed, *by_ode = solutions["methods"].values()
    assert closed["relative_error"] < 1e-14
    assert all(closed["relative_error"] < row["relative_error"] < 1e-4 for row in by_ode)


def test_the_committed_record_is_a_full_one():
    record = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
    assert record["quick"] is False
    assert "t = 1e+07" in record["comparisons"][0]["task"]
    assert all(
        len(row["seconds"]) >= 3
        for comparison in record["comparisons"]
        for row in comparison["methods"].values()
    )


def test_table_lists_every_method(benchmark, quick):
    record = json.loads(quick.read_text(encoding="utf-8"))
    text = benchmark.table(record)
    for comparison in record["comparisons"]:
        assert comparison["task"] in text
        assert all(name in text for name in comparison["methods"])


def test_quick_mode_leaves_the_committed_record_alone(benchmark, monkeypatch, capsys):
    before = (FOLDER / "record.json").read_bytes()
    monkeypatch.setattr(benchmark, "measure", lambda quick: {"quick": quick, "comparisons": []})
    benchmark.main(["--quick"])
    capsys.readouterr()
    assert (FOLDER / "record.json").read_bytes() == before
