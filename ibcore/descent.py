"""Gradient methods on separable data: discrete steps, recorded at chosen times.

Everything here minimises a sum of a decreasing loss over signed samples, L(w) = Σ_n ℓ(x_nᵀw), where
the labels are folded into the rows x_n of `signed` (a *sum*: for a mean, divide the step size by
N). Time counts updates; t = 0 is the start. An optimiser is a rule that advances its own state by a
number of steps; one recording loop runs them all.

Sources: Soudry et al. 2018 (gradient descent, momentum, AdaGrad, Adam), Nacson et al. 2019
(stochastic gradient descent; normalised steps).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray
from ibcore.losses import EXPONENTIAL, LOGISTIC, Loss
from ibcore.margins import hard_margin

__all__ = [
    "AdaptiveTrajectory",
    "DivergenceError",
    "StepSizeBounds",
    "Trajectory",
    "adagrad",
    "adam",
    "gradient_descent",
    "log_spaced",
    "normalized_gradient_descent",
    "softmax_gradient_descent",
    "step_size_bounds",
    "stochastic_gradient_descent",
]

Advance = Callable[[int], None]
"""Advance a rule's own state by a number of steps."""

_CHECK_EVERY = 20_000  # steps between two looks for overflow, so that a lost run stops early
_ONE_MAP_LIMIT = 64  # up to this N + d one dense map is faster than two products (measured)
_DRAW_AHEAD = 1 << 18  # sample indices drawn at once in stochastic descent, over all runs


class DivergenceError(ValueError):
    """The iterates overflowed: the step size is too large for this start and these data."""


@dataclass(frozen=True)
class Trajectory:
    """Iterates of a discrete method.

    Attributes
    ----------
    times
        Numbers of updates done, increasing, shape (T,).
    weights
        Iterates at those times, shape (T, d); (T, runs, d) for stochastic descent and (T, K, d) for
        softmax regression.
    """

    times: IntArray
    weights: FloatArray


@dataclass(frozen=True)
class AdaptiveTrajectory(Trajectory):
    """Iterates of a method with a diagonal preconditioner.

    Attributes
    ----------
    accumulated
        The accumulator that scales the next step, shape (T, d): the sum of squared gradients G
        (AdaGrad) or the moving average v of them, not corrected for its start (Adam).
    """

    accumulated: FloatArray


def log_spaced(start: int, stop: int, per_decade: int) -> IntArray:
    """Return integer times that are evenly spaced in log t, without repeats.

    Parameters
    ----------
    start, stop
        First and last time, both included, 1 <= start <= stop.
    per_decade
        Times per factor of ten (fewer where they would round to the same integer).

    Returns
    -------
    ndarray of int64, strictly increasing

    Raises
    ------
    ValueError
        Not integers, or not 1 <= start <= stop, or `per_decade` < 1.
    """
    start = _validate.integer(start, "start", 1)
    stop = _validate.integer(stop, "stop", start)
    per_decade = _validate.integer(per_decade, "per_decade", 1)
    count = int(np.ceil(np.log10(stop / start) * per_decade)) + 1
    inner = np.rint(np.geomspace(start, stop, max(count, 2))).astype(np.int64)
    return np.unique(np.clip(np.append(inner, [start, stop]), start, stop))


def gradient_descent(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    *,
    w0: ArrayLike | None = None,
    loss: Loss = LOGISTIC,
    momentum: float = 0.0,
) -> Trajectory:
    """Run w ← w - η ∇L(w), or heavy-ball momentum v ← μv - η ∇L(w), w ← w + v.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0, per update and for the *sum* of the losses.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    w0
        Start, shape (d,); zero by default.
    loss
        Loss of the margin.
    momentum
        μ in [0, 1); the velocity starts at zero.

    Returns
    -------
    Trajectory
        `weights` of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase, `step_size` <= 0 or
        `momentum` outside [0, 1).
    DivergenceError
        The iterates overflow; the message names the step size.

    Notes
    -----
    Soudry et al. 2018, Theorem 3: converges to the max-margin direction for every
    η < 2/(β σ²_max) (the bound is sufficient, not necessary). Between two evaluations of -ℓ' the
    update is linear, so for small N + d one matrix maps slopes and iterate to the next margins and
    iterate: two NumPy calls a step.
    """
    _validate.instance(loss, "loss", Loss)
    signed, step_size, times, w = _checked(signed, step_size, record_at, w0)
    momentum = _validate.fraction(momentum, "momentum")
    slope_at = _slope_of_negated(loss)
    small = sum(signed.shape) <= _ONE_MAP_LIMIT
    make = _one_map_rule if small else _two_product_rule
    advance, state = make(signed, step_size, w, momentum, slope_at)
    return Trajectory(times, _record(advance, (state,), times, step_size)[0])


