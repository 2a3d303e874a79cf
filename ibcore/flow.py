"""Gradient flow on separable data in the time s = log t, to any t that a float can name.

With -ℓ'(u) = e^{-f(u)} the flow dw/dt = -η ∇L(w) reads

    dw/ds = η Σ_n exp(s - f(x_nᵀw)) x_n,      s = log t.

Along a solution the exponents stay O(1), so nothing under- or overflows at any t, and the
Jacobian -η Σ_n e^{s-f} f' x_n x_nᵀ keeps eigenvalues O(1), so the steps of an implicit solver grow
with the time scale of the solution. The unit of time is one update of gradient descent with the
step size η, so a flow may start where direct descent stops, at t0 (`descend_then_flow`). After that
the two differ by ½ ‖ŵ‖ log(t/t0)/t to leading order, at most .18 ‖ŵ‖/t0.

Two exceptions. `flow_to_interpolation`: ordinary time, squared errors, until nothing is left.
`diagonal_flow`: the time is log ‖θ‖, since a homogeneous network grows by powers of log t.

Sources: Soudry et al. 2018 (Theorems 3, 4, 7 and 9; Corollary 8), Nacson et al. 2019 (linear
networks, heavy tails); the method is this book's, and so is its stochastic twin, `stochastic_leap`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.special import logsumexp, softmax

from ibcore import _validate
from ibcore._validate import FloatArray
from ibcore.descent import class_weights, gradient_descent
from ibcore.losses import EXPONENTIAL, LOGISTIC, Loss, log_cross_entropy
from ibcore.margins import HardMargin, NotSeparableError, separability_certificate
from ibcore.models import deep_linear_gradients, deep_linear_layers, end_to_end

__all__ = [
    "DiagonalFlow",
    "Flow",
    "FlowError",
    "ResidualFlow",
    "deep_linear_flow",
    "descend_then_flow",
    "diagonal_flow",
    "flow_to_interpolation",
    "layered_flow",
    "log_time_euler",
    "log_time_flow",
    "log_time_residual_flow",
    "log_time_softmax_flow",
    "log_total_loss",
    "polynomial_tail_flow",
    "stochastic_leap",
]

Field = Callable[[float, FloatArray], FloatArray]
"""(time, state) ↦ velocity, or Jacobian."""

# BDF: its iteration has to come down to (10 eps / relative tolerance) times what a step may err by,
# which must not be less than what the weights round by.
_FINEST = 103 * np.finfo(np.float64).eps  # SciPy raises relative tolerances below 100 eps
_ROUNDING = 103 * np.finfo(np.float64).eps  # of the weights
_FIRST_SEGMENT = 10.0  # length in s of the first segment; the next ones are each twice as long
_NEGLIGIBLE = -42.0  # a sample whose weight in dw/ds is below e^this is left out of a segment ...
_AWAKE = -37.0  # ... which is repeated with the sample if its weight then exceeds e^this
_STALLED = 1e-9  # |Σ v_n x_n| / Σ v_n |x_n| below this: the pulls cancel, the data do not separate
_TOP_EXPONENT = 600.0  # a start with a larger exponent would overflow
_LEAP_STABILITY = 0.5  # largest window of a leap times a bound of the Jacobian's eigenvalues
_LEAP_DRAWS = 4e18  # more draws than this in one window do not fit an integer
_LEAP_WINDOWS = (
    100_000  # leaps that need more windows take minutes: nearly flat margins, far starts
)
_WARM = 0.3  # cosine of θ and -∇L from which log ‖θ‖ can serve as time
_WARM_UP = 1000.0  # longest path until then, in units of log ‖θ‖
_NORM_SEGMENT = 2.0  # in log ‖θ‖, after which the point that differences refer to is chosen anew
_QUASI_STEADY = 16.0  # log log t beyond which the span of the support vectors is in equilibrium


class FlowError(RuntimeError):
    """The solver could not follow the flow."""


@dataclass(frozen=True)
class Flow:
    """A solution of gradient flow in log-time.

    Attributes
    ----------
    s
        Times s = log t, shape (T,).
    weights
        Iterates, shape (T, d) or, for softmax regression, (T, K, d).
    log_loss
        log L(w(s)), shape (T,), computed in the log domain: exact where L underflows.
    """

    s: FloatArray
    weights: FloatArray
    log_loss: FloatArray

    @property
    def time_loss(self) -> FloatArray:
        """The product t L(w(t)), shape (T,), which tends to ‖ŵ‖²/η (Soudry et al., Theorem 5)."""
        return np.asarray(np.exp(self.s + self.log_loss))


@dataclass(frozen=True)
class ResidualFlow:
    """The residual ρ(t) = w(t) - ŵ log t of a gradient flow.

    Attributes
    ----------
    sigma
        Times σ = log log t, shape (T,).
    residual
        ρ, shape (T, d).
    """

    sigma: FloatArray
    residual: FloatArray


@dataclass(frozen=True)
class DiagonalFlow:
    """A gradient flow of a diagonal network f_n = x_n·(u^L - v^L), at given norms.

    Attributes
    ----------
    log_norm
        log ‖θ‖, shape (T,), θ = (u, v).
    weights
        θ, shape (T, 2d), all positive.
    push
        G = Σ_n p_n ∇f_n / L, the direction of -∇L, shape (T, 2d).
    shares
        p_n, the share of each point in the loss, shape (T, N).
    margins
        f_n / ‖θ‖^L, shape (T, N).
    """

    log_norm: FloatArray
    weights: FloatArray
    push: FloatArray
    shares: FloatArray
    margins: FloatArray


def log_total_loss(signed: ArrayLike, weights: ArrayLike, loss: Loss = EXPONENTIAL) -> FloatArray:
    """Return log Σ_n ℓ(x_nᵀw) for each row of weights, exact also where the loss underflows.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    weights
        Shape (T, d).
    loss
        Loss of the margin.

    Returns
    -------
    ndarray of float64, shape (T,)

    Raises
    ------
    ValueError
        Bad shapes or values that are not finite.
    """
    _validate.instance(loss, "loss", Loss)
    signed = _validate.matrix(signed, "signed")
    weights = _validate.matrix(weights, "weights", signed.shape[1])
    return np.asarray(logsumexp(loss.log_value(weights @ signed.T), axis=1))


def log_time_flow(
    signed: ArrayLike,
    step_size: float,
    w0: ArrayLike,
    s0: float,
    s_eval: ArrayLike,
    *,
    loss: Loss = EXPONENTIAL,
    rtol: float = 1e-12,
    discrete: bool = False,
) -> Flow:
    """Follow dw/ds = η Σ_n exp(s - f(x_nᵀw)) x_n from w(s0) = w0.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d); repeated samples are allowed.
    step_size
        η > 0 of the descent that the flow stands for, for the *sum* of the losses.
    w0
        Start, shape (d,).
    s0
        log t of the start.
    s_eval
        Times log t to return, strictly increasing, all >= s0, shape (T,).
    loss
        Loss of the margin.
    rtol
        Tolerance of one step of the solver, for the change of w; where w rounds by more, that.
    discrete
        Add the first-order term of the backward error of descent, -½ e^{-s} J dw/ds with the
        Jacobian J of the flow: then the flow follows the discrete iterates to O(1/t0²), not
        O(1/t0). The limits are the same.

    Returns
    -------
    Flow
        `weights` of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase or precede `s0`,
        `step_size` or `rtol` <= 0, or a start whose speed overflows.
    NotSeparableError
        No vector separates the samples.
    FlowError
        The solver gives up.

    Notes
    -----
    The unknowns are coordinates in the span of the samples that still matter: the solution is cut
    in segments of doubling length, and samples with a weight below e^{-42} are left out of the next
    one (and put back if they were missed). The solver is BDF with the analytic Jacobian: LSODA
    starts each segment with a method that is not stiff, and where the solution is nearly affine in
    s it has no reason to leave it, for 10^4 steps and more. The weights grow like s and round
    accordingly; a step is asked for no more than that leaves.
    For tails much heavier than exponential the weights grow like a power of t and overflow when t
    does.

    AdaGrad with its accumulator frozen at G is this flow on the samples G^{-1/4} x, with weights
    G^{1/4} w. A loss with the tail c e^{-au} is this flow on a x with η c/a (Soudry et al. 2018).
    """
    _validate.instance(loss, "loss", Loss)
    _validate.flag(discrete, "discrete")
    signed = _validate.matrix(signed, "signed")
    step_size = _validate.positive(step_size, "step_size")
    w = _validate.vector(w0, "w0", signed.shape[1])
    s = _validate.number(s0, "s0")
    times = _validate.times(s_eval, "s_eval", minimum=s)
    rtol = _validate.positive(rtol, "rtol")
    _check_speed(signed, w, s, loss)
    pieces = [w[None]] if times[0] == s else []
    for stops, wanted in _segments(s, times):
        path = _segment(signed, step_size, w, s, stops, loss, rtol, discrete)
        pieces.append(path[:wanted])
        w, s = path[-1], stops[-1]
        _check_pull(signed, w, loss)
    weights = np.concatenate(pieces)
    return Flow(times, weights, log_total_loss(signed, weights, loss))


def descend_then_flow(
    signed: ArrayLike,
    step_size: float,
    record_at: ArrayLike,
    s_eval: ArrayLike,
    *,
    w0: ArrayLike | None = None,
    loss: Loss = LOGISTIC,
    rtol: float = 1e-12,
    discrete: bool = False,
) -> Flow:
    """Run gradient descent to a time t0 and let the flow go on from there.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0, for the *sum* of the losses.
    record_at
        Numbers of updates >= 1 at which to record the descent, strictly increasing integers. The
        last one is t0: what follows is off by about 0.1/t0 (with `discrete`, 1/t0²).
    s_eval
        Times log t of the flow to return, strictly increasing, all > log t0.
    w0
        Start of the descent, shape (d,); zero by default.
    loss
        Loss of the margin.
    rtol, discrete
        As in `log_time_flow`.

    Returns
    -------
    Flow
        Both parts in one: first log(record_at), then `s_eval`.

    Raises
    ------
    ValueError
        As `descent.gradient_descent` and `log_time_flow`; or times that overlap.
    FlowError
        The solver gives up.
    """
    _validate.flag(discrete, "discrete")  # before the descent, which may take long
    direct_times = _validate.times(record_at, "record_at", minimum=1)
    s_direct = np.log(direct_times)
    s_flow = _validate.times(s_eval, "s_eval")
    if s_flow[0] <= s_direct[-1]:
        raise ValueError(
            f"s_eval starts at {s_flow[0]:g}; allowed: times later than the last of record_at, "
            f"log({direct_times[-1]:g}) = {s_direct[-1]:g}"
        )
    direct = gradient_descent(signed, step_size, record_at, w0=w0, loss=loss).weights
    options = {"loss": loss, "rtol": rtol, "discrete": discrete}
    flow = log_time_flow(signed, step_size, direct[-1], s_direct[-1], s_flow, **options)  # type: ignore[arg-type]
    return Flow(
        np.concatenate([s_direct, flow.s]),
        np.concatenate([direct, flow.weights]),
        np.concatenate([log_total_loss(signed, direct, loss), flow.log_loss]),
    )


def stochastic_leap(
    signed: ArrayLike,
    step_size: float,
    w0: ArrayLike,
    s0: float,
    s_eval: ArrayLike,
    rng: np.random.Generator,
    *,
    replacement: bool = True,
    loss: Loss = LOGISTIC,
    window: float = 0.05,
) -> FloatArray:
    """Follow stochastic descent in s = log u, u the number of epochs.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    step_size
        η > 0, for the *sum* of the losses over a minibatch. The minibatch size does not enter: it
        changes the iterates by O(1/u) only.
    w0
        Starts, one for each run, shape (R, d), on trajectories of descent.
    s0
        log u of the starts, >= log 10.
    s_eval
        Times log u to return, strictly increasing, all >= s0, shape (T,).
    rng
        Draws the counts.
    replacement
        True: samples are drawn independently. False: each is drawn once an epoch, and nothing is
        left to chance but the order within epochs, which is given up.
    loss
        Loss of the margin.
    window
        Largest length in s of a window, in (0, 1].

    Returns
    -------
    ndarray of shape (T, R, d)

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase or precede `s0`,
        `step_size` <= 0, a `window` out of range, a start whose speed overflows, an `rng` that is
        not a Generator, times so late that the draws in a window do not fit an integer (beyond
        log u of about 40; the noise is below rounding by then, `log_time_flow` goes on), or more
        than 100,000 windows: near the solution a unit of s takes up to 2(R/γ)² of them, R the
        largest norm and γ the margin.

    Notes
    -----
    How often each sample is drawn in the window [u, u e^h] is multinomial with N u (e^h - 1) draws:
    that law is exact. The order of the draws is given up: within a window each sample pulls with
    its count over the expected count as a constant weight, and the explicit midpoint rule advances
    dw/ds = η Σ_n m_n e^{s - f(x_nᵀw)} x_n. On the asymptotic solution w = ŵ s + w̃ the midpoint
    rule is exact; the variance of a window's noise is right to O(h²). The window is shortened where
    the problem is stiff. Written for Nacson et al. 2019, Stochastic Gradient Descent on Separable
    Data, at horizons that steps cannot reach; compare `log_time_flow`, the case without noise.
    """
    _validate.instance(loss, "loss", Loss)
    _validate.flag(replacement, "replacement")
    signed = _validate.matrix(signed, "signed")
    step_size = _validate.positive(step_size, "step_size")
    w = _validate.matrix(w0, "w0", signed.shape[1]).copy()
    s = _validate.number(s0, "s0")
    if s < np.log(10) - 1e-12:
        raise ValueError(f"s0 is {s:g}; allowed: at least log 10, ten epochs")
    times = _validate.times(s_eval, "s_eval", minimum=s)
    rng = _validate.generator(rng, "rng")
    window = _validate.positive(window, "window")
    if window > 1:
        raise ValueError(f"window is {window}; allowed: a number in (0, 1]")
    n_samples = len(signed)
    if replacement and np.log(n_samples * np.expm1(window)) + times[-1] > np.log(_LEAP_DRAWS):
        raise ValueError(
            f"s_eval ends at {times[-1]:g}, where the draws in a window do not fit an integer; "
            f"allowed: at most {np.log(_LEAP_DRAWS / (n_samples * np.expm1(window))):.1f}"
        )
    for start in w:
        _check_speed(signed, start, s, loss)
    uniform, squares = np.full(n_samples, 1 / n_samples), (signed**2).sum(axis=1)

    def pull(s: float, w: FloatArray) -> FloatArray:
        return np.asarray(step_size * np.exp(s - loss.exponent(w @ signed.T)))

    path, windows = np.empty((len(times), *w.shape)), 0
    for row, time in enumerate(times):
        while s < time:
            windows += 1
            if windows > _LEAP_WINDOWS:
                raise ValueError(
                    f"signed is too stiff to leap: {_LEAP_WINDOWS} windows reach s = {s:.4g} only; "
                    "allowed: data whose (R/γ)², largest norm over margin, is smaller, or w0 that "
                    "does not start so far on the wrong side"
                )
            here = pull(s, w)
            stiffness = float((here @ squares).max())
            h = min(window, _LEAP_STABILITY / stiffness if stiffness > 0 else window, time - s)
            weight: float | FloatArray = 1.0
            if replacement:
                draws = max(1, round(n_samples * np.exp(s) * np.expm1(h)))
                weight = rng.multinomial(draws, uniform, size=len(w)) * (n_samples / draws)
            middle = w + 0.5 * h * (weight * here) @ signed
            w += h * (weight * pull(s + 0.5 * h, middle)) @ signed
            s = time if h == time - s else s + h
        path[row] = w
    return path


def log_time_residual_flow(
    signed: ArrayLike,
    hard: HardMargin,
    step_size: float,
    rho0: ArrayLike,
    sigma0: float,
    sigma_eval: ArrayLike,
    *,
    rtol: float = 1e-10,
) -> ResidualFlow:
    """Follow ρ = w - ŵ log t under the exponential loss in σ = log log t, for degenerate data.

    Where a support vector has the dual variable 0, ρ grows like log log t. Then the margin 1 of the
    support vectors must be exact (an error ε becomes ε log t) and log t itself gets too large.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    hard
        Their hard-margin solution.
    step_size
        η > 0, for the *sum* of the losses.
    rho0
        w - ŵ log t at the start, shape (d,).
    sigma0
        log log t of the start.
    sigma_eval
        Times log log t to return, strictly increasing, all >= sigma0, shape (T,).
    rtol
        Relative and absolute tolerance of one step of the solver.

    Returns
    -------
    ResidualFlow
        `residual` of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, times that do not increase or precede `sigma0`,
        `step_size` or `rtol` <= 0, or `hard` is the solution of another problem.
    FlowError
        The solver gives up.

    Notes
    -----
    Soudry et al. 2018, Theorem 9. In the span of the support vectors with a positive dual variable
    ρ relaxes within O(1) of log t, that is O(e^{-σ}) of σ. From σ = 16 on this part is eliminated:
    it is in equilibrium up to a lag of e^{-2σ} < 1e-13, and what is left is a log-time flow in σ
    that can be followed to σ = 10^6 and beyond.
    """
    signed = _validate.matrix(signed, "signed")
    _check_solution(signed, hard)
    step_size = _validate.positive(step_size, "step_size")
    rho = _validate.vector(rho0, "rho0", signed.shape[1])
    sigma0 = _validate.number(sigma0, "sigma0")
    times = _validate.times(sigma_eval, "sigma_eval", minimum=sigma0)
    rtol = _validate.positive(rtol, "rtol")

    problem = _Degenerate.of(signed, hard, step_size)
    switch = max(sigma0, _QUASI_STEADY)
    early, late = times[times <= switch], times[times > switch]
    state = problem.split(rho)
    pieces = [state[None]] if times[0] == sigma0 else []
    early = early[early > sigma0]
    stops = np.union1d(early, switch) if late.size and switch > sigma0 else early
    if stops.size:
        path = _solve(problem.velocity, problem.jacobian, state, sigma0, stops, rtol)
        pieces.append(path[: len(early)])
        state = path[-1]
    if late.size:
        pieces.append(problem.quasi_steady(state, switch, late, rtol))
    return ResidualFlow(times, np.concatenate(pieces) @ problem.basis.T)


def log_time_softmax_flow(
    x: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    step_size: float,
    w0: ArrayLike,
    s0: float,
    s_eval: ArrayLike,
    *,
    rtol: float = 1e-12,
) -> Flow:
    """Follow gradient flow on the softmax cross-entropy in s = log t.

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
    w0
        Start, one row a class, shape (K, d).
    s0
        log t of the start.
    s_eval
        Times log t to return, strictly increasing, all >= s0, shape (T,).
    rtol
        Relative (and, for the change of w, absolute) tolerance of one step of the solver.

    Returns
    -------
    Flow
        `weights` of shape (T, K, d).

    Raises
    ------
    ValueError
        Bad shapes, labels that are not class indices, values that are not finite, times that do
        not increase or precede `s0`, `step_size` or `rtol` <= 0, or a start whose speed overflows.
    FlowError
        The solver gives up.

    Notes
    -----
    Soudry et al. 2018, Theorem 7. The pull of the true class, 1 - p_y, is formed as the sum of the
    others, each as exp(s + log p_k). The unknowns are coordinates in the span of the samples.
    """
    x = _validate.matrix(x, "x")
    y = _validate.classes(y, "y", n_classes, len(x))
    step_size = _validate.positive(step_size, "step_size")
    start = class_weights(w0, n_classes, x.shape[1])
    s0 = _validate.number(s0, "s0")
    times = _validate.times(s_eval, "s_eval", minimum=s0)
    rtol = _validate.positive(rtol, "rtol")

    basis = _row_basis(x)
    coordinates = x @ basis
    logits0 = x @ start.T
    rows, rank = np.arange(len(x)), coordinates.shape[1]

    def rates(s: float, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        logits = logits0 + coordinates @ c.reshape(n_classes, rank).T
        log_p = logits - _log_sum_rows(logits)
        off = np.exp(s + log_p)
        off[rows, y] = 0.0
        return np.exp(log_p), off

    def velocity(s: float, c: FloatArray) -> FloatArray:
        _, pull = rates(s, c)
        pull[rows, y] = -pull.sum(axis=1)
        return np.asarray(-step_size * (pull.T @ coordinates)).ravel()

    def jacobian(s: float, c: FloatArray) -> FloatArray:
        p, off = rates(s, c)
        # derivative of the pull of class k with respect to the logit of class j, for each sample
        change = off[:, :, None] * (np.eye(n_classes) - p[:, None, :])
        change[rows, y] = -change.sum(axis=1)
        blocks = [
            [coordinates.T @ (change[:, k, j, None] * coordinates) for j in range(n_classes)]
            for k in range(n_classes)
        ]
        return np.asarray(-step_size * np.block(blocks))

    origin = np.zeros(n_classes * rank)
    if s0 + (logits0 - logits0[rows, y, None]).max() > _TOP_EXPONENT:
        raise _too_fast()
    path = _solve(velocity, jacobian, origin, s0, times, rtol)
    weights = start + path.reshape(len(times), n_classes, rank) @ basis.T
    log_loss = np.array([log_cross_entropy(x @ w.T, y) for w in weights])
    return Flow(times, weights, log_loss)


def log_time_euler(
    velocity: Field, w0: ArrayLike, s0: float, s_eval: ArrayLike, step: float
) -> FloatArray:
    """Follow dw/ds = velocity(s, w) by explicit Euler steps, for nets with kinks.

    Adaptive solvers stall where a trajectory slides along a kink of a piecewise linear net.

    Parameters
    ----------
    velocity
        Takes s = log t and w, returns dw/ds = -t η ∇L(w) in the shape of w. It should form e^s and
        the slope of the loss in one exponent.
    w0
        Start, any shape.
    s0
        log t of the start.
    s_eval
        Times log t to return, strictly increasing, all >= s0, shape (T,).
    step
        Largest step in s, > 0; .02 for a shallow ReLU net. Each interval between two times is cut
        in equal steps.

    Returns
    -------
    ndarray of float64, shape (T, *w0.shape)

    Raises
    ------
    ValueError
        Values that are not finite, times that do not increase or precede `s0`, `step` <= 0, or a
        `velocity` of another shape.
    FlowError
        The iterates overflow: `step` is too large.

    Notes
    -----
    Soudry et al. 2018, Corollary 8.
    """
    _validate.function(velocity, "velocity")
    w = _validate.array(w0, "w0")
    s = _validate.number(s0, "s0")
    times = _validate.times(s_eval, "s_eval", minimum=s)
    step = _validate.positive(step, "step")
    result = np.empty((len(times), *w.shape))
    for row, end in enumerate(times):
        count = int(np.ceil((end - s) / step))
        for here, length in zip(
            np.linspace(s, end, count, endpoint=False),
            [(end - s) / max(count, 1)] * count,
            strict=True,
        ):
            change = np.asarray(velocity(float(here), w))
            if change.shape != w.shape:
                raise ValueError(f"velocity returns shape {change.shape}; allowed: {w.shape}")
            w = w + length * change
        if not np.isfinite(w).all():
            raise FlowError(f"the iterates overflow before s = {end:g} with step = {step:g}")
        result[row], s = w, end
    return result


def deep_linear_flow(
    signed: ArrayLike,
    depth: int,
    w0: ArrayLike,
    s0: float,
    s_eval: ArrayLike,
    *,
    loss: Loss = EXPONENTIAL,
    rtol: float = 1e-11,
) -> Flow:
    """Follow the predictor of a balanced deep linear network in s = log t.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    depth
        Number of layers L >= 1.
    w0
        End-to-end predictor at the start, shape (d,), not zero.
    s0
        log t of the start; the unit of time is one update with step size 1.
    s_eval
        Times log t to return, strictly increasing, all >= s0, shape (T,).
    loss
        Loss of the margin.
    rtol
        Relative and absolute tolerance of one step of the solver.

    Returns
    -------
    Flow
        End-to-end predictors, `weights` of shape (T, d).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, `depth` < 1, a start at zero or one whose speed
        overflows, times that do not increase or precede `s0`, or `rtol` <= 0.
    NotSeparableError
        No vector separates the samples.
    FlowError
        The solver gives up.

    Notes
    -----
    A network with one output and balanced layers (W_lW_lᵀ = W_{l+1}ᵀW_{l+1}, which the flow keeps)
    has the predictor w with dw/dt = A(w) Σ e^{-f(x_nᵀw)} x_n, where
    A(w) = ‖w‖^{2-2/L} (I + (L-1) w wᵀ/‖w‖²) (Arora et al. 2018, Theorem 1, with one output).
    A reads the norm in w only, so the flow cannot be cut down to the span of the samples.
    """
    _validate.instance(loss, "loss", Loss)
    signed = _validate.matrix(signed, "signed")
    depth = _validate.integer(depth, "depth", 1)
    w = _nonzero(w0, "w0", signed.shape[1])
    s = _validate.number(s0, "s0")
    times = _validate.times(s_eval, "s_eval", minimum=s)
    rtol = _validate.positive(rtol, "rtol")
    _check_speed(signed, w, s, loss)

    def pulls(s: float, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        margins = signed @ w
        pull = np.exp(s - loss.exponent(margins))
        return pull @ signed, -(signed.T * (pull * loss.exponent_slope(margins))) @ signed

    path = _solve(*_preconditioned(pulls, depth), w, s, times, rtol)
    _check_pull(signed, path[-1], loss)
    return Flow(times, path, log_total_loss(signed, path, loss))


def polynomial_tail_flow(
    signed: ArrayLike,
    p: float,
    v0: ArrayLike,
    s_eval: ArrayLike,
    *,
    depth: int = 1,
    rtol: float = 1e-12,
) -> FloatArray:
    """Follow gradient flow under the polynomial tail -ℓ'(u) = u^{-(p+1)}, scaled by its growth.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    p
        p > 0 of the tail, ℓ(u) = u^{-p}/p.
    v0
        Scaled predictor at the start, with v0·x_n > 0 for all n, shape (d,).
    s_eval
        Times s = log t to return, counted from the start, strictly increasing, all >= 0,
        shape (T,).
    depth
        Number of layers L >= 1 of a balanced deep linear network, as in `deep_linear_flow`.
    rtol
        Relative and absolute tolerance of one step of the solver.

    Returns
    -------
    ndarray of float64, shape (T, d)
        v = t^{-q} w with q = 1/(p + 2/L).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, `p` or `rtol` <= 0, `depth` < 1, a start that does
        not separate the samples, or times that do not increase or are negative.
    FlowError
        The solver gives up.

    Notes
    -----
    In s = log t the scaled flow is autonomous, dv/ds = -q v + A(v) Σ (x_nᵀv)^{-p-1} x_n: its limit
    is a fixed point, of the direction of `margins.heavy_tail_limit`. Derived for the book's chapter
    on Nacson et al. 2019, Convergence of Gradient Descent on Separable Data.
    """
    signed = _validate.matrix(signed, "signed")
    p = _validate.positive(p, "p")
    v = _nonzero(v0, "v0", signed.shape[1])
    times = _validate.times(s_eval, "s_eval", minimum=0)
    depth = _validate.integer(depth, "depth", 1)
    rtol = _validate.positive(rtol, "rtol")
    if (signed @ v).min() <= 0:
        raise ValueError("v0 does not separate signed; allowed: v0·x_n > 0 for all n")
    growth = 1 / (p + 2 / depth)

    def pulls(s: float, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        margins = signed @ v
        slope = margins ** (-p - 1)
        return slope @ signed, -(signed.T * ((p + 1) * slope / margins)) @ signed

    push, change = _preconditioned(pulls, depth)
    identity = growth * np.eye(len(v))
    return _solve(
        lambda s, v: push(s, v) - growth * v,
        lambda s, v: change(s, v) - identity,
        v,
        0.0,
        times,
        rtol,
    )


def layered_flow(
    layers: Sequence[ArrayLike],
    signed: ArrayLike,
    s0: float,
    s_eval: ArrayLike,
    *,
    loss: Loss = EXPONENTIAL,
    rtol: float = 1e-10,
) -> list[FloatArray]:
    """Follow gradient flow on every layer of a linear network in s = log t, balanced or not.

    Parameters
    ----------
    layers
        W_1, ..., W_L with shapes (h_1, d), (h_2, h_1), ..., (1, h_{L-1}); the predictor of a sample
        x is W_L ... W_1 x.
    signed
        Samples with the labels folded in, shape (N, d).
    s0
        log t of the start; the unit of time is one update with step size 1.
    s_eval
        Times log t to return, strictly increasing, all >= s0, shape (T,).
    loss
        Loss of the margin.
    rtol
        Tolerance of one step of the solver, for each weight; where they round by more, that.

    Returns
    -------
    list of ndarray of float64
        The layers over time, shapes (T, h_1, d), ..., (T, 1, h_{L-1}).

    Raises
    ------
    ValueError
        Shapes that do not chain, values that are not finite, times that do not increase or precede
        `s0`, a start whose speed overflows, or `rtol` <= 0.
    FlowError
        The solver gives up.

    Notes
    -----
    Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (linear networks of any
    depth). `models.deep_linear_gradients` gives the gradients; the Jacobian is by differences. The
    solver, its segments and what it is asked for are those of `log_time_flow`.
    """
    _validate.instance(loss, "loss", Loss)
    signed = _validate.matrix(signed, "signed")
    start = deep_linear_layers(layers, "layers", signed.shape[1])
    s = _validate.number(s0, "s0")
    times = _validate.times(s_eval, "s_eval", minimum=s)
    rtol = _validate.positive(rtol, "rtol")
    _check_speed(signed, end_to_end(start), s, loss)
    shapes = [layer.shape for layer in start]
    cuts = np.cumsum([layer.size for layer in start])[:-1]

    def unpack(state: FloatArray) -> list[FloatArray]:
        return [
            part.reshape(shape) for part, shape in zip(np.split(state, cuts), shapes, strict=True)
        ]

    def velocity(s: float, state: FloatArray) -> FloatArray:
        parts = unpack(state)
        pull = np.exp(s - loss.exponent(signed @ end_to_end(parts))) @ signed
        return np.concatenate([g.ravel() for g in deep_linear_gradients(parts, pull)])

    state = np.concatenate([layer.ravel() for layer in start])
    pieces = [state[None]] if times[0] == s else []
    for stops, wanted in _segments(s, times):
        scale = float(np.abs(state).max())
        part = _bdf(velocity, None, state, s, stops, rtol, scale)
        pieces.append(part[:wanted])
        state, s = part[-1], stops[-1]
    path = np.concatenate(pieces)
    return [
        part.reshape(len(times), *shape)
        for part, shape in zip(np.split(path, cuts, axis=1), shapes, strict=True)
    ]


def diagonal_flow(
    signed: ArrayLike,
    depth: int,
    u0: ArrayLike,
    v0: ArrayLike,
    log_norms: ArrayLike,
    *,
    rtol: float = 1e-9,
) -> DiagonalFlow:
    """Follow the exponential loss of a diagonal network, f_n = x_n·(u^L - v^L), by its norm.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    depth
        L >= 2.
    u0, v0
        Weights at the start, positive, shape (d,): a weight at zero never moves, drop its column.
    log_norms
        log ‖(u, v)‖ to return, strictly increasing, shape (T,). The first lies beyond the norm at
        which θ and -∇L first make an angle of 1.27 rad or less.
    rtol
        Relative and absolute tolerance of a step, on the logarithms of the weights and of the
        shares; below 1e-9 rounding stops the solver early.

    Returns
    -------
    DiagonalFlow

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, `depth` < 2, weights that are not positive,
        norms that do not increase or start too early, or `rtol` <= 0.
    NotSeparableError
        No vector separates the samples.
    FlowError
        The solver gives up: on a norm too large for its tolerance, as a rule.

    Notes
    -----
    Far out the margins are large and their differences stay of order one, so that a relative error
    of 1e-9 in the weights would leave nothing of the shares p. Here q_n = log p_n - log p_r, for a
    point r with a large share, are unknowns of their own. Their equations are as stiff as the
    margins are large and hold p at the values that keep the margins of the support together; an
    implicit method follows them at no cost. Derived for the book's chapter on Nacson et al. 2019,
    Lexicographic and Depth-Sensitive Margins.
    """
    signed = _validate.matrix(signed, "signed")
    depth = _validate.integer(depth, "depth", 2)
    start = np.concatenate(
        [_positive_weights(w, signed.shape[1]) for w in ((u0, "u0"), (v0, "v0"))]
    )
    ends = _validate.times(log_norms, "log_norms")
    rtol = _validate.positive(rtol, "rtol")
    certificate = separability_certificate(signed)
    if certificate is not None:
        raise NotSeparableError(certificate)
    net = _Diagonal(np.hstack([signed, -signed]), depth)
    log_theta, s = net.warm_up(start, rtol)
    state = net.state(log_theta)
    if ends[0] < s:
        raise ValueError(f"log_norms starts at {ends[0]:g}; allowed: {s:g} and more")
    path = []
    for end in ends:
        while s < end:
            stop = end if end - s <= _NORM_SEGMENT else s + _NORM_SEGMENT
            state, s = net.segment(state, s, stop, rtol), stop
        path.append(state)
    return net.flow(ends, np.array(path))


def _positive_weights(given: tuple[ArrayLike, str], length: int) -> FloatArray:
    w = _validate.vector(*given, length)
    if w.min() <= 0:
        raise ValueError(f"{given[1]} has an entry {w.min():g}; allowed: positive weights")
    return w


@dataclass(frozen=True)
class _Diagonal:
    """The network as f = rows θ^L with θ > 0; a state holds log θ and the logarithms q."""

    rows: FloatArray
    depth: int

    def split(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return θ, the shares p and z = Σ p_n x_n, the pull on θ^L."""
        k = self.rows.shape[1]
        p = np.asarray(softmax(y[..., k:], axis=-1))
        return np.exp(y[..., :k]), p, p @ self.rows

    def warm_up(self, theta: FloatArray, rtol: float) -> tuple[FloatArray, float]:
        """Follow the flow along its path until ‖θ‖ grows; return log θ and log ‖θ‖.

        The time is the length of the path in units of ‖θ‖.
        """

        def cosine(_: float, log_theta: FloatArray) -> float:
            theta, _p, z = self.split(self.state(log_theta))
            push = z * theta ** (self.depth - 1)
            return float(push @ theta / (np.linalg.norm(push) * np.linalg.norm(theta))) - _WARM

        def velocity(_: float, log_theta: FloatArray) -> FloatArray:
            theta, _p, z = self.split(self.state(log_theta))
            speed = z * theta ** (self.depth - 2)
            return np.asarray(speed * np.linalg.norm(theta) / np.linalg.norm(speed * theta))

        log_theta = np.log(theta)
        if cosine(0.0, log_theta) < 0:
            cosine.terminal = True  # type: ignore[attr-defined]
            tolerance = max(0.01 * rtol, 1e-13)
            solution = solve_ivp(velocity, (0.0, _WARM_UP), log_theta, method="DOP853",
                                 events=cosine, rtol=tolerance, atol=tolerance)  # fmt: skip
            if solution.status != 1:
                raise FlowError(f"the norm does not start to grow: {solution.message}")
            log_theta = np.asarray(solution.y_events[0][0], dtype=np.float64)
        return log_theta, 0.5 * float(logsumexp(2 * log_theta))

    def state(self, log_theta: FloatArray) -> FloatArray:
        return np.concatenate([log_theta, -self.rows @ np.exp(self.depth * log_theta)])

    def segment(self, y: FloatArray, s: float, end: float, rtol: float) -> FloatArray:
        """Return the state at log ‖θ‖ = end from that at s; dθ/ds = G ‖θ‖²/(θ·G)."""
        x, depth, k = self.rows, self.depth, self.rows.shape[1]
        reference = int(np.argmax(y[k:]))
        y = np.append(y[:k], y[k:] - y[k + reference])

        def parts(y: FloatArray) -> tuple[FloatArray, ...]:
            theta, p, z = self.split(y)
            kernel = depth * theta ** (2 * depth - 2)  # df/dt = rows (kernel z)
            h = x @ (kernel * z)
            rate = np.concatenate([z * theta ** (depth - 2), h[reference] - h])
            return theta, p, z, kernel, rate

        def velocity(_: float, y: FloatArray) -> FloatArray:
            theta, _p, z, _k, rate = parts(y)
            return np.asarray(theta @ theta / (z @ theta**depth) * rate)

        def jacobian(_: float, y: FloatArray) -> FloatArray:
            theta, p, z, kernel, rate = parts(y)
            dz = np.hstack([np.zeros((k, k)), x.T @ (np.diag(p) - np.outer(p, p))])
            grow, power = theta ** (depth - 2), theta**depth
            top, push = grow[:, None] * dz, kernel[:, None] * dz
            top[:, :k] += np.diag((depth - 2) * z * grow)
            push[:, :k] += np.diag((2 * depth - 2) * kernel * z)
            change = x @ push
            square, radial = theta @ theta, z @ power
            log_scale = -power @ dz / radial
            log_scale[:k] += 2 * theta**2 / square - depth * z * power / radial
            matrix = np.vstack([top, change[reference] - change])
            result = np.asarray(square / radial * (matrix + np.outer(rate, log_scale)))
            if not np.isfinite(result).all():
                raise FlowError(f"the weights overflow before log ‖θ‖ = {end:g}")
            return result

        with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
            # Trial steps may overflow: the solver takes that as a failed step.
            warnings.simplefilter("ignore")
            solution = solve_ivp(velocity, (s, end), y, method="Radau", jac=jacobian,
                                 rtol=rtol, atol=rtol)  # fmt: skip
        if not solution.success:
            raise FlowError(f"the solver stops before log ‖θ‖ = {end:g}: {solution.message}")
        return np.asarray(solution.y[:, -1], dtype=np.float64)

    def flow(self, log_norm: FloatArray, path: FloatArray) -> DiagonalFlow:
        theta, shares, z = self.split(path)
        unit = theta / np.exp(log_norm)[:, None]
        push = z * theta ** (self.depth - 1)
        return DiagonalFlow(log_norm, theta, push, shares, unit**self.depth @ self.rows.T)


