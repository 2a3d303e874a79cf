"""Functions as integrals of ridges, and what those integrals cost.

A function is f(x) = ∫∫ α(u, t) max(u·x - t, 0) du dt + affine over unit vectors u and offsets t,
with α = -γ R(-Δ)^((d+1)/2) f, R the Radon transform and γ = 1/(2(2π)^(d-1)). Its norm is ∫∫ |α| g,
with a weight g that the inputs set. For standard normal inputs, a Gaussian bump and a pyramid
smoothed by a Gaussian all of it is explicit.

Sources: Ongie et al. 2020, A Function Space View of Bounded Norm Infinite Width ReLU Nets; Nacson
et al. 2023, The Implicit Bias of Minima Stability in Multivariate Shallow ReLU Networks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy import special

from ibcore import _validate
from ibcore._validate import FloatArray

__all__ = [
    "bump_density",
    "gaussian_weight",
    "gaussian_weight_slope",
    "pyramid",
    "pyramid_density",
    "pyramid_norm",
    "pyramid_rate",
]

Weight = Callable[[FloatArray], FloatArray]


def gaussian_weight(t: ArrayLike) -> FloatArray:
    """Stability weight of the half-space u·x > t for standard normal inputs, any dimension.

    Parameters
    ----------
    t
        Offsets, any shape.

    Returns
    -------
    ndarray
        Q² (m - |t|) (1 + m²)^(1/2) with Q the mass beyond |t| and m the mean there.

    Raises
    ------
    ValueError
        Values that are not finite.
    """
    s = np.abs(_validate.array(t, "t"))
    q, m = _tail(s)
    weight: FloatArray = q**2 * (m - s) * np.sqrt(1 + m**2)
    return weight


def gaussian_weight_slope(t: ArrayLike) -> FloatArray:
    """Derivative of `gaussian_weight` for t > 0; negative. Parameters as there."""
    s = _validate.array(t, "t")
    q, m = _tail(s)
    rise = m * (m - s)  # of the mean, m' = m (m - t)
    length = np.sqrt(1 + m**2)
    # (q² (m - s))' = q² (m' - 1) - 2 q φ (m - s), with φ = q m
    slope: FloatArray = q**2 * ((rise - 1 - 2 * m * (m - s)) * length + (m - s) * m * rise / length)
    return slope


def _tail(s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mass of the standard normal beyond s, and the mean there, without cancellation."""
    scaled = special.erfcx(s / np.sqrt(2))
    return np.exp(-(s**2) / 2) * scaled / 2, np.sqrt(2 / np.pi) / scaled


def bump_density(t: ArrayLike, beta: float, n_features: int) -> FloatArray:
    """Ridge density of exp(-β|x|²), the same for all directions.

    Parameters
    ----------
    t
        Offsets, any shape.
    beta
        β > 0.
    n_features
        d, 2 or 3.

    Returns
    -------
    ndarray
        α(t): for d = 3 a derivative of the Gaussian, for d = 2 one of Dawson's integral.

    Raises
    ------
    ValueError
        A dimension other than 2 and 3, or arguments out of range.
    """
    beta, n_features = (
        _validate.positive(beta, "beta"),
        _validate.integer(n_features, "n_features", 2),
    )
    s = np.sqrt(beta) * _validate.array(t, "t")
    if n_features == 3:
        quartic: FloatArray = (48 * s**2 - 16 * s**4 - 12) * np.exp(-(s**2))
        return beta * quartic / (8 * np.pi)
    if n_features > 3:
        raise ValueError(f"n_features is {n_features}; allowed: 2 or 3")
    first = 1 - 2 * s * special.dawsn(s)
    second = -2 * special.dawsn(s) - 2 * s * first
    third: FloatArray = -4 * first - 2 * s * second
    return beta * third / (2 * np.pi)


# --- the pyramid ---------------------------------------------------------------------------------


def pyramid(x: ArrayLike) -> FloatArray:
    """max(1 - |x_1| - ... - |x_d|, 0) at the rows of x, shape (N,)."""
    p: FloatArray = np.maximum(1 - np.abs(_validate.matrix(x, "x")).sum(axis=1), 0.0)
    return p


