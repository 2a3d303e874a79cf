"""Gradient-flow solutions: where gradient flow from a point of a descent would end.

The loss of three models falls to zero along gradient flow, so every point of a run of descent has a
gradient-flow solution, and the largest eigenvalue of the Hessian there is its sharpness. For scalar
networks and squared regression what the flow conserves determines the solution, and no flow has to
be followed; for other models with squared errors it is integrated, exactly in the linear part.

Batches: weights of scalar networks have shape (..., D), those of squared regression (..., d).

Sources: Kreisler et al. 2023, Gradient Descent Monotonically Decreases the Sharpness of Gradient
Flow Solutions in Scalar Networks and Beyond (the notion, both models); the closed forms, the normal
form and the methods are derived in the chapter on that paper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ibcore import _validate, curvature
from ibcore._validate import FloatArray
from ibcore.descent import DivergenceError
from ibcore.flow import FlowError

if TYPE_CHECKING:
    import torch

BoolArray = NDArray[np.bool_]

__all__ = [
    "NormalForm",
    "SquaredSolution",
    "frozen_map",
    "frozen_orbit",
    "frozen_peak",
    "in_invariant_set",
    "least_squares_solution",
    "scalar_descent",
    "scalar_elementary",
    "scalar_minimum",
    "scalar_normal_form",
    "scalar_on_manifold",
    "scalar_sharpness",
    "scalar_solution",
    "scalar_solution_sharpness",
    "scalar_step",
    "squared_drift",
    "squared_sharpness",
    "squared_solution",
    "squared_step",
]

_NEWTON_STEPS = 100
_SMALL_PRODUCT = 1e-12  # stands for π → 0, where the frozen map has a limit
_HALVINGS = 60  # of a step of damped Newton
_NEAR = 0.1  # a step that changes no weight by more than this share needs no damping
_QUADRATIC = 1e-9  # a Newton step that changes logarithms by less is the last one needed


# --- scalar networks ----------------------------------------------------------------------------


def _weights(w: ArrayLike) -> FloatArray:
    """Return weights of scalar networks, shape (..., D) with D >= 2."""
    weights = _validate.array(w, "w")
    if weights.ndim == 0 or weights.shape[-1] < 2:
        raise ValueError(f"w has shape {weights.shape}; allowed: shape (..., D) with D >= 2")
    return weights


def _products_of_others(w: FloatArray) -> FloatArray:
    """Return ∏_{j≠i} w_j for each i, without dividing by w_i."""
    before, after = np.ones_like(w), np.ones_like(w)
    np.cumprod(w[..., :-1], axis=-1, out=before[..., 1:])
    after[..., :-1] = np.cumprod(w[..., :0:-1], axis=-1)[..., ::-1]
    return before * after


def _steps(value: ArrayLike) -> FloatArray:
    """Return step sizes > 0, with an axis for the weights."""
    return _validate.positive_array(value, "step_size")[..., None]


def _scalar_step(w: FloatArray, eta: FloatArray) -> FloatArray:
    others = _products_of_others(w)
    return np.asarray(w - eta * (others[..., :1] * w[..., :1] - 1) * others)


def scalar_step(w: ArrayLike, step_size: ArrayLike) -> FloatArray:
    """Take one step of gradient descent on ½(∏ w_i - 1)².

    Parameters
    ----------
    w
        Weights, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).

    Returns
    -------
    ndarray of float64, shape (..., D)

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or η <= 0.
    """
    return _scalar_step(_weights(w), _steps(step_size))


def scalar_descent(w: ArrayLike, step_size: ArrayLike, n_steps: int) -> FloatArray:
    """Run gradient descent on ½(∏ w_i - 1)² and keep every iterate.

    Parameters
    ----------
    w
        Start, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).
    n_steps
        At least 1.

    Returns
    -------
    ndarray of float64, shape (n_steps + 1, ..., D)

    Raises
    ------
    ValueError
        As `scalar_step`, or a number of steps below 1.
    DivergenceError
        The iterates overflow.
    """
    weights, eta = _weights(w), _steps(step_size)
    n_steps = _validate.integer(n_steps, "n_steps", 1)
    batch = np.broadcast_shapes(weights.shape[:-1], eta.shape[:-1])
    path = np.empty((n_steps + 1, *batch, weights.shape[-1]))
    path[0] = weights
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(n_steps):
            path[t + 1] = _scalar_step(path[t], eta)
    if not np.isfinite(path[-1]).all():
        raise DivergenceError("step_size: the iterates overflow; allowed: a smaller one")
    return path


def _balances(w: FloatArray) -> FloatArray:
    """Return w_i² - min_j w_j², each to full relative accuracy."""
    size = np.abs(w)
    least = size.min(axis=-1, keepdims=True)
    return np.asarray((size - least) * (size + least))


def _smallest_square(beta: FloatArray, log_square: FloatArray) -> FloatArray:
    """Return x > 0 with Σ_i log(x + β_i) = log_square, shape (..., 1).

    Newton's method in log x. The sum is convex and increasing there, and the start lies to the
    right of the root, so the iterates fall to it.
    """
    z = log_square / beta.shape[-1]
    for _ in range(_NEWTON_STEPS):
        x = np.exp(z)
        squares = x + beta
        value = np.log(squares).sum(axis=-1, keepdims=True) - log_square
        move = value / (x / squares).sum(axis=-1, keepdims=True)
        z = z - move
        if (np.abs(move) <= _QUADRATIC * (1 + np.abs(z))).all():
            break
    return np.asarray(np.exp(z))


def scalar_on_manifold(w: ArrayLike, product: ArrayLike) -> FloatArray:
    """Return the point with the balances w_i² - w_j² of w, positive weights and a given product.

    Gradient flow moves along such points: with the product 1 this is the solution of a positive w.

    Parameters
    ----------
    w
        Weights, shape (..., D); their signs do not matter.
    product
        ∏ w_i > 0 of the result, a number or an array that broadcasts against shape (...).

    Returns
    -------
    ndarray of float64, shape (..., D)

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or a product that is not positive.
    """
    weights, goal = _weights(w), _validate.positive_array(product, "product")
    log_square = 2 * np.log(goal)[..., None]
    beta = _balances(weights)
    beta = np.broadcast_to(
        beta, (*np.broadcast_shapes(goal.shape, beta.shape[:-1]), beta.shape[-1])
    )
    return np.asarray(np.sqrt(_smallest_square(beta, log_square) + beta))


def scalar_solution(w: ArrayLike) -> FloatArray:
    """Return where gradient flow on ½(∏ w_i - 1)² ends.

    Parameters
    ----------
    w
        Starts, shape (..., D).

    Returns
    -------
    ndarray of float64, shape (..., D)
        Weights of product 1. Signs are those of the start; where its product is not positive, the
        weight of least magnitude alone has crossed zero.

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or a start whose product is not positive and whose
        least magnitude is shared by two weights: its flow ends at a saddle.

    Notes
    -----
    The flow conserves w_i² - w_j². So w̄_i² = x + w_i² - min_j w_j², where x > 0 solves one equation
    in one unknown.
    """
    weights = _weights(w)
    signs = np.where(weights < 0, -1.0, 1.0)
    crosses = (signs.prod(axis=-1) < 0) | (weights == 0).any(axis=-1)
    size = np.sort(np.abs(weights), axis=-1)
    if (crosses & (size[..., 0] == size[..., 1])).any():
        raise ValueError(
            "w has a product <= 0 and two weights of least magnitude, so its flow ends at a "
            "saddle; allowed: starts whose flow reaches zero loss"
        )
    least = np.abs(weights).argmin(axis=-1)[..., None]
    rest = signs.prod(axis=-1, keepdims=True) * np.take_along_axis(signs, least, axis=-1)
    np.put_along_axis(signs, least, rest, axis=-1)
    return np.asarray(signs * scalar_on_manifold(weights, 1.0))


def scalar_sharpness(w: ArrayLike) -> FloatArray:
    """Return λ_max of the Hessian of ½(∏ w_i - 1)² at w.

    Parameters
    ----------
    w
        Weights, shape (..., D).

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        Bad shapes or values that are not finite.
    """
    weights = _weights(w)
    others = _products_of_others(weights)
    error = others[..., :1] * weights[..., :1] - 1
    hessian = others[..., :, None] * others[..., None, :]
    depth = weights.shape[-1]
    for i in range(depth):
        pairs = weights.copy()
        pairs[..., i] = 1.0
        row = error * _products_of_others(pairs)
        row[..., i] = 0.0
        hessian[..., i, :] += row
    return np.asarray(np.linalg.eigvalsh(hessian)[..., -1])


def scalar_solution_sharpness(w: ArrayLike) -> FloatArray:
    """Return the sharpness φ(w) = Σ w̄_i^{-2} of the gradient-flow solution w̄ of w.

    Parameters
    ----------
    w
        Starts, shape (..., D), whose flow reaches zero loss.

    Returns
    -------
    ndarray of float64, shape (...)
        At least D, with equality where the magnitudes are equal.

    Raises
    ------
    ValueError
        As `scalar_solution`.
    """
    return np.asarray((scalar_solution(w) ** -2.0).sum(axis=-1))


def scalar_minimum(pattern: ArrayLike, sharpness: float) -> FloatArray:
    """Return the zero-loss point w_i = e^{σ d_i}, σ >= 0, of a given sharpness.

    Parameters
    ----------
    pattern
        d, shape (D,); its mean is subtracted.
    sharpness
        φ >= D.

    Returns
    -------
    ndarray of float64, shape (D,)

    Raises
    ------
    ValueError
        A constant pattern, or a sharpness below D, which no zero-loss point has.
    """
    d = _validate.vector(pattern, "pattern")
    d = d - d.mean()
    goal = _validate.positive(sharpness, "sharpness")
    if d.size < 2 or not np.ptp(d) > 0:
        raise ValueError("pattern is constant; allowed: at least two different entries")
    if goal < d.size:
        raise ValueError(f"sharpness is {goal:g}; allowed: at least D = {d.size}")
    top = np.log(goal) / (-2 * d.min())  # there one term alone reaches the goal
    sigma = brentq(
        lambda s: np.log(np.exp(-2 * s * d).sum() / goal), 0.0, top, xtol=1e-15, rtol=1e-15
    )
    return np.asarray(np.exp(sigma * d))


def frozen_map(w: ArrayLike, step_size: ArrayLike, product: ArrayLike) -> FloatArray:
    """Return the product after one step of descent from the point with the balances of w.

    Parameters
    ----------
    w
        Weights whose balances are kept, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).
    product
        Product before the step, > 0, broadcast against shape (...).

    Returns
    -------
    ndarray of float64, shape (...)
        ∏_i (w_i - η (π - 1) π / w_i); where a factor is negative, a weight has crossed zero.

    Raises
    ------
    ValueError
        As `scalar_on_manifold`, or η <= 0.
    """
    eta, p = _steps(step_size), _validate.array(product, "product")
    squares = scalar_on_manifold(w, p) ** 2
    return np.asarray(p * (1 - eta * ((p - 1) * p)[..., None] / squares).prod(axis=-1))


def frozen_orbit(
    w: ArrayLike, step_size: ArrayLike, product: ArrayLike, burn: int, keep: int
) -> FloatArray:
    """Iterate the frozen map.

    Parameters
    ----------
    w
        Weights whose balances are kept, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).
    product
        Start, > 0, broadcast against shape (...).
    burn, keep
        How many iterates to drop, >= 0, and then to keep, >= 1.

    Returns
    -------
    ndarray of float64, shape (keep, ...)

    Raises
    ------
    ValueError
        As `frozen_map`; also where an iterate is no longer positive.
    """
    weights, eta = _weights(w), _steps(step_size)
    p = _validate.array(product, "product")
    burn, keep = _validate.integer(burn, "burn", 0), _validate.integer(keep, "keep", 1)
    beta = _balances(weights)
    p = np.broadcast_to(p, np.broadcast_shapes(p.shape, eta.shape[:-1], beta.shape[:-1]))
    if (p <= 0).any():
        raise ValueError(f"product has the entry {p.min():g}; allowed: products > 0")
    kept = np.empty((keep, *p.shape))
    for t in range(burn + keep):
        squares = _smallest_square(beta, 2 * np.log(p)[..., None]) + beta
        with np.errstate(over="ignore", invalid="ignore"):
            p = p * (1 - eta * ((p - 1) * p)[..., None] / squares).prod(axis=-1)
        if not ((p > 0) & np.isfinite(p)).all():
            raise ValueError(f"step_size: an orbit leaves the positive products at step {t + 1}")
        if t >= burn:
            kept[t - burn] = p
    return kept


def frozen_peak(w: ArrayLike, step_size: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the supremum over 0 < π < 1 of the frozen map, and where it is.

    Parameters
    ----------
    w
        Weights whose balances are kept, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).

    Returns
    -------
    peak, at : ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        As `frozen_map`.

    Notes
    -----
    A grid in log π, refined three times around its best point: the peak is exact to rounding
    wherever the map has one maximum there (as in all cases seen).
    """
    weights, eta = _weights(w)[..., None, :], _steps(step_size)
    batch = np.broadcast_shapes(weights.shape[:-2], eta.shape[:-1])
    low = np.full((*batch, 1), np.log(_SMALL_PRODUCT))
    high = np.zeros_like(low)
    share = np.linspace(0, 1, 201)
    for _ in range(4):
        z = low + (high - low) * share
        values = frozen_map(weights, eta, np.exp(z))
        best = values.argmax(axis=-1)[..., None]
        peak, at = np.take_along_axis(values, best, -1), np.take_along_axis(z, best, -1)
        width = (high - low) / 200
        low, high = np.maximum(at - width, low), np.minimum(at + width, high)
    return np.asarray(peak[..., 0]), np.asarray(np.exp(at[..., 0]))


