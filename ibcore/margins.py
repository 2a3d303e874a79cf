"""Hard-margin problems, their duals, and what they predict for gradient descent.

Convention: `signed` is the (N, d) matrix of the points with the label folded in, rows y_n x_n; the
predictor is homogeneous (a bias is one more constant feature). The hard-margin vector is

    ŵ = argmin ‖w‖²  subject to  w·x_n >= 1 for all n,    ŵ = Σ α_n x_n,  α_n >= 0,

with support S = {n : ŵ·x_n = 1}, margin γ = 1/‖ŵ‖ and Σ α_n = ‖ŵ‖².

Which dual. α is not unique when support vectors are linearly dependent (duplicates, for example).
Gradient descent on a loss with an exponential tail then selects one: with ρ = w - ŵ log t its flow
is dρ/d log t = η Σ_S e^{-x_n·ρ} x_n - ŵ, the gradient flow of a convex function whose minimiser
makes α_n = η e^{-x_n·ρ} the dual of maximal entropy -Σ α_n log α_n (η drops out because Σ α_n is
fixed). That dual is unique, is positive wherever any dual is, and gives equal shares to duplicates,
so that every formula below holds as written, sample by sample, without multiplicities. It is the
`dual` that `hard_margin` returns.

Sources: Soudry et al. 2018, The Implicit Bias of Gradient Descent on Separable Data (Theorems 3, 4,
5, 7 and the degenerate case in its appendix), Nacson et al. 2019 (heavy tails; lexicographic
margins and constrained paths); constants are derived here and measured in the book.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, optimize, special

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray

__all__ = [
    "ConstrainedMinimiser",
    "HardMargin",
    "LexicographicMargin",
    "MulticlassHardMargin",
    "NotSeparableError",
    "SplitMargin",
    "SplitMinimiser",
    "angle",
    "constrained_minimiser",
    "convergence_exponent",
    "direction_gap",
    "direction_gap_constant",
    "hard_margin",
    "heavy_tail_exponent",
    "heavy_tail_limit",
    "iterated_log_ladder",
    "lexicographic_max_margin",
    "margin_gap",
    "margin_gap_constant",
    "multiclass_constraints",
    "multiclass_hard_margin",
    "normalized_margin",
    "residual_covariance",
    "residual_limit",
    "separability_certificate",
    "split_margin",
    "split_minimiser",
    "support_spans",
]

BoolArray = NDArray[np.bool_]

_ACTIVE = 1e-10  # a constraint within this of 1, relative to the sizes involved, is active
_ZERO = 1e-12  # a dual variable below this times the largest is zero: rounding, not information
_RANK = 1e-10  # singular values below this times the largest are zero
_NEWTON_STEPS = 200  # some ten are used
_TOP_EXPONENT = 600.0  # exponents are cut here on the way to a solution, where they are not
_EPS = float(np.finfo(np.float64).eps)


class NotSeparableError(ValueError):
    """The points are not strictly separable by a hyperplane through the origin.

    Attributes
    ----------
    certificate
        Convex weights λ, shape (N,), with Σ λ_n signed_n = 0: the proof.
    """

    def __init__(self, certificate: FloatArray) -> None:
        used = int(np.count_nonzero(certificate))
        super().__init__(
            f"signed is not separable: a convex combination of {used} of its {certificate.size} "
            "rows is zero; allowed: rows y_n x_n with w·(y_n x_n) > 0 for some w"
        )
        self.certificate = certificate


@dataclass(frozen=True)
class HardMargin:
    """Solution of a hard-margin problem.

    Attributes
    ----------
    w
        ŵ, shape (d,).
    dual
        α >= 0, shape (N,), the dual of maximal entropy: exactly 0 off the support and on degenerate
        support vectors.
    support
        The active constraints, shape (N,), degenerate ones (zero dual) included.
    margin
        γ = 1/‖ŵ‖.
    duality_gap
        (primal - dual)/primal of a feasible pair made from `w` and `dual`, >= 0.
    constraints
        ŵ·x_n, shape (N,); inf for points that a rung of `iterated_log_ladder` leaves out.
    """

    w: FloatArray
    dual: FloatArray
    support: BoolArray
    margin: float
    duality_gap: float
    constraints: FloatArray

    @property
    def norm(self) -> float:
        """‖ŵ‖ = 1/γ."""
        return 1.0 / self.margin

    @property
    def positive(self) -> BoolArray:
        """Support vectors with a positive dual variable, shape (N,)."""
        return np.asarray(self.dual > 0)

    @property
    def degenerate(self) -> BoolArray:
        """Support vectors with a zero dual variable, shape (N,)."""
        return np.asarray(self.support & ~self.positive)

    @property
    def theta(self) -> float:
        """θ, the smallest ŵ·x_n off the support; inf when every point is a support vector."""
        return float(self.constraints[~self.support].min(initial=math.inf))


@dataclass(frozen=True)
class MulticlassHardMargin(HardMargin):
    """Solution of the multi-class hard-margin problem; the inherited fields are those of vec(w_k).

    Attributes
    ----------
    y
        Class indices, shape (N,).
    n_classes
        K.
    """

    y: IntArray
    n_classes: int

    @property
    def weights(self) -> FloatArray:
        """ŵ_1, ..., ŵ_K as rows, shape (K, d)."""
        return self.w.reshape(self.n_classes, -1)

    @property
    def pair_dual(self) -> FloatArray:
        """α_{n,k}, shape (N, K), with 0 at k = y_n."""
        pairs = np.zeros((self.y.size, self.n_classes))
        pairs[_other_classes(self.y, self.n_classes)] = self.dual
        return pairs


# --- Solving -------------------------------------------------------------------------------------


def _closest_point_weights(x: FloatArray) -> FloatArray:
    """Return convex weights of the point of the convex hull of the rows that is nearest to 0.

    Non-negative least squares of [xᵀ/μ; 1ᵀ] a = (0, 1) has the same minimiser up to scale for every
    μ; it is well conditioned when μ is about the distance, so μ is lowered to what was found.
    """
    if x.shape[1] > x.shape[0]:  # distances in the hull depend on the Gram matrix only
        x = np.ascontiguousarray(np.asarray(np.linalg.qr(x.T, mode="r")).T)
    n = x.shape[0]
    target = np.append(np.zeros(x.shape[1]), 1.0)
    scale = float(np.linalg.norm(x, axis=1).max())
    mu = scale
    weights = np.zeros(n)
    best = math.inf
    for _ in range(8):
        system = np.vstack([x.T / mu, np.ones(n)])
        a, _ = optimize.nnls(system, target, maxiter=1000 + 30 * n)
        trial = a / a.sum()
        distance = float(np.linalg.norm(trial @ x))
        if distance < best:
            weights, best = trial, distance
        if distance > 0.2 * mu or distance < 1e-15 * scale:
            break
        mu = distance
    return weights


def _separates(x: FloatArray, w: FloatArray) -> bool:
    """Say whether w·x_n > 0 for all n beyond the rounding of the products."""
    rounding = 4 * _EPS * x.shape[1] * (np.abs(x) @ np.abs(w))
    return bool((x @ w > rounding).all())


def _separating_vector(x: FloatArray, weights: FloatArray) -> FloatArray | None:
    """Return a vector that separates: the hull's nearest point, or ŵ where that is too rough."""
    nearest = np.asarray(weights @ x)
    if _separates(x, nearest):
        return nearest
    try:
        exact = _active_set_solution(x, list(np.flatnonzero(weights > 0)))[0]
    except RuntimeError:
        return None
    return exact if _separates(x, exact) else None