def flow_to_interpolation(
    velocity: Callable[[FloatArray], FloatArray],
    start: ArrayLike,
    residual: Callable[[FloatArray], FloatArray],
    *,
    stop: float = 1e-10,
    horizon: float = 1e6,
    rtol: float = 1e-12,
) -> FloatArray:
    """Follow an autonomous flow on squared errors until it interpolates, in ordinary time.

    Parameters
    ----------
    velocity
        State ↦ velocity, shape (n,) ↦ (n,).
    start
        Shape (n,).
    residual
        State ↦ errors of the predictions, shape (N,).
    stop
        The largest error at the end; below about 1e-13 rounding never lets it happen.
    horizon
        Latest time > 0.
    rtol
        Relative tolerance of a step; the absolute one is a hundredth of it.

    Returns
    -------
    ndarray of float64, shape (n,)
        The state where the largest error first equals `stop` (the start, if it is below).

    Raises
    ------
    ValueError
        A start that is not a finite vector, or `stop`, `horizon` or `rtol` <= 0.
    FlowError
        The errors are still larger at the horizon, or the solver gives up.

    Notes
    -----
    The eighth-order method of Dormand and Prince. Near the end it is limited by stability, not by
    accuracy, which keeps its errors at rounding.
    """
    _validate.function(velocity, "velocity")
    _validate.function(residual, "residual")
    state = _validate.vector(start, "start")
    stop, rtol = _validate.positive(stop, "stop"), _validate.positive(rtol, "rtol")
    horizon = _validate.positive(horizon, "horizon")

    def excess(_: float, state: FloatArray) -> float:
        return float(np.abs(residual(state)).max() - stop)

    if excess(0.0, state) <= 0:
        return state
    excess.terminal = True  # type: ignore[attr-defined]
    solution = solve_ivp(
        lambda _, state: velocity(state),
        (0.0, horizon),
        state,
        method="DOP853",
        events=excess,
        rtol=max(rtol, 1e-13),
        atol=0.01 * rtol,
    )
    if solution.status != 1:
        raise FlowError(f"no interpolation by time {horizon:g}: {solution.message}")
    return np.asarray(solution.y_events[0][0], dtype=np.float64)


