"""Random functions with continuous weights: caps of the sphere and orthants of Gaussian vectors.

Weights near a teacher's lie in a cap of the sphere. The outputs of an infinitely wide network on N
points are a Gaussian vector, and the probability that it labels all of them as wanted is that of an
orthant: far too small for guesses, but a product of N factors of order one, which a cloud of
particles follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray

__all__ = [
    "OrthantPath",
    "arc_cosine_kernel",
    "bounce",
    "cap_lower_bound",
    "cap_probability",
    "orthant_path",
]


def _angles(value: ArrayLike) -> FloatArray:
    angles = _validate.array(value, "angle")
    if (angles <= 0).any() or (angles > math.pi / 2).any():
        raise ValueError(f"angle is {angles.tolist()}; allowed: numbers in (0, pi/2]")
    return angles


def cap_probability(d: int, angle: ArrayLike) -> FloatArray:
    """Return the share of the unit sphere of R^d within an angle of a given point.

    Parameters
    ----------
    d
        Dimension, at least 2.
    angle
        Radians, in (0, π/2].

    Returns
    -------
    ndarray
        ½ I_{sin² α}((d - 1)/2, ½), with the regularised incomplete beta function.

    Raises
    ------
    ValueError
        `d` or an angle out of range.
    """
    d = _validate.integer(d, "d", 2)
    share = special.betainc((d - 1) / 2, 0.5, np.sin(_angles(angle)) ** 2)
    return np.asarray(0.5 * share)


def cap_lower_bound(d: int, angle: ArrayLike) -> FloatArray:
    """Return the lower bound sin^{d-1} α / ((d - 1) B((d - 1)/2, ½)) on `cap_probability`.

    Parameters, errors as there; it is the integral of the share with cos replaced by 1.
    """
    d = _validate.integer(d, "d", 2)
    scale = (d - 1) * special.beta((d - 1) / 2, 0.5)
    return np.asarray(np.sin(_angles(angle)) ** (d - 1) / scale)


def arc_cosine_kernel(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return E relu(w·x) relu(w·x') over a standard Gaussian w.

    Parameters
    ----------
    a, b
        Points, shapes (n, d) and (m, d).

    Returns
    -------
    ndarray, shape (n, m)
        ‖x‖‖x'‖ (sin θ + (π - θ) cos θ)/(2π), θ the angle between x and x'.

    Raises
    ------
    ValueError
        Not finite matrices with the same number of columns, or a zero row.
    """
    x = _validate.matrix(a, "a")
    y = _validate.matrix(b, "b", x.shape[1])
    norms = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    if not norms.all():
        raise ValueError("a, b have a row that is zero; allowed: rows with a direction")
    cosine = np.clip(x @ y.T / norms, -1.0, 1.0)
    theta = np.arccos(cosine)
    return norms * (np.sin(theta) + (math.pi - theta) * cosine) / (2 * math.pi)


def bounce(
    f: ArrayLike, covariance: ArrayLike, time: float, rng: np.random.Generator
) -> FloatArray:
    """Move samples of a Gaussian vector inside the positive orthant, leaving its law as it is.

    Parameters
    ----------
    f
        Positive vectors, shape (M, n).
    covariance
        Positive definite, shape (n, n).
    time
        Length of the trajectory, in (0, π/2]; π/2 forgets the start where no wall is met.
    rng
        Draws the velocities.

    Returns
    -------
    ndarray, shape (M, n)

    Raises
    ------
    ValueError
        Shapes that do not match, entries that are negative, or a covariance that is not positive
        definite.

    Notes
    -----
    Exact Hamiltonian dynamics, f cos t + v sin t with reflections at the walls (Pakman and Paninski
    2014). No step size and no rejections.
    """
    x = _validate.matrix(f, "f").copy()
    k = _validate.matrix(covariance, "covariance", x.shape[1])
    factor = _cholesky(k)
    if (x < 0).any():
        raise ValueError("f has negative entries; allowed: vectors inside the positive orthant")
    remaining = np.full(len(x), _validate.positive(time, "time"))
    if remaining[0] > math.pi / 2:
        raise ValueError(f"time is {time}; allowed: a number in (0, pi/2]")
    v = _validate.generator(rng, "rng").standard_normal(x.shape) @ factor.T
    diagonal = np.diag(k)
    result = np.empty_like(x)
    who = np.arange(len(x))
    while who.size:
        # Before a quarter turn, only coordinates that fall can reach zero: tan t = f/(-v).
        ratio = np.where(v < 0, x, np.inf) / np.where(v < 0, -v, 1.0)
        wall = ratio.argmin(axis=1)
        rows = np.arange(who.size)
        hit = np.arctan(ratio[rows, wall])
        step = np.minimum(hit, remaining)
        c, s = np.cos(step)[:, None], np.sin(step)[:, None]
        x, v = x * c + v * s, v * c - x * s
        stops = hit >= remaining
        result[who[stops]] = np.maximum(x[stops], 0.0)
        remaining = (remaining - step)[~stops]
        x, v, wall, who = np.maximum(x[~stops], 0.0), v[~stops], wall[~stops], who[~stops]
        rows = np.arange(who.size)
        x[rows, wall] = 0.0
        v -= (2 * v[rows, wall] / diagonal[wall])[:, None] * k[wall]
    return result