def pyramid_density(angle: float, t: ArrayLike, eps: float) -> FloatArray:
    """Ridge density of the pyramid in the plane, smoothed by a Gaussian of standard deviation ε.

    Parameters
    ----------
    angle
        Direction, strictly between 0 and π/4; others follow by symmetry.
    t
        Offsets, any shape.
    eps
        ε > 0.

    Returns
    -------
    ndarray
        α(angle, t), with four peaks of width ε at ± cos and ± sin of the angle.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    angle = _validate.positive(angle, "angle")
    if angle >= np.pi / 4:
        raise ValueError(f"angle is {angle}; allowed: strictly between 0 and π/4")
    t, eps = _validate.array(t, "t"), _validate.positive(eps, "eps")
    c, s = np.cos(angle), np.sin(angle)
    outer, inner = _strengths(angle, np.pi / 4 - angle)
    return _density([t - c, t + c, t - s, t + s], outer, inner, eps)


def _strengths(angle: float, rest: float) -> tuple[float, float]:
    """Jumps of the second derivative of the projected pyramid, at cos and at sin of the angle."""
    c, s, twice = np.cos(angle), np.sin(angle), np.sin(2 * rest)  # cos 2φ, no cancellation
    return 2 / (c * twice), 2 / (s * twice)


def _density(distances: list[FloatArray], outer: float, inner: float, eps: float) -> FloatArray:
    """α from the distances to the peaks at +c, -c, +s, -s."""
    above_c, below_c, above_s, below_s = (special.dawsn(z / (np.sqrt(2) * eps)) for z in distances)
    total = inner * (above_s - below_s) - outer * (above_c - below_c)
    density: FloatArray = total * np.sqrt(2) / (4 * np.pi**2 * eps)
    return density


def pyramid_norm(eps: float, weight: Weight | None = None, *, nodes: int = 8) -> float:
    """∫∫ |α| g of the pyramid in the plane, smoothed by a Gaussian of standard deviation ε.

    Parameters
    ----------
    eps
        0 < ε <= 1/2.
    weight
        An even g(t), the same for all directions; one if None.
    nodes
        Gauss-Legendre nodes in each panel. Panels halve towards every peak, in distances to it, so
        that ε down to 1e-13 costs no accuracy.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        ε or the number of nodes out of range.
    """
    eps, nodes = _validate.positive(eps, "eps"), _validate.integer(nodes, "nodes", 2)
    if eps > 0.5:
        raise ValueError(f"eps is {eps}; allowed: at most 1/2")
    if weight is not None:
        _validate.function(weight, "weight")
    node, share = leggauss(nodes)
    near, near_share = _panels(eps / 8, np.pi / 8, node, share)
    total = 0.0
    for gap, measure in zip(near, near_share, strict=True):
        for angle, rest in ((gap, np.pi / 4 - gap), (np.pi / 4 - gap, gap)):
            total += 8 * measure * _slice(angle, rest, eps, weight, node, share)
    return total


def _panels(
    first: float, end: float, node: FloatArray, share: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, end], with panels that double from `first` on."""
    if end <= first:
        edges = np.array([0.0, end])
    else:
        count = int(np.ceil(np.log2(end / first)))
        edges = np.concatenate([[0.0], np.geomspace(first, end, count + 1)])
    half, middle = np.diff(edges) / 2, (edges[:-1] + edges[1:]) / 2
    return (middle[:, None] + half[:, None] * node).ravel(), (half[:, None] * share).ravel()


def _slice(
    angle: float, rest: float, eps: float, weight: Weight | None,
    node: FloatArray, share: FloatArray,
) -> float:  # fmt: skip
    """∫ |α| g dt at one angle, where `rest` is π/4 minus the angle."""
    c, s = np.cos(angle), np.sin(angle)
    split = 2 * np.sqrt(0.5) * np.sin(rest)  # c - s
    outer, inner = _strengths(angle, rest)
    total = 0.0
    # From the peak at s down to 0 and up to the middle, from that at c down to it and up to far.
    for at_s, sign, length in (
        (True, -1.0, s), (True, 1.0, split / 2), (False, -1.0, split / 2), (False, 1.0, 60.0)
    ):  # fmt: skip
        z, measure = _panels(min(eps / 4, length / 2), length, node, share)
        z = sign * z
        to_s, to_c = (z, z - split) if at_s else (z + split, z)
        t = z + (s if at_s else c)
        value = np.abs(_density([to_c, t + c, to_s, t + s], outer, inner, eps))
        total += 2 * float(measure @ (value if weight is None else value * weight(t)))
    return total


def pyramid_rate(weight: Weight | None = None) -> float:
    """κ in ∫∫ |α| g ~ κ log²(1/ε): (8/π²)(g(0) + √2 g(1/√2)). Parameters as in `pyramid_norm`."""
    if weight is None:
        return float(8 / np.pi**2 * (1 + np.sqrt(2)))
    _validate.function(weight, "weight")
    ends = weight(np.array([0.0, np.sqrt(0.5)]))
    return float(8 / np.pi**2 * (ends[0] + np.sqrt(2) * ends[1]))
