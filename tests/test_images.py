"""Pictures of the site: smaller files that look the same, and room kept for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ibbook import images


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def figure() -> bytes:
    drawn = Figure()
    for k in range(5):
        drawn.subplots().plot(np.sin(np.linspace(0, 9) + k))
    out = io.BytesIO()
    drawn.savefig(out, format="png")
    return out.getvalue()


def test_a_figure_shrinks_and_looks_the_same(figure: bytes) -> None:
    reduced = images.palette(figure)
    assert len(reduced) < 0.6 * len(figure)
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
        for data in (figure, reduced)
    )
    assert before.shape == after.shape
    assert np.sqrt(np.mean((before - after) ** 2)) <= images.CHANGE
    assert np.array_equal(before[0, 0], after[0, 0]), "the ground keeps its white"


def test_what_would_be_seen_or_would_not_shrink_is_left_alone(figure: bytes) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    photograph = png(Image.fromarray(noise))
    clear = png(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))
    for kept in (photograph, clear, images.palette(figure)):
        assert images.palette(kept) == kept


def test_a_folder_is_compressed_once(figure: bytes, tmp_path: Path, monkeypatch) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    folder.mkdir()
    (folder / "a.png").write_bytes(figure)
    images.compress(folder, cache)
    reduced = (folder / "a.png").read_bytes()
    assert len(reduced) < len(figure)
    monkeypatch.setattr(images, "palette", lambda png: pytest.fail("made again"))
    images.compress(folder, cache)
    assert (folder / "a.png").read_bytes() == reduced
    (folder / "a.png").write_bytes(figure)  # as Sphinx does at the next build
    images.compress(folder, cache)
    assert (folder / "a.png").read_bytes() == reduced


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            '<img alt="A" src="a.png" style="width: 731px; height: 301px;" />',
            '<img alt="A" src="a.png" width="731" height="301" loading="lazy" />',
        ),
        ('<img alt="A" src="a.png" />', '<img alt="A" src="a.png" />'),
        ('<img style="width: 50%;"><p style="width: 1px; height: 2px;">',) * 2,
    ],
)
def test_images_keep_their_place_free(given: str, expected: str) -> None:
    assert images.sized(f"<p>{given}</p>") == f"<p>{expected}</p>"
