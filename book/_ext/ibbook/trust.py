"""The page on how the book is checked: committed records, and the ledger, as tables."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ibbook import elsewhere, json_files, ledger, seeds, tables

#: Where `make mutants` and the test of bad input keep their records, from the root.
MUTANTS = Path("tests") / "mutation" / "record.json"
BAD_INPUT = Path("tests") / "reference" / "bad_input.json"


def as_html(kind: str, root: Path, found: Mapping[str, Any]) -> str:
    """One of the tables of the page.

    Parameters
    ----------
    kind : str
        "resolution", "mutants", "seeds", "machines" or "bad-input".
    root : Path
        Root of the book.
    found : mapping
        The ledger.

    Raises
    ------
    ValueError
        There is no table of this kind.
    """
    match kind:
        case "resolution":
            return resolution(found)
        case "mutants":
            return mutants(json_files.read(root / MUTANTS))
        case "seeds":
            return other_seeds(json_files.read(root / seeds.RECORD))
        case "machines":
            return machines(json_files.read(root / elsewhere.RECORD))
        case "bad-input":
            return bad_input(json_files.read(root / BAD_INPUT))
    raise ValueError(
        f"kind: no table {kind!r}; allowed: resolution, mutants, seeds, machines and bad-input"
    )


def resolution(found: Mapping[str, Any]) -> str:
    """How many comparisons notice a prediction changed by so much.

    Parameters
    ----------
    found : mapping
        The ledger.
    """
    asked = len(ledger.two_sided(found))
    rows = []
    for change in (0.001, 0.01, 0.05, 0.2):
        missed = len(ledger.blunt(found, change, change))
        rows.append((f"{100 * change:g} %", f"{asked - missed}", f"{missed}"))
    heads = ("prediction changed by", "comparisons that notice", "that do not")
    return tables.scrolling("What a wrong prediction gets past", heads, rows)


def mutants(record: Mapping[str, Any]) -> str:
    """What became of the mutants of each module.

    Parameters
    ----------
    record : mapping
        As `make mutants` writes it.
    """

    def row(name: str, counts: Mapping[str, Any]) -> tuple[str, ...]:
        keys = ("mutants", "sampled", "tests", "claims", "explained", "survived")
        numbers = (str(counts[key]) for key in keys)
        return (name, *numbers, f"{100 * counts['rate']:.1f} %")

    heads = ("module", "mutants", "drawn", "found by tests", "by claims", "explained", "survived",
             "found or explained")  # fmt: skip
    rows = [row(f"<code>{html.escape(name)}</code>", c) for name, c in record["modules"].items()]
    low, high = record["all"]["interval"]
    return tables.scrolling(
        "Mutants of ibcore", heads, rows, foot=row("together", record["all"])
    ) + (
        f'<p class="ib-small">Recorded on {html.escape(record["date"])}; 95 % interval of the '
        f"share among all: {100 * low:.1f} % to {100 * high:.1f} %; of the explained, "
        f"{record['explained_since']} were explained after they had been drawn and had survived; "
        f"{_versions(record)}.</p>"
    )


def other_seeds(record: Mapping[str, Any]) -> str:
    """What of each chapter rests on draws, and how often it failed with other ones.

    Parameters
    ----------
    record : mapping
        As `make seeds` writes it when asked to.
    """
    heads = ("chapter", "seeds", "claims", "that rest on draws", "comparisons and controls",
             "failures with other seeds")  # fmt: skip
    keys = ("seeds", "claims", "drawn", "comparisons", "failures")

    def row(name: str, counts: Mapping[str, Any]) -> tuple[str, ...]:
        return (name, *(str(counts[key]) for key in keys))

    counted = [{**c, "failures": sum(c["failures"].values())} for c in record["chapters"]]
    slugs = [html.escape(c["chapter"].rpartition("/")[2]) for c in counted]
    rows = [row(f"<code>{slug}</code>", c) for slug, c in zip(slugs, counted, strict=True)]
    foot = row("together", {key: sum(c[key] for c in counted) for key in keys})
    shifts = [str(shift) for shift in record["shifts"] if shift]
    return tables.scrolling("Other random numbers", heads, rows, foot=foot) + (
        f'<p class="ib-small">Recorded on {html.escape(record["date"])}, with {len(shifts)} other '
        f"sets of seeds (<code>SHIFT</code> {', '.join(shifts)}); {_versions(record)}.</p>"
    )


def machines(record: Mapping[str, Any]) -> str:
    """How far the numbers moved in each environment, and what failed there.

    Parameters
    ----------
    record : mapping
        As `make elsewhere` writes it.
    """
    heads = ("environment", "Python", "NumPy", "SciPy", "PyTorch", "claims", "numbers",
             "largest move / allowed", "failures", "same text")  # fmt: skip
    environments = record["environments"]
    same = elsewhere.reprinted(environments)

    def row(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
        packages = ("python", "numpy", "scipy", "torch")
        found = elsewhere.summary(entry)
        return (
            html.escape(name),
            *(html.escape(entry["versions"][package].split("+")[0]) for package in packages),
            str(found["claims"]),
            str(found["numbers"]),
            f"{found['largest']:.2g}",
            str(found["failures"]),
            f"{same[name]} of {len(entry['chapters'])}",
        )

    rows = [row(name, entry) for name, entry in environments.items()]
    dates = sorted({entry["date"] for entry in environments.values()})
    systems = sorted({entry["system"] for entry in environments.values()})
    return tables.scrolling("The same numbers elsewhere", heads, rows) + (
        f'<p class="ib-small">Recorded on {html.escape(" and ".join(dates))}, on '
        f"{html.escape(', '.join(systems))}; the text of a chapter is compared with that of the "
        "first row that has it.</p>"
    )


def bad_input(record: Mapping[str, Any]) -> str:
    """How many bad values each module was given, and refused.

    Parameters
    ----------
    record : mapping
        As the test of bad input writes it.
    """
    heads = ("module", "functions", "arguments", "bad values refused", "odd values allowed")

    def row(name: str, counts: Mapping[str, Any]) -> tuple[str, ...]:
        keys = ("functions", "arguments", "refused", "allowed")
        return (name, *(str(counts[key]) for key in keys))

    rows = [row(f"<code>{html.escape(name)}</code>", c) for name, c in record["modules"].items()]
    return tables.scrolling("Bad input", heads, rows, foot=row("together", record))


def _versions(record: Mapping[str, Any]) -> str:
    return html.escape(", ".join(f"{name} {v}" for name, v in record["versions"].items()))
