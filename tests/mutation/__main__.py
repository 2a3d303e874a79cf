"""The command: `python -m mutation`, with `tests` and `book/_ext` on the path."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutation import mutants, run

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).parent / "record.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mutation",
        description="Make small mistakes in ibcore, one at a time, and count those that neither "
        "the unit tests nor the claims of the chapters notice.",
    )
    parser.add_argument("modules", nargs="*", help="modules of ibcore (all)")
    parser.add_argument(
        "--sample", type=int, default=1000, metavar="N",
        help="mutants to draw, spread over the modules; 0 for all (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the draw (%(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="workers at a time (%(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, metavar="M",
        help="begin no mutant after so many, of the tests and again of the chapters (no limit)",
    )  # fmt: skip
    parser.add_argument("--no-claims", action="store_true", help="leave the chapters out")
    parser.add_argument(
        "--again", action="store_true", help="look only at what survived in the record"
    )
    parser.add_argument(
        "--recount", action="store_true",
        help="run nothing; count what has been explained since the record was written",
    )  # fmt: skip
    parser.add_argument(
        "--record", type=Path, default=RECORD, metavar="PATH",
        help="the record: written after a run (of all modules, if it is the committed one), read "
        "by --again (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="print every verdict")
    return parser


def _write(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(run.table(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Of the command line.
    """
    options = _parser().parse_args(arguments)
    try:
        texts = run.sources(ROOT, options.modules)
        found = {name: mutants.find(name, text) for name, text in texts.items()}
        explained = run.explanations(ROOT / run.EXPLAINED, [m for ms in found.values() for m in ms])
        if options.recount:
            record = run.explained_since(json.loads(options.record.read_text("utf-8")), explained)
            _write(options.record, record)
            return 0
        chosen = run.sample(found, options.sample, options.seed)
        if options.again:
            record = json.loads(options.record.read_text("utf-8"))
            names = {tuple(entry.values()) for entry in record["survivors"]}
            chosen = [m for ms in found.values() for m in ms if m.name in names]
        verdicts = run.judge(
            ROOT,
            chosen,
            texts,
            explained,
            jobs=options.jobs,
            claims=not options.no_claims,
            minutes=options.minutes,
        )
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    survivors = [run.as_entry(v.mutant) for v in verdicts if v.status == "survived"]
    result = {
        "schema": run.SCHEMA,
        "date": datetime.date.today().isoformat(),
        "versions": run.versions(),
        "sample": options.sample,
        "seed": options.seed,
        "minutes": options.minutes if math.isfinite(options.minutes) else None,
        "claims_heard": not options.no_claims,
        "explained_since": 0,
        **run.count(verdicts, {name: len(ms) for name, ms in found.items()}),
        "survivors": survivors,
    }
    for verdict in verdicts:
        if options.verbose or verdict.status == "survived":
            killed = "killed by " * (verdict.status in ("tests", "claims"))
            print(f"{killed}{verdict.status}: {verdict.by}\n{run.as_text(verdict.mutant)}")
    whole = not options.modules and not options.again
    if whole or (options.record != RECORD and not options.again):
        _write(options.record, result)
    else:
        print(run.table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
