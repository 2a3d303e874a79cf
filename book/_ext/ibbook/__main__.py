"""The command line behind the Makefile: ``python -m ibbook --help``."""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat

from ibbook import json_files, ledger, reference, repository, seeds
from ibbook.book import Book

REFERENCE = Path("tests") / "reference" / "ledger.json"


def build(book: Book, *, clean: bool = False) -> int:
    """Execute what is out of date and build the site; refuse warnings.

    A build that failed or was interrupted leaves no mark, and the next one reads every page
    again: Sphinx reports a page's warnings only while it reads it.
    """
    mark = book.build / ".complete"
    if clean:
        shutil.rmtree(book.build, ignore_errors=True)
    elif not mark.exists():
        shutil.rmtree(book.html, ignore_errors=True)
        shutil.rmtree(book.build / ".doctrees", ignore_errors=True)
    mark.unlink(missing_ok=True)
    started = time.monotonic()
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(book.root)]
    done = subprocess.run([*command, "-W", "-n", "--keep-going"], env=_environment(), check=False)
    if done.returncode:
        print("The book was NOT built; the messages above say why.", file=sys.stderr)
        return done.returncode
    mark.touch()
    print(f"The book is built, in {time.monotonic() - started:.0f} s. Open it at")
    print(f"  {(book.html / 'index.html').as_uri()}")
    return 0


def _environment() -> dict[str, str]:
    """The environment of a build: this package importable, nothing of it left in the sources."""
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


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


def try_seeds(
    book: Book, shifts: Sequence[int], chapters: Sequence[str], jobs: int, *, keep: bool
) -> int:
    """Execute chapters with other seeds, say what fails, and keep the record if asked."""
    unknown = sorted(set(chapters) - set(book.chapters))
    if unknown or min(shifts) < 0:
        print(
            f"chapters: {', '.join(book.chapters)}; shifts: 0 or more; got {unknown or shifts}",
            file=sys.stderr,
        )
        return 2
    trials = seeds.run(book, chapters or book.chapters, shifts, jobs)
    print(seeds.report(trials))
    if keep:
        json_files.write(seeds.record(book, trials), book.root / seeds.RECORD)
    return int(any(trial.problems for trial in trials))


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
    commands.add_parser("preview", help="the same as build, which redoes only what changed")
    serving = commands.add_parser("serve", help="serve the finished site on localhost")
    serving.add_argument("--port", type=int, default=8000)
    commands.add_parser("reference", help="rewrite the committed numbers of the ledger")
    blunt = commands.add_parser("blunt", help="list what a wrong prediction would get past")
    blunt.add_argument("--change", type=float, default=0.01, help="of the prediction, relative")
    blunt.add_argument("--rates", type=float, default=0.05, help="the same, of fitted rates")
    trying = commands.add_parser("seeds", help="execute the chapters with other seeds")
    trying.add_argument("--shift", type=int, nargs="+", default=[1, 2], help="0: the book's own")
    trying.add_argument("--chapters", nargs="+", default=[], help="all, unless named")
    trying.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    trying.add_argument("--record", action="store_true", help=f"write {seeds.RECORD}")
    notebooks = commands.add_parser("notebooks", help="write the executed notebooks for Colab")
    notebooks.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    book = Book.at(given.root)
    match given.command:
        case "build":
            return build(book, clean=given.clean)
        case "preview":
            return build(book)
        case "serve":
            return serve(book, given.port)
        case "reference":
            return write_reference(book)
        case "blunt":
            return report_blunt(book, given.change, given.rates)
        case "seeds":
            return try_seeds(book, given.shift, given.chapters, given.jobs, keep=given.record)
        case _:
            return publish_notebooks(book, given.target)


if __name__ == "__main__":
    sys.exit(main())
