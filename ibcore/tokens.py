"""What a page costs a vision-language model: visual tokens of named models, and prefill FLOPs.

The rules are those of the models' public preprocessing code; everything is exact integer
arithmetic on the size of the image, and needs no model.
"""

from __future__ import annotations

import math

from ibcore import _validate

__all__ = [
    "crossover_length",
    "prefill_flops",
    "tokens_internvl2",
    "tokens_llava_onevision",
    "tokens_qwen2vl",
]


def _size(width: int, height: int) -> tuple[int, int]:
    return _validate.integer(width, "width", 1), _validate.integer(height, "height", 1)


def tokens_internvl2(
    width: int, height: int, *, max_tiles: int = 12, thumbnail: bool = True
) -> tuple[tuple[int, int], int]:
    """Visual tokens of InternVL2, which cuts an image into tiles of 448 x 448 pixels.

    The grid of at most `max_tiles` tiles whose aspect ratio is closest to the image's is taken;
    of grids equally close, a later and larger one where the image has more than half of its area.
    A tile has (448 / 14)² / 4 = 256 tokens; more than one tile brings a thumbnail.

    Parameters
    ----------
    width, height : int
        In pixels.
    max_tiles : int
    thumbnail : bool

    Returns
    -------
    grid : tuple of two int
        Columns and rows of tiles.
    tokens : int

    Raises
    ------
    ValueError
        A size or a number of tiles below one.
    """
    _validate.flag(thumbnail, "thumbnail")
    width, height = _size(width, height)
    most = _validate.integer(max_tiles, "max_tiles", 1)
    grids = [(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most]
    best, gap = (1, 1), math.inf
    # In this order the larger of two that tie comes later: between (i, j) and (i', j') with i < i'
    # and i j > i' j' lies (i, j'), which is closer.
    for i, j in grids:
        distance = abs(width / height - i / j)
        if distance < gap or (distance == gap and 2 * width * height > 448**2 * i * j):
            best, gap = (i, j), distance
    tiles = best[0] * best[1]
    return best, 256 * (tiles + (thumbnail and tiles > 1))


def tokens_qwen2vl(
    width: int, height: int, *, min_pixels: int = 3136, max_pixels: int = 12845056
) -> tuple[tuple[int, int], int]:
    """Visual tokens of Qwen2-VL, which has one for each 28 x 28 pixels.

    Sides are rounded to multiples of 28; an image of too many pixels is scaled down and its sides
    rounded down, one of too few is scaled up and its sides rounded up.

    Parameters
    ----------
    width, height : int
        In pixels.
    min_pixels, max_pixels : int
        Bounds on the area that the model sees.

    Returns
    -------
    size : tuple of two int
        Width and height that the model sees.
    tokens : int

    Raises
    ------
    ValueError
        A size below one, bounds in the wrong order, or sides more than 200 to 1 apart.
    """
    width, height = _size(width, height)
    least = _validate.integer(min_pixels, "min_pixels", 784)
    most = _validate.integer(max_pixels, "max_pixels", least)
    if max(width, height) > 200 * min(width, height):
        raise ValueError(
            f"width, height: {width} x {height} is narrower than the 200 to 1 that is allowed"
        )
    w, h = (max(28, 28 * round(side / 28)) for side in (width, height))
    if w * h > most:
        shrink = math.sqrt(width * height / most)
        w, h = (max(28, 28 * math.floor(side / shrink / 28)) for side in (width, height))
    elif w * h < least:
        grow = math.sqrt(least / (width * height))
        w, h = (28 * math.ceil(side * grow / 28) for side in (width, height))
    return (w, h), w * h // 784


def tokens_llava_onevision(
    width: int, height: int, *, max_crops: int = 9
) -> tuple[tuple[int, int], int]:
    """Visual tokens of LLaVA-OneVision, which cuts an image into crops of 384 x 384 pixels.

    A crop has 27² = 729 tokens. Of grids of one to six crops a side the one that keeps most of the
    image's pixels is taken, then the one that wastes least. Tokens of the padding are dropped; what
    is left is shrunk bilinearly where it exceeds max_crops x 729 by a factor of more than 1.1²;
    each row gets a newline token, and the whole image is seen once more in a base view.

    Parameters
    ----------
    width, height : int
        In pixels.
    max_crops : int
        The number in the model's setting ``anyres_max_9``.

    Returns
    -------
    grid : tuple of two int
        Columns and rows of crops.
    tokens : int

    Raises
    ------
    ValueError
        A size or a number of crops below one.
    """
    width, height = _size(width, height)
    crops = _validate.integer(max_crops, "max_crops", 1)

    def kept(grid: tuple[int, int]) -> tuple[int, int]:
        columns, rows = 384 * grid[0], 384 * grid[1]
        scale = min(columns / width, rows / height)
        seen = min(int(width * scale) * int(height * scale), width * height)
        return seen, seen - columns * rows

    grid = max(((i, j) for i in range(1, 7) for j in range(1, 7)), key=kept)
    across, down = 27 * grid[0], 27 * grid[1]
    if width / height > across / down:
        shown = int(height * (across / width))
        down -= 2 * ((down - shown) // 2)
    else:
        shown = int(width * (down / height))
        across -= 2 * ((across - shown) // 2)
    times = math.sqrt(across * down / (crops * 729))
    if times > 1.1:
        across, down = int(across // times), int(down // times)
    return grid, 729 + down * (across + 1)


def prefill_flops(n: int, d: int, d_kv: int, f: int, layers: int) -> tuple[int, int]:
    """FLOPs of a language model of gated blocks over a prompt, two a multiply-add.

    Attention is counted in full, without the half that causality saves.

    Parameters
    ----------
    n : int
        Tokens of the prompt.
    d, d_kv, f : int
        Width, width of keys and of values, and width of the gated network.
    layers : int

    Returns
    -------
    linear : int
        n L (4 d² + 4 d d_kv + 6 d f).
    quadratic : int
        4 n² d L.

    Raises
    ------
    ValueError
        A size below one.
    """
    sizes = {"n": n, "d": d, "d_kv": d_kv, "f": f, "layers": layers}
    n, d, d_kv, f, layers = (_validate.integer(v, k, 1) for k, v in sizes.items())
    return n * layers * (4 * d * d + 4 * d * d_kv + 6 * d * f), 4 * n * n * d * layers


def crossover_length(d: int, d_kv: int, f: int) -> float:
    """Length at which the quadratic part of `prefill_flops` overtakes: d + d_kv + 1.5 f.

    Parameters
    ----------
    d, d_kv, f : int
        As in `prefill_flops`.

    Raises
    ------
    ValueError
        A size below one.
    """
    sizes = {"d": d, "d_kv": d_kv, "f": f}
    d, d_kv, f = (_validate.integer(v, k, 1) for k, v in sizes.items())
    return d + d_kv + 1.5 * f