# --- the solver ---------------------------------------------------------------------------------


def _preconditioned(
    pulls: Callable[[float, FloatArray], tuple[FloatArray, FloatArray]], depth: int
) -> tuple[Field, Field]:
    """Return A(w) g(s, w) and its Jacobian, A(w) = r^a (I + (L-1) w wᵀ/r²), a = 2 - 2/L, r = ‖w‖.

    `pulls` returns g and its Jacobian.
    """
    power, more = 2 - 2 / depth, depth - 1

    def velocity(s: float, w: FloatArray) -> FloatArray:
        g, _ = pulls(s, w)
        r = np.sqrt(w @ w)
        return np.asarray(r**power * (g + more * (w @ g) / r**2 * w))

    def jacobian(s: float, w: FloatArray) -> FloatArray:
        g, change = pulls(s, w)
        r = np.sqrt(w @ w)
        u = w / r
        along = u @ g
        explicit = np.outer(power * g + more * (power - 2) * along * u, u)
        explicit += more * (np.outer(u, g) + along * np.eye(len(w)))
        return np.asarray(r**power * (change + more * np.outer(u, u @ change) + explicit / r))

    return velocity, jacobian


def _solve(
    velocity: Field,
    jacobian: Field | None,
    y0: FloatArray,
    t0: float,
    times: FloatArray,
    rtol: float,
    atol: float | None = None,
    method: str = "LSODA",
) -> FloatArray:
    """Return the solution at times >= t0, shape (T, unknowns); `atol` is `rtol` by default."""
    with warnings.catch_warnings():
        # Trial steps may overflow: the solver takes that as a failed step; it warns if it gives up.
        warnings.simplefilter("ignore")
        try:
            solution = solve_ivp(
                velocity,
                (t0, times[-1]),
                y0,
                method=method,
                jac=jacobian,
                t_eval=times,
                rtol=max(rtol, _FINEST),
                atol=rtol if atol is None else atol,
            )
        except ValueError as error:  # BDF factors a Jacobian that has overflowed
            raise FlowError(f"the solver stops before time {times[-1]:g}: {error}") from error
    path = np.asarray(solution.y, dtype=np.float64).T
    if not solution.success or len(path) != len(times) or not np.isfinite(path).all():
        raise FlowError(f"the solver stops before time {times[-1]:g}: {solution.message}")
    return path


