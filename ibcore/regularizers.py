"""Regularizers that gradient flow obeys: potentials of linear networks, and their minimisers.

Gradient flow on a factorised linear model that starts at a given scale and shape ends, among the
vectors with x w = y, at the minimiser of a potential that the start decides. Here are the
potentials of diagonal networks (the hyperbolic entropy) and of one linear neuron, with gradients,
and exact solvers of the convex programs, which stand independently of any flow.

Sources: Azulay et al. 2021, On the Implicit Bias of Initialization Shape, by its authors' public
notebooks; the simplified forms, the biased and the limiting cases and the solvers are this book's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, linprog, nnls

from ibcore import _validate
from ibcore._validate import FloatArray
from ibcore.margins import hard_margin

__all__ = [
    "Interpolator",
    "RegularizerError",
    "diagonal_potential",
    "hessian_map_defect",
    "hyperbolic_entropy",
    "hyperbolic_entropy_slope",
    "least_hyperbolic_entropy",
    "least_l1",
    "least_l2",
    "least_radial",
    "margin_hyperbolic_entropy",
    "margin_l1",
    "neuron_limit",
    "neuron_potential",
    "neuron_slope",
    "null_projector",
    "root_k",
    "stagewise_margin",
    "weight_magnitudes",
]

_NEWTON_STEPS = 60
_ACCURACY = 1e-10  # largest accepted residual of x w = y, relative to y
_MARGIN_STEPS = 500
_GAP = 1e-7  # largest accepted duality gap of a point of the margin path, relative
_SMALLEST_STEP = 1e-7  # of the continuation, as a share of the way


class RegularizerError(RuntimeError):
    """A convex program could not be solved to the promised accuracy."""


@dataclass(frozen=True)
class Interpolator:
    """A vector with x w = y, or x w >= y, that minimises a potential, and its certificate.

    Attributes
    ----------
    w
        Shape (d,).
    dual
        ν, shape (N,): the gradient of the potential at `w` is xᵀν (for a norm with kinks, xᵀν is a
        subgradient); ν >= 0 where the constraints are inequalities.
    """

    w: FloatArray
    dual: FloatArray


# --- scale and shape -----------------------------------------------------------------------------


def _shapes(scale: ArrayLike, shape: ArrayLike) -> tuple[FloatArray, FloatArray]:
    scale, shape = _validate.positive_array(scale, "scale"), _validate.array(shape, "shape")
    if (np.abs(shape) >= 1).any():
        worst = shape.flat[np.abs(shape).argmax()]
        raise ValueError(f"shape has the value {worst:g}; allowed: numbers in (-1, 1)")
    return scale, shape


def weight_magnitudes(scale: ArrayLike, shape: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the magnitudes p, q of a pair of weights with p q = α and (q - p)/(q + p) = s.

    Parameters
    ----------
    scale
        α > 0, any shape.
    shape
        s in (-1, 1); broadcast against `scale`.

    Returns
    -------
    first, second : ndarray of float64

    Raises
    ------
    ValueError
        Out of range or not finite.
    """
    scale, shape = _shapes(scale, shape)
    ratio = np.sqrt((1 - shape) / (1 + shape))
    return np.asarray(np.sqrt(scale) * ratio), np.asarray(np.sqrt(scale) / ratio)


def root_k(scale: ArrayLike, shape: ArrayLike) -> FloatArray:
    """Return √k = 2 (p² + q²) = 4 α (1 + s²)/(1 - s²) of an unbiased diagonal start.

    Parameters and errors are those of `weight_magnitudes`.
    """
    scale, shape = _shapes(scale, shape)
    return np.asarray(4 * scale * (1 + shape**2) / (1 - shape**2))


