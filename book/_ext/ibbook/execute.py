"""Execute the chapters: once for each state of their code, of `ibcore` and of what is installed.

myst-nb's cache knows a notebook by its code cells alone, so it would go on showing numbers that
an older `ibcore` computed. Here the cache also carries a fingerprint of everything else that
numbers depend on, and is emptied when that changes. Executed notebooks are written beside it with
their outputs: they are what readers download, what nbval compares against, and where the ledger
comes from.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from myst_nb.core.read import read_myst_markdown_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from ibbook import guard
from ibbook.book import Book, commit

#: Seconds that one cell may take; a chapter has a budget of sixty in all.
CELL_TIMEOUT = 600
#: Refuses what a chapter may not do; every kernel runs it first.
GUARD = f"__import__('runpy').run_path({guard.__file__!r}, run_name='<kernel>')"
#: Distributions whose versions are written into the ledger.
SHOWN = ("numpy", "scipy", "torch", "matplotlib", "mlxtend", "ibcore")


class ChapterError(Exception):
    """A chapter that raised, or that wrote to stderr."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that chapters compute with."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in SHOWN if _installed(name)
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def fingerprint(package: Path) -> str:
    """Digest of what a chapter's numbers depend on beyond its own code.

    Parameters
    ----------
    package : Path
        The folder of the package that chapters import.
    """
    digest = hashlib.sha256(sys.version.encode())
    files = (path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc")
    for source in sorted(files):  # modules, and the data that they carry
        digest.update(f"\0{source.relative_to(package)}\0".encode())
        digest.update(source.read_bytes())
    installed = {f"{d.name}=={d.version}" for d in metadata.distributions()}
    digest.update("\n".join(sorted(installed)).encode())
    return digest.hexdigest()


def execute_book(book: Book) -> list[str]:
    """Execute every chapter whose numbers are out of date, with progress on stderr.

    Parameters
    ----------
    book : Book
        The book.

    Returns
    -------
    list of str
        Names of the chapters that were executed.

    Raises
    ------
    ChapterError
        Chapters that failed, all of them named, after every chapter had its turn.
    """
    cache = _fresh_cache(book)
    started, executed, failures = time.monotonic(), [], []
    for number, docname in enumerate(book.chapters, 1):
        notebook = read_chapter(book, docname)
        if not _is_cached(cache, book.cache, notebook):
            label = f"[{number}/{len(book.chapters)}] {docname}"
            try:
                _execute_into(cache, book, docname, notebook, label)
            except ChapterError as error:
                failures.append(f"{docname}: {error}")
                book.notebook(docname).unlink(missing_ok=True)
                continue
            executed.append(docname)
        _publish(cache, book, docname, notebook)
    _forget_removed(book)
    _say(
        f"chapters: {len(book.chapters)} in the book, {len(executed)} executed, "
        f"{len(failures)} failed, {time.monotonic() - started:.0f} s"
    )
    if failures:
        raise ChapterError("\n\n".join(failures))
    return executed


def read_chapter(book: Book, docname: str) -> nbformat.NotebookNode:
    """The notebook of a chapter without outputs, as myst-nb reads it.

    Parameters
    ----------
    book : Book
        The book.
    docname : str
        Name of the chapter.
    """
    source = book.source(docname)
    return read_myst_markdown_notebook(source.read_text(encoding="utf-8"), path=source)


def _fresh_cache(book: Book) -> JupyterCacheAbstract:
    """Open the cache, emptied first where the code or the installation has changed."""
    mark = book.cache / "fingerprint"
    now = fingerprint(book.root / "ibcore")
    if not mark.exists() or mark.read_text() != now:
        shutil.rmtree(book.cache, ignore_errors=True)
        book.cache.mkdir(parents=True)
        mark.write_text(now)
    return get_cache(book.cache)


def _is_cached(cache: JupyterCacheAbstract, folder: Path, notebook: nbformat.NotebookNode) -> bool:
    """Whether the cache has the notebook, whole: a build may have been killed while it wrote."""
    try:
        record = cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    try:
        cache.get_cache_bundle(record.pk)
    except Exception as error:
        _say(f"a notebook in the cache cannot be read, and is executed again ({error!r})")
        shutil.rmtree(folder / "executed" / record.hashkey, ignore_errors=True)
        return False
    return True


def _execute_into(
    cache: JupyterCacheAbstract,
    book: Book,
    docname: str,
    notebook: nbformat.NotebookNode,
    label: str,
) -> None:
    """Execute a notebook and put it into the cache with what the run cost."""
    original = dict(notebook.metadata)
    started = time.monotonic()
    with _progress(label, notebook) as bar, _peak_memory() as peak:
        run_notebook(notebook, book.source(docname).parent, bar)
    seconds = time.monotonic() - started
    _refuse_noise(notebook)
    # The cache knows a notebook by its kernelspec too, so the one of the source stays.
    notebook.metadata.clear()
    notebook.metadata.update(original)
    cost = {
        "execution_seconds": round(seconds, 1),
        "peak_mib": round(peak[0] / 2**20),
        "executed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(book.root),
    }
    bundle = CacheBundleIn(notebook, str(book.source(docname)), data=cost)
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    _say(f"{label}: {seconds:.1f} s, {cost['peak_mib']} MiB")


def run_notebook(notebook: nbformat.NotebookNode, folder: Path, bar: Any = None) -> None:
    """Execute a notebook in place.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook; its outputs are replaced.
    folder : Path
        Working directory of the kernel.
    bar : tqdm, optional
        Advanced by one for each code cell.

    Raises
    ------
    ChapterError
        A cell raised.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        # ipykernel warns of an unencrypted port on localhost at every start.
        extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={GUARD}"],
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=lambda cell, cell_index, execute_reply: bar and bar.update(),
    )
    # The arrays of a chapter are small: a second thread would mostly wait for the first. nbval then
    # runs the chapter with the threads that the machine offers, and has to see the same.
    one_thread = {"OMP_NUM_THREADS": "1", **os.environ}
    # Makes the list of the machine's fonts, for which matplotlib starts a program: no chapter may.
    importlib.import_module("matplotlib.font_manager")
    try:
        client.execute(env=one_thread)
    except CellExecutionError as error:
        raise ChapterError(str(error)) from error


def _refuse_noise(notebook: nbformat.NotebookNode) -> None:
    """A warning in a chapter is a mistake of ours, not something to print at the reader.

    A figure that cannot be drawn raises only when it is shown, which leaves its cell "executed".
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ChapterError(f"a cell wrote to stderr:\n{output['text']}\n{cell.source}")
            if output.get("output_type") == "error":
                what = f"{output['ename']}: {output['evalue']}"
                raise ChapterError(f"an output could not be shown: {what}\n{cell.source}")


@contextmanager
def _progress(label: str, notebook: nbformat.NotebookNode) -> Iterator[Any]:
    """A bar over the code cells; where stderr is no terminal, a line at the start."""
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    if not sys.stderr.isatty():
        _say(f"{label}: executing {cells} cells")
    with tqdm(
        total=cells,
        desc=label,
        unit="cell",
        leave=False,
        disable=None,
        bar_format="{desc} {bar:20} {n_fmt}/{total_fmt} cells, {elapsed}",
    ) as bar:
        yield bar


@contextmanager
def _peak_memory(interval: float = 0.1) -> Iterator[list[int]]:
    """Bytes resident in the child processes (the kernel) at their peak, as the one entry."""
    peak, done, parent = [0], threading.Event(), psutil.Process()

    def resident(process: psutil.Process) -> int:
        try:
            return int(process.memory_info().rss)
        except psutil.Error:
            return 0

    def watch() -> None:
        while not done.wait(interval):
            peak[0] = max(peak[0], sum(map(resident, parent.children(recursive=True))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _publish(
    cache: JupyterCacheAbstract, book: Book, docname: str, notebook: nbformat.NotebookNode
) -> None:
    """Write the executed notebook, unless it is there already to the letter."""
    pk, merged = cache.merge_match_into_notebook(notebook)
    merged.metadata["ibbook"] = dict(cache.get_cache_record(pk).data)
    merged.nbformat_minor = 5
    for number, cell in enumerate(merged.cells):
        cell["id"] = f"cell-{number:03d}"
    text = nbformat.writes(merged)
    path = book.notebook(docname)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written whole or not at all: an interrupted build leaves no half of a notebook.
        draft = path.with_suffix(".tmp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)


def _forget_removed(book: Book) -> None:
    """Delete executed notebooks of chapters that the book no longer has."""
    kept = {book.notebook(docname) for docname in book.chapters}
    for path in book.executed.rglob("*.ipynb"):
        if path not in kept:
            path.unlink()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