def _null_weights(x: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weights moved, on the same rows, to the kernel of xᵀ, where that improves them."""
    rows = np.flatnonzero(weights > 0)
    kernel = linalg.svd(x[rows].T, full_matrices=True)[2][-1]
    if bool((kernel >= 0).all()) or bool((kernel <= 0).all()):
        better = np.zeros_like(weights)
        better[rows] = np.abs(kernel)
        better /= better.sum()
        if np.linalg.norm(better @ x) <= np.linalg.norm(weights @ x):
            return better
    return weights


def separability_certificate(signed: ArrayLike) -> FloatArray | None:
    """Decide strict separability, with a proof when the answer is no.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).

    Returns
    -------
    None or ndarray of shape (N,)
        None when some w has w·signed_n > 0 for all n, checked on a w beyond rounding. Else convex
        weights λ (λ >= 0, Σ λ = 1) with Σ λ_n signed_n = 0, to 1e-12 relative to the terms.

    Raises
    ------
    ValueError
        `signed` is not a non-empty finite matrix.
    RuntimeError
        Undecided at the resolution below.

    Notes
    -----
    Gordan's theorem. The rows are normalised first, which changes neither side. Resolution: unit
    rows whose hull comes closer to 0 than about 1e-12 count as not separable.
    """
    x = _validate.matrix(signed, "signed")
    size = np.linalg.norm(x / _power_of_two(x), axis=1) * _power_of_two(x)
    if not size.all():  # a zero row is its own certificate
        return np.asarray((size == 0) / np.count_nonzero(size == 0), dtype=np.float64)
    unit = x / size[:, None]
    weights = _closest_point_weights(unit)
    if np.linalg.norm(weights @ unit) > 1e-12 and _separating_vector(unit, weights) is not None:
        return None
    weights = _null_weights(unit, weights)
    if np.linalg.norm(weights @ unit) > 1e-12:
        raise RuntimeError("signed: separability undecided, neither side could be certified")
    weights = weights * (size.min() / size)
    return np.asarray(weights / weights.sum())


def _power_of_two(x: FloatArray) -> float:
    """Return the power of two just below the largest entry: dividing by it loses no bit."""
    top = float(np.abs(x).max())
    return 2.0 ** math.floor(math.log2(top)) if top > 0 else 1.0


def _equality_solution(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve w = rowsᵀ α, rows w = 1 for independent rows, to the last bits of w.

    QR of rowsᵀ, then refinement of both equations with residuals in extended precision (where the
    machine has it), because an error ε of ŵ appears as ε log t in w - ŵ log t.
    """
    q, r = linalg.qr(rows.T, mode="economic")
    diagonal = np.abs(np.diag(r))
    if rows.shape[0] > rows.shape[1] or diagonal.min() <= 1e-14 * diagonal.max():
        raise RuntimeError("signed: the active constraints are numerically dependent")
    exact = rows.astype(np.longdouble)
    w: NDArray[Any] = np.zeros(rows.shape[1], dtype=np.longdouble)
    alpha: NDArray[Any] = np.zeros(rows.shape[0], dtype=np.longdouble)
    for _ in range(6):
        stationarity = (exact.T @ alpha - w).astype(np.float64)
        feasibility = (1 - exact @ w).astype(np.float64)
        along = linalg.solve_triangular(r, feasibility, trans="T")
        step = q.T @ stationarity
        w = w + q @ (along - step) + stationarity
        alpha = alpha + linalg.solve_triangular(r, along - step)
    return w.astype(np.float64), alpha.astype(np.float64)


def _active_set_solution(
    x: FloatArray, active: list[int]
) -> tuple[FloatArray, FloatArray, list[int]]:
    """Return (ŵ, α on the active rows, active rows), from a guess of the active rows.

    The guess is right up to rounding: rows with a negative dual leave, violated rows enter.
    """
    size = np.abs(x)
    for _ in range(20 + 2 * len(active)):
        w, alpha = _equality_solution(x[active])
        floor = -_ZERO * float(alpha.max())
        if alpha.min() < floor:
            active = [n for n, a in zip(active, alpha, strict=True) if a > alpha.min()]
            continue
        slack = (x @ w - 1) / (1 + size @ np.abs(w))
        slack[active] = 0.0
        worst = int(np.argmin(slack))
        if slack[worst] >= -1e-13:
            return w, alpha, active
        active = [*active, worst]
    raise RuntimeError("signed: the active set of the hard-margin problem could not be certified")


def _largest_dual_support(x: FloatArray, w: FloatArray) -> BoolArray:
    """Return which of the support vectors `x` (S, d) some dual solution makes positive.

    One linear program: maximise Σ t_n over xᵀ(t + s) = κ w, 0 <= t <= 1, s >= 0, κ >= 0. Scaling κ
    up gives t_n = 1 to every n that can be positive; the others have t_n = 0.
    """
    n, d = x.shape
    rows = x / np.linalg.norm(x, axis=1, keepdims=True)  # signs of α do not see the scale
    equal = np.hstack([rows.T, rows.T, -w[:, None] / np.linalg.norm(w)])
    cost = np.concatenate([-np.ones(n), np.zeros(n + 1)])
    bounds = [(0, 1)] * n + [(0, None)] * (n + 1)
    result = optimize.linprog(cost, A_eq=equal, b_eq=np.zeros(d), bounds=bounds, method="highs")
    if result.status != 0:
        raise RuntimeError(f"signed: dual support not found ({result.message})")
    return np.asarray(result.x[:n] > 0.5)


def _entropic_dual(x: FloatArray, w: FloatArray) -> FloatArray:
    """Return the dual of maximal entropy on the rows `x`, all of which can be positive.

    Newton's method on the convex dual of the entropy, g(v) = Σ e^{-x_n·v} + w·v: at its minimum
    α_n = e^{-x_n·v}. Needs w·x_n = 1, w in the span of the rows.
    """
    count = x.shape[0]
    v = -math.log(float(w @ w) / count) * w  # equal α_n with the right sum
    last = math.inf
    for _ in range(500):
        alpha = np.exp(-x @ v)
        _, sizes, basis = linalg.svd(np.sqrt(alpha)[:, None] * x, full_matrices=False)
        step = basis.T @ (basis @ (alpha @ x - w) / sizes**2)
        # Capped at 1 in every exponent, the step lowers g from wherever it starts.
        change = float(np.abs(x @ step).max())
        v = v + step / max(1.0, change)
        if change < 1e-8 and change >= 0.5 * last:
            break
        last = change
    return np.asarray(np.exp(-x @ v))


def _span_basis(x: FloatArray) -> FloatArray:
    """Return an orthonormal basis of the span of the rows, shape (d, rank)."""
    _, sizes, rows = linalg.svd(x, full_matrices=False)
    return np.asarray(rows[sizes > _RANK * sizes[0]].T)


