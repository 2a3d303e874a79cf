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


# --- exact values ---------------------------------------------------------------------------------


def test_ink_is_as_large_as_its_outline():
    """In pixels: 26 points at 72 dots an inch, not hinted; half a pixel on either side is cut."""
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    excess = []
    for font in minidoc.FONTS:
        file = f"{matplotlib.get_data_path()}/fonts/ttf/{font}.ttf"
        for word in minidoc.WORDS[::3]:
            outline = TextPath((0, 0), word, prop=FontProperties(fname=file, size=26))
            height, width = minidoc._glyphs(font, word).shape
            box = outline.get_extents()
            excess.append((width - box.width, height - box.height))
    across, up = np.array(excess).T
    assert np.abs(across).max() < 1
    assert abs(across.mean()) < 0.3
    assert ((up > 0) & (up < 2)).all()
    assert abs(up.mean() - 0.9) < 0.3


def test_where_words_are_put():
    corners = minidoc.draw(3000, np.random.default_rng(6)).corners
    left, top = corners[..., 0].reshape(-1, 4, 2), corners[..., 1].reshape(-1, 4, 2)
    assert (left[..., 0].min(), left[..., 0].max()) == (2, 13)
    assert (left[..., 1].min(), left[..., 1].max()) == (108, 149)
    within = top - 32 * np.arange(4)[:, None]
    assert (within.min(), within.max()) == (5, 7)
    for part in (left[..., 0], left[..., 1], within):  # each place is as likely as any
        counts = np.unique(part, return_counts=True)[1]
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 5 * counts.size
    assert corners.dtype == np.int64


def test_a_draw_is_that_of_its_random_numbers():
    pages, rng = minidoc.draw(50, np.random.default_rng(8)), np.random.default_rng(8)
    order = rng.random((50, 8))
    np.testing.assert_array_equal(pages.keys, np.array([np.argsort(row)[:4] for row in order]))
    np.testing.assert_array_equal(pages.values, rng.integers(100, size=(50, 4)))
    np.testing.assert_array_equal(pages.marked, rng.integers(4, size=50))
    np.testing.assert_array_equal(pages.fonts, rng.integers(4, size=50))
    ids = pages.word_ids
    assert ids.shape == (50, 8)
    assert all(minidoc.WORDS[i] == word for i, word in zip(ids[3], pages.words[3], strict=True))
    two = pages[10:12]
    for name in ("keys", "values", "marked", "fonts", "corners"):
        np.testing.assert_array_equal(getattr(two, name), getattr(pages, name)[10:12])