def _bdf(
    velocity: Field,
    jacobian: Field | None,
    y0: FloatArray,
    t0: float,
    times: FloatArray,
    tolerance: float,
    scale: float,
) -> FloatArray:
    """Return the solution, each step to a tolerance or to what weights of this scale round by."""
    atol = max(tolerance, _ROUNDING * scale)
    return _solve(velocity, jacobian, y0, t0, times, _FINEST, atol, "BDF")


def _segments(s: float, times: FloatArray) -> Iterator[tuple[FloatArray, int]]:
    """Cut the time from s on in segments, each twice as long as the one before.

    Yields the times > s in a segment, its end last, and how many of them were asked for.
    """
    length = _FIRST_SEGMENT
    while s < times[-1]:
        end = min(s + length, float(times[-1]))
        stops = np.union1d(times[(times > s) & (times <= end)], end)
        yield stops, int(np.isin(stops, times).sum())
        s, length = end, 2 * length


def _segment(
    signed: FloatArray,
    step_size: float,
    w: FloatArray,
    s: float,
    times: FloatArray,
    loss: Loss,
    rtol: float,
    discrete: bool,
) -> FloatArray:
    """Return the flow at `times`, shape (T, d), following only the samples that matter there."""
    active = s - loss.exponent(signed @ w) > _NEGLIGIBLE
    looks = np.union1d(times, np.linspace(s, times[-1], 5)[1:])
    while True:
        path = _flow_of(signed[active], step_size, w, s, looks, loss, rtol, discrete)
        if active.all():
            break
        asleep = ~active
        weight = looks[:, None] - loss.exponent(path @ signed[asleep].T)
        woken = weight.max(axis=0) > _AWAKE
        if not woken.any():
            break
        active[np.flatnonzero(asleep)[woken]] = True
    return path[np.searchsorted(looks, times)]