def normalized_gradient_descent(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    *,
    decay: float = 0.5,
    by: Literal["loss", "gradient"] = "loss",
    w0: ArrayLike | None = None,
    loss: Loss = EXPONENTIAL,
) -> Trajectory:
    """Run w ← w - η (t+1)^{-decay} ∇L(w)/L(w), or with ‖∇L(w)‖ in place of L(w).

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    decay
        Exponent >= 0 of the schedule; update number t + 1 uses (t+1)^{-decay}.
    by
        What divides the gradient: "loss" or "gradient" (its Euclidean norm).
    w0
        Start, shape (d,); zero by default.
    loss
        Loss of the margin. The ratio is formed in the log domain, so L itself may underflow.

    Returns
    -------
    Trajectory
        `weights` of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase, `step_size` <= 0,
        `decay` < 0 or an unknown `by`.
    DivergenceError
        The iterates overflow; the message names the step size.

    Notes
    -----
    Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (aggressive steps:
    exponential loss, ‖x_n‖ <= 1, η = 1, decay = 1/2).
    """
    _validate.instance(loss, "loss", Loss)
    signed, step_size, times, w = _checked(signed, step_size, record_at, w0)
    decay = _validate.non_negative(decay, "decay")
    if by not in ("loss", "gradient"):
        raise ValueError(f"by is {by!r}; allowed: 'loss' or 'gradient'")
    done = 0

    plain = loss is EXPONENTIAL  # where -ℓ' = ℓ: the most frequent case, at half the cost

    def step() -> None:
        nonlocal done
        done += 1
        margins = signed.dot(w)
        log_slopes = -margins if plain else -loss.exponent(margins)
        top = log_slopes.max()  # the ratio does not change when both parts are divided by e^top
        weights = np.exp(log_slopes - top)
        pull = weights.dot(signed)
        if by == "loss":
            pull /= (weights if plain else np.exp(loss.log_value(margins) - top)).sum()
        else:
            pull /= np.sqrt(pull.dot(pull))
        np.add(w, step_size * done**-decay * pull, out=w)

    return Trajectory(times, _record(_repeat(step), (w,), times, step_size)[0])