def _dual_on_support(x: FloatArray, w: FloatArray) -> FloatArray:
    """Return the maximal-entropy dual of dependent support vectors `x`, shape (S,)."""
    basis = _span_basis(x)
    positive = _largest_dual_support(x @ basis, basis.T @ w)
    basis = _span_basis(x[positive])
    dual = np.zeros(x.shape[0])
    dual[positive] = _entropic_dual(x[positive] @ basis, basis.T @ w)
    return dual


def _relative_gap(x: FloatArray, w: FloatArray, dual: FloatArray) -> float:
    """Return (primal - dual)/primal after scaling `w` and `dual` to a feasible pair."""
    smallest = float((x @ w).min())
    combination = dual @ x
    product = smallest * dual.sum() / (np.linalg.norm(combination) * np.linalg.norm(w))
    return max(0.0, float((1 - product) * (1 + product)))


def hard_margin(signed: ArrayLike) -> HardMargin:
    """Solve the hard-margin problem exactly.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).

    Returns
    -------
    HardMargin
        `w` accurate to about 1e-15 relative. A constraint counts as active when ŵ·x_n - 1 is below
        1e-10 (relative to Σ_i |ŵ_i x_ni| where that is larger than 1), a dual variable as zero
        below 1e-12 times the largest.

    Raises
    ------
    NotSeparableError
        No w has w·signed_n > 0 for all n; carries the certificate.
    ValueError
        `signed` is not a non-empty finite matrix.
    RuntimeError
        The solution could not be certified (numerically dependent active constraints).

    Notes
    -----
    The active set is that of the point of the convex hull of the rows nearest to 0, by non-negative
    least squares; ŵ then solves its equations exactly. Soudry et al. 2018, equation for ŵ and KKT.
    """
    raw = _validate.matrix(signed, "signed")
    scale = _power_of_two(raw)
    used = raw.any(axis=0)  # ŵ is exactly 0 on columns of zeros
    x = raw[:, used] / scale if used.any() else raw
    weights = _closest_point_weights(x) if used.any() else np.ones(x.shape[0])
    if not _separates(x, weights @ x):
        certificate = separability_certificate(x)
        if certificate is not None:
            raise NotSeparableError(certificate)
    w, alpha, active = _active_set_solution(x, list(np.flatnonzero(weights > 0)))
    constraints = x @ w
    size = np.maximum(1.0, np.abs(x) @ np.abs(w))  # of the terms that cancel in a constraint
    support = constraints - 1 <= _ACTIVE * size
    rows = np.flatnonzero(support)
    dual = np.zeros(x.shape[0])
    if len(active) == rows.size or _span_basis(x[rows]).shape[1] == rows.size:
        dual[active] = alpha
    else:
        dual[rows] = _dual_on_support(x[rows], w)
    dual[dual < _ZERO * dual.max()] = 0.0
    error = float(np.linalg.norm(dual @ x - w) / np.linalg.norm(w))
    rounding = 64 * _EPS * float(np.linalg.norm(dual @ np.abs(x)) / np.linalg.norm(w))
    gap = _relative_gap(x, w, dual)
    if error > 1e-10 + rounding or gap > 1e-12 * size[support].max():
        raise RuntimeError(f"signed: KKT conditions violated by {error:.1e}, duality gap {gap:.1e}")
    margin = scale / float(np.linalg.norm(w))
    full = np.zeros(used.size)
    full[used] = w / scale
    return HardMargin(full, dual / scale**2, support, margin, gap, constraints)


# --- Several classes -----------------------------------------------------------------------------


def _other_classes(y: IntArray, n_classes: int) -> BoolArray:
    """Return which pairs (n, k) have k != y_n, shape (N, K)."""
    return np.asarray(np.arange(n_classes) != y[:, None])


def multiclass_constraints(x: ArrayLike, y: ArrayLike, n_classes: int) -> FloatArray:
    """Write a multi-class problem as a binary one in R^{Kd}.

    Parameters
    ----------
    x
        Points, shape (N, d).
    y
        Class indices 0..K-1, shape (N,).
    n_classes
        K >= 2.

    Returns
    -------
    ndarray of shape (N(K-1), Kd)
        Rows (e_{y_n} - e_k) ⊗ x_n, in the order of n and, for each n, of increasing k != y_n.

    Raises
    ------
    ValueError
        Not a finite matrix, labels that are not class indices, or lengths that differ.

    Notes
    -----
    Soudry et al. 2018, Theorem 7 (multi-class).
    """
    points = _validate.matrix(x, "x")
    labels = _validate.classes(y, "y", n_classes, points.shape[0])
    n, k = np.nonzero(_other_classes(labels, n_classes))
    z = np.zeros((n.size, n_classes, points.shape[1]))
    rows = np.arange(n.size)
    z[rows, labels[n]] = points[n]
    z[rows, k] = -points[n]
    return z.reshape(n.size, -1)


def multiclass_hard_margin(x: ArrayLike, y: ArrayLike, n_classes: int) -> MulticlassHardMargin:
    """Solve argmin Σ_k ‖w_k‖² subject to w_{y_n}·x_n >= w_k·x_n + 1 for all k != y_n.

    Parameters
    ----------
    x
        Points, shape (N, d).
    y
        Class indices 0..K-1, shape (N,).
    n_classes
        K >= 2.

    Returns
    -------
    MulticlassHardMargin
        `weights` is (K, d) and `pair_dual` (N, K); the inherited fields are those of the binary
        problem of `multiclass_constraints`.

    Raises
    ------
    NotSeparableError
        The classes are not separable by a homogeneous linear classifier.
    ValueError
        As for `multiclass_constraints`.

    Notes
    -----
    Soudry et al. 2018, Theorem 7. Memory: 8 N(K-1)Kd bytes.
    """
    solution = hard_margin(multiclass_constraints(x, y, n_classes))
    labels = _validate.classes(y, "y", n_classes)
    return MulticlassHardMargin(**vars(solution), y=labels, n_classes=n_classes)


# --- Distances to the limit ----------------------------------------------------------------------


def _unit(value: ArrayLike, name: str, length: int | None = None) -> FloatArray:
    """Return vectors (last axis) divided by their norms; a zero vector is refused."""
    vectors = _validate.array(value, name)
    if vectors.ndim == 0 or (length is not None and vectors.shape[-1] != length):
        allowed = "(..., d)" if length is None else f"(..., {length})"
        raise ValueError(f"{name} has shape {vectors.shape}; allowed: shape {allowed}")
    peak = np.abs(vectors).max(axis=-1, keepdims=True)
    if not peak.all():
        raise ValueError(f"{name} has a zero vector; allowed: vectors with a direction")
    vectors = vectors / peak  # neither overflow nor underflow in the squares
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def normalized_margin(w: ArrayLike, signed: ArrayLike) -> FloatArray:
    """Return min_n signed_n·w/‖w‖.

    Parameters
    ----------
    w
        Vectors, shape (..., d), none of them zero.
    signed
        Points with the label folded in, shape (N, d).

    Returns
    -------
    ndarray of shape (...)
        Negative where some point is misclassified.

    Raises
    ------
    ValueError
        Shapes that do not match, entries that are not finite, or a zero vector.
    """
    x = _validate.matrix(signed, "signed")
    return np.asarray((_unit(w, "w", x.shape[1]) @ x.T).min(axis=-1))


