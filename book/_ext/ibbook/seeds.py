"""Other seeds: whether every claim holds when every random number of the book is another one.

Each chapter runs in a process of its own (`ibbook.trial`), with its seeds replaced. Nothing of the
built book is touched: jobs and results lie in ``_build/seeds``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from ibbook import json_files
from ibbook.book import Book, commit
from ibbook.execute import read_chapter, versions

#: Seconds that a chapter may take; its budget in the book is sixty.
TIMEOUT = 900
#: Where the record that the book shows is committed, from its root.
RECORD = Path("benchmarks") / "seeds.json"
SCHEMA = 1


@dataclass(frozen=True)
class Trial:
    """One chapter under one replacement of its seeds.

    Parameters
    ----------
    docname : str
        The chapter.
    result : dict
        As `ibbook.trial.run` returns it.
    """

    docname: str
    result: dict[str, Any]

    @property
    def shift(self) -> int:
        """Which replacement of the seeds; 0 is the book itself."""
        return int(self.result["shift"])

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What does not hold, raises or writes to stderr."""
        return list(self.result["problems"])

    @property
    def values(self) -> dict[str, str]:
        """All numbers of each claim as one word, to see whether another draw moves them."""
        return {
            claim["id"]: json.dumps([(c["measured"], c["predicted"]) for c in claim["comparisons"]])
            for claim in self.result["claims"]
            if claim["comparisons"]
        }

    @property
    def comparisons(self) -> int:
        """The comparisons and controls that were evaluated."""
        return sum(
            1 + len(c["controls"]) for row in self.result["claims"] for c in row["comparisons"]
        )


def run(book: Book, docnames: Sequence[str], shifts: Iterable[int], jobs: int) -> list[Trial]:
    """Execute chapters under each replacement of their seeds, some at a time.

    Parameters
    ----------
    book : Book
        The book.
    docnames : sequence of str
        The chapters.
    shifts : iterable of int
        The replacements; 0 keeps the seeds.
    jobs : int
        How many processes may run at a time.

    Returns
    -------
    list of Trial
        Shift by shift, the chapters in the order given.
    """
    pairs = [(docname, shift) for shift in shifts for docname in docnames]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda pair: _try(book, *pair), pairs))


def _try(book: Book, docname: str, shift: int) -> Trial:
    place = book.build / "seeds" / f"shift-{shift}" / docname
    job, result = place.with_suffix(".job.json"), place.with_suffix(".json")
    code = [c.source for c in read_chapter(book, docname).cells if c.cell_type == "code"]
    json_files.write({"cells": code, "shift": shift}, job)
    result.unlink(missing_ok=True)
    path = [str(book.root), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    command = [sys.executable, "-m", "ibbook.trial", str(job), str(result)]
    folder, log, died = book.source(docname).parent, "", ""
    try:
        done = subprocess.run(command, cwd=folder, env=environment, timeout=TIMEOUT,
                              capture_output=True, text=True, check=False)  # fmt: skip
        log = done.stderr[-2000:]
        died = f"the process ended with status {done.returncode}" * bool(done.returncode)
    except subprocess.TimeoutExpired:
        died = f"the process took longer than {TIMEOUT} s"
    trial = Trial(docname, _lost(shift, died, log) if died else json_files.read(result))
    found = f"{len(trial.problems)} failures" if trial.problems else "all hold"
    print(f"shift {shift}, {docname}: {found}", file=sys.stderr, flush=True)
    return trial


def _lost(shift: int, why: str, log: str) -> dict[str, Any]:
    """The result of a trial that left none."""
    problem = {"cell": 0, "kind": "died", "what": f"{why}\n{log}".strip()}
    return {"shift": shift, "seconds": 0.0, "seeds": [], "claims": [], "printed": [],
            "problems": [problem], "kernels": []}  # fmt: skip


def summary(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """What came of each chapter, in the order of the book, JSON-ready.

    "claims" and "comparisons" are those of one run, controls counted; "drawn" are the claims whose
    numbers differ between the shifts, None where there is only one.

    Parameters
    ----------
    trials : sequence of Trial
        As `run` returns them.
    """
    order = {trial.docname: None for trial in trials}
    by_chapter = {name: [t for t in trials if t.docname == name] for name in order}
    return [
        {
            "chapter": docname,
            "seeds": max(len(t.result["seeds"]) for t in runs),
            "claims": max(len(t.values) for t in runs),
            "comparisons": max(t.comparisons for t in runs),
            "drawn": len(moved(runs)) if len(runs) > 1 else None,
            "failures": {str(t.shift): len(t.problems) for t in runs},
        }
        for docname, runs in by_chapter.items()
    ]


def moved(runs: Sequence[Trial]) -> set[str]:
    """The claims whose numbers are not the same in all runs of a chapter.

    Parameters
    ----------
    runs : sequence of Trial
        Of one chapter.
    """
    labels = set().union(*(t.values for t in runs))
    return {label for label in labels if len({t.values.get(label) for t in runs}) > 1}


def report(trials: Sequence[Trial]) -> str:
    """What fails, chapter by chapter, and a table of how many.

    Parameters
    ----------
    trials : sequence of Trial
        As `run` returns them.
    """
    lines = []
    failing = [(t.docname, t.shift, p) for t in trials for p in t.problems]
    failing.sort(key=lambda entry: entry[:2])
    for (docname, shift), group in groupby(failing, key=lambda entry: entry[:2]):
        lines.append(f"{docname}, shift {shift}:")
        lines += [f"  cell {p['cell']}, {p['kind']}: {p['what']}" for _, _, p in group]
    rows = summary(trials)
    for row in rows:
        counts = ", ".join(f"{n} under shift {s}" for s, n in row["failures"].items())
        drawn = "" if row["drawn"] is None else f" ({row['drawn']} rest on draws)"
        lines.append(
            f"{row['chapter']}: {row['claims']} claims{drawn}, {row['comparisons']} comparisons "
            f"and controls; failures: {counts}"
        )
    shifts = sorted({t.shift for t in trials})
    lines.append(
        f"{len(failing)} failures in {len(trials)} runs of {len(rows)} chapters, "
        f"{sum(row['claims'] for row in rows)} claims, shifts {', '.join(map(str, shifts))}"
    )
    return "\n".join(lines)


def record(book: Book, trials: Sequence[Trial]) -> dict[str, Any]:
    """What is committed of a run, JSON-ready.

    Parameters
    ----------
    book : Book
        The book.
    trials : sequence of Trial
        As `run` returns them.
    """
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(book.root),
        "versions": versions(),
        "shifts": sorted({trial.shift for trial in trials}),
        "chapters": [row for row in summary(trials) if row["claims"]],  # not the opening pages
    }
