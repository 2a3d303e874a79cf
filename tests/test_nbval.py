"""nbval compares: a changed number in a stored output fails, and so `make test` would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from ibbook.execute import run_notebook

ROOT = Path(__file__).resolve().parents[1]

CELLS = [
    "from ibcore.claims import Claim",
    "print('the slope is', 1 / 8)",
    "0.25",
    'claim = Claim("tiny-thm1", grade="exact instance")\n'
    'claim.equal("one", measured=1.0, predicted=1.0, atol=0.1)\n'
    'claim.control("two", measured=2.0)\n'
    "claim.report()",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(CELLS)]
    found = nbformat.v4.new_notebook(cells=cells)
    run_notebook(found, tmp_path_factory.mktemp("kernel"))
    return found


def nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run nbval as the Makefile does."""
    # A variable of the shell that runs the tests is no part of the command.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options(), str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def options() -> list[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    found = re.search(r"^NBVAL = \$\(PY\) -m pytest (.*) _build/executed$", makefile, re.MULTILINE)
    assert found, "the Makefile runs nbval on the executed notebooks"
    return found[1].split()


def test_the_makefile_compares_with_this_environment_and_no_cache() -> None:
    assert {"--nbval", "--nbval-current-env", "no:cacheprovider"} <= set(options())


Change = Callable[[nbformat.NotebookNode], None]


def printed(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[1].outputs[0]["text"] = "the slope is 0.126\n"


def returned(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].outputs[0]["data"]["text/plain"] = "0.26"


def claimed(notebook: nbformat.NotebookNode) -> None:
    data = notebook.cells[3].outputs[0]["data"]
    assert "<td>2</td>" in data["text/html"]
    data["text/html"] = data["text/html"].replace("<td>2</td>", "<td>3</td>")


def test_two_executions_agree_and_a_planted_number_does_not(
    notebook: nbformat.NotebookNode, tmp_path: Path
) -> None:
    changes: dict[str, Change | None] = {
        "sound": None, "printed": printed, "returned": returned, "claimed": claimed,
    }  # fmt: skip
    for name, change in changes.items():
        copied = nbformat.reads(nbformat.writes(notebook), as_version=4)
        if change:
            change(copied)
        nbformat.write(copied, tmp_path / f"{name}.ipynb")
    done = nbval(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = set(re.findall(r"(\w+)\.ipynb::Cell (\d+)", done.stdout.partition("short test")[2]))
    assert failed == {("printed", "1"), ("returned", "2"), ("claimed", "3")}, done.stdout
    for old, new in [("0.126", "0.125"), ("0.26", "0.25"), ("<td>3</td>", "<td>2</td>")]:
        assert old in done.stdout, "the message shows what was stored"
        assert new in done.stdout, "and what came out"


def test_two_executions_agree(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    nbformat.write(notebook, tmp_path / "sound.ipynb")
    done = nbval(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
