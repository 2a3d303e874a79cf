"""Miniature documents: scanned pages with four rows of a key and a value, and questions.

A page is 192 pixels wide and 128 high, white, with four rows. Each row has a key, one of eight
words, and a value of two digits, in a font that matplotlib ships; one row is highlighted. Keys of a
page are distinct. The scan is drawn from real glyphs, the transcript lists the words with their
boxes, and a question asks for the value of a key, for the value of the highlighted row, or for the
number of that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray

__all__ = [
    "BUDGETS",
    "FONTS",
    "HIGHLIGHT",
    "KEYS",
    "ROWS",
    "WHICH_ROW",
    "Pages",
    "Questions",
    "ask",
    "degrade",
    "draw",
    "letters",
    "pad",
    "readable",
    "reduce",
    "scan",
    "transcript",
]

KEYS = ("NAME", "DATE", "TAX", "RATE", "SIZE", "CODE", "ITEM", "UNIT")
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
ROWS = 4
HEIGHT, WIDTH, ROW_HEIGHT = 128, 192, 32
SIZE = 26
MARKED_GREY = 200
#: What a question asks for: one of the keys 0..7, or one of these two.
HIGHLIGHT, WHICH_ROW = len(KEYS), len(KEYS) + 1
#: Visual tokens of a page, and by how much its scan is averaged for them.
BUDGETS = {24: 2, 6: 4, 2: 8}
#: Characters of a word that a reader takes in, and the alphabet; code 0 is "nothing here".
LETTERS = 6
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OTHER = len(ALPHABET) + 1
#: Every word that a page can hold.
WORDS = (*KEYS, *(f"{value:02d}" for value in range(100)))

_EDGES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=np.float64)

Scan = NDArray[np.uint8]


@dataclass(frozen=True)
class Pages:
    """The contents and the layout of n pages; what is drawn from it is in `scan`.

    Attributes
    ----------
    keys : ndarray of int, shape (n, 4)
        Which key each row has.
    values : ndarray of int, shape (n, 4)
        The values, 0 to 99.
    marked : ndarray of int, shape (n,)
        The highlighted row.
    fonts : ndarray of int, shape (n,)
        The font.
    corners : ndarray of int, shape (n, 8, 2)
        Left and upper edge of each word in pixels, in reading order: key, value, key, ...
    """

    keys: IntArray
    values: IntArray
    marked: IntArray
    fonts: IntArray
    corners: IntArray

    def __len__(self) -> int:
        return len(self.marked)

    def __getitem__(self, which: slice | IntArray) -> Pages:
        parts = (self.keys, self.values, self.marked, self.fonts, self.corners)
        return Pages(*(part[which] for part in parts))

    @property
    def word_ids(self) -> IntArray:
        """Indices into `WORDS`, in reading order; shape (n, 8)."""
        pairs = np.stack([self.keys, len(KEYS) + self.values], axis=-1)
        return pairs.reshape(len(self), 2 * ROWS)

    @property
    def words(self) -> list[list[str]]:
        """The eight words of each page in reading order."""
        return [[WORDS[word] for word in page] for page in self.word_ids]

    @property
    def boxes(self) -> FloatArray:
        """Boxes of the words, left, top, right, bottom, in pages; shape (n, 8, 4)."""
        sizes = _sizes()[self.fonts[:, None], self.word_ids]
        return np.concatenate([self.corners, self.corners + sizes], axis=-1) / _EDGES


@dataclass(frozen=True)
class Questions:
    """Questions about pages.

    Attributes
    ----------
    page : ndarray of int, shape (q,)
        Which page each is about.
    asked : ndarray of int, shape (q,)
        A key 0..7, `HIGHLIGHT` or `WHICH_ROW`.
    row : ndarray of int, shape (q,)
        The row that holds the answer.
    answer : ndarray of int, shape (q,)
        A number 0..99: the value, or for `WHICH_ROW` the row, counted from 1.
    """

    page: IntArray
    asked: IntArray
    row: IntArray
    answer: IntArray

    def __len__(self) -> int:
        return len(self.page)


# --- drawing -------------------------------------------------------------------------------------


@cache
def _glyphs(font: str, text: str) -> NDArray[np.uint8]:
    """Coverage 0..255 of a word in a font, cut to its ink."""
    import matplotlib
    from matplotlib.ft2font import FT2Font, LoadFlags

    face = FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")))
    face.set_size(SIZE, 72)
    # Without hinting the outline decides, not the version of the rasteriser.
    face.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)
    face.draw_glyphs_to_bitmap(antialiased=True)
    image = np.asarray(face.get_image(), dtype=np.uint8)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()


@cache
def _sizes() -> IntArray:
    """Width and height of each word in each font, in pixels; shape (4, 108, 2)."""
    return np.array(
        [[_glyphs(font, word).shape[::-1] for word in WORDS] for font in FONTS], dtype=np.int64
    )


def draw(n: int, rng: np.random.Generator) -> Pages:
    """Draw n pages: distinct keys, independent uniform values, one font and one marked row a page.

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        `n` below one, or `rng` not a generator.
    """
    n, rng = _validate.integer(n, "n", 1), _validate.generator(rng, "rng")
    keys = np.argsort(rng.random((n, len(KEYS))), axis=1)[:, :ROWS].astype(np.int64)
    values = rng.integers(0, 100, (n, ROWS))
    marked = rng.integers(0, ROWS, n)
    fonts = rng.integers(0, len(FONTS), n)
    left = np.stack([rng.integers(2, 14, (n, ROWS)), rng.integers(108, 150, (n, ROWS))], axis=-1)
    top = ROW_HEIGHT * np.arange(ROWS)[:, None] + 5 + rng.integers(0, 3, (n, ROWS, 2))
    corners = np.stack([left, top], axis=-1).reshape(n, 2 * ROWS, 2)
    return Pages(keys, values, marked, fonts, corners)


def scan(pages: Pages) -> Scan:
    """Draw the pages, black on white, the marked row grey.

    Parameters
    ----------
    pages : Pages

    Returns
    -------
    ndarray of uint8, shape (n, 128, 192)
    """
    _validate.instance(pages, "pages", Pages)
    images = np.full((len(pages), HEIGHT, WIDTH), 255, dtype=np.uint8)
    ids, corners = pages.word_ids.tolist(), pages.corners.tolist()
    for n, image in enumerate(images):
        start = ROW_HEIGHT * pages.marked[n]
        image[start : start + ROW_HEIGHT] = MARKED_GREY
        for word, (x, y) in zip(ids[n], corners[n], strict=True):
            ink = _glyphs(FONTS[pages.fonts[n]], WORDS[word])
            part = image[y : y + ink.shape[0], x : x + ink.shape[1]]
            part[:] = part * (255 - ink.astype(np.uint16)) // 255
    return images


def _scans(scans: Scan) -> None:
    """Refuse what is no stack of scans."""
    if not isinstance(scans, np.ndarray) or scans.dtype != np.uint8:
        raise ValueError(f"scans is a {type(scans).__name__}; allowed: an array of uint8")
    if scans.ndim != 3 or scans.shape[1:] != (HEIGHT, WIDTH):
        raise ValueError(f"scans has shape {scans.shape}; allowed: (n, {HEIGHT}, {WIDTH})")


def reduce(scans: Scan, budget: int) -> NDArray[np.float32]:
    """Average scans to what a budget of visual tokens lets through; white is 0 and black 1.

    Parameters
    ----------
    scans : ndarray of uint8, shape (n, 128, 192)
    budget : {24, 6, 2}

    Returns
    -------
    ndarray of float32, shape (n, 128 / k, 192 / k)
        k = 2, 4, 8 for the three budgets.

    Raises
    ------
    ValueError
        Another budget.
    """
    _scans(scans)
    if _validate.integer(budget, "budget") not in BUDGETS:
        raise ValueError(f"budget: expected one of {', '.join(map(str, BUDGETS))}, got {budget!r}")
    k = BUDGETS[budget]
    blocks = scans.reshape(len(scans), HEIGHT // k, k, WIDTH // k, k)
    mean: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return 1 - mean / np.float32(255)


def degrade(scans: Scan, factor: float, noise: float, rng: np.random.Generator) -> Scan:
    """Resample scans to a fraction of their size and back, and add Gaussian noise.

    Parameters
    ----------
    scans : ndarray of uint8, shape (n, 128, 192)
    factor : float
        Of the size, above 0 and at most 1.
    noise : float
        Standard deviation in grey levels.
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        A factor or a noise out of range.
    """
    factor, noise = _validate.positive(factor, "factor"), _validate.non_negative(noise, "noise")
    rng = _validate.generator(rng, "rng")
    _scans(scans)
    if factor > 1:
        raise ValueError(f"factor: expected at most 1, got {factor}")
    rows, columns = (_resampling(size, factor) for size in (HEIGHT, WIDTH))
    image = rows @ scans.astype(np.float64) @ columns.T
    image = image + noise * rng.normal(size=image.shape)
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _resampling(size: int, factor: float) -> FloatArray:
    """The matrix that averages a line of pixels to a fraction, then interpolates back."""
    small = max(1, round(size * factor))
    edges = np.linspace(0, size, small + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    average = np.clip(overlap, 0, None) * small / size
    centres = (edges[1:] + edges[:-1]) / 2
    unit = np.eye(small)
    spread = np.array([np.interp(pixels + 0.5, centres, row) for row in unit]).T
    return np.asarray(spread @ average)


# --- text ----------------------------------------------------------------------------------------


def letters(words: Sequence[str]) -> IntArray:
    """Codes of the first six characters of each word: 0 for none, 37 for any other character.

    Parameters
    ----------
    words : sequence of str

    Returns
    -------
    ndarray of int, shape (len(words), 6)
    """
    _validate.sequence(words, "words", "words")
    codes = np.zeros((len(words), LETTERS), dtype=np.int64)
    for row, word in zip(codes, words, strict=True):
        for k, character in enumerate(word.upper()[:LETTERS]):
            found = ALPHABET.find(character)
            row[k] = OTHER if found < 0 else found + 1
    return codes


@cache
def _codes() -> IntArray:
    return letters(WORDS)


def transcript(pages: Pages) -> tuple[IntArray, FloatArray]:
    """The perfect transcript: letters, shape (n, 8, 6), and boxes, shape (n, 8, 4)."""
    _validate.instance(pages, "pages", Pages)
    return _codes()[pages.word_ids], pages.boxes


def pad(
    pages: Sequence[Sequence[tuple[str, float, float, float, float]]],
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Bring transcripts of any number of words into arrays.

    Parameters
    ----------
    pages : sequence of sequences of (text, left, top, right, bottom)
        The words of each page, boxes in pages.

    Returns
    -------
    codes : ndarray of int, shape (n, W, 6)
        See `letters`; W is the largest number of words, at least one.
    boxes : ndarray, shape (n, W, 4)
    present : ndarray of bool, shape (n, W)
        False for padding.

    Raises
    ------
    ValueError
        No page.
    """
    _validate.sequence(pages, "pages", "transcripts")
    if not pages:
        raise ValueError("pages: expected at least one transcript, got none")
    most = max(1, *(len(words) for words in pages))
    codes = np.zeros((len(pages), most, LETTERS), dtype=np.int64)
    boxes = np.zeros((len(pages), most, 4))
    present = np.zeros((len(pages), most), dtype=np.bool_)
    for n, words in enumerate(pages):
        if words:
            codes[n, : len(words)] = letters([word[0] for word in words])
            boxes[n, : len(words)] = [word[1:] for word in words]
            present[n, : len(words)] = True
    return codes, boxes, present


