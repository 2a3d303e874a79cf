"""The run: draw a sample, let the judges look, explain, count."""

from __future__ import annotations

import ast
import hashlib
import math
import pickle
import platform
import random
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ibbook import reference
from ibbook.book import Book
from ibbook.execute import read_chapter
from mutation import judges, mutants, processes
from mutation.mutants import Mutant
from mutation.processes import Task

SCHEMA = 1
PACKAGES = ("numpy", "scipy", "torch", "cvxpy", "hypothesis", "pytest")
EXPLAINED = "tests/mutation/explained.toml"
#: A judge is stopped after a start and some times of what it takes on the unchanged package.
START, TIMES = 20.0, 5.0
LEAST = 12  # mutants of each module in a sample, if it has so many

Name = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes
    ----------
    mutant
        The mutant.
    status
        "tests" or "claims", which killed it, "explained" or "survived".
    by
        The test, or the chapter with its cell, or the explanation.
    """

    mutant: Mutant
    status: str
    by: str


STATUSES = ("tests", "claims", "explained", "survived")


def sources(root: Path, modules: Sequence[str] = ()) -> dict[str, str]:
    """The text of the modules of the package.

    Parameters
    ----------
    root
        The repository.
    modules
        Names, without the package; none means all.

    Raises
    ------
    ValueError
        There is no such module.
    """
    folder = root / judges.PACKAGE
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    for name in modules:
        if name not in known:
            raise ValueError(f"modules has {name!r}; allowed: {', '.join(known)}")
    return {name: (folder / f"{name}.py").read_text("utf-8") for name in modules or known}


def files_of_tests(root: Path) -> list[str]:
    """The files of unit tests: one a module, without its leading underscore, and a common one."""
    names = {name.strip("_") for name in sources(root)} | {"bad_input"}
    files = (root / "tests" / f"test_{name}.py" for name in sorted(names))
    return [path.relative_to(root).as_posix() for path in files if path.exists()]


@dataclass(frozen=True)
class Explanation:
    """Why nothing needs to kill a mutant.

    Attributes
    ----------
    why
        In a sentence.
    exact
        Whether it names this one mutant; else it names a statement or a function, and holds for
        those of its mutants that survive.
    """

    why: str
    exact: bool


def explanations(path: Path, all_mutants: Iterable[Mutant]) -> dict[Name, Explanation]:
    """Read the explanations of mutants that nothing needs to kill.

    Parameters
    ----------
    path
        The file: a table `explained` of entries with a module, a function, and, where the reason
        does not hold for the whole function, the statement before and after.
    all_mutants
        Every mutant there is of the modules that are looked at.

    Raises
    ------
    ValueError
        An entry explains mutants that do not exist (any more), or says nothing.
    """
    known = list(all_mutants)
    modules = {mutant.module for mutant in known}
    found: dict[Name, Explanation] = {}
    for entry in tomllib.loads(path.read_text("utf-8")).get("explained", []):
        what = {"function": "", **entry}
        why = what.pop("why", "").strip()
        if not why:
            raise ValueError(f"{path.name} does not say why nothing needs to kill {what}")
        if what["module"] not in modules:
            continue
        meant = [m for m in known if all(getattr(m, key) == what[key] for key in what)]
        if not meant:
            raise ValueError(f"{path.name} explains a mutant that does not exist: {what}")
        found |= {m.name: Explanation(why, "after" in what) for m in meant}
    return found


def sample(found: Mapping[str, Sequence[Mutant]], size: int, seed: int) -> list[Mutant]:
    """Draw mutants of each module, in proportion to how many it has.

    Parameters
    ----------
    found
        All mutants, by module.
    size
        How many in all, about; 0 means all.
    seed
        Of the draw.
    """
    total = sum(map(len, found.values()))
    drawn: list[Mutant] = []
    for module, ones in found.items():
        share = round(size * len(ones) / total) if size else len(ones)
        count = min(len(ones), max(share, LEAST))
        drawn += random.Random(f"{seed} {module}").sample(list(ones), count)
    random.Random(seed).shuffle(drawn)  # so that a run that is stopped has seen all modules
    return drawn


def _spoken(call: Any) -> Any:
    """The value of a call, or its error in words, which can be sent between processes."""
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _store(root: Path, name: str, files: Iterable[Path]) -> Path:
    """Where a result is kept until one of the files changes."""
    own = Path(judges.__file__)
    return root / "_build" / "mutation" / f"{name}-{_digest([*files, own])}.pickle"


def _heard(
    calls: Mapping[str, tuple[Path, Callable[[], Any]]], jobs: int, what: str
) -> dict[str, Any]:
    """What calls return, each in a worker of its own and from where it is kept, if it is."""
    missing = [name for name, (path, _) in calls.items() if not path.exists()]
    tasks = [Task(name, partial(_spoken, calls[name][1]), 3600.0) for name in missing]
    for result in tqdm(processes.run(tasks, jobs), total=len(tasks), desc=what):
        if result.problem or isinstance(result.value, str):
            raise RuntimeError(f"{result.key}: {result.problem or result.value}")
        path = calls[result.key][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(result.value))
    return {name: pickle.loads(path.read_bytes()) for name, (path, _) in calls.items()}


def _package(root: Path) -> list[Path]:
    """The files of the package."""
    return [p for p in (root / "ibcore").rglob("*.*") if "__pycache__" not in p.parts]


def _unchanged(root: Path, test_file: str) -> judges.TestMap:
    """What a file of tests executes, once its tests pass in the order of the judge too."""
    heard = judges.listen_to_tests(root, [test_file])
    module, text = next(iter(sources(root).items()))
    order = sorted(heard.seconds, key=lambda test: heard.seconds[test])
    if failed := judges.by_tests(root, module, ast.parse(text), order):
        raise RuntimeError(f"fails though nothing is changed: {failed}")
    return heard


def unit_tests(root: Path, jobs: int) -> judges.TestMap:
    """What the unit tests execute on the unchanged package."""
    calls = {}
    for name in files_of_tests(root):
        files = [*_package(root), root / "tests" / "conftest.py", root / name]
        calls[name] = (_store(root, Path(name).stem, files), partial(_unchanged, root, name))
    return judges.merged(_heard(calls, jobs, "unchanged").values())


def _judge_by_tests(root: Path, mutant: Mutant, source: str, tests: Sequence[str]) -> str:
    if not tests:
        return ""
    return judges.by_tests(root, mutant.module, mutants.mutate(source, mutant.index), tests)


def round_of_tests(
    root: Path,
    chosen: Sequence[Mutant],
    texts: Mapping[str, str],
    jobs: int,
    minutes: float = math.inf,
) -> dict[Name, str]:
    """Let the unit tests look at mutants, in the order given, and begin none after some minutes.

    Returns
    -------
    dict
        By mutant that was looked at: the test that failed, "timeout", or "" where all passed.
    """
    heard = unit_tests(root, jobs)
    judges.preload(heard.imported)
    named = {mutant.name: mutant for mutant in chosen}
    end = time.monotonic() + 60 * minutes

    def tasks() -> Iterator[Task]:
        for mutant in chosen:
            if time.monotonic() > end:
                return
            tests = heard.tests(mutant.module, *mutant.lines, mutant.at_import)
            call = partial(_judge_by_tests, root, mutant, texts[mutant.module], tests)
            seconds = START + TIMES * sum(heard.seconds.get(test, 0.0) for test in tests)
            yield Task(mutant.name, call, seconds)

    verdicts: dict[Name, str] = {}
    results = processes.run(tasks(), jobs)
    for result in tqdm(results, total=len(chosen), desc="unit tests", unit="mutant"):
        verdicts[result.key] = result.problem or result.value
        if not verdicts[result.key]:
            tqdm.write(as_text(named[result.key]))
    return verdicts


# --- the chapters ---------------------------------------------------------------------------------


def differs(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Say in what the output of a cell differs from that of the unchanged package.

    Parameters
    ----------
    before, after
        What the cell printed, what it showed, and the record of its claim, if it made one.
    """
    if before[0] != after[0] or before[1] != after[1]:
        return "prints something else"
    records = [before[2], after[2]]
    if any(record is None for record in records):
        return "" if records[0] is records[1] else "makes another claim"
    moved = reference.differences(*(reference.extract({"claims": [r]}) for r in records))
    return moved[0] if moved else ""


