"""The command line behind the Makefile: ``python -m ibbook --help``."""

from __future__ import annotations

import argparse
import fcntl
import functools
import http.server
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat

from ibbook import (
    browser,
    downloads,
    elsewhere,
    guard,
    json_files,
    ledger,
    reference,
    repository,
    seeds,
)
from ibbook.book import Book

#: Held while the book is built, so that two builds take turns.
LOCK = ".lock"
REFERENCE = Path("tests") / "reference" / "ledger.json"


def build(book: Book, *, clean: bool = False, printed: bool = False) -> int:
    """Execute what is out of date and build the site; refuse warnings.

    Only a site that is going to be printed offers the PDF. A build that failed or was interrupted
    leaves no mark, and the next one reads every page again: Sphinx reports a page's warnings only
    while it reads it.
    """
    with _alone(book) as lock:
        return _build_alone(book, lock, clean=clean, printed=printed)


@contextmanager
def _alone(book: Book) -> Iterator[int]:
    """Wait until no other build of the book runs; the lock, as an open file.

    The system gives the lock back when the last process that has the file open is gone, killed or
    not: there is no stale lock.
    """
    book.build.mkdir(parents=True, exist_ok=True)
    with (book.build / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another build of this book is running; waiting for it to end.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _build_alone(book: Book, lock: int, *, clean: bool, printed: bool) -> int:
    mark = book.build / ".complete"
    complete = mark.exists()
    # First, so that a build that is killed from here on counts as one that was not completed.
    mark.unlink(missing_ok=True)
    for left in _left_over(book, clean=clean, complete=complete):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    started = time.monotonic()
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(book.root)]
    done = subprocess.run(
        [*command, "-W", "-n", "--keep-going"],
        env=_environment(book) | {downloads.VARIABLE: "1" if printed else ""},
        # Sphinx keeps the lock even when this process alone is killed.
        pass_fds=(lock,),
        check=False,
    )
    if done.returncode:
        print("The book was NOT built; the messages above say why.", file=sys.stderr)
        return done.returncode
    mark.touch()
    print(f"The book is built, in {time.monotonic() - started:.0f} s. Open it at")
    print(f"  {(book.html / 'index.html').as_uri()}")
    return 0


def _left_over(book: Book, *, clean: bool, complete: bool) -> list[Path]:
    """What an earlier build left, and this one must not trust."""
    if clean:
        return [path for path in book.build.iterdir() if path.name != LOCK]
    return [] if complete else [book.html, book.build / ".doctrees"]


def _environment(book: Book) -> dict[str, str]:
    """The environment of a build: this package importable, its tools at home in its folder."""
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, path)), **guard.environment(book.build)}
    return {**os.environ, **own}


def print_pdf(book: Book) -> int:
    """Build the site and print it, before any other build may change it.

    Until the PDF is there the site offers what it lacks, and does not count as complete.
    """
    # Here, because a build does without it, and it takes a second to import.
    from ibbook import printing

    with _alone(book) as lock:
        code = _build_alone(book, lock, clean=False, printed=True)
        if code:
            return code
        mark = book.build / ".complete"
        mark.unlink()
        started = time.monotonic()
        try:
            path = printing.print_book(book)
        except printing.PrintingError as error:
            print(f"The book was NOT printed: {error}", file=sys.stderr)
            return 1
        mark.touch()
    size = path.stat().st_size / 2**20
    print(f"The book is printed, {size:.1f} MiB, in {time.monotonic() - started:.0f} s:")
    print(f"  {path.as_uri()}")
    return 0


