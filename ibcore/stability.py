"""Linear stability of descent with delay, momentum, noise and random workers.

Near a minimum the loss is quadratic and its eigendirections do not interact, so everything here is
about one number x and c = ηa: step size times curvature. A threshold is the value of c at which the
first root of the characteristic polynomial reaches the unit circle.

Convention: *undampened* momentum, v ← m v + g, x ← x - η v. A dampened run, v ← m v + (1-m) g, with
step size η_d is the undampened one with η = (1-m) η_d: its thresholds are c*/(1-m).

Source: Giladi et al. 2020, At Stability's Edge; every formula is derived in the book's chapter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray

__all__ = [
    "DelayedRun",
    "Momentum",
    "characteristic_polynomial",
    "decay_threshold",
    "delay_threshold",
    "delayed_descent",
    "fastest_delayed_rate",
    "growth_rate",
    "impulse_energy",
    "mean_square_radius",
    "mean_square_threshold",
    "momentum_threshold",
    "random_delay_polynomial",
    "random_delay_threshold",
    "random_worker_moments",
    "random_worker_threshold",
    "spectral_radius",
]

Momentum = Literal["heavy ball", "shifted"]
"""Which difference of iterates the momentum multiplies: the current or the delayed one."""

Gradient = Callable[[FloatArray], FloatArray]

_ROOT = 4 * np.finfo(np.float64).eps  # the tightest relative tolerance that brentq accepts


# --- characteristic polynomials -------------------------------------------------------------------


def characteristic_polynomial(
    c: float, delay: int, momentum: float = 0.0, *, kind: Momentum = "heavy ball", decay: float = 0
) -> FloatArray:
    """Return the characteristic polynomial of delayed descent on a quadratic.

    Parameters
    ----------
    c
        ηa > 0, step size times curvature.
    delay
        τ >= 0.
    momentum
        m in [0, 1), undampened.
    kind
        "heavy ball": x_{t+1} = x_t + m (x_t - x_{t-1}) - c x_{t-τ}. "shifted":
        x_{t+1} = x_t + m (x_{t-τ} - x_{t-τ-1}) - c x_{t-τ}.
    decay
        ηλ in [0, 1): the current iterate is multiplied by 1 - ηλ.

    Returns
    -------
    ndarray, shape (τ + 3,)
        Coefficients, highest power first. Up to two roots are zero.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    c, (delay, momentum, kind) = _validate.positive(c, "c"), _method(delay, momentum, kind)
    p = np.zeros(delay + 3)
    p[:2] = 1, _validate.fraction(decay, "decay") - 1
    late = 1 if kind == "heavy ball" else delay + 1
    p[late] -= momentum
    p[late + 1] += momentum
    p[delay + 1] += c
    return p


def random_delay_polynomial(c: float, law: ArrayLike) -> FloatArray:
    """Return the characteristic polynomial of the mean under independent random delays.

    Parameters
    ----------
    c
        ηa > 0.
    law
        Probabilities of the delays 0, 1, ..., K, shape (K + 1,).

    Returns
    -------
    ndarray, shape (K + 2,)
        Coefficients of z^{K+1} - z^K + c Σ_k p_k z^{K-k}, highest power first.

    Raises
    ------
    ValueError
        c <= 0, or `law` is not a law.
    """
    p = np.append(0.0, _validate.positive(c, "c") * _law(law))
    p[:2] += 1, -1
    return p


def spectral_radius(polynomial: ArrayLike) -> float:
    """Return the largest modulus of the roots of a polynomial, highest power first.

    Raises
    ------
    ValueError
        Not a vector of at least two numbers, or its first entry is zero.
    """
    p = _validate.vector(polynomial, "polynomial")
    if p.size < 2 or p[0] == 0:
        raise ValueError(
            f"polynomial has {p.size} coefficients, the first {p[0]}; allowed: at least two, the "
            "first not zero"
        )
    return float(np.abs(np.roots(p)).max())


# --- thresholds of the mean -----------------------------------------------------------------------