def margin_gap(w: ArrayLike, signed: ArrayLike, hard: HardMargin) -> FloatArray:
    """Return γ - min_n signed_n·w/‖w‖ >= 0 (up to rounding), shape (...); see `normalized_margin`.

    Parameters
    ----------
    w
        Vectors, shape (..., d), none of them zero.
    signed
        Points with the label folded in, shape (N, d).
    hard
        Their hard-margin solution.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        As for `normalized_margin`, or `hard` belongs to other data.
    """
    _points(signed, hard)
    return np.asarray(hard.margin - normalized_margin(w, signed))


def angle(u: ArrayLike, v: ArrayLike) -> FloatArray:
    """Return the angle between vectors in radians, accurate however small it is.

    Parameters
    ----------
    u, v
        Vectors along the last axis; the leading axes broadcast.

    Returns
    -------
    ndarray of shape (...)
        2 atan2(‖û - v̂‖, ‖û + v̂‖), in [0, π].

    Raises
    ------
    ValueError
        Different lengths, entries that are not finite, or a zero vector.
    """
    a = _unit(u, "u")
    b = _unit(v, "v", a.shape[-1])
    return np.asarray(
        2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    )


def direction_gap(w: ArrayLike, w_hat: ArrayLike) -> FloatArray:
    """Return ‖w/‖w‖ - ŵ/‖ŵ‖‖.

    Parameters
    ----------
    w, w_hat
        Vectors along the last axis; the leading axes broadcast.

    Returns
    -------
    ndarray of shape (...)
        Half its square is 1 - cos of the angle, without cancellation.

    Raises
    ------
    ValueError
        Different lengths, entries that are not finite, or a zero vector.
    """
    a = _unit(w, "w")
    return np.asarray(np.linalg.norm(a - _unit(w_hat, "w_hat", a.shape[-1]), axis=-1))


# --- What the solution predicts for gradient descent ---------------------------------------------


def _points(signed: ArrayLike, hard: HardMargin) -> FloatArray:
    """Return `signed` as a matrix after checking that `hard` can be its solution."""
    _validate.instance(hard, "hard", HardMargin)
    x = _validate.matrix(signed, "signed")
    if x.shape != (hard.dual.size, hard.w.size):
        raise ValueError(
            f"hard has {hard.dual.size} duals in dimension {hard.w.size}, signed has shape "
            f"{x.shape}; allowed: the solution of the same data"
        )
    return x


def _not_degenerate(hard: HardMargin) -> None:
    """Raise when a support vector has a zero dual variable."""
    if hard.degenerate.any():
        raise ValueError(
            f"hard has degenerate support vectors (zero dual) at {np.flatnonzero(hard.degenerate)}"
            "; allowed: every support vector with a positive dual (see iterated_log_ladder)"
        )


def margin_gap_constant(hard: HardMargin) -> float:
    """Return the limit D/‖ŵ‖ of log t (γ - min_n x_n·w/‖w‖) along gradient descent.

    Parameters
    ----------
    hard
        The hard-margin solution.

    Returns
    -------
    float
        With D = log max α - Σ α log α/Σ α >= 0, which vanishes when the positive duals are equal.

    Notes
    -----
    Constant of the rate in Soudry et al. 2018, Theorem 5. With x_n·w̃ = log η - log α_n on the
    support and ŵ·w̃ = Σ α_n x_n·w̃, the gap is [ŵ·w̃/‖ŵ‖² - min_S x_n·w̃]/(‖ŵ‖ log t) to leading
    order, and η cancels.
    """
    _validate.instance(hard, "hard", HardMargin)
    alpha = hard.dual[hard.positive]
    ratio = alpha / alpha.max()
    return float(-special.xlogy(ratio, ratio).sum() / ratio.sum()) / hard.norm


def direction_gap_constant(hard: HardMargin, residual: ArrayLike) -> float:
    """Return the limit of log t ‖w/‖w‖ - ŵ/‖ŵ‖‖ when w - ŵ log t tends to `residual`.

    Parameters
    ----------
    hard
        The hard-margin solution.
    residual
        w̃, shape (d,).

    Returns
    -------
    float
        C_dir = ‖(I - ŵŵᵀ/‖ŵ‖²) w̃‖/‖ŵ‖; 1 - cos of the angle has the constant C_dir²/2.

    Raises
    ------
    ValueError
        `residual` is not a finite vector of length d.

    Notes
    -----
    Constant of the rate in Soudry et al. 2018, Theorem 5.
    """
    _validate.instance(hard, "hard", HardMargin)
    w_tilde = _validate.vector(residual, "residual", hard.w.size)
    unit = hard.w * hard.margin
    return float(np.linalg.norm(w_tilde - (unit @ w_tilde) * unit)) / hard.norm


def support_spans(signed: ArrayLike, hard: HardMargin) -> bool:
    """Say whether the support vectors span the data (the hypothesis of Theorem 4).

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    hard
        Their hard-margin solution.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        `hard` belongs to other data.
    """
    x = _points(signed, hard)
    return bool(_span_basis(x).shape[1] == _span_basis(x[hard.support]).shape[1])


def residual_limit(
    signed: ArrayLike,
    hard: HardMargin,
    step_size: float,
    w0: ArrayLike,
    *,
    check_span: bool = True,
) -> FloatArray:
    """Return w̃, the limit of w(t) - ŵ log t along gradient descent with the tail -ℓ' ~ e^{-u}.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    hard
        Their hard-margin solution.
    step_size
        η > 0, of the *sum* of the losses.
    w0
        Start, shape (d,).
    check_span
        Refuse data that the support does not span, for which w̃ is *not* the limit: its part
        orthogonal to the support is then set by the whole trajectory. False returns the solution
        of the equations all the same.

    Returns
    -------
    ndarray of shape (d,)
        The solution of η e^{-x_n·w̃} = α_n on the support that agrees with `w0` orthogonally to it.

    Raises
    ------
    ValueError
        A degenerate support vector, a support that does not span the data, duals for which the
        equations have no solution, a step size that is not positive, or shapes that do not match.

    Notes
    -----
    Soudry et al. 2018, Theorem 4. A tail c e^{-au} is this one on the points a x_n with the step
    η c/a.
    """
    _validate.flag(check_span, "check_span")
    x = _points(signed, hard)
    eta = _validate.positive(step_size, "step_size")
    start = _validate.vector(w0, "w0", hard.w.size)
    _not_degenerate(hard)
    if check_span and not support_spans(x, hard):
        raise ValueError(
            "signed is not spanned by its support vectors; allowed: rank of the support equal to "
            "the rank of signed (or check_span=False)"
        )
    rows = x[hard.support]
    wanted = math.log(eta) - np.log(hard.dual[hard.support])
    change = linalg.lstsq(rows, wanted - rows @ start, cond=_RANK)[0]
    residual = np.asarray(start + change)
    error = float(np.abs(rows @ residual - wanted).max())
    if error > 1e-8 * max(1.0, float(np.abs(wanted).max())):
        raise ValueError(
            f"hard has a dual for which η exp(-x_n·w̃) = α_n has no solution (off by {error:.1e}); "
            "allowed: the dual of maximal entropy, as hard_margin returns it"
        )
    return residual


