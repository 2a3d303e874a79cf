"""The browser that the site is looked at with: found, installed, started, or asked for in words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ibbook import __main__ as commands
from ibbook import browser


@pytest.fixture
def bare(tmp_path: Path, monkeypatch) -> Path:
    """A machine without a browser; the folder is all that its search path holds."""
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "NAMES", ("chromium", "google-chrome"))
    monkeypatch.setattr(browser, "_of_playwright", lambda: None)
    return tmp_path


def executable(path: Path, status: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_first_on_the_path_that_answers_is_taken(bare: Path) -> None:
    assert browser.find() is None
    chrome = executable(bare / "google-chrome")
    assert browser.find() == chrome
    # Ubuntu puts a note there that says how to get one.
    chromium = executable(bare / "chromium", status=1)
    assert browser.find() == chrome
    executable(chromium)
    assert browser.find() == chromium


def test_what_is_named_comes_before_the_path(bare: Path, monkeypatch) -> None:
    executable(bare / "chromium")
    monkeypatch.setenv(browser.VARIABLE, str(executable(bare / "mine")))
    assert browser.find() == bare / "mine"


@pytest.mark.parametrize("name", ["gone", "broken"])
def test_what_is_named_must_start(bare: Path, monkeypatch, name: str) -> None:
    executable(bare / "chromium")
    executable(bare / "broken", status=1)
    monkeypatch.setenv(browser.VARIABLE, str(bare / name))
    with pytest.raises(ValueError, match=r"CHROMIUM: .*is not a browser that starts; set it"):
        browser.find()


def test_playwright_s_own_comes_last(bare: Path, monkeypatch) -> None:
    monkeypatch.setattr(browser, "_of_playwright", lambda: bare / "own")
    assert browser.find() == bare / "own"
    executable(bare / "chromium")
    assert browser.find() == bare / "chromium"


@pytest.mark.parametrize(
    ("user", "helps", "expected"),
    [
        (0, "install", ["update", "install"]),
        (0, "playwright", ["update", "install", "playwright"]),
        (1000, "playwright", ["playwright"]),
    ],
)
def test_a_browser_is_installed(
    bare: Path, monkeypatch, user: int, helps: str, expected: list[str]
) -> None:
    executable(bare / "apt-get")
    asked: list[str] = []

    def run(command, **_):
        asked.append("playwright" if "playwright" in command else command[1])
        if asked[-1] == helps:
            executable(bare / "chromium")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(browser.os, "geteuid", lambda: user)
    monkeypatch.setattr(browser, "_answers", lambda executable: True)
    monkeypatch.setattr(browser.subprocess, "run", run)
    assert browser.provide() == bare / "chromium"
    assert asked == expected


def test_without_one_the_error_says_how_to_get_it(bare: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(browser.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(
        browser.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1)
    )
    with pytest.raises(browser.NoBrowserError, match="playwright install"), browser.launch():
        pass
    assert commands.main(["browser"]) == 1
    assert "Install Chromium or Chrome" in capsys.readouterr().err


def test_one_that_does_not_start_is_named(bare: Path) -> None:
    broken = executable(bare / "chromium")
    with pytest.raises(browser.NoBrowserError, match=f"{broken} does not start"), browser.launch():
        pass


def test_it_starts(capsys) -> None:
    assert commands.main(["browser"]) == 0
    assert "version" in capsys.readouterr().out
