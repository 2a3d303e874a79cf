"""The commands behind the Makefile that need no build: publish, serve, reference."""

import json
import threading
import urllib.request
from pathlib import Path

import nbformat
import pytest

from ibbook import __main__ as commands
from ibbook import printing
from ibbook.book import Book


@pytest.fixture
def finished(make_book, tmp_path: Path) -> Book:
    """A book as a build leaves it: an executed notebook, a page, a ledger."""
    book = make_book(tmp_path, {"tiny2020-chapter": "# Tiny\n"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    for docname in book.chapters:
        book.notebook(docname).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, book.notebook(docname))
    book.html.mkdir(parents=True)
    (book.html / "index.html").write_text("<p>the book</p>")
    (book.html / "ledger.json").write_text(json.dumps({"claims": []}))
    return book


def test_published_notebooks_install_the_package_first(
    finished: Book, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://github.com/owner/name")
    assert finished.chapters
    assert commands.publish_notebooks(finished, tmp_path / "out") == 0
    for docname in finished.chapters:
        published = nbformat.read(tmp_path / "out" / f"{docname}.ipynb", as_version=4)
        nbformat.validate(published)
        assert published.cells[0].source == (
            "%pip install -q git+https://github.com/owner/name@main"
        )
        assert published.cells[1].source == "1 + 1"
    assert (tmp_path / "out" / "ledger.json").exists()


def test_nothing_is_published_without_an_address(
    finished: Book, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("BOOK_REPOSITORY_URL", raising=False)
    assert commands.publish_notebooks(finished, tmp_path / "out") == 1
    assert "BOOK_REPOSITORY_URL" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_reference_is_written_and_says_what_moves(finished: Book, capsys) -> None:
    path = finished.root / commands.REFERENCE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"gone-claim": {"status": "corroborated", "comparisons": {}}}))
    assert commands.write_reference(finished) == 0
    assert json.loads(path.read_text()) == {}
    assert "gone-claim: was in the reference, is gone" in capsys.readouterr().out


def test_the_site_is_served_on_localhost(finished: Book, monkeypatch) -> None:
    served: dict[str, str] = {}
    start = commands.http.server.ThreadingHTTPServer.serve_forever

    def once(server) -> None:
        thread = threading.Thread(target=start, args=(server,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(address, timeout=10) as page:
            served[server.server_address[0]] = page.read().decode()
        server.shutdown()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.http.server.ThreadingHTTPServer, "serve_forever", once)
    assert commands.serve(finished, 0) == 0
    assert served == {"127.0.0.1": "<p>the book</p>"}


def test_there_is_nothing_to_serve_before_a_build(make_book, tmp_path: Path, capsys) -> None:
    assert commands.serve(make_book(tmp_path, {}), 0) == 1
    assert "make book" in capsys.readouterr().err


def test_commands_are_dispatched(monkeypatch) -> None:
    called = []
    monkeypatch.setattr(commands, "build", lambda book, clean=False: called.append(clean) or 0)
    assert commands.main(["build"]) == commands.main(["preview"]) == 0
    assert commands.main(["build", "--clean"]) == 0
    assert called == [False, False, True]


def test_a_site_that_offers_a_pdf_without_having_one_is_built_afresh(
    finished: Book, monkeypatch, capsys
) -> None:
    def build(book: Book, lock: int, *, clean: bool, printed: bool) -> int:
        assert printed
        assert not clean
        (book.build / ".complete").touch()
        return 0

    def fail(book: Book) -> None:
        raise printing.PrintingError("there is no browser")

    monkeypatch.setattr(commands, "_build_alone", build)
    monkeypatch.setattr(printing, "print_book", fail)
    assert commands.main(["--root", str(finished.root), "pdf"]) == 1
    assert "NOT printed: there is no browser" in capsys.readouterr().err
    assert not (finished.build / ".complete").exists()


def test_blunt_comparisons_are_counted(finished: Book, capsys) -> None:
    assert commands.main(["--root", str(finished.root), "blunt", "--change", "0.02"]) == 0
    assert "0 of 0 comparisons" in capsys.readouterr().out