def test_scans_are_ink_over_paper(pages, scans):
    """A pixel is the ground times the share that the ink leaves, rounded down."""
    for n in (0, 5, 11):
        ground = np.full((128, 192), 255)
        ground[32 * pages.marked[n] : 32 * pages.marked[n] + 32] = 200
        cover = np.zeros((128, 192), dtype=int)
        for word, (x, y) in zip(pages.words[n], pages.corners[n], strict=True):
            ink = minidoc._glyphs(minidoc.FONTS[pages.fonts[n]], word)
            cover[y : y + ink.shape[0], x : x + ink.shape[1]] = ink
        np.testing.assert_array_equal(scans[n], ground * (255 - cover) // 255)
        assert cover.max() == 255
    assert scans.dtype == np.uint8


@pytest.mark.parametrize(("budget", "side"), [(24, 2), (6, 4), (2, 8)])
def test_reduced_scans_are_means_of_squares(budget, side):
    image = np.random.default_rng(0).integers(0, 256, (2, 128, 192)).astype(np.uint8)
    small = minidoc.reduce(image, budget)
    for n, i, j in ((0, 0, 0), (1, 3, 11), (1, 128 // side - 1, 192 // side - 1)):
        block = image[n, side * i : side * (i + 1), side * j : side * (j + 1)]
        assert small[n, i, j] == pytest.approx(1 - block.mean() / 255, abs=1e-6)


@pytest.mark.parametrize(("size", "factor"), [(8, 0.5), (10, 0.33), (7, 1.0), (9, 0.05), (6, 0.7)])
def test_resampling_averages_and_interpolates(size, factor):
    """Means over cells from the running sum; then straight lines between the centres of cells."""
    line, cells = np.random.default_rng(1).random(size), max(1, round(size * factor))
    edges = np.linspace(0, size, cells + 1)
    sums = np.interp(edges, np.arange(size + 1), np.concatenate([[0.0], np.cumsum(line)]))
    centres = (np.arange(cells) + 0.5) * size / cells
    expected = np.interp(np.arange(size) + 0.5, centres, np.diff(sums) * cells / size)
    np.testing.assert_allclose(minidoc._resampling(size, factor) @ line, expected, atol=1e-13)


def test_degrading_is_resampling_and_noise(scans):
    image = scans[:2]
    rows, columns = minidoc._resampling(128, 0.3), minidoc._resampling(192, 0.3)
    blurred = np.array([rows @ (columns @ one.T.astype(float)).T for one in image])
    noisy = blurred + 40 * np.random.default_rng(2).normal(size=(2, 128, 192))
    expected = np.rint(np.minimum(np.maximum(noisy, 0), 255))
    found = minidoc.degrade(image, 0.3, 40, np.random.default_rng(2))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8
    for arguments, message in (
        ((1.001, 0), "^factor: expected at most 1, got 1.001"),
        ((0.0, 0), "^factor is 0"),
        ((0.5, -1.0), "^noise is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            minidoc.degrade(image, *arguments, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^rng"):
        minidoc.degrade(image, 0.5, 0, 0)
    with pytest.raises(ValueError, match=r"^scans is a list"):
        minidoc.degrade([0], 0.5, 0, np.random.default_rng(0))


def test_letters_are_digits_and_the_alphabet():
    assert minidoc.letters(["0", "9", "A", "Z", "Ä", "z"])[:, 0].tolist() == [1, 10, 11, 36, 37, 36]
    assert minidoc.letters([]).shape == (0, 6)
    assert minidoc.WORDS[7:10] == ("UNIT", "00", "01")
    assert len(minidoc.WORDS) == 108
    assert minidoc.WORDS[-1] == "99"


def test_padding_of_empty_transcripts():
    for read, words in (([[]], 1), ([[], []], 1), ([[("A", 0.1, 0.2, 0.3, 0.4)] * 3, []], 3)):
        codes, boxes, present = minidoc.pad(read)
        assert codes.shape == (len(read), words, 6)
        assert boxes.shape == (len(read), words, 4)
        assert present.shape == (len(read), words)
        assert present.sum() == sum(map(len, read))
    assert boxes[0].tolist() == [[0.1, 0.2, 0.3, 0.4]] * 3
    assert not boxes[1].any()
    assert codes[0, 2].tolist() == [11, 0, 0, 0, 0, 0]


def test_a_word_is_in_the_row_of_its_centre():
    one = minidoc.draw(1, np.random.default_rng(0))
    key, value = minidoc.KEYS[one.keys[0, 2]], f"{one.values[0, 2]:02d}"
    own = int(one.keys[0, 2])

    def found(words, asked=own):
        question = minidoc.Questions(*(np.array([k]) for k in (0, asked, 2, 0)))
        return [bool(part[0]) for part in minidoc.readable(one, question, [words])]

    def at(word, top, bottom):
        return (word, 0.9, top, 0.95, bottom)

    both = [at(key.lower(), 0.4, 0.64), at(value, 0.56, 0.9)]  # centres 0.52 and 0.73
    assert found(both) == [True, True]
    assert found(both[:1]) == [True, False]
    assert found(both[1:]) == [False, True]
    assert found(both[1:], minidoc.HIGHLIGHT) == [True, True]
    assert found(both[1:], minidoc.WHICH_ROW) == [True, True]
    assert found([at(key, 0.4, 0.59), at(value, 0.6, 0.91)]) == [False, False]
    assert found([at(key, 0.4, 0.6), at(value, 0.6, 0.9)]) == [True, False]  # 0.5 and 0.75


@pytest.mark.parametrize("shares", [(0.4, 0.4, 0.2), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1, 0, 0)])
def test_questions_are_those_of_their_random_numbers(pages, shares):
    found, rng = (
        minidoc.ask(pages, np.random.default_rng(9), per_page=3, shares=shares),
        (np.random.default_rng(9)),
    )
    chance, rows = rng.random(600), rng.integers(4, size=600)
    for n in range(600):
        page = n // 3
        kind = 0 if chance[n] < shares[0] else 1 if chance[n] < shares[0] + shares[1] else 2
        row = rows[n] if kind == 0 else pages.marked[page]
        asked = (pages.keys[page, row], 8, 9)[kind]
        answer = (pages.values[page, row], pages.values[page, row], row + 1)[kind]
        assert (found.page[n], found.asked[n], found.row[n], found.answer[n]) == (
            page, asked, row, answer
        )  # fmt: skip
    default = minidoc.ask(pages, np.random.default_rng(9))
    assert len(default) == 200
    assert set(np.unique(default.asked)) == set(range(9))


@pytest.mark.parametrize("shares", [(0.5, 0.6, -0.1), (0.5, 0.5, 2e-9), (0.5, 0.5), (0.4, 0.5, 0)])
def test_shares_are_probabilities(pages, shares):
    with pytest.raises(ValueError, match=r"^shares"):
        minidoc.ask(pages, np.random.default_rng(0), shares=shares)
    minidoc.ask(pages, np.random.default_rng(0), shares=(0.5, 0.5, 5e-10))