def readable(
    pages: Pages,
    questions: Questions,
    read: Sequence[Sequence[tuple[str, float, float, float, float]]],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the words that a question needs were read in their row.

    Parameters
    ----------
    pages : Pages
    questions : Questions
        One a page, in the order of the pages.
    read : sequence of sequences of (text, left, top, right, bottom)
        Transcripts as in `pad`, of the first pages; questions about others are left out.

    Returns
    -------
    key, value : ndarray of bool, shape (len(read),)
        Whether the key was read, which a question about the highlight does not need, and the value.
    """
    _validate.instance(pages, "pages", Pages)
    _validate.instance(questions, "questions", Questions)
    _validate.sequence(read, "read", "transcripts")
    key = np.ones(len(read), dtype=np.bool_)
    value = np.zeros(len(read), dtype=np.bool_)
    for n, words in enumerate(read):
        row = int(questions.row[n])
        there = {word[0].upper() for word in words if int(ROWS * (word[2] + word[4]) / 2) == row}
        if questions.asked[n] < HIGHLIGHT:
            key[n] = KEYS[pages.keys[n, row]] in there
        value[n] = f"{pages.values[n, row]:02d}" in there
    return key, value


# --- questions -----------------------------------------------------------------------------------


def ask(
    pages: Pages,
    rng: np.random.Generator,
    *,
    per_page: int = 1,
    shares: tuple[float, float, float] = (0.5, 0.5, 0.0),
) -> Questions:
    """Ask about pages.

    Parameters
    ----------
    pages : Pages
    rng : numpy.random.Generator
    per_page : int
        Questions a page, drawn independently.
    shares : tuple of three floats
        Probabilities of the kinds: the value of a key, the value of the highlighted row, its
        number.

    Raises
    ------
    ValueError
        `per_page` below one, or shares that are no probabilities.
    """
    _validate.instance(pages, "pages", Pages)
    per_page = _validate.integer(per_page, "per_page", 1)
    rng = _validate.generator(rng, "rng")
    shares = (*_validate.vector(shares, "shares", 3).tolist(),)
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares: expected three probabilities that sum to 1, got {shares}")
    page = np.repeat(np.arange(len(pages)), per_page)
    kind = np.searchsorted(np.cumsum(shares)[:2], rng.random(len(page)), side="right")
    row = np.where(kind == 0, rng.integers(0, ROWS, len(page)), pages.marked[page])
    asked = np.choose(kind, [pages.keys[page, row], HIGHLIGHT, WHICH_ROW])
    answer = np.where(kind == 2, row + 1, pages.values[page, row])
    return Questions(page, asked, row, answer)