def stochastic_gradient_descent(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    rng: np.random.Generator,
    *,
    batch_size: int,
    replacement: bool,
    runs: int = 1,
    w0: ArrayLike | None = None,
    loss: Loss = LOGISTIC,
) -> Trajectory:
    """Run many independent runs of stochastic gradient descent as one array.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0, for the *sum* of the losses over a minibatch.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
        One update is B/N epochs.
    rng
        Run r draws from child r of `rng.spawn(runs)`: it does not depend on how many runs there
        are.
    batch_size
        B, 1 <= B <= N. Without replacement it must divide N.
    replacement
        True: minibatches of independent uniform indices. False: each epoch of N/B updates is a
        fresh uniform partition of the samples.
    runs
        Number of runs R >= 1.
    w0
        Start, shape (d,) or one for each run, shape (R, d); zero by default.
    loss
        Loss of the margin.

    Returns
    -------
    Trajectory
        `weights` of shape (T, R, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase, `step_size` <= 0,
        `runs` < 1, `batch_size` not allowed, or `rng` not a Generator.
    DivergenceError
        The iterates of a run overflow; the message names the step size.

    Notes
    -----
    Nacson et al. 2019, Stochastic Gradient Descent on Separable Data: Theorem 1, cases 1 and 2.
    """
    _validate.instance(loss, "loss", Loss)
    _validate.flag(replacement, "replacement")
    signed = _validate.matrix(signed, "signed")
    n_samples, n_features = signed.shape
    runs = _validate.integer(runs, "runs", 1)
    batch_size = _batch_size(batch_size, n_samples, replacement)
    start = np.zeros(n_features) if w0 is None else _validate.array(w0, "w0")
    if start.shape not in ((n_features,), (runs, n_features)):
        raise ValueError(
            f"w0 has shape {start.shape}; allowed: ({n_features},) or ({runs}, {n_features})"
        )
    step_size = _validate.positive(step_size, "step_size")
    times = _validate.update_counts(record_at, "record_at")
    streams = _validate.generator(rng, "rng").spawn(runs)
    minibatches = _minibatches(streams, n_samples, batch_size, replacement)
    w = np.array(np.broadcast_to(start, (runs, n_features)))
    slope_at = _slope_of_negated(loss)

    def step() -> None:
        samples = signed[next(minibatches)]  # (R, B, d)
        negated = -(samples @ w[:, :, None])[:, :, 0]
        slope_at(negated, negated)
        np.add(w, step_size * (negated[:, None, :] @ samples)[:, 0, :], out=w)

    return Trajectory(times, _record(_repeat(step), (w,), times, step_size)[0])


@dataclass(frozen=True)
class StepSizeBounds:
    """Fixed steps below which stochastic descent on separable data is proved to converge.

    Attributes
    ----------
    subset
        2γ²/(βσ⁴): minibatches that are fresh uniform subsets, of any size.
    independent
        2/(βσ² [R²/γ² + (B-1)/N]): minibatches of independent indices.
    reshuffled
        γ/(2βσ³ (K + σ/γ)): every epoch any partition into K = N/B minibatches, in any order.
    """

    subset: float
    independent: float
    reshuffled: float


def step_size_bounds(
    signed: ArrayLike, smoothness: float, *, batch_size: int = 1
) -> StepSizeBounds:
    """Return the fixed step sizes below which stochastic descent is proved to reach zero loss.

    Parameters
    ----------
    signed
        Separable samples with the labels folded in, shape (N, d).
    smoothness
        β > 0, the Lipschitz constant of ℓ'.
    batch_size
        B, 1 <= B <= N.

    Returns
    -------
    StepSizeBounds
        For the *sum* of the losses over a minibatch; B times larger for their mean.

    Raises
    ------
    NotSeparableError
        No vector separates the samples.
    ValueError
        Bad shapes, `smoothness` <= 0 or `batch_size` out of range.

    Notes
    -----
    Nacson et al. 2019, Stochastic Gradient Descent on Separable Data, re-derived: γ is the margin,
    σ the largest singular value of the samples, R their largest norm. The paper's second bound is a
    minimum with 1/(2Kβσ²), which is never the smaller one as γ <= σ.
    """
    x = _validate.matrix(signed, "signed")
    beta = _validate.positive(smoothness, "smoothness")
    n_samples = len(x)
    size = _batch_size(batch_size, n_samples, True)
    gamma = hard_margin(x).margin
    sigma = float(np.linalg.norm(x, 2))
    growth = (float(np.linalg.norm(x, axis=1).max()) / gamma) ** 2 + (size - 1) / n_samples
    return StepSizeBounds(
        subset=2 * gamma**2 / (beta * sigma**4),
        independent=2 / (beta * sigma**2 * growth),
        reshuffled=gamma / (2 * beta * sigma**3 * (n_samples / size + sigma / gamma)),
    )