def delay_threshold(delay: ArrayLike) -> FloatArray:
    """Return the largest stable c of delayed descent, 2 sin(π/(2(2τ+1))).

    Parameters
    ----------
    delay
        τ >= 0, any shape; half-integers are mean delays of symmetric laws.

    Raises
    ------
    ValueError
        A negative delay.
    """
    tau = _validate.array(delay, "delay")
    if bool((tau < 0).any()):
        raise ValueError(f"delay is {tau.min()}; allowed: numbers >= 0")
    return np.asarray(2 * np.sin(np.pi / (2 * (2 * tau + 1))))


def fastest_delayed_rate(delay: int) -> tuple[float, float]:
    """Return c = τ^τ/(τ+1)^{τ+1}, at which delayed descent contracts fastest, and ρ = τ/(τ+1).

    Raises
    ------
    ValueError
        `delay` is not an integer >= 0.
    """
    delay = _validate.integer(delay, "delay", 0)
    rate = delay / (delay + 1)
    return rate**delay / (delay + 1), rate


def momentum_threshold(delay: int, momentum: float, *, kind: Momentum = "heavy ball") -> float:
    """Return the largest stable c of delayed descent with undampened momentum.

    Parameters
    ----------
    delay, momentum, kind
        As in `characteristic_polynomial`.

    Returns
    -------
    float
        2 sin(θ/2) |e^{iθ} - m| with (τ - 1/2) θ + arg(e^{iθ} - m) = π/2 (heavy ball), or
        2 sin(θ/2) |e^{i(τ+1)θ} - m| with arg(e^{i(τ+1)θ} - m) = π/2 + θ/2 (shifted); 2(1 + m)
        without delay.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    delay, momentum, kind = _method(delay, momentum, kind)
    if delay == 0:
        return 2 * (1 + momentum)
    turns = 1 if kind == "heavy ball" else delay + 1

    def phase(theta: float) -> float:
        angle = _angle(turns * theta, momentum) - np.pi / 2
        return angle + ((delay - 0.5) * theta if kind == "heavy ball" else -theta / 2)

    end = np.pi / (2 * delay - 1 if kind == "heavy ball" else delay + 1)
    theta = _crossing(phase, end)
    return float(2 * np.sin(theta / 2) * abs(np.exp(1j * turns * theta) - momentum))


def decay_threshold(delay: int, decay: float) -> float:
    """Return the largest stable c of delayed descent whose weight decay is not delayed.

    Parameters
    ----------
    delay
        τ >= 0.
    decay
        ηλ in [0, 1): x_{t+1} = (1 - ηλ) x_t - c x_{t-τ}.

    Returns
    -------
    float
        |e^{iθ} - A| with A = 1 - ηλ and τθ + arg(e^{iθ} - A) = π.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    delay, kept = _validate.integer(delay, "delay", 0), 1 - _validate.fraction(decay, "decay")
    if delay == 0:
        return 1 + kept
    theta = _crossing(lambda angle: delay * angle + _angle(angle, kept) - np.pi, np.pi / delay)
    return float(abs(np.exp(1j * theta) - kept))


def random_delay_threshold(law: ArrayLike) -> float:
    """Return the largest c at which the mean is stable under a symmetric law of delays.

    Parameters
    ----------
    law
        Probabilities of the delays 0, 1, ..., 2μ, symmetric about their mean μ, shape (2μ + 1,);
        pad with zeros where the support is shorter.

    Returns
    -------
    float
        2 sin(θ/2) / Σ_k p_k cos((k - μ) θ) at θ = π/(2μ+1).

    Raises
    ------
    ValueError
        `law` is not a law, or not symmetric.
    """
    p = _law(law)
    if not np.allclose(p, p[::-1], rtol=0, atol=1e-12):
        raise ValueError("law is not symmetric; allowed: the same probabilities read backwards")
    theta = np.pi / p.size
    return float(
        2 * np.sin(theta / 2) / (p @ np.cos((np.arange(p.size) - (p.size - 1) / 2) * theta))
    )


# --- second moments -------------------------------------------------------------------------------


