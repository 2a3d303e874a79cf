"""What the README tells a reader to do and to look at is there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def code() -> list[str]:
    """Lines of the README's code blocks, and its code spans."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```\w*\n.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + re.findall(
        r"`([^`\n]+)`", prose
    )


MAKE_COMMANDS = sorted({line for line in code() if line.startswith("make ")})
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a reader would: what an outer make passes on is none of its business."""
    environment = {
        k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_the_two_commands_come_first() -> None:
    first = re.search(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert first
    assert first[1].split("\n") == ["make book", "make test", ""]


@pytest.mark.parametrize("command", MAKE_COMMANDS)
def test_command_exists(command: str) -> None:
    result = make("--dry-run", *command.split()[1:])
    assert result.returncode == 0, result.stderr


def test_every_target_is_in_the_readme_and_in_the_help() -> None:
    assert {command.split()[1] for command in MAKE_COMMANDS} == TARGETS
    listed = make().stdout
    assert all(re.search(rf"^  {target} ", listed, re.MULTILINE) for target in TARGETS)


def test_every_phony_target_is_explained() -> None:
    phony = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE)) - {"FORCE"}
    assert phony == TARGETS


def test_ci_runs_the_readme_s_test_command() -> None:
    lines = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    assert lines[-1] == "make test"


def test_every_top_level_entry_has_a_reason() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    tracked = {Path(name).parts[0] for name in listing.split("\0") if name}
    section = README.split("## What is where")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.{10,}) \|$", section, re.MULTILINE)
    explained = {entry.rstrip("/") for entry, _ in rows}
    assert explained == tracked
    assert len(rows) == len(explained), "an entry is explained twice"


def test_paths_in_the_readme_exist() -> None:
    paths = {span for span in code() if re.fullmatch(r"[\w.]+(/[\w.]+)+", span)}
    built = {path for path in paths if path.startswith("_build/")}
    missing = [path for path in paths - built if not (ROOT / path).exists()]
    assert not missing, missing


def test_one_sentence_a_line() -> None:
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "#"))]
    crowded = [line for line in lines if re.search(r"[a-z)`*][.!?] [A-Z]", line)]
    assert not crowded, crowded
