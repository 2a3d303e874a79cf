"""The workflows run what the README says, with no more rights than they need."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["test", "weekly", "publish"]


@cache
def workflow(name: str) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(
        (ROOT / f".github/workflows/{name}.yml").read_text("utf-8")
    )
    return content


def triggers(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as the boolean true.
    events: dict[str, Any] = workflow(name)[True]
    return events


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def commands(name: str) -> list[str]:
    return [step["run"] for step in steps(name) if "run" in step]


def test_these_are_all_workflows() -> None:
    assert sorted(path.stem for path in (ROOT / ".github/workflows").iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rights_and_limits(name: str) -> None:
    assert workflow(name)["permissions"] == {"contents": "read"}, (
        "a job that needs more asks for it itself"
    )
    assert "group" in workflow(name)["concurrency"]
    for job in workflow(name)["jobs"].values():
        assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", NAMES)
def test_no_failure_is_swallowed(name: str) -> None:
    text = (ROOT / f".github/workflows/{name}.yml").read_text("utf-8")
    assert "continue-on-error" not in text
    assert "|| true" not in text


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_official_and_of_a_fixed_major_version(name: str) -> None:
    for step in steps(name):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step["uses"]


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    text = (ROOT / f".github/workflows/{name}.yml").read_text("utf-8")
    for target in re.findall(r": make ([a-z]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_test_runs_the_readme_s_command_on_every_supported_python() -> None:
    assert {"push", "pull_request"} <= set(triggers("test"))
    assert "make test PYTHON=python" in commands("test")
    pythons = workflow("test")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13"]
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "requires-python"
    ]
    assert all(SpecifierSet(supported).contains(python) for python in pythons)
    assert not SpecifierSet(supported).contains("3.10")


def test_weekly_takes_the_pinned_the_newest_and_the_oldest() -> None:
    assert "schedule" in triggers("weekly")
    matrix = {
        row["versions"]: row["command"]
        for row in workflow("weekly")["jobs"]["test"]["strategy"]["matrix"]["include"]
    }
    assert matrix["pinned"].startswith("make test")
    assert matrix["newest"].endswith("CONSTRAINTS=")
    assert matrix["oldest"].endswith("CONSTRAINTS=oldest.txt")
    assert any("--resolution lowest-direct" in command for command in commands("weekly"))


def test_weekly_looks_the_pins_up_among_the_known_vulnerabilities() -> None:
    assert workflow("weekly")["jobs"]["audit"]["steps"][-1]["run"] == "make audit PYTHON=python"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"pip-audit .*--requirement constraints\.txt$", makefile, re.MULTILINE)


def test_only_a_tested_push_to_main_is_published() -> None:
    event = triggers("publish")["workflow_run"]
    assert event == {
        "workflows": [workflow("test")["name"]],
        "types": ["completed"],
        "branches": ["main"],
    }
    condition = workflow("publish")["jobs"]["build"]["if"]
    assert "conclusion == 'success'" in condition
    assert "event == 'push'" in condition
    for name in ["site", "notebooks"]:
        assert workflow("publish")["jobs"][name]["needs"] == "build"