def in_invariant_set(w: ArrayLike, step_size: ArrayLike) -> BoolArray:
    """Say whether w satisfies the hypotheses under which φ falls in every step.

    Parameters
    ----------
    w
        Weights, shape (..., D).
    step_size
        η > 0, a number or an array that broadcasts against shape (...).

    Returns
    -------
    ndarray of bool, shape (...)
        Whether w > 0, η φ(w) <= 2√2, and for some B > ∏ w_i every point with the balances of w and
        a product in (0, B) is mapped to positive weights with a product in (0, B).

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or η <= 0.

    Notes
    -----
    Above 1 the frozen map is below the identity, and weights stay positive up to one product and
    not beyond. So it is enough to look at B just above max(∏ w_i, sup of the map over (0, 1)).
    """
    weights, eta = _weights(w), _steps(step_size)[..., 0]
    safe = np.abs(weights) + (weights == 0)
    bound = np.maximum(frozen_peak(safe, eta)[0], safe.prod(axis=-1))
    least = (scalar_on_manifold(safe, bound) ** 2).min(axis=-1)
    low = eta * (scalar_on_manifold(safe, 1.0) ** -2.0).sum(axis=-1) <= 2 * np.sqrt(2)
    return np.asarray((weights > 0).all(axis=-1) & low & (eta * (bound - 1) * bound < least))