def impulse_energy(c: ArrayLike, delay: int) -> FloatArray:
    """Return Σ g_t², the energy of the response of delayed descent to a unit kick.

    Parameters
    ----------
    c
        ηa, between zero and the threshold, any shape.
    delay
        τ >= 0.

    Returns
    -------
    ndarray
        (1 + sin T)/(2 sin φ cos T) with c = 2 sin(φ/2), T = (τ + 1/2) φ. Additive noise of variance
        η²σ² a step makes x stationary with variance η²σ² times this.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    delay, c = _validate.integer(delay, "delay", 0), _validate.array(c, "c")
    edge = float(delay_threshold(delay))
    if bool((c <= 0).any()) or bool((c >= edge).any()):
        raise ValueError(f"c has entries outside the stable range; allowed: 0 < c < {edge:g}")
    if delay == 0:  # the same, without the cancellation at φ near π
        return np.asarray(1 / (c * (2 - c)))
    phi = 2 * np.arcsin(c / 2)
    turned = (delay + 0.5) * phi
    return np.asarray((1 + np.sin(turned)) / (2 * np.sin(phi) * np.cos(turned)))


def mean_square_threshold(delay: int, noise: float) -> float:
    """Return the largest c at which the mean square is stable under noisy curvature.

    Parameters
    ----------
    delay
        τ >= 0.
    noise
        κ >= 0: x_{t+1} = x_t - c (1 + κ ξ_t) x_{t-τ}, ξ independent, of mean 0 and variance 1.

    Returns
    -------
    float
        2 sin(φ/2) at the root of κ² tan(φ/2) = tan(π/4 - (2τ+1) φ/4).

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    delay, noise = _validate.integer(delay, "delay", 0), _validate.non_negative(noise, "noise")
    half = (2 * delay + 1) / 2
    phi = _crossing(
        lambda x: (
            noise**2 * np.sin(x / 2) * np.cos(np.pi / 4 - half * x / 2)
            - np.cos(x / 2) * np.sin(np.pi / 4 - half * x / 2)
        ),
        np.pi / (2 * half),
    )
    return float(2 * np.sin(phi / 2))


def mean_square_radius(c: float, delay: int, noise: float) -> float:
    """Return the growth per step of the second moments under noisy curvature, by brute force.

    Parameters
    ----------
    c, delay, noise
        As in `mean_square_threshold`; cost grows like (τ+1)^6.

    Returns
    -------
    float
        Spectral radius of the map from E[z zᵀ] to its successor, z the window of τ + 1 iterates.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    c, delay = _validate.positive(c, "c"), _validate.integer(delay, "delay", 0)
    noise = _validate.non_negative(noise, "noise")
    step, kick = np.eye(delay + 1, k=-1), np.zeros((delay + 1, delay + 1))
    step[0, 0] = 1
    step[0, -1] -= c
    kick[0, -1] = c * noise
    return float(np.abs(np.linalg.eigvals(np.kron(step, step) + np.kron(kick, kick))).max())


def random_worker_moments(c: float, workers: int) -> FloatArray:
    """Return the map of the second moments when a uniformly random worker reports at each step.

    Parameters
    ----------
    c
        ηa > 0.
    workers
        N >= 2. The worker drawn adds -c times the iterate that it last read, and reads the new one.

    Returns
    -------
    ndarray, shape (4, 4)
        Acts on E x², E x ȳ, E of the mean of y_i², E ȳ², where y_i was read by worker i and ȳ is
        the mean over workers.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    c, n = _validate.positive(c, "c"), _validate.integer(workers, "workers", 2)
    after = np.array([1, -2 * c, c**2, 0])  # E x'²
    seen = np.array([0, 1, -c, 0])  # E x' y_i
    cross = np.array([0, 1, 0, -c])  # E x' ȳ
    squares, both = np.eye(4)[2], np.eye(4)[3]
    return np.array(
        [
            after,
            cross + (after - seen) / n,
            squares + (after - squares) / n,
            both + 2 * (cross - both) / n + (after - 2 * seen + squares) / n**2,
        ]
    )