def convergence_exponent(signed: ArrayLike, hard: HardMargin) -> float:
    """Return κ of the rate t^{-κ} at which w(t) - ŵ log t tends to its limit.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d), spanned by the support.
    hard
        Their hard-margin solution.

    Returns
    -------
    float
        min(λ, θ - 1, 1), λ the smallest non-zero eigenvalue of M = Σ α_n x_n x_nᵀ.

    Raises
    ------
    ValueError
        A degenerate support vector (no power of t), or `hard` belongs to other data.

    Notes
    -----
    Derived: in log t the linearised flow is dr = -M r + O(t^{1-θ}) + O(t^{-1}). The sum runs over
    samples, so that duplicates need no multiplicity (their duals add up). λ <= 1 as M ŵ = ŵ.
    """
    x = _points(signed, hard)
    _not_degenerate(hard)
    sizes = linalg.svdvals(np.sqrt(hard.dual[hard.support])[:, None] * x[hard.support])
    eigenvalue = float(sizes[sizes > _RANK * sizes[0]].min()) ** 2
    return min(eigenvalue, hard.theta - 1, 1.0)


def residual_covariance(signed: ArrayLike, hard: HardMargin) -> FloatArray:
    """Return Σ, the limit of u Cov(w) after u epochs of SGD with replacement and a fixed step.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    hard
        Their hard-margin solution.

    Returns
    -------
    ndarray of shape (d, d)
        The solution, on the span of the support, of (M - ½)Σ + Σ(M - ½) = Σ_n α_n² x_n x_nᵀ -
        ŵŵᵀ/N with M = Σ_n α_n x_n x_nᵀ; 0 orthogonally to it, where SGD has no such law.

    Raises
    ------
    ValueError
        A degenerate support vector, an eigenvalue of M on the span of the support that is not
        above ½ (the noise of early steps is then forgotten too slowly), or `hard` belongs to other
        data.

    Notes
    -----
    Derived, for Nacson et al. 2019, Stochastic Gradient Descent on Separable Data: √u (w - E w) is
    asymptotically normal with this covariance, whatever the step size and the minibatch size, for
    losses with the tail -ℓ' ~ e^{-u}. In s = log u the linearised residual is an
    Ornstein-Uhlenbeck process with drift -M and noise e^{-s/2} √Q, where Q is the right side: the
    covariance of one epoch of independent draws.
    """
    x = _points(signed, hard)
    _not_degenerate(hard)
    basis = _span_basis(x[hard.support])
    rows = x[hard.support] @ basis
    pull = hard.dual[hard.support][:, None] * rows
    drift = pull.T @ rows - 0.5 * np.eye(rows.shape[1])
    slowest = float(linalg.eigvalsh(drift)[0]) + 0.5
    if slowest <= 0.5:
        raise ValueError(
            f"signed has the eigenvalue {slowest:.3g} of M = Σ α_n x_n x_nᵀ; allowed: eigenvalues "
            "on the span of the support above 1/2"
        )
    mean = pull.sum(axis=0)
    noise = pull.T @ pull - np.outer(mean, mean) / x.shape[0]
    return np.asarray(basis @ linalg.solve_continuous_lyapunov(drift, noise) @ basis.T)


def heavy_tail_limit(signed: ArrayLike, p: float) -> FloatArray:
    """Return the limit of gradient flow under the polynomial tail -ℓ'(u) = u^{-(p+1)}.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    p
        p > 0; for p → ∞ the direction tends to ŵ.

    Returns
    -------
    ndarray of shape (d,)
        v = argmin ½‖v‖² + (1/p) Σ (x_n·v)^{-p} over x_n·v > 0; w(t)/‖w(t)‖ tends to v/‖v‖.

    Raises
    ------
    NotSeparableError
        No w has w·signed_n > 0 for all n.
    ValueError
        `signed` is not a non-empty finite matrix, or `p` is not positive.
    RuntimeError
        Newton's method did not converge.

    Notes
    -----
    Derived for the book's chapter on Nacson et al. 2019, Convergence of Gradient Descent on
    Separable Data: v = Σ (x_n·v)^{-p-1} x_n is the fixed point of the scaled flow. The objective is
    strictly convex; Newton's method, damped so that no margin falls below half of its value, starts
    on the ray of ŵ.
    """
    x = _validate.matrix(signed, "signed")
    p = _validate.positive(p, "p")
    hard = hard_margin(x)
    scale = (np.sum((x @ hard.w) ** -p) * hard.margin**2) ** (1 / (p + 2))
    v = scale * hard.w

    def objective(v: FloatArray) -> float:
        return float(0.5 * v @ v + np.sum((x @ v) ** -p) / p)

    for _ in range(_NEWTON_STEPS):
        margins = x @ v
        slope = margins ** (-p - 1)
        gradient = v - slope @ x
        hessian = np.eye(v.size) + (x.T * ((p + 1) * slope / margins)) @ x
        step = -linalg.solve(hessian, gradient, assume_a="pos")
        decrement = float(-gradient @ step)
        if decrement <= 1e-24 * float(v @ v):
            return np.asarray(v + step)
        length = min(1.0, 0.5 / max(1e-300, float((-(x @ step) / margins).max())))
        # close to the minimum the decrease drowns in rounding and the full step is right
        while decrement > 1e-12 and objective(v + length * step) > objective(v):
            length *= 0.5
        v = v + length * step
    raise RuntimeError(
        f"signed: the limit under a polynomial tail was not reached in {_NEWTON_STEPS} steps"
    )


def heavy_tail_exponent(signed: ArrayLike, p: float) -> float:
    """Return λ of the rate t^{-λ} at which the direction converges under a polynomial tail.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    p
        p > 0 of the tail -ℓ'(u) = u^{-(p+1)}.

    Returns
    -------
    float
        Smallest eigenvalue of I/(p+2) + (p+1) Σ (x_n·v)^{-p-2} x_n x_nᵀ on the complement of the
        fixed point v of the scaled flow, of which v itself is an eigenvector with eigenvalue 1;
        1 in one dimension.

    Raises
    ------
    NotSeparableError, ValueError, RuntimeError
        As in `heavy_tail_limit`.

    Notes
    -----
    Derived: the linearisation of dv/ds = -v/(p+2) + Σ (x_n·v)^{-p-1} x_n, s = log t. The eigenvalue
    along v is a shift of time and does not turn the direction.
    """
    x = _validate.matrix(signed, "signed")
    v = heavy_tail_limit(x, p)
    v = v * (p + 2) ** (1 / (p + 2))
    basis = _orthogonal_complement(v[None])
    if basis.shape[1] == 0:
        return 1.0
    rows = np.sqrt((p + 1) * (x @ v) ** (-p - 2))[:, None] * (x @ basis)
    return float(linalg.eigvalsh(rows.T @ rows).min() + 1 / (p + 2))


