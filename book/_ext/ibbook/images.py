"""Pictures of the site: few bytes to load, and their place kept free until they are there."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = 256
#: Root mean square of the change, in levels of 255, that is not seen; photographs need more.
CHANGE = 2.0

_IMAGE = re.compile(r'<img\b[^>]*?\bstyle="width: (\d+)px; height: (\d+)px;"[^>]*>')


def sized(html: str) -> str:
    """Give images that are sized by their style the attributes that keep their place free.

    A style with a fixed height has to be overridden where the page is narrow, and a browser then
    knows no ratio before the file is there. Images are also left until they come near the window.

    Parameters
    ----------
    html : str
        The body of a page.
    """

    def rewrite(found: re.Match[str]) -> str:
        size = f'width="{found[1]}" height="{found[2]}" loading="lazy"'
        return re.sub(r'style="width: \d+px; height: \d+px;"', size, found[0])

    return _IMAGE.sub(rewrite, html)


def palette(png: bytes) -> bytes:
    """The same picture with a palette, lossless but for colours that are almost the same.

    A figure has few colours and their blends at edges, so that its file shrinks to a third.

    Parameters
    ----------
    png : bytes
        An opaque picture.

    Returns
    -------
    bytes
        A smaller PNG; what was given where that would not be smaller, or would be seen.
    """
    picture = Image.open(io.BytesIO(png))
    if picture.mode == "P" or _transparent(picture):
        return png
    plain = picture.convert("RGB")
    reduced = plain.quantize(COLOURS, dither=Image.Dither.NONE)
    change = np.asarray(plain, dtype=float) - np.asarray(reduced.convert("RGB"), dtype=float)
    out = io.BytesIO()
    reduced.save(out, "PNG", optimize=True, dpi=picture.info.get("dpi"))
    smaller = out.tell() < len(png)
    return out.getvalue() if smaller and np.sqrt(np.mean(change**2)) <= CHANGE else png


def _transparent(picture: Image.Image) -> bool:
    return picture.has_transparency_data and picture.convert("RGBA").getchannel(
        "A"
    ).getextrema() != (255, 255)


def compress(folder: Path, cache: Path) -> None:
    """Give every PNG of a folder a palette where it can have one.

    Sphinx copies the originals again at each build; what has been done once is kept.

    Parameters
    ----------
    folder : Path
        The images of the site.
    cache : Path
        Where the results are kept, by the digest of what they were made from.
    """
    cache.mkdir(parents=True, exist_ok=True)
    done = {_digest(path) for path in cache.glob("*.png")}
    for path in sorted(folder.glob("*.png")):
        digest = _digest(path)
        if digest in done:
            continue
        kept = cache / f"{digest}.png"
        if not kept.exists():
            kept.write_bytes(palette(path.read_bytes()))
        shutil.copyfile(kept, path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
