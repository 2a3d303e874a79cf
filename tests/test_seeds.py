"""Other seeds: what is drawn again and what is not, and that luck is reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from ibbook import __main__ as commands
from ibbook import seeds, trial
from ibbook.book import Book
from ibcore import claims

HOLDS = """
import numpy as np
from ibcore.claims import Claim
sample = np.random.default_rng(0).normal(size=10_000)
claim = Claim("tiny2020-chapter-mean", grade="exact instance", seeds=(0,))
claim.equal("mean", measured=sample.mean(), predicted=0, atol=0.05)
claim.control("another mean", predicted=1)
claim.report()
"""
LUCK = """
lucky = np.random.default_rng(0).normal()
claim = Claim("tiny2020-chapter-luck", grade="exact instance", seeds=(0,))
claim.equal("one draw", measured=lucky, predicted=0.125730221, rtol=1e-6)
claim.control("another number", predicted=0.25)
claim.equal("something true after it", measured=lucky, predicted=lucky, rtol=1e-6)
claim.control("a control that bites for no other seed", measured=lucky + (0.12 < lucky < 0.13))
claim.report()
"""
STORED = """
claim = Claim("tiny2020-chapter-stored", grade="exact instance")
claim.equal("stored", measured=np.random.Generator(np.random.PCG64(0)).normal(),
            predicted=0.125730221, rtol=1e-6)