def diagonal_potential(
    u_plus: ArrayLike, u_minus: ArrayLike, v_plus: ArrayLike, v_minus: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return √k and the tilt c of the potential q_k(w) - c w of any diagonal start.

    Parameters
    ----------
    u_plus, u_minus, v_plus, v_minus
        The weights of w = u₊v₊ - u₋v₋ at the start, shape (d,).

    Returns
    -------
    root_k, tilt : ndarray of float64, shape (d,)

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or k = 0, where the sign of w cannot change.
    """
    a = _validate.vector(u_plus, "u_plus")
    b = _validate.vector(u_minus, "u_minus", a.size)
    c = _validate.vector(v_plus, "v_plus", a.size)
    e = _validate.vector(v_minus, "v_minus", a.size)
    up, down = ((a + c) ** 2 + (b - e) ** 2) / 4, ((a - c) ** 2 + (b + e) ** 2) / 4
    if (up * down == 0).any():
        raise ValueError("u_plus, ... have k = 0 in some coordinate; allowed: k > 0 in each")
    return 4 * np.sqrt(up * down), np.log(up / down) / 4


# --- the hyperbolic entropy ----------------------------------------------------------------------


def _entropy_arguments(w: ArrayLike, root_k: ArrayLike) -> tuple[FloatArray, FloatArray]:
    return _validate.array(w, "w"), _validate.positive_array(root_k, "root_k")


def hyperbolic_entropy(w: ArrayLike, root_k: ArrayLike) -> FloatArray:
    """Return q_k(w) = ½ ∫₀ʷ arcsinh(2z/√k) dz, entry by entry.

    Parameters
    ----------
    w
        Any shape.
    root_k
        √k > 0, broadcast against `w`.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        Values that are not finite, or `root_k` <= 0.

    Notes
    -----
    q_k(w) = w²/(2√k) for large k, (|w|/2) (log(4|w|/√k) - 1) for small k. The difference
    1 - √(1 + z²) is computed as -z²/(1 + √(1 + z²)), without cancellation.
    """
    w, root = _entropy_arguments(w, root_k)
    z = 2 * w / root
    square = z * (z / (1 + np.hypot(1, z)))
    return np.asarray(root / 4 * (z * np.arcsinh(z) - square))


def hyperbolic_entropy_slope(w: ArrayLike, root_k: ArrayLike) -> FloatArray:
    """Return q_k'(w) = ½ arcsinh(2w/√k). Parameters and errors as in `hyperbolic_entropy`."""
    w, root = _entropy_arguments(w, root_k)
    return np.asarray(np.arcsinh(2 * w / root) / 2)


def least_hyperbolic_entropy(
    x: ArrayLike, y: ArrayLike, log_root_k: ArrayLike, tilt: ArrayLike = 0.0
) -> Interpolator:
    """Minimise Σ_i q_{k_i}(w_i) - c_i w_i subject to x w = y.

    Parameters
    ----------
    x
        Samples, shape (N, d), of rank N.
    y
        Targets, shape (N,).
    log_root_k
        log √k, a number or shape (d,).
    tilt
        c, a number or shape (d,).

    Returns
    -------
    Interpolator
        With q_k'(w) - c = xᵀν.

    Raises
    ------
    ValueError
        Bad shapes or values that are not finite.
    RegularizerError
        No accurate solution was found: dependent rows, or targets out of their range.

    Notes
    -----
    Newton's method on the dual, w = (√k/2) sinh 2(xᵀν + c), N unknowns. Powers of e are formed
    from log √k + |z|, and small k are reached by continuation in log √k with a secant predictor:
    √k = 10⁻²⁵⁶ is no harder than 1.
    """
    x = _validate.matrix(x, "x")
    y = _validate.vector(y, "y", len(x))
    goal, c = _per_feature(log_root_k, "log_root_k", x), _per_feature(tilt, "tilt", x)
    top = max(goal.max(), np.log(1 + np.abs(np.linalg.lstsq(x, y)[0]).max()))
    start = np.full_like(goal, top)
    nu = _dual_newton(x, y, start, c, np.zeros(len(x)))
    if nu is None:
        raise RegularizerError("Newton's method failed at large k; are the rows independent?")
    before, behind, done, step = nu, 0.0, 0.0, min(1.0, 2.0 / max(2.0, float(np.ptp([*goal, top]))))
    while done < 1:
        step = min(step, 1 - done)
        if step < _SMALLEST_STEP:
            raise RegularizerError(f"the continuation stopped at {done:.3g} of the way")
        ahead = done + step
        guess = nu + (nu - before) * (step / (done - behind) if done > behind else 0.0)
        found = _dual_newton(x, y, start + ahead * (goal - start), c, guess)
        if found is None:
            step /= 3
            continue
        before, behind, nu, done, step = nu, done, found, ahead, 2 * step
    return Interpolator(_primal(x, nu, goal, c)[0], nu)


def _per_feature(value: ArrayLike, name: str, x: FloatArray) -> FloatArray:
    """Return a number or a vector as one entry a feature."""
    array = _validate.array(value, name)
    if array.ndim == 0:
        return np.full(x.shape[1], float(array))
    return _validate.vector(array, name, x.shape[1])


def _primal(
    x: FloatArray, nu: FloatArray, log_root: FloatArray, c: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return w and √(w² + k/4), which is half of dw/d(xᵀν); infinite where they overflow."""
    z = 2 * (x.T @ nu + c)
    with np.errstate(over="ignore", invalid="ignore"):
        up, down = np.exp(log_root + np.abs(z)), np.exp(log_root - np.abs(z))
        small = np.exp(log_root) * np.sinh(np.clip(z, -1, 1)) / 2
        w = np.where(np.abs(z) < 1, small, np.sign(z) * (up - down) / 4)
        return w, (up + down) / 4


def _dual_newton(
    x: FloatArray, y: FloatArray, log_root: FloatArray, c: FloatArray, nu: FloatArray
) -> FloatArray | None:
    """Minimise ½ Σ_i √(w_i² + k_i/4) - yᵀν; None where it does not converge."""
    scale = max(1e-300, float(np.abs(y).max()))
    w, half = _primal(x, nu, log_root, c)
    if not np.isfinite(half).all():
        return None
    residual, value = x @ w - y, half.sum() / 2 - y @ nu
    for _ in range(_NEWTON_STEPS):
        size = np.abs(residual).max()
        try:
            move = np.linalg.solve((x * (2 * half)) @ x.T, -residual)
        except np.linalg.LinAlgError:
            return None
        share = 1.0
        while share > 1e-6:
            trial = nu + share * move
            w, half = _primal(x, trial, log_root, c)
            if np.isfinite(half).all():
                rest, new = x @ w - y, half.sum() / 2 - y @ trial
                if np.abs(rest).max() < size or new < value - 1e-4 * share * abs(residual @ move):
                    break
            share /= 2
        else:
            break
        nu, residual, value = trial, rest, new
        if np.abs(residual).max() < 1e-15 * scale:
            break
    return nu if np.abs(residual).max() <= _ACCURACY * scale else None


def margin_hyperbolic_entropy(
    signed: ArrayLike, log_root_k: ArrayLike, margin: float = 1.0
) -> Interpolator:
    """Minimise Σ_i q_{k_i}(w_i) subject to signed w >= margin: a point of the margin path.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    log_root_k
        log √k, a number or shape (d,).
    margin
        γ > 0.

    Returns
    -------
    Interpolator
        With q_k'(w) = signedᵀν, ν >= 0, ν_n = 0 off the margin.

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite or `margin` <= 0.
    NotSeparableError
        No vector has a positive margin.
    RegularizerError
        Newton's method does not settle, or the duality gap of its result is not negligible.

    Notes
    -----
    Newton's method from the hard-margin vector: each step minimises the quadratic model under the
    constraints, a distance problem that non-negative least squares solve exactly. Its support is
    then solved again as an interpolation problem, and what is returned has a duality gap below
    1e-7 of its value (1e-12 where the support is clear).
    """
    x = _validate.matrix(signed, "signed")
    margin = _validate.positive(margin, "margin")
    log_root = _per_feature(log_root_k, "log_root_k", x)
    root = np.exp(log_root)
    w = margin * hard_margin(x).w
    for _ in range(_MARGIN_STEPS):
        slope = hyperbolic_entropy_slope(w, root)
        half = (4 * w**2 + root**2) ** 0.25  # q'' = half^{-2}
        lacking = margin - x @ (w - half**2 * slope)
        scaled = x * half
        rows = np.vstack([scaled.T, lacking])
        share = nnls(rows, np.append(np.zeros(w.size), 1.0))[0]
        dual = share / (1 - lacking @ share)
        move = half * (scaled.T @ dual) - half**2 * slope
        descent, step = float(slope @ move), 1.0
        value = hyperbolic_entropy(w, root).sum()
        while step > 1e-9:
            if hyperbolic_entropy(w + step * move, root).sum() < value + 1e-4 * step * descent:
                break
            step /= 2
        else:
            return _polished(x, log_root, margin, Interpolator(w, dual))
        w = w + step * move
    raise RegularizerError("Newton's method did not converge")


def _polished(
    x: FloatArray, log_root: FloatArray, margin: float, rough: Interpolator
) -> Interpolator:
    """Solve for the margins of the support alone; of both results keep the better."""
    on = rough.dual > 1e-9 * rough.dual.max()
    nu = _dual_newton(
        x[on], np.full(int(on.sum()), margin), log_root, np.zeros(x.shape[1]), rough.dual[on]
    )
    found = [(_margin_gap(x, log_root, margin, rough), rough)]
    if nu is not None and (nu >= 0).all():
        dual = np.zeros(len(x))
        dual[on] = nu
        better = Interpolator(_primal(x, dual, log_root, np.zeros(x.shape[1]))[0], dual)
        found.append((_margin_gap(x, log_root, margin, better), better))
    gap, best = min(found, key=lambda pair: pair[0])
    if gap > _GAP:
        raise RegularizerError(f"the margin path has a relative duality gap of {gap:.1e}")
    return best


def _margin_gap(x: FloatArray, log_root: FloatArray, margin: float, found: Interpolator) -> float:
    """Return the duality gap, or the lack of margin if it is larger, both relative."""
    root = np.exp(log_root)
    value = float(hyperbolic_entropy(found.w, root).sum())
    conjugate = root / 2 * np.sinh(x.T @ found.dual) ** 2
    gap = value + float(conjugate.sum()) - margin * float(found.dual.sum())
    return max(abs(gap) / value, 1 - float((x @ found.w).min()) / margin)


def stagewise_margin(signed: ArrayLike, margins: ArrayLike) -> list[Interpolator]:
    """Follow the margin path of Σ_i q_1(w_i) with multipliers that may only grow.

    Where no multiplier of `margin_hyperbolic_entropy` falls as the margin grows, it is that path;
    elsewhere a multiplier that would fall stays, and the paths part. By homogeneity the path for
    other equal k is w(γ; k) = √k w(γ/√k; 1).

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).
    margins
        Where to report it, increasing, > 0, shape (M,).

    Returns
    -------
    list of Interpolator
        With q_1'(w) = signedᵀν, ν >= 0; ν_n > 0 also off the margin, for samples once on it.

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or margins that do not increase from above 0.
    NotSeparableError
        No vector has a positive margin.
    RuntimeError
        The samples on the margin are dependent.

    Notes
    -----
    At every instant the multipliers of the samples on the margin grow like those of the hard-margin
    problem in the metric of the potential. An ODE in log γ from the hard-margin vector at small γ,
    stopped where a rate of growth falls to zero or a sample reaches the margin.
    """
    x = _validate.matrix(signed, "signed")
    goals = _validate.vector(margins, "margins")
    if goals[0] <= 0 or (np.diff(goals) <= 0).any():
        raise ValueError("margins do not increase; allowed: increasing numbers > 0")
    small = 1e-6 * min(1.0, float(goals[0]))
    hard = hard_margin(x)
    nu, s, tied = small * hard.dual, np.log(small), hard.support
    path = []
    for goal in np.log(goals):
        while s < goal:
            rows = np.flatnonzero(tied)
            on = rows[hard_margin(x[rows] * np.sqrt(np.cosh(2 * x.T @ nu))).dual > 0]
            s, nu, changed = _stage(x, on, nu, s, float(goal))
            tied = np.isin(np.arange(len(x)), on) ^ (np.arange(len(x)) == changed)
        path.append(Interpolator(np.sinh(2 * x.T @ nu) / 2, nu))
    return path


def _stage(
    x: FloatArray, on: NDArray[np.int64], nu: FloatArray, s: float, goal: float
) -> tuple[float, FloatArray, int]:
    """Return log γ, ν and the sample that leaves or reaches the margin (-1: none by the goal)."""

    def growth(nu: FloatArray) -> FloatArray:
        scaled = x[on] * np.sqrt(np.cosh(2 * x.T @ nu))
        rates = np.zeros(len(x))
        rates[on] = np.linalg.solve(scaled @ scaled.T, np.ones(on.size))
        return rates

    def event(n: int) -> Callable[[float, FloatArray], float]:
        def of(s: float, nu: FloatArray) -> float:
            if n in on:
                return float(growth(nu)[n])
            return float(x[n] @ np.sinh(2 * x.T @ nu) / 2 * np.exp(-s) - 1)

        of.terminal, of.direction = True, -1  # type: ignore[attr-defined]
        return of

    run = solve_ivp(lambda s, nu: np.exp(s) * growth(nu), (s, goal), nu, method="DOP853",
                    events=[event(n) for n in range(len(x))], rtol=1e-11, atol=1e-14)  # fmt: skip
    changed = [n for n, times in enumerate(run.t_events) if times.size]
    return float(run.t[-1]), np.asarray(run.y[:, -1]), changed[0] if changed else -1


# --- norms ---------------------------------------------------------------------------------------


def _positive_weights(weights: ArrayLike, x: FloatArray) -> FloatArray:
    checked = _per_feature(weights, "weights", x)
    if (checked <= 0).any():
        raise ValueError(f"weights has the value {checked.min():g}; allowed: numbers > 0")
    return checked


def least_l2(x: ArrayLike, y: ArrayLike, weights: ArrayLike = 1.0) -> Interpolator:
    """Minimise ½ Σ_i c_i w_i² subject to x w = y.

    Parameters
    ----------
    x, y
        Shapes (N, d) of rank N and (N,).
    weights
        c > 0, a number or shape (d,).

    Returns
    -------
    Interpolator

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or weights <= 0.
    """
    x = _validate.matrix(x, "x")
    y = _validate.vector(y, "y", len(x))
    half = 1 / np.sqrt(_positive_weights(weights, x))
    scaled = np.linalg.lstsq(x * half, y)[0]
    return Interpolator(half * scaled, np.linalg.lstsq((x * half).T, scaled)[0])


def least_l1(x: ArrayLike, y: ArrayLike, weights: ArrayLike = 1.0) -> Interpolator:
    """Minimise Σ_i c_i |w_i| subject to x w = y.

    Parameters
    ----------
    x, y
        Shapes (N, d) and (N,).
    weights
        c > 0, a number or shape (d,).

    Returns
    -------
    Interpolator
        A vertex, solved again on its support; |xᵀν| <= c with equality there.

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or weights <= 0.
    RegularizerError
        No vector has x w = y.
    """
    x = _validate.matrix(x, "x")
    y = _validate.vector(y, "y", len(x))
    c = _positive_weights(weights, x)
    found = linprog(np.tile(c, 2), A_eq=np.hstack([x, -x]), b_eq=y, method="highs-ds")
    if found.status != 0:
        raise RegularizerError(f"no minimiser of the weighted l1 norm: {found.message}")
    rough = found.x[: c.size] - found.x[c.size :]
    on = np.abs(rough) > 1e-9 * np.abs(rough).max()
    w = np.zeros(c.size)
    w[on] = np.linalg.lstsq(x[:, on], y)[0]
    dual = np.asarray(found.eqlin.marginals)
    if on.sum() == len(x):
        dual = np.linalg.solve(x[:, on].T, c[on] * np.sign(w[on]))
    return Interpolator(w, dual)


def margin_l1(signed: ArrayLike) -> Interpolator:
    """Minimise ‖w‖₁ subject to signed w >= 1.

    Parameters
    ----------
    signed
        Samples with the labels folded in, shape (N, d).

    Returns
    -------
    Interpolator
        A vertex, solved again on its support; ν >= 0 and |signedᵀν| <= 1, with equality there.

    Raises
    ------
    ValueError
        Not a finite matrix.
    RegularizerError
        No vector has a positive margin.
    """
    x = _validate.matrix(signed, "signed")
    n, d = x.shape
    found = linprog(np.ones(2 * d), A_ub=np.hstack([-x, x]), b_ub=-np.ones(n), method="highs-ds")
    if found.status != 0:
        raise RegularizerError(f"no vector with positive margins: {found.message}")
    w, dual = found.x[:d] - found.x[d:], np.maximum(0.0, -np.asarray(found.ineqlin.marginals))
    used, on = np.abs(w) > 1e-9 * np.abs(w).max(), dual > 1e-9 * dual.max()
    if used.sum() == on.sum():  # a vertex that is not degenerate
        sign = np.sign(w[used])
        w, dual = np.zeros(d), np.zeros(n)
        w[used] = np.linalg.solve(x[on][:, used], np.ones(on.sum()))
        dual[on] = np.linalg.solve(x[on][:, used].T, sign)
    return Interpolator(w, dual)


def null_projector(x: ArrayLike) -> FloatArray:
    """Return the orthogonal projector on the null space of x, shape (d, d)."""
    x = _validate.matrix(x, "x")
    return np.eye(x.shape[1]) - np.linalg.pinv(x) @ x


# --- radial potentials ---------------------------------------------------------------------------


def _second_weight(r: FloatArray, delta: float) -> FloatArray:
    """Return |a| = (δ/2 + √(r² + δ²/4))^½, for negative δ without cancellation."""
    root = np.hypot(r, delta / 2)
    if delta >= 0:
        return np.asarray(np.sqrt(delta / 2 + root))
    return np.asarray(r / np.sqrt(root - delta / 2))


def neuron_potential(r: ArrayLike, delta: float) -> FloatArray:
    """Return q̂_δ(r) = |a|³ - (3/2) δ |a| with a² = δ/2 + √(r² + δ²/4).

    Parameters
    ----------
    r
        Norms ‖w‖ >= 0 of the predictor, any shape.
    delta
        δ = a² - ‖w₁‖², which the flow of a w₁ᵀx conserves.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        Values that are not finite or r < 0.
    """
    r, delta = _radii(r), _validate.number(delta, "delta")
    a = _second_weight(r, delta)
    return np.asarray(a**3 - 1.5 * delta * a)


def neuron_slope(r: ArrayLike, delta: float) -> FloatArray:
    """Return q̂_δ'(r) = (3/2) ‖w₁‖ = (3/2) (√(r² + δ²/4) - δ/2)^½. As `neuron_potential`."""
    r, delta = _radii(r), _validate.number(delta, "delta")
    return np.asarray(1.5 * _second_weight(r, -delta))


def _radii(r: ArrayLike) -> FloatArray:
    r = _validate.array(r, "r")
    if (r < 0).any():
        raise ValueError(f"r has the value {r.min():g}; allowed: numbers >= 0")
    return r


def least_radial(
    x: ArrayLike, y: ArrayLike, slope: Callable[[float], float], tilt: ArrayLike
) -> Interpolator:
    """Minimise φ(‖w‖) + zᵀw subject to x w = y, for a convex increasing φ.

    Parameters
    ----------
    x, y
        Shapes (N, d) and (N,); y not zero.
    slope
        φ', positive and not decreasing on r > 0, with φ'(∞) > ‖Pz‖.
    tilt
        z, shape (d,).

    Returns
    -------
    Interpolator

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or y = 0.
    RegularizerError
        The potential has no minimiser.

    Notes
    -----
    Stationarity in the null space of x, φ'(r) Pw/r = -Pz, leaves one unknown, r = ‖w‖, in
    1 - ‖w₂‖²/r² = ‖Pz‖²/φ'(r)², where w₂ is the solution of least norm: an increasing left and a
    decreasing right side, solved to rounding.
    """
    _validate.function(slope, "slope")
    x = _validate.matrix(x, "x")
    y = _validate.vector(y, "y", len(x))
    z = null_projector(x) @ _validate.vector(tilt, "tilt", x.shape[1])
    shortest = least_l2(x, y).w
    least, pull = float(np.linalg.norm(shortest)), float(np.linalg.norm(z))
    if least == 0:
        raise ValueError("y is zero; allowed: targets that are not all zero")

    def balance(r: float) -> float:
        return 1 - (least / r) ** 2 - (pull / float(slope(r))) ** 2

    far = 2 * least
    while balance(far) < 0:
        far *= 2
        if far > 1e12 * least:
            raise RegularizerError("the slope of the potential never exceeds that of the tilt")
    r = least
    if balance(least) < 0:
        r = float(brentq(balance, least, far, xtol=1e-300, rtol=1e-15))
    w = shortest - r / float(slope(r)) * z
    gradient = float(slope(r)) / r * w + _validate.vector(tilt, "tilt")
    return Interpolator(w, np.asarray(np.linalg.lstsq(x.T, gradient)[0], dtype=np.float64))


def neuron_limit(
    x: ArrayLike, y: ArrayLike, a0: float, w0: ArrayLike, *, sign: int | None = None
) -> FloatArray:
    """Return where gradient flow of a w₁ᵀx on squared errors ends, in closed form.

    Parameters
    ----------
    x, y
        Shapes (N, d) and (N,).
    a0, w0
        The start, a number and shape (d,).
    sign
        The sign of a at the end; by default that of `a0`, which is certain for a0² >= ‖w0‖².

    Returns
    -------
    ndarray of float64, shape (d,)
        w₂ + a b with b = P w0, w₂ the solution of least norm and
        a² = ½ [δ + ‖b‖² + √((δ + ‖b‖²)² + 4 ‖w₂‖²)], δ = a0² - ‖w0‖².

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or a sign that is not -1 or +1.
    """
    x = _validate.matrix(x, "x")
    y = _validate.vector(y, "y", len(x))
    a0 = _validate.number(a0, "a0")
    w0 = _validate.vector(w0, "w0", x.shape[1])
    towards = float(np.sign(a0)) if sign is None else _validate.integer(sign, "sign")
    if towards not in (-1, 1):
        raise ValueError(f"sign is {sign}; allowed: -1 or +1, or a start a0 that is not zero")
    b, shortest = null_projector(x) @ w0, least_l2(x, y).w
    excess = a0**2 - w0 @ w0 + b @ b
    square = _second_weight(np.asarray(np.linalg.norm(shortest)), float(excess))
    return np.asarray(shortest + towards * square * b)


def hessian_map_defect(metric: Callable[[FloatArray], FloatArray], w: ArrayLike) -> float:
    """Return max |∂_k H_ij - ∂_i H_kj| at w, which is zero for Hessians and for nothing else.

    Parameters
    ----------
    metric
        w ↦ H(w), shape (d,) ↦ (d, d), smooth near `w`.
    w
        Shape (d,).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Not a finite vector.

    Notes
    -----
    Central differences of fourth order; the error is about 1e-11 where H and its derivatives are
    of order one.
    """
    _validate.function(metric, "metric")
    w = _validate.vector(w, "w")
    h = 1e-3
    slopes = []
    for e in np.eye(w.size):
        near = metric(w + h * e) - metric(w - h * e)
        far = metric(w + 2 * h * e) - metric(w - 2 * h * e)
        slopes.append((8 * near - far) / (12 * h))
    derivative = np.array(slopes)  # [k, i, j] = ∂_k H_ij
    return float(np.abs(derivative - derivative.transpose(1, 0, 2)).max())
