"""Chapters write nothing outside the build, reach no network, start no program; builds neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import pytest

from ibbook import guard
from ibbook.book import Book
from ibbook.execute import ChapterError, run_notebook

ROOT = Path(__file__).resolve().parents[1]


def cells(*sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


# --- what is refused -----------------------------------------------------------------------------

REACHES = """
import socket
socket.create_connection(("192.0.2.1", 80), timeout=5)
"""

#: What a cell tries, after `home` and `outside` (a file that is there), and what is then said.
TRIES = {
    "writes a file": ("open(home / 'a', 'w')", "writes nothing outside the build: open"),
    "writes by the system": ("os.open(home / 'a', os.O_CREAT | os.O_WRONLY)", "open"),
    "appends": ("outside.open('a')", "open"),
    "writes with NumPy": ("import numpy; numpy.save(home / 'a.npy', [1])", "open"),
    "saves a figure": (
        "import matplotlib.pyplot as plt; plt.figure().savefig(home / 'a.png')",
        "open",
    ),
    "writes beside the source": ("Path('a').write_text('a')", "open"),
    "removes": ("outside.unlink()", "os.remove"),
    "renames": ("outside.rename(home / 'b')", "os.rename"),
    "moves away": ("os.replace(outside, '/tmp/b')", "os.rename"),
    "makes a folder": ("(home / 'folder').mkdir()", "os.mkdir"),
    "links": ("os.symlink('/tmp', home / 'link')", "os.symlink"),
    "writes through a link": (
        "import tempfile; d = tempfile.mkdtemp(); os.symlink(home, d + '/home')\n"
        "open(d + '/home/a', 'w')",
        "open",
    ),
    "truncates": ("os.truncate(outside, 0)", "os.truncate"),
    "connects": (REACHES, "reaches no network: socket.connect 192.0.2.1"),
    "looks a name up": (
        "import urllib.request; urllib.request.urlopen('https://example.org', timeout=5)",
        "reaches no network: socket.getaddrinfo example.org",
    ),
    "starts a program": ("import subprocess; subprocess.run(['true'])", "starts no program"),
    "asks a shell": ("os.system('true')", "starts no program: os.system"),
    "installs": ("%pip install nothing", "starts no program"),
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of every try: all in one kernel, outside the folder of temporary files."""
    home = tmp_path_factory.mktemp("home")
    (home / "outside").write_text("kept")
    temporary = tmp_path_factory.mktemp("temporary")
    before = sorted(home.rglob("*"))
    notebook = cells(
        f"import os\nfrom pathlib import Path\nhome = Path({str(home)!r})\n"
        "outside = home / 'outside'",
        *(source for source, _ in TRIES.values()),
    )
    for cell in notebook.cells:
        cell.metadata.tags = ["raises-exception"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        run_notebook(notebook, home)
    assert sorted(home.rglob("*")) == before, "what is refused has not happened"
    assert (home / "outside").read_text() == "kept"
    said = ["\n".join(str(o.get("evalue", o.get("text", ""))) for o in c.outputs)
            for c in notebook.cells[1:]]  # fmt: skip
    return dict(zip(TRIES, said, strict=True))


@pytest.mark.parametrize("name", TRIES)
def test_a_chapter_is_refused(tried: dict[str, str], name: str) -> None:
    assert TRIES[name][1] in tried[name]


def test_a_refusal_fails_the_chapter(tmp_path: Path) -> None:
    with pytest.raises(ChapterError, match="the build reaches no network"):
        run_notebook(cells(REACHES), tmp_path)


# --- what is allowed -----------------------------------------------------------------------------


def test_a_chapter_may_use_the_build_and_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(guard.VARIABLE, str(tmp_path / "build"))
    run_notebook(
        cells(
            "import os, tempfile, socket\nfrom pathlib import Path\n"
            f"Path(os.environ[{guard.VARIABLE!r}], 'a').mkdir(parents=True)\n"
            "with tempfile.TemporaryFile() as file: file.write(b'a')",
            "open(os.devnull, 'w').write('a')",
            "with socket.create_server(('localhost', 0)) as server:\n"
            "    socket.create_connection(server.getsockname()).close()",
        ),
        tmp_path,
    )
    assert (tmp_path / "build" / "a").is_dir()


# --- a whole build ------------------------------------------------------------------------------

CHAPTER = """# A chapter

```{code-cell} ipython3
import matplotlib.pyplot as plt
import ibcore.margins
print(ibcore.margins.hard_margin([[1.0, 2.0], [2.0, 1.0]]).margin)
```

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line
---
_ = plt.plot([1, 2])
```
"""
#: Imported by every Python that the build starts; writes down who asks for a network.
SITECUSTOMIZE = """
import os, sys
from ibbook import guard
def hook(event, arguments):
    try:
        guard.refuse_network(event, arguments)
    except guard.RefusedError as error:
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{error}\\n")
        raise
sys.addaudithook(hook)
with open(os.environ["ASKED"] + ".started", "a") as file:
    file.write("x")
"""


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change, but for bytecode and the build."""
    skipped = {"__pycache__", "_build"}
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not skipped & set(path.relative_to(folder).parts)
    }


def test_a_build_changes_nothing_but_its_folder_and_asks_for_no_network(
    tmp_path: Path, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> None:
    book = make_book(tmp_path / "book", {"quiet2020-chapter": CHAPTER})
    home, custom = tmp_path / "home", tmp_path / "custom"
    home.mkdir()
    custom.mkdir()
    (custom / "sitecustomize.py").write_text(SITECUSTOMIZE)
    path = [str(custom), str(book.root), str(ROOT / "book" / "_ext")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "JUPYTER_"))}
    environment |= {
        "HOME": str(home),
        "ASKED": str(tmp_path / "asked"),
        "PYTHONPATH": os.pathsep.join(path),
    }
    before = snapshot(book.root)
    command = [sys.executable, "-m", "ibbook", "--root", str(book.root), "build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    started = (tmp_path / "asked.started").read_text()
    assert len(started) >= 3, "the command, Sphinx and the kernel were watched"
    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()
    assert snapshot(book.root) == before
    assert snapshot(home) == {}


def test_sphinx_itself_reaches_no_network(
    tmp_path: Path, make_book: Callable[[Path, Mapping[str, str]], Book]
) -> None:
    book = make_book(tmp_path, {"quiet2020-chapter": "# A page\n"})
    extension = tmp_path / "reaches.py"
    extension.write_text(f"def setup(app):{REACHES}".replace("\n", "\n    "))
    config = (tmp_path / "_config.yml").read_text("utf-8")
    (tmp_path / "_config.yml").write_text(
        config.replace("extra_extensions:", "extra_extensions:\n  - reaches")
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "book" / "_ext")]),
    }
    command = [sys.executable, "-m", "ibbook", "--root", str(book.root), "build"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the build reaches no network: socket.connect 192.0.2.1" in done.stdout + done.stderr