claim.control("another number", predicted=1)
claim.report()
"""


def drawn(source: str, shift: int) -> list[str]:
    """What a cell that prints its draws printed."""
    result = trial.run([f"import numpy as np, torch\n{source}"], shift)
    assert result["problems"] == []
    return result["printed"]


@pytest.mark.parametrize(
    "source",
    [
        "print(np.random.default_rng(3).normal(size=4))",
        "print(np.random.default_rng([3, 1]).normal(size=4))",
        "print(np.random.default_rng(np.int64(3)).normal(size=4))",
        "_ = torch.manual_seed(3); print(torch.randn(4))",
        "from ibcore.minivlm import Encoder; print(Encoder(1, 3).queries.weight[0, :3])",
    ],
)
def test_a_shift_changes_the_draws_and_the_same_shift_draws_the_same(source: str) -> None:
    book, once, again, other = (drawn(source, shift) for shift in (0, 1, 1, 2))
    assert once == again
    assert len({*book, *once, *other}) == 3


def test_shift_zero_is_the_book_itself() -> None:
    source = "print(np.random.default_rng(3).normal(), torch.manual_seed(3).initial_seed())"
    assert drawn(source, 0) == [f"{np.random.default_rng(3).normal()} 3\n"]


def test_the_same_seed_twice_still_agrees() -> None:
    result = trial.run(
        ["import numpy as np", "a = np.random.default_rng(3).normal(size=4)",
         "b = np.random.default_rng(3).normal(size=4); print((a == b).all())",
         "print(np.random.default_rng(4).normal() in a)"],
        1,
    )  # fmt: skip
    assert result["printed"][2:] == ["True\n", "False\n"]
    assert result["seeds"] == ["3", "4"]


@pytest.mark.parametrize(
    "source",
    [
        "print(np.random.Generator(np.random.PCG64(3)).normal())",
        "print(np.random.default_rng(np.random.SeedSequence(3)).normal())",
        "from scipy import stats; print(stats.uniform.rvs(size=2, random_state=3))",
        "from scipy.stats import qmc; print(qmc.Sobol(1, seed=3).random(2))",
    ],
)
def test_what_is_no_seed_of_the_book_is_left_alone(source: str) -> None:
    assert drawn(source, 0) == drawn(source, 1)


def test_everything_is_as_before_afterwards() -> None:
    before = (np.random.default_rng, torch.manual_seed, claims.Claim)
    trial.run(["1 / 0"], 1)
    assert before == (np.random.default_rng, torch.manual_seed, claims.Claim)


def test_a_claim_without_luck_passes_and_its_numbers_move() -> None:
    runs = [trial.run([HOLDS], shift) for shift in (0, 1, 2)]
    assert [run["problems"] for run in runs] == [[], [], []]
    assert len({run["claims"][0]["comparisons"][0]["measured"][0] for run in runs}) == 3


def test_luck_is_reported_and_hides_nothing_that_follows() -> None:
    assert trial.run([HOLDS, LUCK], 0)["problems"] == []
    result = trial.run([HOLDS, LUCK, "1 / 0", "print('later')"], 1)
    first, second, third = result["problems"]
    assert (first["cell"], first["kind"]) == (2, "claim")
    assert "'one draw' does not hold" in first["what"]
    assert "predicted 0.125730221" in first["what"]
    assert "'a control that bites for no other seed' does not bite" in second["what"]
    assert (third["cell"], third["kind"]) == (3, "raised")
    assert third["what"].startswith("ZeroDivisionError")
    assert result["printed"][-1] == "later\n"
    assert [claim["id"][-4:] for claim in result["claims"]] == ["mean", "luck"]


def test_noise_is_a_failure_as_it_is_in_the_book() -> None:
    cells = ["import sys", "print('careful', file=sys.stderr)", "1 + 1"]
    (problem,) = trial.run(cells, 1)["problems"]
    assert problem == {"cell": 2, "kind": "stderr", "what": "careful\n"}


# --- the command --------------------------------------------------------------------------------


def chapter(*cells: str) -> str:
    return "# A chapter\n\n" + "\n".join(f"```{{code-cell}} ipython3{c}```\n" for c in cells)


@pytest.fixture(scope="module")
def book(
    tmp_path_factory: pytest.TempPathFactory, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> Book:
    """Two chapters: one holds for every seed, one does not."""
    chapters = {"sound": chapter(HOLDS, STORED), "lucky": chapter(HOLDS, LUCK)}
    return make_book(tmp_path_factory.mktemp("small book"), chapters)


@pytest.fixture(scope="module")
def trials(book: Book) -> list[seeds.Trial]:
    return seeds.run(book, book.chapters, [1, 2], jobs=2)


def test_the_report_names_what_fails(trials: list[seeds.Trial]) -> None:
    text = seeds.report(trials)
    assert "book/lucky, shift 1:\n  cell 2, claim: tiny2020-chapter-luck: 'one draw'" in text
    assert "book/sound, shift" not in text
    assert (
        "book/sound: 2 claims (1 rest on draws), 4 comparisons and controls; "
        "failures: 0 under shift 1, 0 under shift 2"
    ) in text
    assert text.splitlines()[-1] == "4 failures in 4 runs of 2 chapters, 4 claims, shifts 1, 2"


def test_the_record_says_how_often_each_chapter_failed(
    book: Book, trials: list[seeds.Trial]
) -> None:
    kept = json.loads(json.dumps(seeds.record(book, trials)))
    assert kept["shifts"] == [1, 2]
    sound, lucky = kept["chapters"]
    assert sound == {
        "chapter": "book/sound", "seeds": 1, "claims": 2, "comparisons": 4, "drawn": 1,
        "failures": {"1": 0, "2": 0},
    }  # fmt: skip
    assert lucky["failures"] == {"1": 2, "2": 2}


def test_a_process_that_dies_is_a_failure(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "TIMEOUT", 0.1)
    (lost,) = seeds.run(book, ["book/sound"], [1], jobs=1)
    assert lost.problems == [
        {"cell": 0, "kind": "died", "what": "the process took longer than 0.1 s"}
    ]
    monkeypatch.setattr(seeds, "TIMEOUT", 100)
    monkeypatch.setattr(seeds.sys, "executable", "/bin/false")
    (lost,) = seeds.run(book, ["book/sound"], [1], jobs=1)
    assert lost.problems[0]["what"] == "the process ended with status 1"


def test_the_command_fails_where_a_claim_does(
    book: Book,
    trials: list[seeds.Trial],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def run(book: Book, docnames: list[str], shifts: list[int], jobs: int) -> list[seeds.Trial]:
        asked.append((docnames, shifts, jobs))
        return [t for t in trials if t.docname in docnames]

    monkeypatch.setattr(seeds, "run", run)
    root = ["--root", str(book.root), "seeds"]
    assert commands.main([*root, "--shift", "1", "2", "--jobs", "3", "--record"]) == 1
    kept = json.loads((book.root / seeds.RECORD).read_text("utf-8"))
    assert [row["chapter"] for row in kept["chapters"]] == book.chapters
    assert commands.main([*root, "--chapters", "book/sound", "--jobs", "1"]) == 0
    assert asked == [(book.chapters, [1, 2], 3), (["book/sound"], [1, 2], 1)]
    assert commands.main([*root, "--chapters", "book/nowhere"]) == 2
    assert commands.main([*root, "--shift", "-1"]) == 2
    assert "book/sound, book/lucky" in capsys.readouterr().err
