"""The committed numbers: drift is reported by claim, old and new value."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibbook import __main__ as command
from ibbook import json_files, reference
from ibbook.book import Book


def ledger(measured: float = 1.0, drift: float = 0.01) -> dict[str, Any]:
    comparison = {
        "quantity": "the rate", "relation": "rate", "predicted": [-1.0], "measured": [measured],
        "instances": 1, "drift": drift, "error": 0.0, "tolerance": 0.1, "controls": [],
    }  # fmt: skip
    word = {
        "quantity": "the regime", "relation": "exact", "predicted": ["lazy"], "measured": ["lazy"],
        "instances": 1, "drift": 0.0, "error": 0.0, "tolerance": 0.0, "controls": [],
    }  # fmt: skip
    row = {"id": "tiny-thm1", "status": "rate fitted", "comparisons": [comparison, word]}
    return {"claims": [row], "commit": "abc", "versions": {"numpy": "2.0"}}


OLD = reference.extract(ledger())


def test_nothing_moved() -> None:
    assert reference.differences(OLD, copy.deepcopy(OLD)) == []


def test_versions_commit_and_tolerances_may_move() -> None:
    new = ledger() | {"commit": "def", "versions": {"numpy": "3.0"}}
    new["claims"][0]["comparisons"][0]["tolerance"] = 0.2
    assert reference.differences(OLD, reference.extract(new)) == []


def test_a_number_that_moved_is_named_with_old_and_new_value() -> None:
    assert reference.differences(OLD, reference.extract(ledger(1.5))) == [
        "tiny-thm1: measured 'the rate', instance 1: was 1.0, is 1.5, by 0.5 where 0.01 is allowed"
    ]


@given(st.floats(-0.0099, 0.0099))
def test_what_stays_within_the_drift_is_silent(step: float) -> None:
    assert reference.differences(OLD, reference.extract(ledger(1.0 + step))) == []


@given(st.floats(0.0101, 1e6), st.sampled_from([-1.0, 1.0]))
def test_what_leaves_the_drift_is_reported(step: float, sign: float) -> None:
    assert len(reference.differences(OLD, reference.extract(ledger(1.0 + sign * step)))) == 1


def test_the_drift_of_the_reference_counts_not_that_of_the_new_ledger() -> None:
    assert reference.differences(OLD, reference.extract(ledger(1.5, drift=10.0)))


def test_shares_of_the_drift_are_counted_for_every_value_that_both_have() -> None:
    still = reference.shares(OLD, copy.deepcopy(OLD))
    assert still == [0.0, 0.0, 0.0, 0.0]
    moved = reference.shares(OLD, reference.extract(ledger(1.005)))
    assert sorted(moved) == [0.0, 0.0, 0.0, pytest.approx(0.5)]
    word = copy.deepcopy(OLD)
    comparison(word, "the regime").update(measured=["rich"])
    assert max(reference.shares(OLD, word)) == math.inf
    assert reference.shares(OLD, {}) == reference.shares({}, OLD) == []


def comparison(new: dict[str, Any], quantity: str) -> dict[str, Any]:
    found: dict[str, Any] = new["tiny-thm1"]["comparisons"][quantity]
    return found


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a claim gone": (
        lambda new: new.pop("tiny-thm1"),
        "tiny-thm1: was in the reference, is gone",
    ),
    "a new claim": (
        lambda new: new.update({"tiny-thm2": new["tiny-thm1"]}),
        "tiny-thm2: is new; the reference does not have it",
    ),
    "another status": (
        lambda new: new["tiny-thm1"].update(status="contradicted"),
        "tiny-thm1: status was 'rate fitted', is 'contradicted'",
    ),
    "a quantity gone": (
        lambda new: new["tiny-thm1"]["comparisons"].pop("the rate"),
        "tiny-thm1: 'the rate' is gone",
    ),
    "a new quantity": (
        lambda new: new["tiny-thm1"]["comparisons"].update(more=comparison(new, "the rate")),
        "tiny-thm1: 'more' is new",
    ),
    "another relation": (
        lambda new: comparison(new, "the rate").update(relation="equal"),
        "tiny-thm1: relation of 'the rate' was rate, is equal",
    ),
    "fewer instances": (
        lambda new: comparison(new, "the rate").update(instances=0, measured=[]),
        "tiny-thm1: instances of 'the rate' was 1, is 0",
    ),
    "another word": (
        lambda new: comparison(new, "the regime").update(measured=["rich"]),
        "tiny-thm1: measured 'the regime', instance 1: was lazy, is rich",
    ),
    "another prediction": (
        lambda new: comparison(new, "the rate").update(predicted=[-2.0]),
        "tiny-thm1: predicted 'the rate', instance 1: was -1.0, is -2.0, by 1 where 0.01 is "
        "allowed",
    ),
    "a number that became a boolean": (
        lambda new: comparison(new, "the rate").update(measured=[False]),
        "tiny-thm1: measured 'the rate', instance 1: was 1.0, is False",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_other_change_is_named(change: str) -> None:
    make, expected = CHANGES[change]
    new = copy.deepcopy(OLD)
    make(new)
    assert reference.differences(OLD, new) == [expected]


def test_dump_and_load_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reference" / "ledger.json"
    json_files.write(OLD, path)
    assert json_files.read(path) == OLD
    assert path.read_text("utf-8").endswith("}\n")


def test_the_command_says_what_moves_and_replaces_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = Book.at(tmp_path)
    for value, expected in [(1.0, "tiny-thm1: is new"), (1.5, "was 1.0, is 1.5")]:
        json_files.write(ledger(value), book.html / "ledger.json")
        assert command.write_reference(book) == 0
        assert expected in capsys.readouterr().out
    kept = json_files.read(tmp_path / command.REFERENCE)
    assert kept == reference.extract(ledger(1.5))