class NormalForm(NamedTuple):
    """What happens near the edge of stability, η φ = 2 (see `scalar_normal_form`).

    Attributes
    ----------
    kappa
        κ, shape (...): the error e = ∏ w_i - 1 obeys |e⁺| = |e| (1 + y - κ e²), y = η φ - 2.
    gamma
        γ, shape (...): y⁺ = y - γ e².
    """

    kappa: FloatArray
    gamma: FloatArray


def scalar_elementary(w: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return e₂ and e₃, elementary symmetric functions of the shares p_i = w̄_i^{-2}/φ.

    Parameters
    ----------
    w
        Weights, shape (..., D); what counts is the gradient-flow solution.

    Returns
    -------
    e2, e3 : ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        As `scalar_solution`.

    Notes
    -----
    By the product recursion, which adds positive terms only: from power sums e₂ loses all digits
    when one share is near 1.
    """
    inverse = scalar_solution(w) ** -2.0
    shares = inverse / inverse.sum(axis=-1, keepdims=True)
    first, second, third = (np.zeros(shares.shape[:-1]) for _ in range(3))
    for i in range(shares.shape[-1]):
        p = shares[..., i]
        third = third + second * p
        second = second + first * p
        first = first + p
    return np.asarray(second), np.asarray(third)


def scalar_normal_form(w: ArrayLike) -> NormalForm:
    """Return the coefficients of the flip and of the drift at the edge of stability.

    Parameters
    ----------
    w
        Weights, shape (..., D); what counts is the gradient-flow solution.

    Returns
    -------
    NormalForm
        κ = 8(4e₂² - e₃) and γ = 8(e₂ + 3e₃ - 4e₂²), with e₂ and e₃ of `scalar_elementary`.

    Raises
    ------
    ValueError
        As `scalar_solution`.
    """
    second, third = scalar_elementary(w)
    square = second**2
    return NormalForm(
        np.asarray(8 * (4 * square - third)), np.asarray(8 * (second + 3 * third - 4 * square))
    )


# --- squared regression -------------------------------------------------------------------------


class SquaredSolution(NamedTuple):
    """The gradient-flow solution of squared regression.

    Attributes
    ----------
    u, v
        Weights with x(u² - v²) = y, shape (..., d).
    iterations
        Steps of Newton's method.
    """

    u: FloatArray
    v: FloatArray
    iterations: int


def _squared(
    u: ArrayLike, v: ArrayLike, x: ArrayLike, y: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Check weights (..., d), samples (..., N, d) and targets (..., N)."""
    u, v = _validate.array(u, "u"), _validate.array(v, "v")
    x, y = _validate.array(x, "x"), _validate.array(y, "y")
    if x.ndim < 2 or y.ndim < 1 or y.shape[-1] != x.shape[-2]:
        raise ValueError(f"y has shape {y.shape}; allowed: (..., N) for x of shape {x.shape}")
    for name, value in (("u", u), ("v", v)):
        if value.ndim < 1 or value.shape[-1] != x.shape[-1]:
            raise ValueError(
                f"{name} has shape {value.shape}; allowed: (..., d) for x of shape {x.shape}"
            )
    batch = np.broadcast_shapes(u.shape[:-1], v.shape[:-1], x.shape[:-2], y.shape[:-1])
    n, d = x.shape[-2:]
    u, v = (np.broadcast_to(value, (*batch, d)) for value in (u, v))
    return u, v, np.broadcast_to(x, (*batch, n, d)), np.broadcast_to(y, (*batch, n))


def _times(x: FloatArray, z: FloatArray) -> FloatArray:
    """Return x z for each item of a batch."""
    return np.asarray(np.matmul(x, z[..., None])[..., 0])


def _transposed_times(x: FloatArray, z: FloatArray) -> FloatArray:
    """Return xᵀz for each item of a batch."""
    return np.asarray(np.matmul(z[..., None, :], x)[..., 0, :])


def squared_step(
    u: ArrayLike, v: ArrayLike, x: ArrayLike, y: ArrayLike, step_size: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Take one step of gradient descent on ‖x(u² - v²) - y‖²/2N.

    Parameters
    ----------
    u, v
        Weights, shape (..., d); squares are elementwise.
    x
        Samples, shape (..., N, d).
    y
        Targets, shape (..., N).
    step_size
        η > 0, a number or one a problem, shape (...).

    Returns
    -------
    u, v : ndarray of float64, shape (..., d)

    Raises
    ------
    ValueError
        Bad shapes, values that are not finite, or η <= 0.
    """
    u, v, x, y = _squared(u, v, x, y)
    h = _relative_step(u, v, x, y, step_size)
    return u * (1 - h), v * (1 + h)


def _relative_step(
    u: FloatArray, v: FloatArray, x: FloatArray, y: FloatArray, step_size: ArrayLike
) -> FloatArray:
    """Return h = 2η xᵀr/N: a step of descent is u(1 - h), v(1 + h)."""
    residual = _times(x, u**2 - v**2) - y
    return np.asarray(2 * _steps(step_size) * _transposed_times(x, residual) / x.shape[-2])


def squared_solution(u: ArrayLike, v: ArrayLike, x: ArrayLike, y: ArrayLike) -> SquaredSolution:
    """Return where gradient flow on ‖x(u² - v²) - y‖²/2N ends.

    Parameters
    ----------
    u, v
        Starts, shape (..., d).
    x
        Samples, shape (..., N, d), of rank N in each problem.
    y
        Targets, shape (..., N).

    Returns
    -------
    SquaredSolution

    Raises
    ------
    ValueError
        Bad shapes or values that are not finite.
    FlowError
        Newton's method does not reach the targets: dependent samples, or targets out of the reach
        of weights that are zero.

    Notes
    -----
    The flow multiplies u by e^{-ξ} and v by e^{ξ} with ξ in the row space of x, ξ = xᵀν, and ν
    minimises ½ Σ(u²e^{-2ξ} + v²e^{2ξ}) + yᵀν, which is strictly convex. Damped Newton in the N
    unknowns, over the whole batch at once.
    """
    u, v, x, y = _squared(u, v, x, y)
    scale = np.abs(y).max(axis=-1) + _times(np.abs(x), u**2 + v**2).max(axis=-1)
    nu = np.zeros(y.shape)
    up, down, value = u**2, v**2, (u**2 + v**2).sum(axis=-1) / 2
    iterations, longest = 0, np.full(value.shape, np.inf)
    while (longest > _QUADRATIC).any() and iterations < _NEWTON_STEPS:
        iterations += 1
        residual = _times(x, up - down) - y
        kernel = np.matmul(2 * x * (up + down)[..., None, :], x.swapaxes(-1, -2))
        try:
            move = np.asarray(np.linalg.solve(kernel, residual[..., None])[..., 0], np.float64)
        except np.linalg.LinAlgError as error:
            raise FlowError("x: Newton's method met a singular matrix; is its rank N?") from error
        decrease = (move * residual).sum(axis=-1)
        longest = np.abs(2 * _transposed_times(x, move)).max(axis=-1)
        share = np.ones(value.shape)
        for _ in range(_HALVINGS):
            trial = nu + share[..., None] * move
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                growth = np.exp(2 * _transposed_times(x, trial))
                new_up, new_down = u**2 / growth, v**2 * growth
                new = (new_up + new_down).sum(axis=-1) / 2 + (y * trial).sum(axis=-1)
                poor = ~(new <= value - 1e-4 * share * decrease) & ~(longest <= _NEAR)
            if not poor.any():
                break
            share = np.where(poor, share / 2, share)
        nu, up, down, value = trial, new_up, new_down, new
    residual = _times(x, up - down) - y
    if not (np.abs(residual).max(axis=-1) <= 1e-10 * scale).all():
        raise FlowError("y: Newton's method does not reach the targets; are the samples dependent?")
    half = _transposed_times(x, nu)
    return SquaredSolution(u * np.exp(-half), v * np.exp(half), iterations)


def squared_sharpness(u: ArrayLike, v: ArrayLike, x: ArrayLike) -> FloatArray:
    """Return the sharpness of a zero-loss point, λ_max of (4/N) x diag(u² + v²) xᵀ.

    Parameters
    ----------
    u, v
        Weights of a point with x(u² - v²) = y, shape (..., d).
    x
        Samples, shape (..., N, d).

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        Bad shapes or values that are not finite.
    """
    return np.asarray(_kernel_values(u, v, x)[0][..., -1])


def _kernel_values(u: ArrayLike, v: ArrayLike, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues (ascending) and eigenvectors of (4/N) x diag(u² + v²) xᵀ."""
    samples = _validate.array(x, "x")
    u, v, samples, _ = _squared(u, v, samples, np.zeros(samples.shape[:-1]))
    weights = 4 / samples.shape[-2] * (u**2 + v**2)
    values, vectors = np.linalg.eigh(
        np.matmul(samples * weights[..., None, :], samples.swapaxes(-1, -2))
    )
    return values, vectors


def squared_drift(
    u: ArrayLike, v: ArrayLike, x: ArrayLike, y: ArrayLike, step_size: ArrayLike
) -> FloatArray:
    """Return the change of the solution's sharpness in one step of descent, to leading order.

    Parameters
    ----------
    u, v, x, y, step_size
        As in `squared_step`.

    Returns
    -------
    ndarray of float64, shape (...)
        The part of second order in h = 2η xᵀr/N.

    Raises
    ------
    ValueError
        As `squared_step`.
    FlowError
        As `squared_solution`.
    """
    u, v, x, y = _squared(u, v, x, y)
    h2 = np.asarray(_relative_step(u, v, x, y, step_size) ** 2)
    end_u, end_v, _ = squared_solution(u, v, x, y)
    s, m = np.asarray(end_u**2 + end_v**2), np.asarray(end_u**2 - end_v**2)
    top = _kernel_values(end_u, end_v, x)[1][..., -1]
    c2 = np.asarray(_transposed_times(x, top) ** 2)
    kernel = np.matmul(x * s[..., None, :], x.swapaxes(-1, -2))
    back = np.asarray(np.linalg.solve(kernel, _times(x, m * h2)[..., None])[..., 0], np.float64)
    change = (c2 * (m * _transposed_times(x, back) - s * h2)).sum(axis=-1)
    return np.asarray(4 / x.shape[-2] * change)


# --- any model with squared errors --------------------------------------------------------------

_STEPS = 2000  # of the integrator, accepted and refused together
_STIFF = 1e-10  # slower modes than this share of the fastest are left to the explicit part
_SERIES = 18  # terms of the Taylor series of φ_k for |z| <= 1: the first one left out is 1e-19


def _phi_functions(z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return φ_1, φ_2, φ_3 at z <= 0, where φ_k(z) = Σ_j z^j/(j + k)!."""
    small = np.abs(z) <= 1
    near, far = np.where(small, z, 0.0), np.where(small, -1.0, z)
    third = np.ones_like(z)
    for j in range(_SERIES, 0, -1):
        third = 1 + near * third / (j + 3)
    third = third / 6
    second = 0.5 + near * third
    first = 1 + near * second
    f1 = np.expm1(far) / far
    f2 = (f1 - 1) / far
    f3 = (f2 - 0.5) / far
    return np.where(small, first, f1), np.where(small, second, f2), np.where(small, third, f3)


class _Frozen:
    """The flow θ' = -∇L with its linear part -JᵀJ/M, frozen at one point, solved exactly."""

    def __init__(self, rows: FloatArray, velocity: Callable[[FloatArray], FloatArray]) -> None:
        self.velocity = velocity
        values, vectors = np.linalg.eigh(rows @ rows.T)
        stiff = values > _STIFF * values[-1]
        self.rates = values[stiff]
        self.basis = (vectors[:, stiff].T @ rows) / np.sqrt(self.rates)[:, None]

    def linear(self, move: FloatArray) -> FloatArray:
        """Return the linear part of the velocity at a distance `move` from the frozen point."""
        return np.asarray(-((self.basis @ move) * self.rates) @ self.basis)

    def apply(self, values: FloatArray, at_zero: float, vector: FloatArray) -> FloatArray:
        """Return f(-hJᵀJ/M) vector, f given on the row space and at zero."""
        inside = (values - at_zero) * (self.basis @ vector)
        return np.asarray(at_zero * vector + inside @ self.basis)

    def step(self, theta: FloatArray, h: float, slope: FloatArray) -> FloatArray:
        """Return θ after a time h by the fourth-order exponential method of Krogstad.

        `slope` is the velocity at theta. Everything is written for the distance from `theta`, so
        that the linear part acts on a small vector.
        """
        f1, f2, f3 = _phi_functions(-h * self.rates)
        g1, g2, _ = _phi_functions(-0.5 * h * self.rates)

        def rest(move: FloatArray) -> FloatArray:
            return self.velocity(theta + move) - self.linear(move) - slope

        half = 0.5 * h * self.apply(g1, 1.0, slope)
        n2 = rest(half)
        n3 = rest(half + h * self.apply(g2, 0.5, n2))
        whole = h * self.apply(f1, 1.0, slope)
        n4 = rest(whole + 2 * h * self.apply(f2, 0.5, n3))
        moved = self.apply(2 * f2 - 4 * f3, 1 / 3, n2 + n3)
        return theta + whole + h * (moved + self.apply(4 * f3 - f2, 1 / 6, n4))


def least_squares_solution(
    residuals: Callable[[torch.Tensor], torch.Tensor],
    theta: ArrayLike,
    *,
    tolerance: float = 1e-6,
    stop: float = 1e-11,
) -> FloatArray:
    """Return where gradient flow on a sum of squared residuals ends, by integration.

    Parameters
    ----------
    residuals
        Maps a flat float64 torch tensor of weights to a tensor with M entries, the errors.
    theta
        Start, shape (P,).
    tolerance
        Error of one step of the integrator, relative to the length of the weights.
    stop
        Root mean square of the residuals at which the flow counts as ended.

    Returns
    -------
    ndarray of float64, shape (P,)

    Raises
    ------
    ValueError
        A start that is not a finite vector, `tolerance` or `stop` <= 0, or derivatives that are
        not finite.
    FlowError
        The flow comes to rest, or 2000 steps are done, and the residuals are larger than `stop`.

    Notes
    -----
    The tangent kernel is frozen at the start of each step and its part of the flow solved exactly
    in the row space of the Jacobian; the rest is integrated by a fourth-order exponential
    Runge-Kutta method, one step of h against two of h/2. So the steps grow without limit as the
    residuals vanish. A factor in the loss changes the time of the flow and not its end.
    """
    _validate.function(residuals, "residuals")
    import torch

    point = _validate.vector(theta, "theta")
    tolerance, stop = _validate.positive(tolerance, "tolerance"), _validate.positive(stop, "stop")

    def objective(at: torch.Tensor) -> torch.Tensor:
        errors = residuals(at)
        return (errors**2).sum() / (2 * errors.numel())

    def evaluate(at: FloatArray) -> tuple[float, FloatArray]:
        theta = torch.tensor(at).requires_grad_()
        value = objective(theta)
        slope = torch.autograd.grad(value, theta)[0].numpy()
        return (2 * float(value.detach())) ** 0.5, -slope

    h = 0.0
    for _ in range(_STEPS):
        size, slope = evaluate(point)
        if not np.isfinite(slope).all():
            raise ValueError("theta: expected weights where the gradient is finite")
        if size <= stop:
            return point
        rows = curvature.jacobian(residuals, point)
        frozen = _Frozen(rows / np.sqrt(len(rows)), lambda at: evaluate(at)[1])
        h = h or 1.0 / float(frozen.rates[-1])
        while True:
            coarse = frozen.step(point, h, slope)
            middle = frozen.step(point, h / 2, slope)
            fine = frozen.step(middle, h / 2, evaluate(middle)[1])
            moved, length = (float(np.linalg.norm(z)) for z in (fine - point, point))
            ratio = float(np.linalg.norm(fine - coarse)) / (15 * tolerance * (length + moved))
            h *= min(8.0, max(0.2, 0.9 / max(ratio, 1e-12) ** 0.2))
            if ratio <= 1:
                break
        if moved <= 1e-15 * length:
            break
        point = fine
    raise FlowError(f"residuals: the flow rests at {size:.1e}; is zero loss in reach?")
