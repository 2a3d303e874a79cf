"""What a chapter may not do: write outside the build, reach a network, start a program.

The kernel of every chapter runs this file before its first cell (see `ibbook.execute`), and the
process that builds the site calls `refuse_network`. An audit hook cannot be taken away again, and
Python asks it before it acts: what is refused has not happened, and the chapter fails by name.

It holds honest code to its word; it is no sandbox against hostile code.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: The environment variable with the folder of the build.
VARIABLE = "IBBOOK_BUILD"

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
#: Events that change the file system, and which of their arguments are paths.
_CHANGES = {
    "os.chmod": (0,), "os.chown": (0,), "os.link": (0, 1), "os.mkdir": (0,), "os.remove": (0,),
    "os.rename": (0, 1), "os.rmdir": (0,), "os.symlink": (1,), "os.truncate": (0,),
    "os.utime": (0,),
}  # fmt: skip
_PROGRAMS = {"os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "subprocess.Popen"}
_HOSTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOPBACK = ("localhost", "127.", "::1")


class RefusedError(RuntimeError):
    """Something that code run by a build may not do."""


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections to other machines; kernels are spoken to over the loopback interface."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in _HOSTS and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if not name.startswith(_LOOPBACK):
        raise RefusedError(f"the build reaches no network: {event} {name}")


def refuse_programs(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse other programs, which could do what this one may not."""
    if event in _PROGRAMS:
        raise RefusedError(f"a chapter starts no program: {event} {arguments[0]}")


def refuse_writes(event: str, arguments: tuple[Any, ...], folders: tuple[Path, ...]) -> None:
    """Refuse changes of files outside some folders; Python may keep its bytecode."""
    for path in _changed(event, arguments):
        if isinstance(path, int):
            continue  # a file that is open already
        place = Path(os.path.realpath(os.fsdecode(path)))
        inside = any(place.is_relative_to(folder) for folder in folders)
        if not inside and place.parent.name != "__pycache__" and place.name != "__pycache__":
            raise RefusedError(f"a chapter writes nothing outside the build: {event} {place}")


def _changed(event: str, arguments: tuple[Any, ...]) -> Iterator[Any]:
    """The paths that an event is about to change."""
    if event == "open":
        path, mode, flags = arguments
        if set(mode or "") & set("wax+") or (flags or 0) & _WRITING:
            yield path
    for place in _CHANGES.get(event, ()):
        yield arguments[place]


def environment(build: Path) -> dict[str, str]:
    """Where the tools of a build keep their own files: inside its folder, and nobody else's.

    Settings of the reader's IPython, Jupyter and matplotlib do not reach the chapters either.
    """
    return {
        VARIABLE: str(build),
        "IPYTHONDIR": str(build / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(build / ".jupyter"),
        "JUPYTER_DATA_DIR": str(build / ".jupyter"),
        "MPLCONFIGDIR": str(build / ".matplotlib"),
    }


def _folders() -> tuple[Path, ...]:
    """Where a chapter may write: the build, temporary files, and the list of fonts."""
    fonts = (".matplotlib", ".cache/matplotlib", ".config/matplotlib")
    named = [os.environ.get(name) for name in (VARIABLE, "MPLCONFIGDIR")]
    places = [*filter(None, named), tempfile.gettempdir(), os.devnull]
    places += [str(Path.home() / name) for name in fonts]
    return tuple(Path(os.path.realpath(place)) for place in places)


def install() -> None:
    """Hold this process, a kernel, to all three."""
    folders = _folders()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        refuse_network(event, arguments)
        refuse_programs(event, arguments)
        refuse_writes(event, arguments, folders)

    sys.addaudithook(hook)


if __name__ == "<kernel>":
    install()