def chapters(root: Path) -> list[judges.Chapter]:
    """The chapters of the book, as cells of code."""
    book = Book.at(root)
    return [
        judges.Chapter(
            name, tuple(c.source for c in read_chapter(book, name).cells if c.cell_type == "code")
        )
        for name in book.chapters
    ]


def listen_to_chapters(root: Path, jobs: int) -> dict[str, judges.ChapterMap]:
    """What the chapters execute and print on the unchanged package."""
    calls = {}
    for chapter in chapters(root):
        files = [*_package(root), root / f"{chapter.name}.md"]
        path = _store(root, chapter.name.replace("/", "-"), files)
        calls[chapter.name] = (path, partial(judges.listen_to_chapter, root, chapter))
    return _heard(calls, jobs, "chapters")


def _judge_by_chapter(
    root: Path, mutant: Mutant, source: str, chapter: judges.Chapter, outputs: list[list[Any]]
) -> str:
    tree = mutants.mutate(source, mutant.index)
    return judges.by_chapter(root, mutant.module, tree, chapter, outputs, differs)


def round_of_claims(
    root: Path,
    chosen: Sequence[Mutant],
    texts: Mapping[str, str],
    jobs: int,
    minutes: float = math.inf,
) -> dict[Name, str]:
    """Let the chapters look at mutants, the quickest chapter first, and begin none after a while.

    Returns
    -------
    dict
        By mutant: the chapter and the cell, or "" where no chapter found it.
    """
    heard = listen_to_chapters(root, jobs)
    order = sorted(chapters(root), key=lambda chapter: heard[chapter.name].seconds)
    verdicts: dict[Name, str] = {mutant.name: "" for mutant in chosen}
    end = time.monotonic() + 60 * minutes
    for chapter in order:
        known = heard[chapter.name]
        tasks = []
        for mutant in chosen:
            executed = known.lines.get(mutant.module, set())
            first, last = mutant.lines
            if verdicts[mutant.name] or not executed & set(range(first, last + 1)):
                continue
            call = partial(
                _judge_by_chapter, root, mutant, texts[mutant.module], chapter, known.outputs
            )
            tasks.append(Task(mutant.name, call, START + TIMES * known.seconds))
        in_time = takewhile(lambda _: time.monotonic() < end, tasks)
        results = processes.run(in_time, jobs)
        for result in tqdm(results, total=len(tasks), desc=chapter.name, unit="mutant"):
            if found := result.problem or result.value:
                verdicts[result.key] = f"{chapter.name}, {found}"
    return verdicts