def _flow_of(
    signed: FloatArray,
    step_size: float,
    w: FloatArray,
    s: float,
    times: FloatArray,
    loss: Loss,
    rtol: float,
    discrete: bool,
) -> FloatArray:
    """Return the flow of all samples given at `times`, shape (T, d), solved in their span."""
    basis = _row_basis(signed)
    rows = np.ascontiguousarray(signed @ basis)
    columns = np.ascontiguousarray(step_size * rows.T)
    margins0 = signed @ w

    def velocity(s: float, c: FloatArray) -> FloatArray:
        margins = margins0 + rows @ c
        pull = np.exp(s - loss.exponent(margins))
        result: FloatArray = columns @ pull
        if discrete:
            curvature = pull * loss.exponent_slope(margins)
            result = result + 0.5 * np.exp(-s) * (columns @ (curvature * (rows @ result)))
        return result

    def jacobian(s: float, c: FloatArray) -> FloatArray:
        # without the small term of `discrete`: it need not be exact for Newton's iteration
        margins = margins0 + rows @ c
        curvature = np.exp(s - loss.exponent(margins)) * loss.exponent_slope(margins)
        return np.asarray(-(columns * curvature) @ rows)

    start, scale = np.zeros(rows.shape[1]), float(np.abs(w).max())
    path = _bdf(velocity, jacobian, start, s, times, rtol, scale)
    return np.asarray(w + path @ basis.T)


