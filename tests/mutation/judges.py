"""The judges: the unit tests of `ibcore`, and the chapters with their claims.

Each is first heard on the unchanged package, with coverage, to know which tests and which chapters
execute which lines, and what they take. Both run in a forked worker, into whose import of the
package the mutant is put.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import coverage
import pytest
from hypothesis import Phase, settings

PACKAGE = "ibcore"

Lines = dict[str, set[int]]
"""Lines that were executed, by module."""


# --- putting a mutant into the package ------------------------------------------------------------


class _Loader(SourceFileLoader):
    """Loads a module from a tree instead of its file."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self.tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, loader: _Loader) -> None:
        self.loader = loader

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.loader.name:
            return None
        return spec_from_file_location(fullname, self.loader.path, loader=self.loader)


def install(root: Path, module: str, tree: ast.Module) -> None:
    """Let the next import of a module of the package find this tree.

    Parameters
    ----------
    root
        The repository.
    module
        Name of the module, without the package.
    tree
        Its mutated code.
    """
    name = f"{PACKAGE}.{module}"
    sys.meta_path.insert(0, _Finder(_Loader(name, str(root / PACKAGE / f"{module}.py"), tree)))


def _use(root: Path) -> None:
    """Let the package be imported anew, from this repository."""
    os.chdir(root)
    sys.path.insert(0, str(root))
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


def preload(names: Iterable[str]) -> None:
    """Import what the judges will need, except the package, the tests and what tests them.

    Parameters
    ----------
    names
        Names of modules.
    """
    ours = {PACKAGE, "conftest", "tests", "mutation", "__main__", "ibbook"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name.split(".")[0] not in ours and not name.startswith("test_"):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _modules(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / PACKAGE).glob("*.py") if path.stem != "__init__")


def _coverage(root: Path) -> coverage.Coverage:
    return coverage.Coverage(
        data_file=None, config_file=False, include=[str(root / PACKAGE / "*.py")]
    )


# --- the unit tests -------------------------------------------------------------------------------


@dataclass
class TestMap:
    """Which test executes which lines, and how long it takes.

    Attributes
    ----------
    seconds
        Of processor time, by test.
    lines
        By module and line: the tests.
    imported
        By module: names that were imported at the end.
    """

    __test__ = False

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    imported: list[str] = field(default_factory=list)

    def tests(self, module: str, first: int, last: int, at_import: bool) -> list[str]:
        """Return the tests that a mutant of these lines can fail, in the order to run them.

        The tests of the module itself come first, then the other files, the quick ones before the
        slow ones. What acts on import concerns all tests that execute anything of the module.

        Parameters
        ----------
        module
            Name of the module, without the package.
        first, last
            The lines.
        at_import
            Whether they are executed by the import.
        """
        executed = self.lines.get(module, {})
        chosen: set[str] = set()
        for line, names in executed.items():
            if at_import or first <= line <= last:
                chosen |= names
        if IMPORT in chosen:
            chosen = set().union(*executed.values())
        by_file: dict[str, float] = {}
        for name in chosen:
            by_file[_file(name)] = by_file.get(_file(name), 0.0) + self.seconds.get(name, 0.0)
        home = f"tests/test_{module.strip('_')}.py"
        chosen.discard(IMPORT)
        return sorted(
            chosen,
            key=lambda name: (
                _file(name) != home,
                by_file[_file(name)],
                _file(name),
                self.seconds.get(name, 0.0),
            ),
        )


IMPORT = "(import)"


def _file(test: str) -> str:
    return test.split("::")[0]


class _Quiet:
    """No shrinking and no memory of earlier failures: one failing example is enough."""

    def pytest_collection(self) -> None:
        quick = settings(phases=(Phase.explicit, Phase.generate), database=None)
        settings.register_profile("mutation", quick)
        settings.load_profile("mutation")


class _Only(_Quiet):
    """Runs given tests in a given order, and notes the first failure."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {name: position for position, name in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order),
            key=lambda item: self.order[item.nodeid],
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


class _Watch(_Quiet):
    """Notes the lines and the time of each test, and of the fixtures that tests share."""

    def __init__(self, cover: coverage.Coverage) -> None:
        self.cover = cover
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, set[str]] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        self.cover.switch_context(f"file {collector.nodeid}")
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for cached in _caches():
            cached.cache_clear()
        for name in getattr(item, "fixturenames", ()):
            self.fixtures.setdefault(f"fixture {_file(item.nodeid)} {name}", set()).add(item.nodeid)
        self.cover.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        item = request._pyfuncitem.nodeid
        self.cover.switch_context(f"fixture {_file(item)} {fixturedef.argname}")
        result = yield
        self.cover.switch_context(item)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def tests(self, context: str) -> set[str]:
        """Return the tests that a context of the coverage stands for."""
        if context in self.seconds:
            return {context}
        if context.startswith("fixture "):
            return self.fixtures.get(context, set())
        path = context.removeprefix("file ")
        if path.endswith(".py"):
            return {name for name in self.seconds if _file(name) == path}
        return {IMPORT}


def _caches() -> Iterator[Any]:
    """Functions of the package that remember results; each test should compute its own."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{PACKAGE}."):
            yield from (v for v in vars(module).values() if hasattr(v, "cache_clear"))


