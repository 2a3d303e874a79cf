"""Miniature documents: what is drawn is what is written, where the boxes say, and reproducibly."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ibcore import minidoc


@pytest.fixture(scope="module")
def pages():
    return minidoc.draw(200, np.random.default_rng(0))


@pytest.fixture(scope="module")
def scans(pages):
    return minidoc.scan(pages)


def test_keys_are_distinct_and_everything_is_in_range(pages):
    assert len(pages) == 200
    assert all(len(set(row)) == 4 for row in pages.keys)
    assert set(np.unique(pages.keys)) == set(range(8))
    assert pages.values.min() >= 0
    assert pages.values.max() <= 99
    assert set(np.unique(pages.marked)) == set(range(4))
    assert set(np.unique(pages.fonts)) == set(range(4))


def test_values_are_uniform():
    values = minidoc.draw(20_000, np.random.default_rng(1)).values
    counts = np.bincount(values.ravel(), minlength=100)
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation 14.
    assert ((counts - 800) ** 2 / 800).sum() < 160


def test_words_are_in_reading_order(pages):
    first = pages.words[0]
    assert first[::2] == [minidoc.KEYS[k] for k in pages.keys[0]]
    assert [int(word) for word in first[1::2]] == pages.values[0].tolist()


def test_ink_is_in_the_boxes_and_touches_their_edges(pages, scans):
    scale = np.array([192, 128, 192, 128])
    for page, image, boxes in zip(range(40), scans, pages.boxes, strict=False):
        ground = np.full((128, 192), 255)
        ground[32 * pages.marked[page] : 32 * (pages.marked[page] + 1)] = minidoc.MARKED_GREY
        ink = image < ground
        for left, top, right, bottom in np.rint(boxes * scale).astype(int):
            word = ink[top:bottom, left:right]
            assert word[[0, -1]].any(axis=1).all()
            assert word[:, [0, -1]].any(axis=0).all()
            ink[top:bottom, left:right] = False
        assert not ink.any()


def test_words_stay_in_their_rows():
    pages = minidoc.draw(2000, np.random.default_rng(2))
    boxes = pages.boxes
    row = np.repeat(np.arange(4), 2) / 4
    assert (boxes[..., 1] >= row).all()
    assert (boxes[..., 3] <= row + 0.25).all()
    assert boxes.min() >= 0
    assert boxes.max() < 1


def test_the_same_seed_draws_the_same(pages, scans):
    again = minidoc.draw(200, np.random.default_rng(0))
    assert np.array_equal(minidoc.scan(again), scans)
    part = pages[np.array([3, 1])]
    assert np.array_equal(minidoc.scan(part), scans[[3, 1]])


@pytest.mark.parametrize(("budget", "shape"), [(24, (64, 96)), (6, (32, 48)), (2, (16, 24))])
def test_reducing_keeps_the_mean(scans, budget, shape):
    small = minidoc.reduce(scans, budget)
    assert small.shape == (200, *shape)
    assert small.dtype == np.float32
    mean = 1 - scans.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(small.mean(axis=(1, 2)), mean, atol=1e-6)


def test_degrading_keeps_blank_paper_and_blurs_ink(scans):
    rng = np.random.default_rng(0)
    assert (minidoc.degrade(np.full((1, 128, 192), 255, np.uint8), 0.25, 0, rng) == 255).all()
    assert np.array_equal(minidoc.degrade(scans[:5], 1, 0, rng), scans[:5])
    blurred = minidoc.degrade(scans[:5], 0.25, 0, rng)
    assert blurred.std() < scans[:5].std()
    assert abs(blurred.mean() - scans[:5].mean()) < 1
    noisy = minidoc.degrade(np.full((1, 128, 192), 128, np.uint8), 0.5, 20, rng)
    assert noisy.std() == pytest.approx(20, rel=0.05)


def test_letters():
    codes = minidoc.letters(["A", "09", "tax", "n?", "ABCDEFGH", ""])
    assert codes.tolist() == [
        [11, 0, 0, 0, 0, 0],
        [1, 10, 0, 0, 0, 0],
        [30, 11, 34, 0, 0, 0],
        [24, 37, 0, 0, 0, 0],
        [11, 12, 13, 14, 15, 16],
        [0] * 6,
    ]


def test_transcript_spells_the_words(pages):
    letters, boxes = minidoc.transcript(pages)
    assert letters.shape == (200, 8, 6)
    assert np.array_equal(letters[7], minidoc.letters(pages.words[7]))
    assert np.array_equal(boxes, pages.boxes)


def test_answers_are_on_the_page(pages):
    asked = minidoc.ask(pages, np.random.default_rng(3), per_page=6, shares=(0.4, 0.4, 0.2))
    assert len(asked) == 1200
    for page, what, row, answer in zip(
        asked.page, asked.asked, asked.row, asked.answer, strict=True
    ):
        if what < minidoc.HIGHLIGHT:
            assert pages.keys[page, row] == what
        else:
            assert row == pages.marked[page]
        assert answer == (row + 1 if what == minidoc.WHICH_ROW else pages.values[page, row])
    kinds = np.bincount(np.maximum(asked.asked, 7) - 7, minlength=3) / 1200
    np.testing.assert_allclose(kinds, (0.4, 0.4, 0.2), atol=0.05)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: minidoc.draw(0, np.random.default_rng(0)), "n "),
        (lambda: minidoc.draw(1, 0), "rng"),
        (lambda: minidoc.reduce(np.zeros((1, 128, 192), np.uint8), 12), "budget"),
        (lambda: minidoc.degrade(np.zeros((1, 128, 192), np.uint8), 2, 0,
                                 np.random.default_rng(0)), "factor"),
        (lambda: minidoc.ask(minidoc.draw(1, np.random.default_rng(0)),
                             np.random.default_rng(0), shares=(1, 1, 0)), "shares"),
        (lambda: minidoc.ask(minidoc.draw(1, np.random.default_rng(0)),
                             np.random.default_rng(0), per_page=0), "per_page"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_importing_loads_neither_torch_nor_matplotlib():
    code = "import sys, ibcore.minidoc; sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def as_read(pages):
    return [
        [(word, *box) for word, box in zip(words, boxes, strict=True)]
        for words, boxes in zip(pages.words, pages.boxes, strict=True)
    ]


def test_padding_marks_what_is_there(pages):
    read = as_read(pages[:3])
    codes, boxes, present = minidoc.pad([read[0], read[1][:5], []])
    assert present.sum(axis=1).tolist() == [8, 5, 0]
    assert np.array_equal(codes[1, :5], minidoc.letters(pages.words[1][:5]))
    assert np.array_equal(boxes[0], pages.boxes[0])
    assert not codes[~present].any()
    with pytest.raises(ValueError, match="pages: expected at least one"):
        minidoc.pad([])


def test_what_is_readable(pages):
    asked = minidoc.ask(pages, np.random.default_rng(4))
    read = as_read(pages[:50])
    key, value = minidoc.readable(pages, asked, read)
    assert key.all()
    assert value.all()
    # Everything one row further down: the words are there, and not in their rows.
    moved = [[(w, a, b + 0.25, c, d + 0.25) for w, a, b, c, d in words] for words in read]
    key, value = minidoc.readable(pages, asked, moved)
    of_key = asked.asked[:50] < minidoc.HIGHLIGHT
    assert not key[of_key].any()
    assert key[~of_key].all()
    row = asked.row[:50]
    same_below = pages.values[np.arange(50), row] == pages.values[np.arange(50), row - 1]
    assert not value[~same_below].any()
    key, value = minidoc.readable(pages, asked, [[]] * 50)
    assert not value.any()


@pytest.mark.parametrize("shape", [(128, 192), (1, 128, 190), (1, 126, 192), (1, 1, 128, 192)])
def test_what_is_no_stack_of_scans_is_refused(shape):
    with pytest.raises(ValueError, match=r"^scans has shape .*; allowed: \(n, 128, 192\)"):
        minidoc.reduce(np.zeros(shape, dtype=np.uint8), 6)
    with pytest.raises(ValueError, match=r"^scans is a ndarray; allowed: an array of uint8"):
        minidoc.reduce(np.zeros(shape), 6)
