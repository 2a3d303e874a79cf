"""Where the book lives, and the buttons that lead there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ibbook import repository
from ibbook.repository import Repository, find, launch_buttons, parse

NAME = Repository("github.com", "owner/name")


@pytest.mark.parametrize(
    "address",
    [
        "git@github.com:owner/name.git",
        "git@github.com:owner/name",
        "ssh://git@github.com/owner/name.git",
        "ssh://git@github.com/owner/name",
        "https://github.com/owner/name.git",
        "https://github.com/owner/name",
        "https://github.com/owner/name/",
        "https://token@github.com/owner/name.git",
        "https://user:token@github.com/owner/name.git",
        "  https://github.com/owner/name\n",
    ],
)
def test_addresses_of_every_form_are_read(address: str) -> None:
    assert parse(address) == NAME


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://gitlab.com/owner/name.git", Repository("gitlab.com", "owner/name")),
        ("git@git.example.org:a-b/c.d.git", Repository("git.example.org", "a-b/c.d")),
        ("https://github.com/o/n.github.io", Repository("github.com", "o/n.github.io")),
    ],
)
def test_other_hosts_and_names_with_dots(address: str, expected: Repository) -> None:
    assert parse(address) == expected


@pytest.mark.parametrize(
    "address",
    ["", "/srv/git/name.git", "../name", "file:///srv/git/name", "C:\\git\\name", "https://github.com"],
)  # fmt: skip
def test_what_is_not_hosted_is_no_repository(address: str) -> None:
    assert parse(address) is None


def test_no_secret_of_an_address_reaches_a_page() -> None:
    found = parse("https://user:token@github.com/owner/name.git")
    assert found is not None
    assert found.url == "https://github.com/owner/name"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("BOOK_REPOSITORY_URL", "BOOK_REPOSITORY_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def add_remote(checkout: Path, address: str) -> None:
    subprocess.run(["git", "remote", "add", "origin", address], cwd=checkout, check=True)


def test_the_remote_is_read(checkout: Path) -> None:
    add_remote(checkout, "git@github.com:owner/name.git")
    assert find(checkout) == NAME


def test_the_variable_has_precedence(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_remote(checkout, "git@github.com:other/fork.git")
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://github.com/owner/name")
    monkeypatch.setenv("BOOK_REPOSITORY_BRANCH", "trunk")
    assert find(checkout) == Repository("github.com", "owner/name", "trunk")


@pytest.mark.parametrize("address", ["/srv/git/name.git", None])
def test_a_local_checkout_has_no_repository(checkout: Path, address: str | None) -> None:
    if address:
        add_remote(checkout, address)
    assert find(checkout) is None


def test_outside_git_there_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOOK_REPOSITORY_URL", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert find(tmp_path) is None


def test_binder_opens_the_source_in_jupyterlab() -> None:
    address = urlsplit(NAME.binder("book/part/a chapter.md"))
    assert (address.netloc, address.path) == ("mybinder.org", "/v2/gh/owner/name/main")
    assert parse_qs(address.query) == {"urlpath": ["lab/tree/book/part/a chapter.md"]}


def test_binder_reads_other_hosts_by_their_address() -> None:
    found = Repository("git.example.org", "owner/name", "trunk").binder("a.md")
    assert "/v2/git/https%3A%2F%2Fgit.example.org%2Fowner%2Fname/trunk?" in found


def test_colab_opens_the_executed_notebook() -> None:
    assert NAME.colab("book/part/chapter") == (
        "https://colab.research.google.com/github/owner/name/blob/"
        f"{repository.NOTEBOOKS_BRANCH}/book/part/chapter.ipynb"
    )


def test_colab_reads_github_only() -> None:
    elsewhere = Repository("gitlab.com", "owner/name")
    assert elsewhere.colab("book/part/chapter") is None
    buttons = launch_buttons(elsewhere, "book/part/chapter")["buttons"]
    assert [button["text"] for button in buttons] == ["Binder"]


def test_the_buttons_lead_to_binder_and_colab() -> None:
    buttons = launch_buttons(NAME, "book/part/chapter")["buttons"]
    assert [button["url"] for button in buttons] == [
        NAME.binder("book/part/chapter.md"),
        NAME.colab("book/part/chapter"),
    ]
    assert all(button["tooltip"] and button["icon"] for button in buttons)
