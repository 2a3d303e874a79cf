"""Token counts against worked cases and brute force; FLOPs against a sum over matrix products."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibcore.tokens import (
    crossover_length,
    prefill_flops,
    tokens_internvl2,
    tokens_llava_onevision,
    tokens_qwen2vl,
)

LETTER, A4 = (1700, 2200), (1654, 2339)
QWEN_7B = (3584, 512, 18944, 28)
INTERN_7B = (4096, 1024, 14336, 32)
sides = st.integers(28, 4000)


@pytest.mark.parametrize(
    ("size", "most", "grid", "tokens"),
    [
        ((448, 448), 12, (1, 1), 256),
        (LETTER, 12, (3, 4), 3328),
        (LETTER, 4, (2, 2), 1280),
        (A4, 12, (2, 3), 1792),
        (A4, 4, (1, 2), 768),
        # A square image: 1 x 1, 2 x 2 and 3 x 3 tie, and the area decides.
        ((500, 500), 12, (1, 1), 256),
        ((700, 700), 12, (2, 2), 1280),
        ((1000, 1000), 12, (3, 3), 2560),
    ],
)
def test_internvl2(size, most, grid, tokens):
    assert tokens_internvl2(*size, max_tiles=most) == (grid, tokens)


def test_internvl2_without_a_thumbnail():
    assert tokens_internvl2(*LETTER, max_tiles=4, thumbnail=False) == ((2, 2), 1024)


@given(sides, sides, st.integers(1, 12))
def test_internvl2_grid_is_as_close_as_any(width, height, most):
    (i, j), tokens = tokens_internvl2(width, height, max_tiles=most)
    grids = [(a, b) for a in range(1, 13) for b in range(1, 13) if a * b <= most]
    gaps = [abs(width / height - a / b) for a, b in grids]
    assert i * j <= most
    assert abs(width / height - i / j) == min(gaps)
    assert tokens == 256 * (i * j + (i * j > 1))


@pytest.mark.parametrize(
    ("size", "cap", "tokens"),
    [
        ((448, 448), 16384, 256),
        (LETTER, 16384, 4819),
        (A4, 16384, 4956),
        (LETTER, 256, 252),
        (LETTER, 512, 475),
        (LETTER, 1024, 1008),
        ((28, 28), 16384, 4),
    ],
)
def test_qwen2vl(size, cap, tokens):
    assert tokens_qwen2vl(*size, max_pixels=784 * cap)[1] == tokens


@given(sides, sides)
def test_qwen2vl_stays_within_its_bounds(width, height):
    (w, h), tokens = tokens_qwen2vl(width, height, max_pixels=784 * 1280)
    assert w % 28 == h % 28 == 0
    assert tokens * 784 == w * h
    assert w * h <= 784 * 1280 or min(w, h) == 28


def test_qwen2vl_refuses_a_ribbon():
    with pytest.raises(ValueError, match="width, height: 20100 x 100"):
        tokens_qwen2vl(20100, 100)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((448, 448), 3699), (LETTER, 7353), (A4, 7353), ((1152, 1152), 7371), ((1000, 1200), 8765),
     ((384, 384), 729 * 2 + 27)],
)  # fmt: skip
def test_llava_onevision(size, tokens):
    assert tokens_llava_onevision(*size)[1] == tokens


@given(sides, sides)
def test_llava_onevision_is_bounded(width, height):
    """Base view, and at most 1.1² x 9 crops and a newline a row."""
    grid, tokens = tokens_llava_onevision(width, height)
    assert max(grid) <= 6
    assert 729 < tokens <= 729 + 1.21 * 9 * 729 + 6 * 27


@given(st.integers(1, 10_000))
def test_prefill_is_the_sum_of_its_products(n):
    """Shapes (rows, inner, columns) of the products of a gated block with grouped keys."""
    d, d_kv, f, layers = QWEN_7B
    products = [(n, d, d), (n, d, d_kv), (n, d, d_kv), (n, d, d)]
    products += [(n, d, f), (n, d, f), (n, f, d)]
    attention = [(n, d, n), (n, n, d)]
    flops = [2 * layers * sum(a * b * c for a, b, c in part) for part in (products, attention)]
    assert prefill_flops(n, *QWEN_7B) == tuple(flops)


@pytest.mark.parametrize(("model", "length"), [(QWEN_7B, 32512), (INTERN_7B, 26624)])
def test_the_parts_are_equal_at_the_crossover(model, length):
    assert crossover_length(*model[:3]) == length
    linear, quadratic = prefill_flops(length, *model)
    assert linear == quadratic


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: tokens_internvl2(0, 10), "width"),
        (lambda: tokens_internvl2(10, 10, max_tiles=0), "max_tiles"),
        (lambda: tokens_qwen2vl(10, 2.5), "height"),
        (lambda: tokens_qwen2vl(100, 100, max_pixels=1000), "max_pixels"),
        (lambda: tokens_llava_onevision(10, -1), "height"),
        (lambda: tokens_llava_onevision(10, 10, max_crops=0), "max_crops"),
        (lambda: prefill_flops(0, 1, 1, 1, 1), "n "),
        (lambda: crossover_length(1, 1, 0), "f "),
    ],
)
def test_bad_sizes_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_importing_does_not_load_torch():
    """The accounting itself; its checks of arguments use NumPy, never torch."""
    code = "import sys, ibcore.tokens; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ["n", "d", "d_kv", "f", "layers"])
def test_every_size_is_checked_by_name(name):
    good = {"n": 2, "d": 2, "d_kv": 2, "f": 2, "layers": 2}
    with pytest.raises(ValueError, match=f"^{name} is 0"):
        prefill_flops(**(good | {name: 0}))
    if name in ("d", "d_kv", "f"):
        sizes = {key: good[key] for key in ("d", "d_kv", "f")}
        with pytest.raises(ValueError, match=f"^{name} is 0"):
            crossover_length(**(sizes | {name: 0}))


@pytest.mark.parametrize(
    ("size", "bounds", "seen"),
    [
        # Sides that round to exactly a bound are left as they are.
        ((60, 56), {"max_pixels": 3136}, (56, 56)),
        ((60, 56), {"min_pixels": 3136}, (56, 56)),
        # One pixel more or less, and they are scaled: sqrt(3360/3135) and sqrt(3137/3360).
        ((60, 56), {"min_pixels": 784, "max_pixels": 3135}, (56, 28)),
        ((60, 56), {"min_pixels": 3137}, (84, 56)),
        ((1, 1), {}, (56, 56)),
        ((1, 1), {"min_pixels": 784}, (28, 28)),
        ((2800, 14), {}, (2800, 28)),
        ((5, 1000), {}, (28, 1008)),
        ((4000, 4000), {}, (3584, 3584)),
        ((3600, 3568), {}, (3612, 3556)),
    ],
)
def test_qwen2vl_sizes(size, bounds, seen):
    (w, h), tokens = tokens_qwen2vl(*size, **bounds)
    assert (w, h) == seen
    assert tokens == w * h // 784


def test_qwen2vl_takes_200_to_1():
    assert tokens_qwen2vl(5600, 28)[0] == (5600, 28)
    assert tokens_qwen2vl(28, 5600)[0] == (28, 5600)
    for size in ((5601, 28), (28, 5601)):
        with pytest.raises(ValueError, match="200 to 1"):
            tokens_qwen2vl(*size)
    with pytest.raises(ValueError, match=r"^min_pixels is 783; allowed: an integer >= 784"):
        tokens_qwen2vl(28, 28, min_pixels=783)
    assert tokens_qwen2vl(28, 28, min_pixels=784, max_pixels=784) == ((28, 28), 1)


@pytest.mark.parametrize(
    ("size", "most", "grid"),
    [
        # A tie of 1 x 1 and 2 x 2: the larger where the image has more than half of its area.
        ((633, 633), 12, (1, 1)),
        ((634, 634), 12, (2, 2)),
        # 3 : 4 lies halfway between 1 x 2 and 1 x 1, 3 : 2 between 1 x 1 and 2 x 1.
        ((300, 400), 2, (1, 1)),
        ((600, 800), 2, (1, 2)),
        ((450, 300), 2, (1, 1)),
        ((900, 600), 2, (2, 1)),
        # 9 : 8 lies halfway between 3 x 3, whose half is exactly the image, and 5 x 4.
        ((1008, 896), 20, (2, 2)),
        ((1009, 897), 20, (3, 3)),
        ((1300, 100), 12, (12, 1)),
        ((100, 1300), 12, (1, 12)),
        ((448, 1344), 12, (1, 3)),
        ((1344, 448), 3, (3, 1)),
        ((896, 448), 1, (1, 1)),
    ],
)
def test_internvl2_grids(size, most, grid):
    tiles = grid[0] * grid[1]
    assert tokens_internvl2(*size, max_tiles=most) == (grid, 256 * (tiles + (tiles > 1)))


@pytest.mark.parametrize(
    ("size", "grid", "rows", "columns"),
    [
        ((384, 384), (1, 1), 27, 27),
        # 2.56 : 1 in two crops: of 27 rows 21.1 hold the image, three go on either side.
        ((768, 300), (2, 1), 21, 54),
        ((300, 768), (1, 2), 54, 21),
        # 20.4 rows: what cannot be halved stays.
        ((768, 290), (2, 1), 21, 54),
        ((290, 768), (1, 2), 54, 21),
        # Six crops a side are the most.
        ((2688, 384), (6, 1), 23, 162),
        ((384, 2688), (1, 6), 162, 23),
        # 162 x 162 tokens are four times nine crops: every other one stays.
        ((2304, 2304), (6, 6), 81, 81),
        # 54 x 162 are 4/3 of nine crops, more than 1.21; 54 x 135 are 10/9, less.
        ((2304, 768), (6, 2), 46, 140),
        ((1920, 768), (5, 2), 54, 135),
    ],
)
def test_llava_onevision_grids(size, grid, rows, columns):
    assert tokens_llava_onevision(*size) == (grid, 729 + rows * (columns + 1))


def test_llava_onevision_with_fewer_crops():
    # 54 x 54 tokens for one crop: a factor of two.
    assert tokens_llava_onevision(768, 768, max_crops=1) == ((2, 2), 729 + 27 * 28)


def published_llava(width, height, crops=9):
    """The steps of the public code: select the best resolution, remove the padding, shrink."""
    best, most, least_wasted = None, 0, float("inf")
    for grid in [(i, j) for i in range(1, 7) for j in range(1, 7)]:
        w, h = 384 * grid[0], 384 * grid[1]
        scale = min(w / width, h / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        wasted = w * h - effective
        if effective > most or (effective == most and wasted < least_wasted):
            best, most, least_wasted = grid, effective, wasted
    columns, rows = 27 * best[0], 27 * best[1]
    if width / height > columns / rows:
        padding = (rows - int(height * (columns / width))) // 2
        rows -= 2 * padding
    else:
        padding = (columns - int(width * (rows / height))) // 2
        columns -= 2 * padding
    times = (columns * rows / (crops * 27**2)) ** 0.5
    if times > 1.1:
        columns, rows = int(columns // times), int(rows // times)
    return best, 27**2 + rows * (columns + 1)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 12))
def test_llava_onevision_is_the_published_preprocessing(width, height, crops):
    found = tokens_llava_onevision(width, height, max_crops=crops)
    assert found == published_llava(width, height, crops)


def test_llava_onevision_along_a_line_of_sizes():
    for width in range(300, 2600, 13):
        for height in (383, 384, 385, 769, 1153):
            assert tokens_llava_onevision(width, height) == published_llava(width, height)


def test_qwen2vl_sees_at_most_the_pixels_it_is_told():
    # 128 √(w/h) is 129 (1 - 4e-8): one pixel more, and it were 129
    (w, h), _ = tokens_qwen2vl(129**2 * 800 - 1, 128**2 * 800)
    assert (w, h) == (28 * 128, 28 * 127)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_internvl2_takes_the_last_of_grids_that_tie_and_fit(width, height):
    """The published loop, over grids in the order of their number of tiles."""
    grids = sorted({(i, j) for i in range(1, 13) for j in range(1, 13) if i * j <= 12},
                   key=lambda grid: grid[0] * grid[1])  # fmt: skip
    best, gap = (1, 1), float("inf")
    for i, j in grids:
        distance = abs(width / height - i / j)
        if distance < gap:
            best, gap = (i, j), distance
        elif distance == gap and width * height > 0.5 * 448 * 448 * i * j:
            best = (i, j)
    assert tokens_internvl2(width, height)[0] == best
    assert tokens_internvl2(width, height, max_tiles=12) == tokens_internvl2(width, height)