def _row_basis(rows: FloatArray) -> FloatArray:
    """Return an orthonormal basis, shape (d, r), of a space that holds the rows; r = min(N, d)."""
    n_rows, n_columns = rows.shape
    return np.eye(n_columns) if n_rows >= n_columns else np.linalg.qr(rows.T)[0]


def _log_sum_rows(values: FloatArray) -> FloatArray:
    """Return log Σ_j e^{v_ij}, shape (N, 1) (scipy's costs 0.1 ms a call, the size of a solve)."""
    top = values.max(axis=1, keepdims=True)
    return np.asarray(top + np.log(np.exp(values - top).sum(axis=1, keepdims=True)))


# --- degenerate data ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Degenerate:
    """The flow of ρ in coordinates (p, q): p in the span of the positive support, q orthogonal.

    Only in these coordinates is dq/dσ free of terms of size e^σ that should cancel exactly.
    """

    basis: FloatArray  # orthonormal, (d, d): the first `rank` columns span the positive support
    rank: int
    rows: FloatArray  # samples in these coordinates, (N, d); exactly 0 in q on the positive support
    excess: FloatArray  # x_nᵀŵ - 1, exactly 0 on the support, (N,)
    drift: FloatArray  # ŵ in these coordinates, exactly 0 in q, (d,)
    step_size: float

    @classmethod
    def of(cls, signed: FloatArray, hard: HardMargin, step_size: float) -> _Degenerate:
        """Return the problem of a data set and its hard-margin solution."""
        _, sizes, right = np.linalg.svd(signed[hard.positive])
        rank = int(np.count_nonzero(sizes > 1e-10 * sizes[0]))
        rows, drift = signed @ right.T, right @ hard.w
        rows[hard.positive, rank:] = 0.0
        drift[rank:] = 0.0
        excess = np.where(hard.support, 0.0, signed @ hard.w - 1.0)
        return cls(right.T, rank, rows, excess, drift, step_size)

    def split(self, rho: FloatArray) -> FloatArray:
        """Return the coordinates of a residual."""
        return np.asarray(rho @ self.basis)

    def _pull(self, sigma: float, state: FloatArray) -> FloatArray:
        s = np.exp(sigma)
        return np.asarray(self.step_size * np.exp(sigma - self.excess * s - self.rows @ state))

    def velocity(self, sigma: float, state: FloatArray) -> FloatArray:
        """Return dρ/dσ."""
        return np.asarray(self._pull(sigma, state) @ self.rows - np.exp(sigma) * self.drift)

    def jacobian(self, sigma: float, state: FloatArray) -> FloatArray:
        """Return the derivative of `velocity` with respect to the state."""
        return np.asarray(-(self.rows.T * self._pull(sigma, state)) @ self.rows)

    def quasi_steady(
        self, state: FloatArray, sigma0: float, times: FloatArray, rtol: float
    ) -> FloatArray:
        """Follow q with p in equilibrium; samples off the margin have died out."""
        rows = self.rows[self.excess == 0.0]
        fast, slow = rows[:, : self.rank], rows[:, self.rank :]
        moving = slow.any(axis=1)
        drift, p = self.drift[: self.rank], state[: self.rank].copy()

        def equilibrium(q: FloatArray) -> FloatArray:
            """Solve η Σ e^{-x·ρ} A_n = drift for p by Newton, from the last solution."""
            for _ in range(50):
                pull = self.step_size * np.exp(-fast @ p - slow @ q)
                change = np.linalg.solve((fast.T * pull) @ fast, pull @ fast - drift)
                np.add(p, change, out=p)
                if np.abs(change).max() <= 1e-15 * (1.0 + np.abs(p).max()):
                    break
            return p

        def pull(sigma: float, q: FloatArray) -> FloatArray:
            exponent = sigma - fast[moving] @ equilibrium(q) - slow[moving] @ q
            return np.asarray(self.step_size * np.exp(exponent))

        def velocity(sigma: float, q: FloatArray) -> FloatArray:
            return np.asarray(pull(sigma, q) @ slow[moving])

        def jacobian(sigma: float, q: FloatArray) -> FloatArray:
            # dp/dq is of order e^{-σ}: too small to matter to Newton's iteration
            return np.asarray(-(slow[moving].T * pull(sigma, q)) @ slow[moving])

        q0 = state[self.rank :]
        if moving.any():
            path = _solve(velocity, jacobian, q0, sigma0, times, rtol)
        else:
            path = np.tile(q0, (len(times), 1))
        return np.array([np.concatenate([equilibrium(q), q]) for q in path])


