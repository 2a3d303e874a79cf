"""Where the book lives, asked of one place; and the buttons that lead there.

The address is `BOOK_REPOSITORY_URL` or the git remote `origin`. Where neither names a public
repository there are no launch buttons, rather than dead ones.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

#: The branch that CI publishes executed notebooks to; Colab cannot open MyST Markdown.
NOTEBOOKS_BRANCH = "notebooks"

_HOSTED = re.compile(
    r"(?:git@|ssh://git@|https://(?:[^@/]+@)?)(?P<host>[\w.-]+)[:/](?P<path>[\w.-]+/[\w.-]+?)"
    r"(?:\.git)?/?"
)


@dataclass(frozen=True)
class Repository:
    """A public repository.

    Parameters
    ----------
    host : str
        For instance "github.com".
    path : str
        Owner and name.
    branch : str
        The branch that the sources are read from.
    """

    host: str
    path: str
    branch: str = "main"

    @property
    def url(self) -> str:
        """Address of the front page."""
        return f"https://{self.host}/{self.path}"

    def binder(self, source: str) -> str:
        """Address that opens a chapter as a notebook in JupyterLab on Binder.

        Parameters
        ----------
        source : str
            Path of the chapter's MyST source in the repository.
        """
        where = (
            f"gh/{self.path}" if self.host == "github.com" else f"git/{quote(self.url, safe='')}"
        )
        return f"https://mybinder.org/v2/{where}/{self.branch}?urlpath=lab/tree/{quote(source)}"

    def colab(self, docname: str) -> str | None:
        """Address that opens an executed chapter on Colab, which reads GitHub only.

        Parameters
        ----------
        docname : str
            Name of the chapter.
        """
        if self.host != "github.com":
            return None
        return (
            f"https://colab.research.google.com/github/{self.path}/blob/{NOTEBOOKS_BRANCH}/"
            f"{quote(docname)}.ipynb"
        )


def parse(address: str, branch: str = "main") -> Repository | None:
    """Read an address as git or a browser writes it; None where it is not a hosted repository.

    Parameters
    ----------
    address : str
        For instance "git@github.com:owner/name.git".
    branch : str
        The branch that the sources are read from.
    """
    found = _HOSTED.fullmatch(address.strip())
    return Repository(found["host"], found["path"], branch) if found else None


def find(root: Path) -> Repository | None:
    """The repository of a checkout.

    Parameters
    ----------
    root : Path
        The root of the book.
    """
    address = os.environ.get("BOOK_REPOSITORY_URL") or _remote(root)
    return parse(address, os.environ.get("BOOK_REPOSITORY_BRANCH", "main"))


def _remote(root: Path) -> str:
    command = ["git", "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def launch_buttons(repository: Repository, docname: str) -> dict[str, object]:
    """The group of buttons that the theme shows in a chapter's header.

    Parameters
    ----------
    repository : Repository
        Where the book lives.
    docname : str
        Name of the chapter.
    """
    places = {"Binder": repository.binder(f"{docname}.md"), "Colab": repository.colab(docname)}
    logos = {"Binder": "logo_binder.svg", "Colab": "logo_colab.png"}
    return {
        "type": "group",
        "label": "launch-buttons",
        "tooltip": "Launch this chapter",
        "icon": "fas fa-rocket",
        "buttons": [
            {
                "type": "link",
                "text": name,
                "tooltip": f"Open this chapter on {name}",
                "icon": f"_static/images/{logos[name]}",
                "url": url,
            }
            for name, url in places.items()
            if url
        ],
    }