def adam(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    *,
    w0: ArrayLike | None = None,
    loss: Loss = LOGISTIC,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    decay: float = 0.0,
) -> AdaptiveTrajectory:
    """Run Adam with full gradients, with steps η (t+1)^{-decay}.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    w0
        Start, shape (d,); zero by default.
    loss
        Loss of the margin.
    beta1, beta2
        Averaging factors of the gradient and of its square, in [0, 1).
    epsilon
        Added to the root, > 0. Once gradients fall below it, Adam is scaled gradient descent.
    decay
        Exponent >= 0 of the step-size schedule.

    Returns
    -------
    AdaptiveTrajectory
        `weights` and `accumulated` (the average of squares v) of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase, or a parameter out of
        range.
    DivergenceError
        The iterates or the averages overflow; the message names the step size.

    Notes
    -----
    Soudry et al. 2018, discussion of adaptive methods: the limit is not the L2 max margin.
    """
    _validate.instance(loss, "loss", Loss)
    signed, step_size, times, w = _checked(signed, step_size, record_at, w0)
    beta1, beta2 = _validate.fraction(beta1, "beta1"), _validate.fraction(beta2, "beta2")
    epsilon = _validate.positive(epsilon, "epsilon")
    decay = _validate.non_negative(decay, "decay")
    gradient = _gradient(signed, loss)
    average, square = np.zeros_like(w), np.zeros_like(w)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        g = gradient(w)
        np.add(beta1 * average, (1 - beta1) * g, out=average)
        np.add(beta2 * square, (1 - beta2) * g * g, out=square)
        scale = np.sqrt(square / (1 - beta2**done)) + epsilon
        rate = step_size * done**-decay / (1 - beta1**done)
        np.subtract(w, rate * average / scale, out=w)

    weights, squares = _record(_repeat(step), (w, square), times, step_size)
    return AdaptiveTrajectory(times, weights, squares)


def adagrad(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    *,
    w0: ArrayLike | None = None,
    loss: Loss = LOGISTIC,
    initial_accumulator: float = 1e-10,
) -> AdaptiveTrajectory:
    """Run AdaGrad with full gradients: G ← G + g², w ← w - η g/√G.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    w0
        Start, shape (d,); zero by default.
    loss
        Loss of the margin.
    initial_accumulator
        G(0) > 0, the same for every coordinate.

    Returns
    -------
    AdaptiveTrajectory
        `weights` and `accumulated` (G) of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase, or a parameter out of
        range.
    DivergenceError
        The iterates or the accumulator overflow; the message names the step size.

    Notes
    -----
    On separable data the gradients are square-summable, so G converges. With G frozen at G_∞ the
    method is gradient descent in w' = G_∞^{1/4} w on the samples x' = G_∞^{-1/4} x: its limit is
    argmin wᵀ G_∞^{1/2} w subject to x_nᵀw >= 1, and its log-time flow is `flow.log_time_flow` on
    the rescaled samples (Soudry et al. 2018, discussion of adaptive methods).
    """
    _validate.instance(loss, "loss", Loss)
    signed, step_size, times, w = _checked(signed, step_size, record_at, w0)
    start = _validate.positive(initial_accumulator, "initial_accumulator")
    gradient = _gradient(signed, loss)
    total = np.full_like(w, start)

    def step() -> None:
        g = gradient(w)
        np.add(total, g * g, out=total)
        np.subtract(w, step_size * g / np.sqrt(total), out=w)

    weights, totals = _record(_repeat(step), (w, total), times, step_size)
    return AdaptiveTrajectory(times, weights, totals)