def serve(book: Book, port: int) -> int:
    """Serve the finished site on localhost until interrupted."""
    if not (book.html / "index.html").exists():
        print("There is no book yet: run `make book` first.", file=sys.stderr)
        return 1
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(book.html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"Serving the book on http://localhost:{server.server_port}/ (Ctrl-C stops)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def write_reference(book: Book) -> int:
    """Replace the committed reference by the ledger's numbers, saying what moves."""
    new = reference.extract(json_files.read(book.html / "ledger.json"))
    path = book.root / REFERENCE
    old = json_files.read(path) if path.exists() else {}
    for line in reference.differences(old, new):
        print(line)
    json_files.write(new, path)
    print(f"wrote {path.relative_to(book.root)}: {len(new)} claims")
    return 0


def provide_browser() -> int:
    """Find or install a browser for the tests of the site, and see that it starts."""
    try:
        executable = browser.provide()
        with browser.launch() as started:
            print(f"The site is tested in {executable}, version {started.version}")
    except (browser.NoBrowserError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def report_blunt(book: Book, change: float, change_of_rates: float) -> int:
    """Say which comparisons a prediction wrong by so much would get past."""
    current = json_files.read(book.html / "ledger.json")
    sentences = ledger.blunt(current, change, change_of_rates)
    asked = len(ledger.two_sided(current))
    print("\n".join(sentences))
    print(
        f"{len(sentences)} of {asked} comparisons would not notice a prediction changed by "
        f"{100 * change:g} % ({100 * change_of_rates:g} % for rates); bounds and words not counted"
    )
    return 0


def _known(book: Book, chapters: Sequence[str]) -> bool:
    """Whether the book has these chapters; says which it has where it does not."""
    unknown = sorted(set(chapters) - set(book.chapters))
    if unknown:
        print(f"chapters: {', '.join(book.chapters)}; got {unknown}", file=sys.stderr)
    return not unknown


def try_seeds(
    book: Book, shifts: Sequence[int], chapters: Sequence[str], jobs: int, *, keep: bool
) -> int:
    """Execute chapters with other seeds, say what fails, and keep the record if asked."""
    if min(shifts) < 0:
        print(f"shifts: 0 or more; got {shifts}", file=sys.stderr)
        return 2
    if not _known(book, chapters):
        return 2
    trials = seeds.run(book, chapters or book.chapters, shifts, jobs)
    print(seeds.report(trials))
    if keep:
        json_files.write(seeds.record(book, trials), book.root / seeds.RECORD)
    return int(any(trial.problems for trial in trials))


def try_elsewhere(book: Book, chapters: Sequence[str], jobs: int, name: str) -> int:
    """Execute chapters in this environment, hold them against the reference, keep it if named."""
    if not _known(book, chapters):
        return 2
    numbers = json_files.read(book.root / REFERENCE)
    found = elsewhere.run(book, chapters or book.chapters, jobs, numbers)
    print(elsewhere.report(found))
    if name:
        elsewhere.keep(found, name, book.root / elsewhere.RECORD)
    return int(elsewhere.summary(found)["failures"] > 0)


def publish_notebooks(book: Book, target: Path) -> int:
    """Write the executed notebooks as the branch for Colab holds them.

    Each begins with a cell that installs `ibcore` from the repository, since Colab lacks it.
    """
    found = repository.find(book.root)
    if found is None:
        print("Set BOOK_REPOSITORY_URL: the notebooks install ibcore from there.", file=sys.stderr)
        return 1
    for docname in book.chapters:
        notebook = nbformat.read(book.notebook(docname), as_version=4)
        install = nbformat.v4.new_code_cell(f"%pip install -q git+{found.url}@{found.branch}")
        install["id"] = "install"
        notebook.cells.insert(0, install)
        path = target / f"{docname}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
    shutil.copyfile(book.html / "ledger.json", target / "ledger.json")
    print(f"wrote {len(book.chapters)} notebooks to {target}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 only where it succeeded."""
    parser = argparse.ArgumentParser(prog="ibbook", description="Build and keep the book.")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the book")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="execute what is out of date, build the site")
    building.add_argument("--clean", action="store_true", help="throw everything away first")
    commands.add_parser("pdf", help="build the site and print it as one PDF")
    commands.add_parser("preview", help="the same as build, which redoes only what changed")
    serving = commands.add_parser("serve", help="serve the finished site on localhost")
    serving.add_argument("--port", type=int, default=8000)
    commands.add_parser("reference", help="rewrite the committed numbers of the ledger")
    commands.add_parser("browser", help="find a browser for the tests of the site, or install one")
    blunt = commands.add_parser("blunt", help="list what a wrong prediction would get past")
    blunt.add_argument("--change", type=float, default=0.01, help="of the prediction, relative")
    blunt.add_argument("--rates", type=float, default=0.05, help="the same, of fitted rates")
    trying = commands.add_parser("seeds", help="execute the chapters with other seeds")
    trying.add_argument("--shift", type=int, nargs="+", default=[1, 2], help="0: the book's own")
    trying.add_argument("--chapters", nargs="+", default=[], help="all, unless named")
    trying.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    trying.add_argument("--record", action="store_true", help=f"write {seeds.RECORD}")
    moving = commands.add_parser("elsewhere", help="hold the reference against this environment")
    moving.add_argument("--chapters", nargs="+", default=[], help="all, unless named")
    moving.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    moving.add_argument("--record", default="", metavar="NAME", help=f"into {elsewhere.RECORD}")
    notebooks = commands.add_parser("notebooks", help="write the executed notebooks for Colab")
    notebooks.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    book = Book.at(given.root)
    match given.command:
        case "build":
            return build(book, clean=given.clean)
        case "preview":
            return build(book)
        case "pdf":
            return print_pdf(book)
        case "serve":
            return serve(book, given.port)
        case "reference":
            return write_reference(book)
        case "browser":
            return provide_browser()
        case "blunt":
            return report_blunt(book, given.change, given.rates)
        case "seeds":
            return try_seeds(book, given.shift, given.chapters, given.jobs, keep=given.record)
        case "elsewhere":
            return try_elsewhere(book, given.chapters, given.jobs, given.record)
        case _:
            return publish_notebooks(book, given.target)


if __name__ == "__main__":
    sys.exit(main())
