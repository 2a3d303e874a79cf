"""The page of benchmarks: the committed record of `make bench` as tables."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ibbook import tables
from ibcore.reports import number

#: Where `benchmarks/run.py` writes its record, from the root of the book.
RECORD = Path("benchmarks") / "record.json"


def as_html(record: Mapping[str, Any]) -> str:
    """A record as tables, one a comparison, with the machine and the versions below.

    Parameters
    ----------
    record : mapping
        As `benchmarks/run.py` writes it.
    """
    machine, versions = record["machine"], record["versions"]
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    tables = "\n".join(_table(comparison) for comparison in record["comparisons"])
    return (
        f'{tables}<p class="ib-small">Recorded on {html.escape(record["date"])}, '
        f"{html.escape(machine['cpu'])}, {machine['cores']} cores; {html.escape(made)}.</p>"
    )


def _table(comparison: Mapping[str, Any]) -> str:
    methods = comparison["methods"]
    accuracy = [key for key in next(iter(methods.values())) if key not in _TIMES]
    heads = ("method", "median seconds", "times the first", *map(_words, accuracy))
    rows = [
        (
            html.escape(name),
            number(m["median_s"]),
            number(m["times_slower"]),
            *(_shown(m[key]) for key in accuracy),
        )
        for name, m in methods.items()
    ]
    return tables.scrolling(comparison["task"], heads, rows, caption=True)


_TIMES = ("seconds", "median_s", "times_slower")


def _words(key: str) -> str:
    return key.replace("_", " ")


def _shown(value: float | None) -> str:
    return "" if value is None else number(value, 2)
