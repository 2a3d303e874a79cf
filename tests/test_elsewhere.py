"""Other machines: what is held against the reference, what is reported, what is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ibbook import __main__ as commands
from ibbook import elsewhere, json_files, trial
from ibbook.book import Book

CELL = """
from ibcore.claims import Claim
claim = Claim("{name}-value", grade="exact instance")
claim.equal("the value", measured=1.25, predicted=1.25, rtol=0.1)
claim.control("another value", predicted=2)
claim.report()
"""
NAMES = ("one2020-a", "two2020-a")


def chapter(*cells: str) -> str:
    return "# A chapter\n\n" + "\n".join(f"```{{code-cell}} ipython3\n{c}\n```\n" for c in cells)


def numbers(measured: float = 1.25) -> dict[str, Any]:
    """A reference in which both chapters have measured this."""
    value = {"relation": "equal", "predicted": [1.25], "measured": [measured], "instances": 1,
             "drift": 0.0125}  # fmt: skip
    row = {"status": "corroborated", "comparisons": {"the value": value}}
    return {f"{name}-value": copy.deepcopy(row) for name in NAMES}


@pytest.fixture(scope="module")
def book(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> Book:
    """Two chapters with a claim each, and with an object whose address is never the same."""
    chapters = {name: chapter(CELL.format(name=name), "object()") for name in NAMES}
    small = make_book(tmp_path_factory.mktemp("small book"), chapters)
    json_files.write(numbers(), small.root / commands.REFERENCE)
    return small


@pytest.fixture(scope="module")
def found(book: Book) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_CORETYPE", "Nehalem")
        return elsewhere.run(book, book.chapters, 2, numbers(1.255))


def test_every_number_is_held_against_the_reference(found: dict[str, Any]) -> None:
    assert [row["chapter"] for row in found["chapters"]] == [f"book/{name}" for name in NAMES]
    for row in found["chapters"]:
        assert (row["claims"], row["numbers"], row["failures"]) == (1, 2, [])
        assert row["largest"] == pytest.approx(0.4)
    assert elsewhere.summary(found) == {
        "claims": 2, "numbers": 4, "largest": pytest.approx(0.4), "failures": 0,
    }  # fmt: skip
    assert elsewhere.report(found).splitlines()[-1] == (
        "0 failures in 2 claims and 4 numbers; the largest move is 0.4 of what is allowed"
    )


def test_what_computed_is_recorded(found: dict[str, Any]) -> None:
    assert found["settings"]["OPENBLAS_CORETYPE"] == "Nehalem"
    assert any(kernel.startswith("torch for ") for kernel in found["kernels"])
    assert found["versions"]["numpy"]
    assert trial.kernels() == sorted(trial.kernels())


def test_what_moved_too_far_or_is_gone_fails(book: Book) -> None:
    reference = numbers(1.3)
    reference["two2020-a-gone"] = reference["two2020-a-value"]
    reference["three2020-a-elsewhere"] = reference["one2020-a-value"]
    found = elsewhere.run(book, book.chapters, 2, reference)
    one, two = found["chapters"]
    moved = "measured 'the value', instance 1: was 1.3, is 1.25, by 0.05 where 0.0125 is allowed"
    assert one["failures"] == [f"one2020-a-value: {moved}"]
    gone = "two2020-a-gone: was in the reference, is gone"
    assert two["failures"] == [gone, f"two2020-a-value: {moved}"]
    assert one["largest"] == pytest.approx(4)
    assert f"  {gone}" in elsewhere.report(found).splitlines()


def test_a_claim_that_fails_here_is_a_failure(
    make_book: Callable[[Path, Mapping[str, str]], Book], tmp_path: Path
) -> None:
    book = make_book(tmp_path, {"three2020-a": chapter("1 / 0")})
    (row,) = elsewhere.run(book, book.chapters, 1, {})["chapters"]
    (failure,) = row["failures"]
    assert failure.startswith("cell 1, raised: ZeroDivisionError")
    assert (row["numbers"], row["largest"]) == (0, 0.0)


def test_printed_text_is_compared_without_addresses(book: Book, found: dict[str, Any]) -> None:
    again = elsewhere.run(book, book.chapters, 2, numbers())
    part = {"chapters": found["chapters"][:1]}
    assert elsewhere.reprinted({"a": part, "b": again}) == {"a": 1, "b": 2}
    again["chapters"][0]["printed"] = "else"
    assert elsewhere.reprinted({"a": part, "b": again}) == {"a": 1, "b": 1}


def test_a_record_replaces_what_it_has_of_the_same_name_and_keeps_the_order(
    found: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "machines.json"
    later = {**found, "system": "later", "chapters": found["chapters"][:1]}
    for name, entry in (("a", found), ("b", found), ("a", later)):
        elsewhere.keep(entry, name, path)
    kept = json_files.read(path)["environments"]
    assert list(kept) == ["a", "b"]
    assert [entry["system"] for entry in kept.values()] == ["later", found["system"]]
    assert [len(entry["chapters"]) for entry in kept.values()] == [1, 2]


def test_chapters_of_one_environment_can_be_recorded_one_at_a_time(
    found: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "machines.json"
    one, two = found["chapters"]
    for kernel, row in (("x", one), ("y", two), ("x", {**one, "largest": 0.7, "commit": "z"})):
        elsewhere.keep({**found, "kernels": [kernel], "chapters": [row]}, "a", path)
    kept = json_files.read(path)["environments"]["a"]
    assert kept["kernels"] == ["x", "y"]
    rows = kept["chapters"]
    assert [row["chapter"] for row in rows] == [one["chapter"], two["chapter"]]
    assert [row["largest"] for row in rows] == [0.7, two["largest"]]
    assert [row["commit"] for row in rows] == ["z", two["commit"]]


def test_the_command_fails_where_a_number_has_moved(
    book: Book,
    found: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def run(book: Book, docnames: list[str], jobs: int, reference: Any) -> dict[str, Any]:
        assert reference == numbers()
        asked.append((docnames, jobs))
        return entry

    monkeypatch.setattr(elsewhere, "run", run)
    root = ["--root", str(book.root), "elsewhere"]
    entry = found
    assert commands.main([*root, "--jobs", "3", "--record", "here"]) == 0
    assert list(json_files.read(book.root / elsewhere.RECORD)["environments"]) == ["here"]
    entry = {**found, "chapters": [{**found["chapters"][0], "failures": ["moved"]}]}
    assert commands.main([*root, "--chapters", f"book/{NAMES[0]}", "--jobs", "1"]) == 1
    assert asked == [(book.chapters, 3), ([f"book/{NAMES[0]}"], 1)]
    assert commands.main([*root, "--chapters", "book/nowhere"]) == 2
    assert f"book/{NAMES[0]}, book/{NAMES[1]}" in capsys.readouterr().err