def _pytest(root: Path, files: Iterable[str], plugin: object, *options: str) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = ["-p", "no:cacheprovider", "-q", "--tb=no", f"--rootdir={root}", *options]
    with contextlib.redirect_stdout(io.StringIO()):
        return int(pytest.main([*arguments, *files], plugins=[plugin]))


def listen_to_tests(root: Path, files: Sequence[str]) -> TestMap:
    """Run the unit tests on the unchanged package.

    Parameters
    ----------
    root
        The repository.
    files
        The files of tests, relative to it.

    Raises
    ------
    RuntimeError
        A test fails before anything is changed.
    """
    _use(root)
    cover = _coverage(root)
    watch = _Watch(cover)
    cover.start()
    cover.switch_context(IMPORT)
    for module in _modules(root):
        importlib.import_module(f"{PACKAGE}.{module}")
    code = _pytest(root, files, watch)
    cover.stop()
    if code:
        raise RuntimeError(f"the unchanged package fails: {watch.failed or f'exit status {code}'}")
    data = cover.get_data()
    found = TestMap(seconds=watch.seconds, imported=sorted(sys.modules))
    for path in data.measured_files():
        found.lines[Path(path).stem] = {
            line: set().union(*(watch.tests(context) for context in contexts))
            for line, contexts in data.contexts_by_lineno(path).items()
        }
    return found


def merged(maps: Iterable[TestMap]) -> TestMap:
    """Return the map of several files of tests together.

    Parameters
    ----------
    maps
        One a file.
    """
    together = TestMap()
    for one in maps:
        together.seconds |= one.seconds
        together.imported = sorted({*together.imported, *one.imported})
        for module, lines in one.lines.items():
            known = together.lines.setdefault(module, {})
            for line, names in lines.items():
                known[line] = known.get(line, set()) | names
    return together


def by_tests(root: Path, module: str, tree: ast.Module, tests: Sequence[str]) -> str:
    """Return the first test that fails on a mutant, "" where all pass.

    Parameters
    ----------
    root
        The repository.
    module, tree
        The mutant.
    tests
        The tests to run, in this order.
    """
    _use(root)
    install(root, module, tree)
    only = _Only(tests)
    code = _pytest(root, dict.fromkeys(map(_file, tests)), only, "-x")
    if code == 0:
        return ""
    return only.failed or f"exit status {code}"


# --- the chapters ---------------------------------------------------------------------------------

Compare = Callable[[list[Any], list[Any]], str]


@dataclass(frozen=True)
class Chapter:
    """The code cells of a chapter."""

    name: str
    cells: tuple[str, ...]


@dataclass
class ChapterMap:
    """What a chapter executes, takes and prints on the unchanged package."""

    seconds: float
    lines: Lines
    outputs: list[list[Any]]


def _run_cells(chapter: Chapter) -> Iterator[list[Any]]:
    """Execute the cells of a chapter; yield what each prints, shows and claims."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    warnings.simplefilter("error")
    for number, source in enumerate(chapter.cells):
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            exec(compile(tree, f"<cell {number}>", "exec"), scope)
            value = None
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), f"<cell {number}>", "eval"), scope)
        record = getattr(value, "record", None)
        shown = "" if value is None or " at 0x" in repr(value) else repr(value)
        yield [text.getvalue(), shown, record]


def listen_to_chapter(root: Path, chapter: Chapter) -> ChapterMap:
    """Execute a chapter on the unchanged package.

    Parameters
    ----------
    root
        The repository.
    chapter
        Its cells.
    """
    _use(root)
    cover = _coverage(root)
    start = time.process_time()
    cover.start()
    outputs = list(_run_cells(chapter))
    cover.stop()
    data = cover.get_data()
    lines = {Path(path).stem: set(data.lines(path) or ()) for path in data.measured_files()}
    return ChapterMap(time.process_time() - start, lines, outputs)


def by_chapter(
    root: Path,
    module: str,
    tree: ast.Module,
    chapter: Chapter,
    outputs: list[list[Any]],
    compare: Compare,
) -> str:
    """Return how a chapter finds a mutant, "" where it does not.

    Parameters
    ----------
    root
        The repository.
    module, tree
        The mutant.
    chapter
        The chapter.
    outputs
        What its cells print on the unchanged package.
    compare
        Says in what the output of a cell differs.
    """
    _use(root)
    install(root, module, tree)
    number = -1
    try:
        for number, output in enumerate(_run_cells(chapter)):
            if difference := compare(outputs[number], output):
                return f"cell {number + 1}: {difference}"
    except Exception as error:
        return f"cell {number + 2}: {type(error).__name__}"
    return ""
