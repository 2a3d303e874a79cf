"""Other machines: whether the committed reference holds where the chapters are executed otherwise.

Another Python, other versions, other kernels of linear algebra or more threads: each chapter runs
in a process of its own (`ibbook.trial`) with the seeds of the book, and every number that it claims
is held against the reference. The built book is not touched: results lie in ``_build/elsewhere``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ibbook import json_files, reference, seeds
from ibbook.book import Book, commit
from ibbook.execute import versions

#: Where the record that the book shows is committed, from its root.
RECORD = Path("benchmarks") / "machines.json"
SCHEMA = 1
#: What runs of chapters, of one commit or several, have in common that are shown as one.
_SAME = ("versions", "system", "settings")
#: Where an object without a better name lies in memory.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
#: Environment variables that choose threads or kernels; those that are set are recorded.
SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "NPY_DISABLE_CPU_FEATURES",
)


def run(
    book: Book, docnames: Sequence[str], jobs: int, numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """Execute chapters as they are, and hold their numbers against the reference.

    Parameters
    ----------
    book : Book
        The book.
    docnames : sequence of str
        The chapters.
    jobs : int
        How many processes may run at a time.
    numbers : mapping
        The committed reference.

    Returns
    -------
    dict
        JSON-ready: what is here ("system", "settings", "kernels", "versions"), and the "chapters".
    """
    apart = Book.at(book.root, book.build / "elsewhere")
    here = commit(book.root)
    trials = seeds.run(apart, docnames, [0], jobs)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "system": f"{platform.system()} {platform.machine()}",
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "kernels": sorted({kernel for t in trials for kernel in t.result["kernels"]}),
        "chapters": [{"commit": here, **_judged(trial, numbers)} for trial in trials],
    }


def _judged(trial: seeds.Trial, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What came of one chapter: how far its numbers moved, and whatever does not hold."""
    slug = trial.docname.rpartition("/")[2]
    old = {label: row for label, row in numbers.items() if label.startswith(f"{slug}-")}
    new = reference.extract({"claims": trial.result["claims"]})
    moved = reference.shares(old, new)
    printed = _ADDRESS.sub("", json.dumps(trial.result["printed"])).encode()
    return {
        "chapter": trial.docname,
        "claims": len(set(old) & set(new)),
        "numbers": len(moved),
        # What may not move at all is among the failures where it does.
        "largest": float(f"{max(filter(math.isfinite, moved), default=0.0):.2g}"),
        "printed": hashlib.sha256(printed).hexdigest()[:16],
        "failures": [f"cell {p['cell']}, {p['kind']}: {p['what']}" for p in trial.problems]
        + reference.differences(old, new),
    }


def summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What came of all chapters together: "claims", "numbers", "largest" and "failures".

    Parameters
    ----------
    entry : mapping
        As `run` returns it.
    """
    rows = entry["chapters"]
    counts = {key: sum(row[key] for row in rows) for key in ("claims", "numbers")}
    return {
        **counts,
        "largest": max(row["largest"] for row in rows),
        "failures": sum(len(row["failures"]) for row in rows),
    }


def reprinted(environments: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many chapters print the same, to the letter, as in the first environment that ran them.

    Parameters
    ----------
    environments : mapping
        By name, as `run` returns them.
    """
    texts: dict[str, str] = {}
    for entry in environments.values():
        for row in entry["chapters"]:
            texts.setdefault(row["chapter"], row["printed"])
    return {
        name: sum(texts[row["chapter"]] == row["printed"] for row in entry["chapters"])
        for name, entry in environments.items()
    }


def report(entry: Mapping[str, Any]) -> str:
    """What fails, chapter by chapter, and how far the numbers moved.

    Parameters
    ----------
    entry : mapping
        As `run` returns it.
    """
    lines = [*entry["kernels"]]
    for row in entry["chapters"]:
        lines.append(
            f"{row['chapter']}: {row['claims']} claims, {row['numbers']} numbers, the largest move "
            f"{row['largest']:g} of what is allowed; failures: {len(row['failures'])}"
        )
        lines += [f"  {failure}" for failure in row["failures"]]
    found = summary(entry)
    lines.append(
        f"{found['failures']} failures in {found['claims']} claims and {found['numbers']} numbers; "
        f"the largest move is {found['largest']:g} of what is allowed"
    )
    return "\n".join(lines)


def keep(entry: Mapping[str, Any], name: str, path: Path) -> None:
    """Put an environment into the record, in the place of one of the same name if there is one.

    Chapters that were not run again are kept where they were run in the very same environment.

    Parameters
    ----------
    entry : mapping
        As `run` returns it.
    name : str
        What the environment is, in a few words.
    path : Path
        The record.
    """
    environments = json_files.read(path)["environments"] if path.exists() else {}
    before = environments.get(name, {})
    if all(before.get(key) == entry[key] for key in _SAME):
        rows = {row["chapter"]: row for row in (*before["chapters"], *entry["chapters"])}
        kernels = sorted({*before["kernels"], *entry["kernels"]})
        entry = {**entry, "kernels": kernels, "chapters": list(rows.values())}
    json_files.write({"schema": SCHEMA, "environments": {**environments, name: entry}}, path)
