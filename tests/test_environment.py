"""The files that say what is installed agree, and nothing names a machine or an index."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]

# What conda-forge calls a package that PyPI calls differently.
PYPI_NAMES = {"matplotlib-base": "matplotlib", "pytorch-cpu": "torch"}
# What Binder needs and a virtual environment does not: the interpreter, its installer, and the
# application in which a reader opens a chapter.
CONDA_ONLY = {"python", "pip", "jupyterlab"}


@cache
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def requirements(*extras: str) -> dict[str, Requirement]:
    """Direct dependencies of the package and of `extras`, by canonical name."""
    lines = list(project()["dependencies"])
    for extra in extras:
        lines += project()["optional-dependencies"][extra]
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


@cache
def constraint_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@cache
def pins() -> dict[str, Version]:
    """Versions that constraints.txt pins, by canonical name."""
    split = [line.split("==") for line in constraint_lines()]
    return {canonicalize_name(name): Version(version) for name, version in split}


@cache
def conda_specs() -> dict[str, str]:
    """What environment.yml asks for: name to specifier, as written."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    specs = {}
    for entry in environment["dependencies"]:
        assert isinstance(entry, str), (
            f"environment.yml: only plain entries, no pip section: {entry}"
        )
        match = re.fullmatch(r"([a-z0-9-]+)(.*)", entry)
        assert match, f"environment.yml: cannot read {entry!r}"
        specs[match[1]] = match[2]
    return specs


def lowest(specifiers: SpecifierSet) -> Version | None:
    """Lowest version that `specifiers` name, or None where they set no lower bound."""
    bounds = [
        Version(s.version.removesuffix(".*")) for s in specifiers if s.operator in {">=", "=="}
    ]
    return max(bounds, default=None)


@cache
def tracked_files() -> list[Path]:
    """Files that git keeps, or would keep once they are added."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted({ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()})


def test_every_pin_is_exact_and_bare() -> None:
    # A bare `name==version` carries no host, no hash, no marker and no local version such as
    # `+cpu`, so that any index can satisfy it on any machine.
    for line in constraint_lines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*", line), line
    assert len(pins()) == len(constraint_lines()), "constraints.txt pins a package twice"


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    for name, requirement in requirements("book", "test").items():
        assert name in pins(), f"{name} has no pin: run `make constraints`"
        assert requirement.specifier.contains(pins()[name]), (
            f"{name}: {pins()[name]} is not in {requirement}"
        )


def test_every_direct_dependency_has_a_lower_bound() -> None:
    # Without one, the weekly test of the oldest versions would start in the last decade.
    for name, requirement in requirements("book", "test").items():
        assert lowest(requirement.specifier), f"{name} has no lower bound in pyproject.toml"


def test_the_pins_are_what_runs() -> None:
    """Everything that `make test` has installed is pinned, and at that version."""
    settings = Path(sys.prefix) / ".settings"
    if not settings.exists() or "CONSTRAINTS=constraints.txt" not in settings.read_text("utf-8"):
        pytest.skip("this environment was not installed from constraints.txt")
    installed = {canonicalize_name(d.metadata["Name"]): Version(d.version) for d in distributions()}
    # pip and uv install; they are not part of what is installed.
    for name in set(installed) - {"ibcore", "pip", "uv"}:
        assert name in pins(), f"{name} is installed and has no pin: run `make constraints`"
        assert installed[name].public == pins()[name].public, name


def test_conda_python_is_exact_and_supported() -> None:
    match = re.fullmatch(r"=(3\.\d+)", conda_specs()["python"])
    assert match, "environment.yml: Binder reads only the form python=3.N"
    assert SpecifierSet(project()["requires-python"]).contains(match[1])


def test_conda_has_every_dependency_of_the_package() -> None:
    names = {PYPI_NAMES.get(name, name) for name in conda_specs()}
    assert set(requirements()) <= names


def test_conda_agrees_with_pyproject_and_constraints() -> None:
    declared = requirements("book")
    shared = {
        PYPI_NAMES.get(name, name): spec
        for name, spec in conda_specs().items()
        if name not in CONDA_ONLY
    }
    for name, spec in shared.items():
        specifiers = SpecifierSet(spec)
        assert name in declared, f"environment.yml: {name} is not a dependency in pyproject.toml"
        assert lowest(specifiers) == lowest(declared[name].specifier), (
            f"{name}: the lower bounds differ"
        )
        assert specifiers.contains(pins()[name]), (
            f"{name}: {spec} leaves out the pinned {pins()[name]}"
        )
        ceilings = [Version(s.version) for s in specifiers if s.operator == "<"]
        assert ceilings == [Version(str(pins()[name].major + 1))], (
            f"{name}: the ceiling is the next major version"
        )


def test_conda_channels() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_no_binder_folder() -> None:
    # Binder would read that folder and ignore environment.yml and postBuild.
    assert not (ROOT / "binder").exists()
    assert not (ROOT / ".binder").exists()


@pytest.mark.parametrize("name", ["postBuild", ".ci/run"])
def test_scripts_are_executable_and_strict(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK), f"{name} is not executable"
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"


def imported_modules(folder: Path) -> set[str]:
    """Top-level names of the modules that the files in `folder` import."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("ibcore", []),
        ("book/_ext", ["book"]),
        ("tests", ["book", "test"]),
        ("benchmarks", ["book", "test"]),
        ("training", ["book", "test"]),
    ],
)
def test_what_is_imported_is_declared(folder: str, extras: list[str]) -> None:
    # What another package happens to bring today may be gone with its next version.
    declared = set(requirements(*extras)) | {"ibcore"}
    ours = {path.stem for path in (ROOT / folder).iterdir()} | {"ibbook"}
    installed = packages_distributions()
    for module in imported_modules(ROOT / folder) - ours:
        providers = {canonicalize_name(name) for name in installed.get(module, [module])}
        assert providers & declared, (
            f"{folder} imports {module}, which pyproject.toml does not declare"
        )


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project()["version"]
    assert citation["preferred-citation"]["version"] == project()["version"]
    assert citation["license"] == project()["license"] == "MIT"
    assert citation["preferred-citation"]["license"] == "CC-BY-4.0"
    book = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert citation["title"] == citation["preferred-citation"]["title"] == book["title"]


def test_both_licences_are_named_where_a_reader_looks() -> None:
    for name in ["LICENSE", "README.md"]:
        text = (ROOT / name).read_text("utf-8")
        assert "MIT License" in text, name
        assert "CC BY 4.0" in text, name
        assert "https://creativecommons.org/licenses/by/4.0/" in text, name


# Addresses of package indexes, options that hold one, and absolute paths of somebody's machine.
FOREIGN = re.compile(
    r"""://[\w.-]*(?:pypi|pythonhosted|anaconda|conda\.|npmjs|download\.pytorch)
      | --(?:extra-)?index-url | --find-links | --trusted-host
      | (?<![\w.:/)~-])/(?:root|home|Users|opt|work)/""",
    re.VERBOSE,
)


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("see https://" + "pypi" + ".org/simple", True),
        ("pip install --find" + "-links wheels", True),
        ('open("/' + 'home/me/data.csv")', True),
        ("https://example.org/home/page", False),
        ("book/work/notes.md", False),
    ],
)
def test_the_search_for_machines_finds_them(text: str, foreign: bool) -> None:
    assert bool(FOREIGN.search(text)) is foreign


def test_nothing_names_a_machine_or_an_index() -> None:
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        # Git's own rule for what is not text.
        if b"\0" in content[:8000]:
            continue
        # The pattern that is searched for stands in this file.
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