def iterated_log_ladder(signed: ArrayLike) -> list[HardMargin]:
    """Return ŵ_1, ŵ_2, ... of w(t) = Σ_m ŵ_m log∘...∘log t (m logarithms) + O(1).

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).

    Returns
    -------
    list of HardMargin
        One for each rung, the first the ordinary solution, one alone when no support vector is
        degenerate. On rung m the problem is that of the degenerate support vectors of rung m-1,
        projected orthogonally to the support vectors with positive dual of all earlier rungs. All
        arrays have full length: `dual` is 0, `support` False and `constraints` inf at points that
        take no part.

    Raises
    ------
    NotSeparableError
        The data are not separable.
    ValueError
        `signed` is not a non-empty finite matrix.

    Notes
    -----
    Soudry et al. 2018, appendix on the degenerate case (Theorem 9). The next problem is always
    separable *because* the dual has maximal support: a convex combination of projected degenerate
    points that vanished could be added to the dual.
    """
    x = _validate.matrix(signed, "signed")
    rungs = [hard_margin(x)]
    basis = np.eye(x.shape[1])
    while rungs[-1].degenerate.any():
        last = rungs[-1]
        basis = basis @ _orthogonal_complement(x[last.positive] @ basis)
        rungs.append(_rung(x, np.flatnonzero(last.degenerate), basis))
    return rungs


def _orthogonal_complement(rows: FloatArray) -> FloatArray:
    """Return an orthonormal basis of the complement of the rows' span, shape (d, d - rank)."""
    _, sizes, vectors = linalg.svd(rows, full_matrices=True)
    rank = int(np.count_nonzero(sizes > _RANK * sizes[0]))
    return np.asarray(vectors[rank:].T)


def _rung(x: FloatArray, members: IntArray, basis: FloatArray) -> HardMargin:
    """Return the solution for the projected members, with arrays of full length."""
    part = hard_margin(x[members] @ basis)
    n = x.shape[0]
    dual, support, constraints = np.zeros(n), np.zeros(n, dtype=bool), np.full(n, math.inf)
    dual[members], support[members], constraints[members] = (
        part.dual,
        part.support,
        part.constraints,
    )
    return replace(part, w=basis @ part.w, dual=dual, support=support, constraints=constraints)


# --- Lexicographic margins and the paths of a growing norm ---------------------------------------


@dataclass(frozen=True)
class LexicographicMargin:
    """A vector whose sorted margins are lexicographically largest on a unit ball.

    Attributes
    ----------
    w
        The vector, shape (d,), of norm at most 1; unique in its margins, not always in itself.
    margins
        signed·w, shape (N,), in the order of the points.
    level
        At which level a point was fixed, shape (N,), counted from 0: the points of level 0 are the
        support vectors of the max-margin problem.
    values
        The margin of each level, shape (K,), not decreasing.
    gaps
        Duality gap of the convex program of each level, shape (K,): an upper bound on how far the
        value can lie below the true one, computed from the dual and not by the solver.
    """

    w: FloatArray
    margins: FloatArray
    level: IntArray
    values: FloatArray
    gaps: FloatArray