# --- the count ------------------------------------------------------------------------------------


def interval(share: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share that was estimated from n draws.

    Parameters
    ----------
    share
        In [0, 1].
    n
        How many draws; that of equal ones where the draws have weights.
    z
        Quantile of the normal law; 1.96 for 95 %.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def count(verdicts: Sequence[Verdict], totals: Mapping[str, int]) -> dict[str, Any]:
    """Count what became of the mutants, by module and in all.

    Parameters
    ----------
    verdicts
        Of the sample.
    totals
        By module: how many mutants it has.
    """
    modules: dict[str, Any] = {}
    for module, total in totals.items():
        tally = Counter(v.status for v in verdicts if v.mutant.module == module)
        modules[module] = {
            "mutants": total,
            "sampled": sum(tally.values()),
            **{status: tally[status] for status in STATUSES},
        }
    return summed(modules)


def summed(modules: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of the modules with their rates, and what follows for the whole package.

    The rate is the share that was killed or explained. A module counts by how many mutants it has,
    not by how many were drawn.

    Parameters
    ----------
    modules
        By module: its counts.
    """
    rows = {
        name: {
            **row,
            "rate": round(1 - row["survived"] / row["sampled"], 4) if row["sampled"] else None,
        }
        for name, row in modules.items()
    }
    seen = {name: row for name, row in rows.items() if row["sampled"]}
    everything = sum(row["mutants"] for row in seen.values())
    weights = {name: row["mutants"] / everything for name, row in seen.items()}

    def share(*statuses: str) -> float:
        return sum(
            weights[name] * sum(row[s] for s in statuses) / row["sampled"]
            for name, row in seen.items()
        )

    rate = 1 - share("survived")
    equal = 1 / sum(weights[name] ** 2 / row["sampled"] for name, row in seen.items())
    return {
        "all": {
            "mutants": everything,
            **{s: sum(row[s] for row in seen.values()) for s in ("sampled", *STATUSES)},
            "rate": round(rate, 4),
            "interval": [round(bound, 4) for bound in interval(rate, equal)],
            "rate_without_explanations": round(share("tests", "claims"), 4),
        },
        "modules": rows,
    }


def explained_since(
    record: Mapping[str, Any], explained: Mapping[Name, Explanation]
) -> dict[str, Any]:
    """A record in which survivors that have been explained since the run are counted so.

    `explained_since` says how many: their explanations were written by somebody who had seen them.

    Parameters
    ----------
    record
        As the run wrote it.
    explained
        The explanations.
    """
    modules = {name: dict(row) for name, row in record["modules"].items()}
    left = []
    for entry in record["survivors"]:
        if tuple(entry.values()) in explained:
            modules[entry["module"]]["survived"] -= 1
            modules[entry["module"]]["explained"] += 1
        else:
            left.append(entry)
    since = record["explained_since"] + len(record["survivors"]) - len(left)
    return {**record, "explained_since": since, **summed(modules), "survivors": left}


def as_entry(mutant: Mutant) -> dict[str, Any]:
    """A mutant as the record and the explanations name it."""
    kept = ("module", "function", "before", "after", "occurrence")
    return {key: value for key, value in asdict(mutant).items() if key in kept}


def as_text(mutant: Mutant) -> str:
    """A mutant as a reader looks at it: its place, the line removed, the line added."""
    place = f"ibcore/{mutant.module}.py:{mutant.lines[0]} {mutant.function}".rstrip()
    return f"{place}\n  - {mutant.before}\n  + {mutant.after}"


def versions() -> dict[str, str]:
    """The versions that the judges ran with."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}}


def table(record: Mapping[str, Any]) -> str:
    """The record as text.

    Parameters
    ----------
    record
        As it is written.
    """
    heads = ("module", "mutants", "sampled", "tests", "claims", "explained", "survived", "rate")
    lines = ["{:<13}{:>8}{:>9}{:>7}{:>8}{:>11}{:>10}{:>8}".format(*heads)]
    for name, row in [*record["modules"].items(), ("all", record["all"])]:
        if row["sampled"]:
            counts = "{:>7}{:>8}{:>11}{:>10}".format(*(row[s] for s in STATUSES))
            numbers = f"{row['mutants']:>8}{row['sampled']:>9}{counts}"
            lines.append(f"{name:<13}{numbers}{100 * row['rate']:>7.1f}%")
    low, high = record["all"]["interval"]
    lines.append(f"95 % interval of the rate: {100 * low:.1f} % to {100 * high:.1f} %")
    return "\n".join(lines)


def judge(
    root: Path,
    chosen: Sequence[Mutant],
    texts: Mapping[str, str],
    explained: Mapping[Name, Explanation],
    *,
    jobs: int,
    claims: bool,
    minutes: float = math.inf,
) -> list[Verdict]:
    """Let the judges look at mutants, the tests first.

    Parameters
    ----------
    root
        The repository.
    chosen
        The mutants.
    texts
        The modules.
    explained
        Mutants that may survive.
    jobs
        How many workers at a time.
    claims
        Whether the chapters are heard too.
    minutes
        After these each of the two rounds begins no more. Mutants that the tests did not look at
        are left out; those that no chapter looked at survive.

    Raises
    ------
    ValueError
        A mutant that is explained is killed: the explanation is wrong.
    """
    by_tests = round_of_tests(root, chosen, texts, jobs, minutes)
    chosen = [mutant for mutant in chosen if mutant.name in by_tests]
    exact = [name for name, explanation in explained.items() if explanation.exact]
    wrong = [f"{name} by {by_tests[name]}" for name in exact if by_tests.get(name)]
    if wrong:
        raise ValueError(f"{EXPLAINED} explains what is killed: {'; '.join(wrong)}")
    left = [m for m in chosen if not by_tests[m.name] and m.name not in explained]
    by_claims = round_of_claims(root, left, texts, jobs, minutes) if claims and left else {}
    verdicts = []
    for mutant in chosen:
        name = mutant.name
        if by_tests[name]:
            verdicts.append(Verdict(mutant, "tests", by_tests[name]))
        elif name in explained:
            verdicts.append(Verdict(mutant, "explained", explained[name].why))
        elif by_claims.get(name):
            verdicts.append(Verdict(mutant, "claims", by_claims[name]))
        else:
            verdicts.append(Verdict(mutant, "survived", ""))
    return verdicts
