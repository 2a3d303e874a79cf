"""One chapter executed once, with its seeds shifted: ``python -m ibbook.trial JOB RESULT``.

A plain process without a kernel, which needs NumPy, torch and the book's own package. It goes on
after a failure: a comparison that does not hold is noted, and so is a cell that raises.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import threadpoolctl
import torch

from ibcore import claims
from ibcore.reports import Report

#: What a call of `default_rng` may carry that is not a seed.
_NOT_SEEDS = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence)


def shifted(seed: int | Sequence[int], shift: int) -> np.random.SeedSequence:
    """The seed that takes the place of another: independent of it, and the same every time.

    Parameters
    ----------
    seed : int or sequence of int
        The seed as a chapter writes it.
    shift : int
        Which replacement, at least 1.
    """
    return np.random.SeedSequence(seed, spawn_key=(shift,))


@contextlib.contextmanager
def other_seeds(shift: int) -> Iterator[set[str]]:
    """Within the context, chapters and `ibcore` draw from shifted seeds; 0 changes nothing.

    Seeds are taken where generators are made, `numpy.random.default_rng` and `torch.manual_seed`.
    Calls from elsewhere, a library's own say, stay as they are, and so does
    ``Generator(PCG64(seed))``, with which stored data name the draw that they belong to.

    Parameters
    ----------
    shift : int
        Which replacement of the seeds.

    Yields
    ------
    set of str
        The seeds met so far.
    """
    met: set[str] = set()
    new_generator, seed_torch = np.random.default_rng, torch.manual_seed

    def default_rng(seed: Any = None) -> np.random.Generator:
        if seed is None or isinstance(seed, _NOT_SEEDS) or not _from_the_book():
            return new_generator(seed)
        met.add(str(seed))
        return new_generator(shifted(seed, shift) if shift else seed)

    def manual_seed(seed: int) -> torch.Generator:
        if not _from_the_book():
            return seed_torch(seed)
        met.add(f"torch {seed}")
        return seed_torch(int(shifted(seed, shift).generate_state(1)[0]) if shift else seed)

    np.random.default_rng, torch.manual_seed = cast(Any, default_rng), manual_seed
    try:
        yield met
    finally:
        np.random.default_rng, torch.manual_seed = new_generator, seed_torch


def _from_the_book() -> bool:
    """Whether the caller's caller is a cell of a chapter or a module of `ibcore`."""
    name = str(sys._getframe(2).f_globals.get("__name__", ""))
    return name == "__main__" or name.split(".")[0] == "ibcore"


@contextlib.contextmanager
def patient_claims() -> Iterator[list[str]]:
    """Within the context, claims note what does not hold instead of raising."""
    noted: list[str] = []

    class Patient(claims.Claim):
        def _refuse(self, message: str) -> None:
            noted.append(message)

    strict = claims.Claim
    claims.Claim = Patient  # type: ignore[misc]
    try:
        yield noted
    finally:
        claims.Claim = strict  # type: ignore[misc]


def run(cells: Sequence[str], shift: int) -> dict[str, Any]:
    """Execute the code cells of a chapter in order, all of them.

    Parameters
    ----------
    cells : sequence of str
        Their sources.
    shift : int
        Which replacement of the seeds; 0 keeps them.

    Returns
    -------
    dict
        JSON-ready: "shift", "seconds", "seeds" (those met), "claims" (the records), "printed" (the
        text of each cell), "problems", each with its "cell" (from 1), "kind" ("claim", "raised" or
        "stderr") and "what", and "kernels", what computed it.
    """
    mpl.use("Agg", force=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    problems, records, printed = [], [], []
    started = time.monotonic()
    with other_seeds(shift) as met, patient_claims() as noted:
        for number, source in enumerate(cells, 1):
            text, noise = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(noise):
                raised, value = _execute(source, names, number)
            plt.close("all")
            if isinstance(value, Report):
                records.append(value.record)
            if value is not None:
                print(repr(value), file=text)
            printed.append(text.getvalue())
            found = [("claim", what) for what in noted] + [("raised", raised)] * bool(raised)
            found += [("stderr", noise.getvalue())] * bool(noise.getvalue())
            problems += [{"cell": number, "kind": kind, "what": what} for kind, what in found]
            noted.clear()
    return {
        "shift": shift,
        "seconds": round(time.monotonic() - started, 1),
        "seeds": sorted(met),
        "claims": records,
        "printed": printed,
        "problems": problems,
        "kernels": kernels(),
    }


def kernels() -> list[str]:
    """The libraries of linear algebra at work in this process, in words."""
    blas = [
        f"OpenBLAS {pool['version']} for {pool['architecture']}, threads: {pool['num_threads']}"
        for pool in threadpoolctl.threadpool_info()
        if pool["internal_api"] == "openblas"
    ]
    capability = torch.backends.cpu.get_cpu_capability()
    return sorted({*blas, f"torch for {capability}, threads: {torch.get_num_threads()}"})


def _execute(source: str, names: dict[str, Any], number: int) -> tuple[str, Any]:
    """Execute a cell; return what it raised, in words, and the value of its last expression."""
    try:
        tree = ast.parse(source)
        last = tree.body[-1] if tree.body else None
        value = None
        if isinstance(last, ast.Expr):
            tree.body.pop()
        exec(compile(tree, f"<cell {number}>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"<cell {number}>", "eval"), names)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[1:]
        places = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in where[-4:])
        return f"{type(error).__name__}: {error} ({places})", None
    return "", value


def main(arguments: Sequence[str]) -> None:
    """Read a job, run it, write its result."""
    job: Mapping[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    result = run(job["cells"], job["shift"])
    Path(arguments[1]).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