def lexicographic_max_margin(signed: ArrayLike, norm: str = "l1") -> LexicographicMargin:
    """Maximise the smallest margin, then the second smallest, and so on, on a unit ball.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d); strictly separable.
    norm
        "l1": one linear program a level. "l2": strict convexity leaves one vector after the first
        level, that of `hard_margin`.

    Returns
    -------
    LexicographicMargin

    Raises
    ------
    NotSeparableError
        No w has w·signed_n > 0 for all n.
    ValueError
        Not a finite matrix, or another norm.
    RuntimeError
        A level whose optimality could not be certified.

    Notes
    -----
    Nacson et al. 2019, Lexicographic and Depth-Sensitive Margins (the definition); the algorithm is
    that of max-min fairness. A level maximises t over ‖w‖ <= 1, s_n·w >= t for the free points and
    s_n·w >= their value for the fixed ones. Free points with a positive dual are tight at every
    solution, hence fixed at t; there is always one. Equal values are merged into one level.
    """
    x = _validate.matrix(signed, "signed")
    if norm not in ("l1", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed: 'l1' or 'l2'")
    if norm == "l2":
        hard = hard_margin(x)
        w = hard.w * hard.margin
        margins = np.where(hard.support, hard.margin, x @ w)
        values, level = _grouped(margins, 1e-10)
        gaps = np.full(values.size, hard.duality_gap * hard.margin)
        return LexicographicMargin(w, margins, level, values, gaps)
    certificate = separability_certificate(x)
    if certificate is not None:
        raise NotSeparableError(certificate)
    scale = _power_of_two(x)
    x = x / scale
    n, d = x.shape
    fixed, value, gap = np.zeros(n, dtype=bool), np.zeros(n), np.zeros(n)
    w = np.zeros(d)
    while not fixed.all():
        w, t, dual = _lexicographic_level(x, fixed, value)
        free_dual = np.where(fixed, 0.0, dual)
        bound = np.abs(dual @ x).max() - dual[fixed] @ value[fixed]
        error = abs(bound - t) + max(0.0, float(np.abs(w).sum()) - 1.0)
        if error > 1e-11 or (value - x @ w)[fixed].max(initial=0.0) > 1e-11:
            raise RuntimeError(f"signed: a level could not be certified, duality gap {error:.1e}")
        tight = free_dual > 1e-9
        fixed, value, gap = fixed | tight, np.where(tight, t, value), np.where(tight, error, gap)
    values, level = _grouped(value, 1e-11)
    gaps = np.array([gap[level == k].max() for k in range(values.size)])
    return LexicographicMargin(w, scale * (x @ w), level, scale * values, scale * gaps)


def _grouped(margins: FloatArray, tolerance: float) -> tuple[FloatArray, IntArray]:
    """Return the distinct values, increasing, and which of them each entry is."""
    order = np.argsort(margins, kind="stable")
    jumps = np.diff(margins[order]) > tolerance * np.abs(margins).max()
    rank = np.concatenate([[0], np.cumsum(jumps)]).astype(np.int64)
    level = np.empty(margins.size, dtype=np.int64)
    level[order] = rank
    return margins[order][np.concatenate([[True], jumps])], level


def _lexicographic_level(
    x: FloatArray, fixed: BoolArray, value: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    """Return (w, t, dual >= 0 of all rows, summing to one over the free ones) of one level."""
    n, d = x.shape
    # unknowns p, q >= 0 with w = p - q, and t
    rows = np.hstack([-x, x, np.where(fixed, 0.0, 1.0)[:, None]])
    ball = np.append(np.ones(2 * d), 0.0)
    result = optimize.linprog(
        np.append(np.zeros(2 * d), -1.0),
        A_ub=np.vstack([rows, ball]),
        b_ub=np.append(np.where(fixed, -value, 0.0), 1.0),
        bounds=[(0, None)] * (2 * d) + [(None, None)],
        method="highs-ds",
    )
    if result.status != 0:
        raise RuntimeError(f"signed: a level was not solved ({result.message})")
    w = np.asarray(result.x[:d] - result.x[d : 2 * d])
    dual = np.maximum(0.0, -np.asarray(result.ineqlin.marginals)[:n])
    dual /= dual[~fixed].sum()
    return w, float((x @ w)[~fixed].min()), dual


@dataclass(frozen=True)
class ConstrainedMinimiser:
    """The minimiser of the exponential loss of a linear model on a Euclidean ball.

    Attributes
    ----------
    radius
        ρ.
    shift
        θ - ρ θ̂ with the max-margin direction θ̂, shape (d,); bounded as ρ grows.
    theta
        The minimiser, shape (d,).
    weights
        Share of each point in the loss, shape (N,).
    margin_gap
        γ*(ρ) - min_n s_n·θ >= 0, γ*(ρ) = ρ/‖ŵ‖ being the largest margin, without cancellation.
    loss_gap
        γ*(ρ) + log Σ_n exp(-s_n·θ), without cancellation.
    """

    radius: float
    shift: FloatArray
    theta: FloatArray
    weights: FloatArray
    margin_gap: float
    loss_gap: float


def constrained_minimiser(signed: ArrayLike, radius: float) -> ConstrainedMinimiser:
    """Minimise Σ_n exp(-s_n·θ) over ‖θ‖ <= radius, for radii without a bound.

    Parameters
    ----------
    signed
        Points with the label folded in, shape (N, d).
    radius
        ρ > 0.

    Returns
    -------
    ConstrainedMinimiser

    Raises
    ------
    NotSeparableError
        The points are not separable (the minimum may then lie inside the ball).
    ValueError
        Not a finite matrix or not a positive radius.
    RuntimeError
        Newton's method stopped before the optimality conditions held to 1e-11.

    Notes
    -----
    Nacson et al. 2019, Lexicographic and Depth-Sensitive Margins (the constrained path). Newton's
    method for Xᵀp = κ θ/ρ, ‖θ‖ = ρ in the unknowns θ - ρθ̂ and κ, along a doubling radius. The
    margins enter through their excess over the largest margin, which is exactly zero on the
    support, so that nothing of size ρ is ever subtracted. The two equations are in the units of the
    points and of the radius; they are balanced by points over a power of two of their size and the
    radius times it, which changes no bit of a margin.
    """
    x = _validate.matrix(signed, "signed")
    size = _power_of_two(x)
    x, target = x / size, _validate.positive(radius, "radius") * size
    hard = hard_margin(x)
    unit = hard.w * hard.margin
    excess = np.where(hard.support, 0.0, (hard.constraints - 1.0) * hard.margin)
    rho = min(target, 0.1 / float(np.linalg.norm(x, axis=1).max()))
    mean = x.mean(axis=0)
    shift = rho * (mean / np.linalg.norm(mean) - unit)
    kappa = float(np.linalg.norm(mean))
    while True:
        shift, kappa = _ball_newton(x, unit, excess, rho, shift, kappa)
        if rho == target:
            break
        rho = min(2 * rho, target)
    margins = rho * excess + x @ shift
    log_sum = float(special.logsumexp(-margins))
    return ConstrainedMinimiser(
        rho / size,
        shift / size,
        (rho * unit + shift) / size,
        np.exp(-margins - log_sum),
        float(-margins.min()),
        log_sum,
    )


def _ball_newton(
    x: FloatArray, unit: FloatArray, excess: FloatArray, rho: float, shift: FloatArray, kappa: float
) -> tuple[FloatArray, float]:
    """Return the shift and the multiplier at a radius, from a guess of both."""
    d = unit.size

    def equations(y: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = special.softmax(-(rho * excess + x @ y[:d]))
        return p, np.append(
            p @ x - y[d] * (unit + y[:d] / rho), unit @ y[:d] + y[:d] @ y[:d] / (2 * rho)
        )

    y = np.append(shift, kappa)
    p, residual = equations(y)
    for _ in range(_NEWTON_STEPS):
        size = float(np.linalg.norm(residual))
        centred = x - p @ x
        along = (unit + y[:d] / rho)[:, None]
        curvature = -(centred.T * p) @ centred - y[d] / rho * np.eye(d)
        jacobian = np.block([[curvature, -along], [along.T, np.zeros((1, 1))]])
        step = -np.linalg.solve(jacobian, residual)
        length = 1.0
        while length > 1e-10:
            trial_p, trial = equations(y + length * step)
            if np.linalg.norm(trial) < (1 - 0.1 * length) * size:
                break
            length /= 2
        else:
            break
        y, p, residual = y + length * step, trial_p, trial
    if not np.linalg.norm(residual) < 1e-11 or y[d] <= 0:
        raise RuntimeError(f"signed: Newton's method stopped, radius times size {rho:g}")
    return y[:d], float(y[d])


@dataclass(frozen=True)
class SplitMargin:
    """Weights of least norm at a margin, split between a shallow and a deep part.

    Attributes
    ----------
    shallow
        β, shape (p,).
    deep
        w, shape (q,).
    dual
        λ >= 0, shape (N,): β = Aᵀλ/2, |Bᵀλ| <= 1 with the sign of w where w is not zero.
    norm_squared
        ‖β‖² + ‖w‖₁.
    duality_gap
        (primal - dual)/primal of a feasible pair made from the solution, >= 0 up to rounding.
    """

    shallow: FloatArray
    deep: FloatArray
    dual: FloatArray
    norm_squared: float
    duality_gap: float


def split_margin(shallow: ArrayLike, deep: ArrayLike, level: float) -> SplitMargin:
    """Solve min ‖β‖² + ‖w‖₁ subject to Aβ + Bw >= level, exactly.

    Parameters
    ----------
    shallow, deep
        A, shape (N, p), and B, shape (N, q): signed features of the two parts.
    level
        The margin γ > 0.

    Returns
    -------
    SplitMargin

    Raises
    ------
    ValueError
        Matrices that are not finite or have different numbers of rows, or `level` not positive.
    RuntimeError
        No separation, or an active set that could not be certified.

    Notes
    -----
    Nacson et al. 2019, Lexicographic and Depth-Sensitive Margins: the margin path of a linear
    function plus a diagonal network of depth two, w = u∘u - v∘v, since ‖w‖₁ is the smallest
    ‖u‖² + ‖v‖². The parametric active-set method: follows the solution, which is piecewise linear,
    from γ = 0, where β = w = 0, and ends in finitely many pieces.
    """
    a, b = _validate.matrix(shallow, "shallow"), _validate.matrix(deep, "deep")
    gamma = _validate.positive(level, "level")
    if len(a) != len(b):
        raise ValueError(f"deep has {len(b)} rows, shallow has {len(a)}; allowed: as many rows")
    n, q = b.shape
    matrix = np.block(
        [
            [a @ a.T / (2 * gamma), b, -b],
            [-b.T, np.zeros((q, 2 * q))],
            [b.T, np.zeros((q, 2 * q))],
        ]
    )
    # in units of the margin, so that nothing grows with it where the deep part suffices
    solution = _complementary(matrix, np.concatenate([-np.ones(n), np.ones(2 * q)]))
    dual, w = solution[:n], gamma * (solution[n : n + q] - solution[n + q :])
    beta = a.T @ dual / 2
    scale = gamma / float((a @ beta + b @ w).min())
    primal = float(scale**2 * beta @ beta + scale * np.abs(w).sum())
    lam = dual / max(1.0, float(np.abs(b.T @ dual).max()))
    bound = float(gamma * lam.sum() - np.sum((a.T @ lam) ** 2) / 4)
    gap = (primal - bound) / primal
    if not (scale > 0 and gap < 1e-9):
        raise RuntimeError(f"shallow, deep: relative duality gap {gap:.1e}")
    return SplitMargin(beta, w, dual, float(beta @ beta + np.abs(w).sum()), gap)


@dataclass(frozen=True)
class SplitMinimiser:
    """A point of the constrained path of a sum of a shallow and a deep part.

    Attributes
    ----------
    shallow
        β, shape (p,).
    deep
        w, shape (q,).
    dual
        λ_n = exp(level - f_n) > 0, shape (N,): β = Aᵀλ/2, |Bᵀλ| <= 1 with the sign of w where w is
        not zero.
    log_loss
        log Σ_n exp(-f_n).
    norm_squared
        ‖β‖² + ‖w‖₁.
    margin
        min_n f_n.
    """

    shallow: FloatArray
    deep: FloatArray
    dual: FloatArray
    log_loss: float
    norm_squared: float
    margin: float


def split_minimiser(shallow: ArrayLike, deep: ArrayLike, level: float) -> SplitMinimiser:
    """Minimise ‖β‖² + ‖w‖₁ + Σ_n exp(level - f_n), f = Aβ + Bw.

    Parameters
    ----------
    shallow, deep
        A, shape (N, p), and B, shape (N, q): signed features of the two parts.
    level
        Γ. Large levels lie far out on the path: e^{-Γ} is the multiplier of the norm.

    Returns
    -------
    SplitMinimiser
        Exists for all data, separable or not. The margins are accurate to about 1e-16 Γ, β and w to
        1e-16 Γ λ: constants of order one survive up to Γ = 1e10 where λ stays bounded (the deep
        part separates alone), up to 1e6 where λ grows like Γ.

    Raises
    ------
    ValueError
        Matrices that are not finite or have different numbers of rows, or `level` not a number.
    RuntimeError
        The optimality conditions do not hold in the end.

    Notes
    -----
    Nacson et al. 2019, Lexicographic and Depth-Sensitive Margins: the minimiser of the exponential
    loss on the ball of radius² `norm_squared`, for the network of `split_margin`. Newton's method
    on the active weights of the deep part, each with the sign it has; a weight that reaches zero
    leaves, one whose pull exceeds one enters, and the objective falls throughout. Far out the
    level is doubled, starting from the last solution doubled.
    """
    a, b = _validate.matrix(shallow, "shallow"), _validate.matrix(deep, "deep")
    target = _validate.number(level, "level")
    if len(a) != len(b):
        raise ValueError(f"deep has {len(b)} rows, shallow has {len(a)}; allowed: as many rows")
    y, gamma = np.zeros(a.shape[1] + b.shape[1]), min(target, 0.0)
    y = _split_descent(a, b, gamma, y)
    while gamma < target:
        last, gamma = gamma, min(target, max(1.0, 2 * gamma))
        y = _split_descent(a, b, gamma, y * (gamma / last if last > 0 else 1.0))
    beta, w = y[: a.shape[1]], y[a.shape[1] :]
    f = a @ beta + b @ w
    norm_squared = float(beta @ beta + np.abs(w).sum())
    log_loss = float(special.logsumexp(-f))
    return SplitMinimiser(beta, w, np.exp(gamma - f), log_loss, norm_squared, float(f.min()))


def _split_descent(a: FloatArray, b: FloatArray, gamma: float, y: FloatArray) -> FloatArray:
    """Return the minimiser (β, w) at a level, from a guess."""
    k = a.shape[1]
    rows, y = np.hstack([a, b]), y.copy()
    twice = np.append(np.full(k, 2.0), np.zeros(b.shape[1]))
    sign = np.append(np.zeros(k), np.sign(y[k:]))
    last = math.inf
    for _ in range(_NEWTON_STEPS * y.size):
        used = (twice > 0) | (sign != 0)
        dual = np.exp(np.minimum(gamma - rows @ y, _TOP_EXPONENT))
        part = rows[:, used]
        hessian = np.diag(twice[used]) + (part.T * dual) @ part
        hessian += 1e-15 * np.trace(hessian) * np.eye(len(hessian))
        step = np.zeros(y.size)
        step[used] = np.linalg.solve(hessian, dual @ part - (twice * y + sign)[used])
        change = float(np.abs(rows @ step).max())
        ends = np.full(y.size, math.inf)
        towards = (sign != 0) & (step * sign < 0)
        ends[towards] = -y[towards] / step[towards]
        first = int(np.argmin(ends))
        length = _descent_length(
            rows @ step,
            dual,
            float((twice * y + sign) @ step),
            float(twice @ step**2),
            min(1.0, ends[first]),
        )
        if length == ends[first]:
            y, last = y + length * step, math.inf
            y[first] = sign[first] = 0.0
            continue
        y = y + length * step
        if change < 1e-6 and change >= 0.5 * last:
            pull = np.abs(rows.T @ dual) * ~used
            worst = int(np.argmax(pull))
            if pull[worst] <= 1 + 1e-9:
                return y
            sign[worst], change = np.sign(rows[:, worst] @ dual), math.inf
        last = change
    raise RuntimeError(f"shallow, deep: no minimiser found at level {gamma:g}")


def _descent_length(
    rise: FloatArray, dual: FloatArray, linear: float, quadratic: float, longest: float
) -> float:
    """Return a length of a Newton step along which the objective falls.

    Its slope after a length t is linear + quadratic t - Σ λ rise e^{-t rise}.
    """

    def slope(t: float) -> float:
        exponent = np.minimum(-t * rise, _TOP_EXPONENT)
        return float(linear + quadratic * t - dual * rise @ np.exp(exponent))

    # Capped at 1 in every exponent, a step lowers the objective from wherever it starts.
    safe = min(longest, 1 / max(1.0, float(np.abs(rise).max())))
    start, length = slope(0.0), longest
    while length > safe and not slope(length) <= 0.5 * abs(start):
        length /= 2
    return max(length, safe)


def _complementary(matrix: FloatArray, constant: FloatArray) -> FloatArray:
    """Return z >= 0 with u = matrix z + constant >= 0 and z·u = 0, by Lemke's pivots.

    The covering vector is not constant, so that equal entries of `constant` do not tie.
    """
    n = constant.size
    cover = 1.0 + 0.01 * np.sqrt(np.arange(1.0, n + 1.0))
    # columns: u (0..n-1), z (n..2n-1), the artificial variable (2n), the right-hand side
    tableau = np.hstack([np.eye(n), -matrix, -cover[:, None], constant[:, None]])
    basis = np.arange(n)
    entering, row = 2 * n, int(np.argmin(constant / cover))
    for _ in range(100 * n):
        tableau[row] /= tableau[row, entering]
        others = np.arange(n) != row
        tableau[others] -= np.outer(tableau[others, entering], tableau[row])
        leaving, basis[row] = int(basis[row]), entering
        if leaving == 2 * n:
            break
        entering = leaving + n if leaving < n else leaving - n
        column = tableau[:, entering]
        candidates = np.flatnonzero(column > 1e-11)
        if not candidates.size:
            raise RuntimeError("shallow, deep: the points are not separable by the two together")
        ratio = tableau[candidates, -1] / column[candidates]
        near = candidates[ratio <= ratio.min() + 1e-13 * max(1.0, abs(float(ratio.min())))]
        row = int(near[np.argmax(basis[near] == 2 * n)])
    else:
        raise RuntimeError("shallow, deep: the pivots did not end")
    used = np.hstack([np.eye(n), -matrix])[:, basis]
    values = np.linalg.solve(used, constant)
    z = np.zeros(n)
    inside = basis >= n
    z[basis[inside] - n] = np.maximum(values[inside], 0.0)
    return z
