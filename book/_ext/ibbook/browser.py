"""A browser to look at the finished site with: found on the machine, started without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

VARIABLE = "CHROMIUM"
#: Names on the search path; where Chrome lies on a Mac, which puts no application on it.
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
#: The packages of Debian: a bare machine has no fonts.
DEBIAN = ("chromium", "fonts-dejavu-core", "fonts-liberation")
HOW = (
    "No Chromium was found. Install Chromium or Chrome with the tools of your system, or run "
    f"`{sys.executable} -m playwright install --with-deps chromium`, or set {VARIABLE} to the "
    "path of the one to use."
)

_ASK_PLAYWRIGHT = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as p: print(p.chromium.executable_path)"
)


class NoBrowserError(RuntimeError):
    """There is no Chromium on this machine, or none that starts."""


def find() -> Path | None:
    """The Chromium or Chrome to use.

    The environment variable CHROMIUM comes first, then what the search path offers, then the one
    that playwright has installed.

    Returns
    -------
    Path or None
        An executable that has told its version; None where there is none.

    Raises
    ------
    ValueError
        Where CHROMIUM is set to something that is not such an executable.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        named = shutil.which(wanted)
        if named is None or not _answers(named):
            raise ValueError(
                f"{VARIABLE}: {wanted!r} is not a browser that starts; "
                "set it to the executable of a Chromium or Chrome, or unset it"
            )
        return Path(named)
    for name in NAMES:
        found = shutil.which(name)
        if found and _answers(found):
            return Path(found)
    return _of_playwright()


def _answers(executable: str) -> bool:
    """Whether an executable tells a version: some systems put a note in the place of a browser."""
    try:
        done = subprocess.run(
            [executable, "--version"], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _of_playwright() -> Path | None:
    """The Chromium that playwright has downloaded.

    It is asked in a process of its own: playwright refuses a second instance in the same one.
    """
    done = subprocess.run(
        [sys.executable, "-c", _ASK_PLAYWRIGHT], capture_output=True, text=True, check=False
    )
    path = Path(done.stdout.strip())
    return path if done.returncode == 0 and path.is_file() else None


def provide() -> Path:
    """Find a browser, or install one: Debian's where that is allowed, or playwright's.

    Returns
    -------
    Path
        The executable.

    Raises
    ------
    NoBrowserError
        Where there is none and none could be had; the message says how to get one.
    """
    apt = shutil.which("apt-get")
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if apt and os.geteuid() == 0:
        install = [apt, "install", "--yes", "--no-install-recommends", *DEBIAN]
        ways = [[apt, "update"], install, *ways]
    found = find()
    while found is None and ways:
        command = ways.pop(0)
        print("There is no Chromium yet:", *command, flush=True)
        subprocess.run(
            command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False
        )
        found = find()
    if found is None:
        raise NoBrowserError(HOW)
    return found


@contextmanager
def launch() -> Iterator[Browser]:
    """Start the browser that `find` finds, without a window, and close it at the end.

    Yields
    ------
    playwright.sync_api.Browser
        The browser.

    Raises
    ------
    NoBrowserError
        Where there is none; the message says how to get one.
    """
    executable = find()
    if executable is None:
        raise NoBrowserError(HOW)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = _start(playwright, executable)
        try:
            yield browser
        finally:
            browser.close()


def _start(playwright: Playwright, executable: Path) -> Browser:
    """Start an executable, in its sandbox wherever the system lets it have one.

    Chromium refuses its sandbox to root. Where a container or the kernel's settings forbid one to
    everybody else, it goes without too: the only pages it will see are those of this book.
    """
    from playwright.sync_api import Error

    for sandbox in (True, False) if os.geteuid() else (False,):
        try:
            return playwright.chromium.launch(
                executable_path=executable, chromium_sandbox=sandbox, args=["--disable-gpu"]
            )
        except Error as error:
            failure = error
            if "sandbox" not in str(error).lower():
                break
    raise NoBrowserError(f"{executable} does not start. {HOW}") from failure