def random_worker_threshold(workers: ArrayLike) -> FloatArray:
    """Return the largest c at which random workers are stable in mean square.

    Parameters
    ----------
    workers
        N >= 1, any shape.

    Returns
    -------
    ndarray
        (1 + √(1 + 8N))/(2N), the positive root of N c² = c + 2.

    Raises
    ------
    ValueError
        Fewer than one worker.
    """
    n = _validate.array(workers, "workers")
    if bool((n < 1).any()):
        raise ValueError(f"workers is {n.min()}; allowed: numbers >= 1")
    return np.asarray((1 + np.sqrt(1 + 8 * n)) / (2 * n))


# --- running it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DelayedRun:
    """Iterates of delayed descent.

    Attributes
    ----------
    times
        Numbers of updates done, shape (T,).
    weights
        Iterates at those times, shape (T, ..., P). A run that diverged keeps the last of its
        recorded iterates that was within the bound.
    diverged
        Which runs left the bound, shape (...).
    """

    times: IntArray
    weights: FloatArray
    diverged: NDArray[np.bool_]


def delayed_descent(
    gradient: Gradient,
    start: ArrayLike,
    step_size: ArrayLike,
    delay: int,
    record_at: ArrayLike,
    *,
    momentum: ArrayLike = 0.0,
    kind: Momentum = "heavy ball",
    bound: float = 1e6,
) -> DelayedRun:
    """Run descent whose gradients are τ steps old, many runs as one array.

    Parameters
    ----------
    gradient
        Maps iterates of shape (..., P) to gradients of that shape; it may draw minibatches.
    start
        First iterate of each run, shape (..., P); the iterates before it are equal to it.
    step_size
        η > 0, one number or one a run, shape (...).
    delay
        τ >= 0.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    momentum
        m in [0, 1), undampened, one number or one a run.
    kind
        "heavy ball" or "shifted", see `characteristic_polynomial`.
    bound
        A run with a coordinate larger than this, when it is recorded, has diverged.

    Returns
    -------
    DelayedRun

    Raises
    ------
    ValueError
        Arguments out of range, or shapes that do not match.
    """
    _validate.function(gradient, "gradient")
    times = _validate.update_counts(record_at, "record_at")
    advance = _iterates(gradient, start, step_size, delay, momentum, kind)
    bound = _validate.positive(bound, "bound")
    window = next(advance)
    recorded, done = [window[-1].copy()], 0
    diverged = np.zeros(recorded[0].shape[:-1], dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for time in times:
            for _ in range(int(time) - done):
                window = next(advance)
            done, found = int(time), window[-1].copy()
            diverged |= ~(np.abs(found).max(axis=-1) <= bound)  # not a number counts as well
            found[diverged] = recorded[-1][diverged]
            recorded.append(found)
    return DelayedRun(times, np.array(recorded[1:]), diverged)


def growth_rate(
    gradient: Gradient,
    start: ArrayLike,
    step_size: ArrayLike,
    delay: int,
    steps: int,
    *,
    momentum: ArrayLike = 0.0,
    kind: Momentum = "heavy ball",
    transient: float = 0.5,
) -> FloatArray:
    """Measure log ρ, the growth per step of delayed descent on a quadratic, by running it.

    Parameters
    ----------
    gradient
        *Linear* map of iterates of shape (..., P), for example v ↦ Hv. The growth is that of its
        values, so that directions without curvature do not count.
    start, step_size, delay, momentum, kind
        As in `delayed_descent`.
    steps
        Number of updates, at least 100.
    transient
        Share of them in [0, 1) that is left out of the regression.

    Returns
    -------
    ndarray, shape (...)
        Slope of the logarithm of the norm of the gradients over 2(2τ+1) steps against time. The
        iterates are rescaled on the way, so nothing over- or underflows.

    Raises
    ------
    ValueError
        Arguments out of range, shapes that do not match, or gradients that vanish.
    """
    _validate.function(gradient, "gradient")
    steps, transient = (
        _validate.integer(steps, "steps", 100),
        _validate.fraction(transient, "transient"),
    )
    squares: list[FloatArray] = []

    def watched(x: FloatArray) -> FloatArray:
        g = gradient(x)
        squares.append((g**2).sum(axis=-1))
        return g

    advance = _iterates(watched, start, step_size, delay, momentum, kind)
    period = 2 * (2 * delay + 1)  # of the slowest mode at the edge: its energy does not oscillate
    period *= max(1, 24 // period)
    next(advance)
    logs, scale = [], np.zeros(np.shape(start)[:-1])
    for _ in range(max(steps // period, 8)):
        squares.clear()
        for _ in range(period):
            window = next(advance)
        energy = np.mean(squares, axis=0)
        if not bool((energy > 0).all()) or not bool(np.isfinite(energy).all()):
            raise ValueError("step_size: the gradients vanish or overflow within one period")
        logs.append(scale + np.log(energy) / 2)
        scale = logs[-1]
        for x in window:
            x /= np.sqrt(energy)[..., None]
    first = int(transient * len(logs))
    slopes = np.polyfit(
        period * np.arange(first, len(logs)), np.reshape(logs[first:], (len(logs) - first, -1)), 1
    )[0]
    return np.asarray(slopes.reshape(scale.shape))


def _iterates(
    gradient: Gradient,
    start: ArrayLike,
    step_size: ArrayLike,
    delay: int,
    momentum: ArrayLike,
    kind: Momentum,
) -> Iterator[deque[FloatArray]]:
    """Yield the window x_{t-τ-1}, ..., x_t for t = 0, 1, ...; the caller may rescale it."""
    x = _validate.array(start, "start").copy()
    if x.ndim == 0:
        raise ValueError("start is a single number; allowed: shape (..., P)")
    m = _a_run(momentum, "momentum", x.shape[:-1])
    eta = _a_run(step_size, "step_size", x.shape[:-1])
    if bool((eta <= 0).any()):
        raise ValueError(f"step_size is {eta.min()}; allowed: numbers > 0")
    if bool((m < 0).any()) or bool((m >= 1).any()):
        raise ValueError(f"momentum is {m.min()} to {m.max()}; allowed: 0 <= momentum < 1")
    delay, _, kind = _method(delay, 0.0, kind)
    window = deque([x.copy() for _ in range(delay + 2)], maxlen=delay + 2)
    plain, newest = not m.any(), kind == "heavy ball"

    def forever() -> Iterator[deque[FloatArray]]:
        while True:
            yield window
            # One new array a step; the rescaling of `growth_rate` needs them all distinct.
            x = window[-1] - eta * gradient(window[1])
            if not plain:
                late, early = (-1, -2) if newest else (1, 0)
                x += m * (window[late] - window[early])
            window.append(x)

    return forever()


# --- arguments ------------------------------------------------------------------------------------


def _crossing(phase: Callable[[float], float], end: float) -> float:
    """Return the root in (0, end] of a function that is negative near zero."""
    if phase(end) <= 0:  # the root is at the end, up to rounding
        return end
    return float(brentq(phase, 0.0, end, xtol=1e-300, rtol=_ROOT))


def _angle(turned: float, inner: float) -> float:
    """Return the argument of e^{i turned} - inner in [0, 2π), for 0 <= inner < 1."""
    return float(np.angle(np.exp(1j * turned) - inner) % (2 * np.pi))


def _method(delay: int, momentum: float, kind: Momentum) -> tuple[int, float, Momentum]:
    if kind not in get_args(Momentum):
        raise ValueError(f"kind is {kind!r}; allowed: {' or '.join(map(repr, get_args(Momentum)))}")
    return _validate.integer(delay, "delay", 0), _validate.fraction(momentum, "momentum"), kind


def _law(value: ArrayLike) -> FloatArray:
    p = _validate.vector(value, "law")
    if bool((p < 0).any()) or abs(p.sum() - 1) > 1e-12:
        raise ValueError(f"law sums to {p.sum()}; allowed: probabilities >= 0 that sum to 1")
    return p


def _a_run(value: ArrayLike, name: str, runs: tuple[int, ...]) -> FloatArray:
    """Return one number a run, with an axis for the coordinates."""
    array = _validate.array(value, name)
    if array.shape not in ((), runs):
        raise ValueError(f"{name} has shape {array.shape}; allowed: () or {runs}")
    return array[..., None] if array.ndim else array