def softmax_gradient_descent(
    x: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    step_size: float,
    record_at: ArrayLike,
    *,
    w0: ArrayLike | None = None,
) -> Trajectory:
    """Run gradient descent on the softmax cross-entropy summed over samples.

    Parameters
    ----------
    x
        Samples, shape (N, d).
    y
        Class indices 0..K-1, shape (N,).
    n_classes
        K >= 2.
    step_size
        η > 0, for the *sum* of the losses.
    record_at
        Numbers of updates after which to record, strictly increasing integers >= 0, shape (T,).
    w0
        Start, one row a class, shape (K, d); zero by default.

    Returns
    -------
    Trajectory
        `weights` of shape (T, K, d).

    Raises
    ------
    ValueError
        Bad shapes, labels that are not class indices, values that are not finite, times that do
        not increase, or `step_size` <= 0.
    DivergenceError
        The iterates overflow; the message names the step size.

    Notes
    -----
    Soudry et al. 2018, Theorem 7.
    """
    x = _validate.matrix(x, "x")
    y = _validate.classes(y, "y", n_classes, len(x))
    step_size = _validate.positive(step_size, "step_size")
    times = _validate.update_counts(record_at, "record_at")
    w = (
        np.zeros((n_classes, x.shape[1]))
        if w0 is None
        else class_weights(w0, n_classes, x.shape[1])
    )
    scaled, others = np.ascontiguousarray(step_size * x), np.ones((len(x), n_classes))
    others[np.arange(len(x)), y] = 0.0

    def step() -> None:
        logits = x @ w.T
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        # 1 - p_y is formed as the sum of the others: it loses no digits when it is small.
        p *= others
        p[np.arange(len(x)), y] = -p.sum(axis=1)
        np.subtract(w, p.T @ scaled, out=w)

    return Trajectory(times, _record(_repeat(step), (w,), times, step_size)[0])


def class_weights(w0: ArrayLike, n_classes: int, n_features: int) -> FloatArray:
    """Return a writable copy of weights with one row a class, or raise `ValueError`."""
    k = _validate.integer(n_classes, "n_classes", 2)
    d = _validate.integer(n_features, "n_features", 1)
    weights = _validate.matrix(w0, "w0", d)
    if len(weights) != k:
        raise ValueError(f"w0 has shape {weights.shape}; allowed: ({k}, {d})")
    return weights.copy()


# --- the recording loop -------------------------------------------------------------------------


def _record(
    advance: Advance, state: tuple[FloatArray, ...], times: IntArray, step_size: float
) -> tuple[FloatArray, ...]:
    """Advance a rule to each time and copy its state there (arrays that the rule updates in place).

    The state must stay NaN or infinite once it is, so looking at it now and then finds an overflow.
    """
    records = tuple(np.empty((len(times), *part.shape)) for part in state)
    done = 0
    with np.errstate(all="ignore"):
        for row, time in enumerate(times):
            while done < time:
                steps = min(int(time) - done, _CHECK_EVERY)
                advance(steps)
                done += steps
                if not all(np.isfinite(part).all() for part in state):
                    raise DivergenceError(
                        f"step_size is {step_size:g}, with which the iterates overflow within "
                        f"{done} updates; allowed: a smaller one (below 2/(β σ²_max) for a "
                        "β-smooth loss), or a start closer to the origin"
                    )
            for record, part in zip(records, state, strict=True):
                record[row] = part
    return records


def _repeat(step: Callable[[], None]) -> Advance:
    """Return the rule that takes one step at a time."""

    def advance(steps: int) -> None:
        for _ in range(steps):
            step()

    return advance


# --- rules of (momentum) gradient descent -------------------------------------------------------

InPlace = Callable[[FloatArray, FloatArray], object]
"""Write the slopes -ℓ'(u) of *negated* margins (first argument) to the second argument."""


def _slope_of_negated(loss: Loss) -> InPlace:
    """Return u ↦ -ℓ'(u) of negated margins -u, as one ufunc where there is one."""
    if loss is EXPONENTIAL:
        return np.exp
    if loss is LOGISTIC:
        return expit  # type: ignore[no-any-return]

    def slope(negated: FloatArray, out: FloatArray) -> None:
        out[...] = loss.slope(-negated)

    return slope