# --- checks -------------------------------------------------------------------------------------


def _nonzero(value: ArrayLike, name: str, length: int) -> FloatArray:
    """Return a vector that is not zero, where a deep network would stay for ever."""
    result = _validate.vector(value, name, length)
    if not result.any():
        raise ValueError(f"{name} is zero; allowed: a vector with an entry other than 0")
    return result


def _too_fast() -> ValueError:
    return ValueError(
        "w0 has a speed that overflows at s0; allowed: a start on a trajectory, where "
        "s0 - f(x_nᵀw0) is of order 1"
    )


def _check_speed(signed: FloatArray, w: FloatArray, s: float, loss: Loss) -> None:
    """Refuse a start where exp(s - f) overflows."""
    if (s - loss.exponent(signed @ w)).max() > _TOP_EXPONENT:
        raise _too_fast()


def _check_pull(signed: FloatArray, w: FloatArray, loss: Loss) -> None:
    """Refuse data whose pulls cancel: then L has a minimum and there is nothing to converge to.

    For separable data |Σ v_n x_n| >= γ Σ v_n for all v >= 0, with the margin γ.
    """
    log_pull = -loss.exponent(signed @ w)
    pull = np.exp(log_pull - log_pull.max())
    if np.linalg.norm(pull @ signed) <= _STALLED * (pull @ np.linalg.norm(signed, axis=1)):
        certificate = separability_certificate(signed)
        raise NotSeparableError(pull / pull.sum() if certificate is None else certificate)


def _check_solution(signed: FloatArray, hard: HardMargin) -> None:
    """Refuse a hard-margin solution of other samples."""
    _validate.instance(hard, "hard", HardMargin)
    if hard.w.shape != signed.shape[1:] or hard.support.shape != signed.shape[:1]:
        belongs = False
    else:
        tolerance = 1e-8 * (1.0 + np.abs(signed) @ np.abs(hard.w))
        belongs = bool((np.abs(signed @ hard.w - hard.constraints) <= tolerance).all())
    if not belongs:
        raise ValueError("hard belongs to other samples; allowed: hard_margin(signed)")