def _cholesky(k: FloatArray) -> FloatArray:
    if k.shape[0] != k.shape[1] or not np.allclose(k, k.T, rtol=1e-10, atol=0):
        raise ValueError(f"covariance has shape {k.shape}; allowed: a symmetric matrix")
    try:
        factor = np.linalg.cholesky(k).astype(np.float64, copy=False)
    except np.linalg.LinAlgError as error:
        raise ValueError("covariance is not positive definite; allowed: one that is") from error
    return factor


@dataclass(frozen=True)
class OrthantPath:
    """Probabilities of the orthants of the first n coordinates, and particles inside them.

    Attributes
    ----------
    log_probability
        Estimate of log P(f_1 > 0, ..., f_n > 0) for n = 0, ..., N, shape (N + 1,).
    next_positive
        Estimate of P(f_{n+1} > 0 | f_1, ..., f_n > 0) for n = 0, ..., N - 1, shape (N,).
    particles
        For each checkpoint n, samples of (f_1, ..., f_n) given the orthant, shape (M, n).
    """

    log_probability: FloatArray
    next_positive: FloatArray
    particles: dict[int, FloatArray]


def orthant_path(
    covariance: ArrayLike,
    n_particles: int,
    rng: np.random.Generator,
    *,
    checkpoints: tuple[int, ...] = (),
    moves: int = 1,
) -> OrthantPath:
    """Follow the probability that a centred Gaussian vector is positive, coordinate by coordinate.

    Parameters
    ----------
    covariance
        Positive definite, shape (N, N). Fold labels in: y_i y_j K_ij.
    n_particles
        Number of particles M, at least 2.
    rng
        Source of the draws.
    checkpoints
        Values of n at which equally weighted particles are kept.
    moves
        Trajectories of `bounce` after each resampling, at least 1.

    Returns
    -------
    OrthantPath
        The probability (not its logarithm) is estimated without bias.

    Raises
    ------
    ValueError
        Arguments out of range.

    Notes
    -----
    Sequential Monte Carlo: given its predecessors each coordinate is drawn from its truncated
    Gaussian, and the particle weighted by the probability of the truncation (Geweke, Hajivassiliou
    and Keane). When the weights have become uneven, by an effective sample size below M/2, the
    particles are resampled and moved along exact Hamiltonian trajectories.
    """
    _validate.sequence(checkpoints, "checkpoints", "integers")
    k = _validate.matrix(covariance, "covariance")
    factor = _cholesky(k)
    n_samples = len(k)
    count = _validate.integer(n_particles, "n_particles", 2)
    moves = _validate.integer(moves, "moves", 1)
    rng = _validate.generator(rng, "rng")
    kept = {_validate.integer(n, "checkpoints", 1) for n in checkpoints}
    if kept and max(kept) > n_samples:
        raise ValueError(f"checkpoints is {sorted(kept)}; allowed: at most N = {n_samples}")
    z = np.empty((count, n_samples))  # f = z @ factor.T
    weights, log_probability = np.full(count, 1 / count), np.zeros(n_samples + 1)
    chances, particles = np.empty(n_samples), {}
    for n in range(n_samples):
        mean = z[:, :n] @ factor[n, :n] / factor[n, n]
        chance = special.ndtr(mean)
        chances[n] = weights @ chance
        log_probability[n + 1] = log_probability[n] + math.log(chances[n])
        # The upper tail of a Gaussian beyond -mean, by inversion from above: no cancellation.
        z[:, n] = -special.ndtri(chance * (1 - rng.random(count)))
        weights = weights * chance / chances[n]
        if weights @ weights * count > 2 or n + 1 in kept:
            f = (z[:, : n + 1] @ factor[: n + 1, : n + 1].T)[_systematic(weights, rng)]
            f = np.maximum(f, 0.0)
            for _ in range(moves):
                f = bounce(f, k[: n + 1, : n + 1], math.pi / 2, rng)
            z[:, : n + 1] = linalg.solve_triangular(factor[: n + 1, : n + 1], f.T, lower=True).T
            weights = np.full(count, 1 / count)
            if n + 1 in kept:
                particles[n + 1] = f
    return OrthantPath(log_probability, chances, particles)


def _systematic(weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return indices that repeat each particle in proportion to its weight."""
    ends = np.cumsum(weights)
    marks = (np.arange(weights.size) + rng.random()) / weights.size
    chosen: IntArray = np.searchsorted(ends, marks * ends[-1], side="right").astype(np.int64)
    chosen[chosen == weights.size] = weights.size - 1
    return chosen
