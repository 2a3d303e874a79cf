"""JSON files that are committed or published, written so that their diffs can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
        The file.
    """
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def write(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object, a value a line, so that two of them can be compared line by line.

    Parameters
    ----------
    content : mapping
        JSON-ready.
    path : Path
        Where to; missing folders are made.

    Raises
    ------
    ValueError
        A NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