def _one_map_rule(
    signed: FloatArray, step_size: float, w0: FloatArray, momentum: float, slope_at: InPlace
) -> tuple[Advance, FloatArray]:
    """Return descent as (slopes, w[, v]) ↦ (negated margins, w[, v]), one matrix a step.

    Two buffers take turns; after an even number of steps the state is in the first, so an odd count
    ends with a copy.
    """
    n_samples, n_features = signed.shape
    pull, keep = step_size * signed.T, np.eye(n_features)
    rows = [pull, keep, momentum * keep] if momentum else [pull, keep]
    after = np.hstack(rows)
    blocks = [-signed @ after, after]
    if momentum:
        blocks.append(np.hstack([pull, 0 * keep, momentum * keep]))
    dot = np.ascontiguousarray(np.vstack(blocks)).dot
    here = np.zeros(len(blocks[0]) + n_features * (len(blocks) - 1))
    there = np.empty_like(here)
    here_slopes, there_slopes = here[:n_samples], there[:n_samples]
    here[n_samples : n_samples + n_features] = w0
    slope_at(-signed @ w0, here_slopes)

    def advance(steps: int) -> None:
        for _ in range(steps // 2):
            dot(here, there)
            slope_at(there_slopes, there_slopes)
            dot(there, here)
            slope_at(here_slopes, here_slopes)
        if steps % 2:
            dot(here, there)
            slope_at(there_slopes, there_slopes)
            here[:] = there

    return advance, here[n_samples : n_samples + n_features]


def _two_product_rule(
    signed: FloatArray, step_size: float, w0: FloatArray, momentum: float, slope_at: InPlace
) -> tuple[Advance, FloatArray]:
    """Return descent as two products with the data a step, for data that are not small.

    The state is the array of the start.
    """
    w, velocity, slopes = w0, np.zeros_like(w0), np.empty(len(signed))
    to_margins = np.ascontiguousarray(-signed).dot
    to_pull = np.ascontiguousarray(step_size * signed.T).dot

    def step() -> None:
        to_margins(w, slopes)
        slope_at(slopes, slopes)
        np.multiply(velocity, momentum, out=velocity)
        np.add(velocity, to_pull(slopes), out=velocity)
        np.add(w, velocity, out=w)

    return _repeat(step), w


def _gradient(signed: FloatArray, loss: Loss) -> Callable[[FloatArray], FloatArray]:
    """Return w ↦ ∇L(w)."""
    negated = np.ascontiguousarray(-signed)
    transposed = np.ascontiguousarray(negated.T)
    slope_at = _slope_of_negated(loss)

    def gradient(w: FloatArray) -> FloatArray:
        slopes = negated.dot(w)
        slope_at(slopes, slopes)
        result: FloatArray = transposed.dot(slopes)
        return result

    return gradient


# --- minibatches --------------------------------------------------------------------------------


def _minibatches(
    streams: list[np.random.Generator], n_samples: int, batch_size: int, replacement: bool
) -> Iterator[IntArray]:
    """Yield the indices of one update after the other, shape (runs, batch_size), without end.

    Many epochs are drawn at once, as a call of a generator costs as much as thousands of indices.
    What a stream yields does not depend on how many are drawn at once.
    """
    epochs = max(1, _DRAW_AHEAD // (len(streams) * n_samples))
    shape = (epochs * (n_samples // batch_size), batch_size)
    in_order = np.broadcast_to(np.arange(n_samples), (epochs, n_samples))
    while True:
        drawn = [
            stream.integers(n_samples, size=shape)
            if replacement
            else stream.permuted(in_order, axis=1).reshape(shape)
            for stream in streams
        ]
        yield from np.stack(drawn, axis=1)


# --- checks -------------------------------------------------------------------------------------


def _checked(
    signed: ArrayLike, step_size: float, record_at: ArrayLike, w0: ArrayLike | None
) -> tuple[FloatArray, float, IntArray, FloatArray]:
    """Return the arguments that all full-gradient methods share; the start is a copy."""
    samples = _validate.matrix(signed, "signed")
    n_features = samples.shape[1]
    start = np.zeros(n_features) if w0 is None else _validate.vector(w0, "w0", n_features).copy()
    times = _validate.update_counts(record_at, "record_at")
    return samples, _validate.positive(step_size, "step_size"), times, start


def _batch_size(batch_size: int, n_samples: int, replacement: bool) -> int:
    """Return a minibatch size that is possible."""
    size = _validate.integer(batch_size, "batch_size", 1)
    if size > n_samples or (not replacement and n_samples % size):
        rule = f"1..{n_samples}" if replacement else f"a divisor of {n_samples}"
        raise ValueError(f"batch_size is {size} with replacement={replacement}; allowed: {rule}")
    return size
