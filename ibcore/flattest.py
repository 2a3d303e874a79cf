"""Convex programs of flatness: how flat a two-layer ReLU network can be, given what it computes.

With p_i = v_i² and q_i = |w_i|² the sharpness of an interpolating network is convex, and so is the
set p_i q_i >= a_i² that keeps the function. Every program here comes with its dual, a certificate.

Sources: derived in the chapter on Nacson et al. 2023; the stability norm is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from ibcore import _validate, shallow
from ibcore._validate import FloatArray
from ibcore.shallow import ShallowNet

__all__ = [
    "Flattest",
    "LeastNorm",
    "SolverError",
    "flattest_interpolant",
    "flattest_rescaling",
    "least_stability_norm",
]


class SolverError(RuntimeError):
    """A convex program that was not solved."""


@dataclass(frozen=True)
class Flattest:
    """A flat network, and a bound that no other of its kind can beat.

    Attributes
    ----------
    net
        The network.
    sharpness
        Its largest eigenvalue of the Hessian at zero loss.
    lower
        A lower bound for all networks in question, by weak duality.
    """

    net: ShallowNet
    sharpness: float
    lower: float


def flattest_rescaling(
    net: ShallowNet, x: ArrayLike, *, rtol: float = 1e-9, rounds: int = 500
) -> Flattest:
    """Rescale neurons, which changes no output, so that the sharpness becomes least.

    Parameters
    ----------
    net, x
        Network, and points of shape (N, d).
    rtol
        The relative gap between the sharpness and its lower bound at which to stop.
    rounds
        Most iterations. Where the largest eigenvalue of the optimum is multiple the gap does not
        close, and what is returned says how wide it is.

    Returns
    -------
    Flattest

    Raises
    ------
    ValueError
        Points that do not fit the network, or tolerances out of range.

    Notes
    -----
    For a unit vector u, (1·u)²/N + (2/N) Σ |v_i| |gated_i u| |features_i·u| bounds the sharpness of
    every rescaling from below; u = 1/√N gives that of Nacson et al. The network is rescaled to meet
    it with equality for the top eigenvector, averaged over the iterations, until it stays.
    """
    _validate.instance(net, "net", ShallowNet)
    rtol, rounds = _validate.positive(rtol, "rtol"), _validate.integer(rounds, "rounds", 1)
    z = net.preactivations(x)
    extended = np.column_stack([_validate.matrix(x, "x"), np.ones(z.shape[1])])
    gates, features, n = (z > 0).astype(np.float64), np.maximum(z, 0.0), z.shape[1]
    u = np.full(n, n**-0.5)
    best, lower, damping = Flattest(net, shallow.sharpness(net, x), 0.0), 0.0, 0.5
    for _ in range(rounds):
        reach = np.abs(net.v) * np.linalg.norm((gates * u) @ extended, axis=1)
        height = np.abs(features @ u)
        lower = max(lower, float((u.sum() ** 2 + 2 * reach @ height) / n))
        trial = shallow.rescaled(net, reach, height)
        value, top = shallow.leading(shallow.tangent_gram(trial, x))
        if value < best.sharpness:
            best = Flattest(trial, value, lower)
        if best.sharpness - lower <= rtol * lower:
            break
        u = (1 - damping) * u + damping * top * np.sign(top @ u)
        u /= np.linalg.norm(u)
    return replace(best, lower=lower)


# --- networks of any width -----------------------------------------------------------------------


def flattest_interpolant(x: ArrayLike, y: ArrayLike) -> Flattest:
    """The flattest network of any width through points on a line, by semidefinite programming.

    Parameters
    ----------
    x, y
        Distinct points, in any order, and targets, shape (N,).

    Returns
    -------
    Flattest
        The network has kinks at the points, three in each gap between them, and outside. Its
        sharpness is an infimum: a kink at a point counts it as inactive. `lower` holds for any
        width with kinks anywhere: the dual variables are checked at all offsets, by the extrema of
        a ratio of quadratics in each gap.

    Raises
    ------
    ValueError
        Fewer than two points, points that coincide, or shapes that do not match.
    SolverError
        The program was not solved.
    """
    points = _validate.vector(x, "x")
    order = np.argsort(points)
    points, targets = points[order], _validate.vector(y, "y", len(points))[order]
    if len(points) < 2 or (np.diff(points) <= 0).any():
        raise ValueError("x has points that coincide or fewer than two; allowed: distinct points")
    inner = [points[:-1] + share * np.diff(points) for share in (0.25, 0.5, 0.75)]
    out = (points[-1] - points[0]) * np.array([0.1, 0.5, 2.0])
    right = np.concatenate([points[0] - out, points[:-1], *inner])
    left = np.concatenate([points[-1] + out, points[1:], *inner])
    u = np.repeat([1.0, -1.0], [len(right), len(left)])
    net, z, nu = _semidefinite(
        u[:, None], u * np.concatenate([right, left]), points[:, None], targets
    )
    lower = _any_width_bound(points, targets, z, nu)
    return Flattest(net, shallow.sharpness(net, points[:, None]), lower)


def _semidefinite(
    u: FloatArray, t: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[ShallowNet, FloatArray, FloatArray]:
    """Solve for p, q, a, c; return the network and the dual variables Z and ν."""
    import cvxpy as cp

    n, m = len(x), len(t)
    z = u @ x.T - t[:, None]
    features, gates = np.maximum(z, 0.0), (z > 0).astype(np.float64)
    kernel = x @ x.T + 1
    inner = np.stack([(kernel * np.outer(g, g)).ravel() for g in gates], axis=1) / n
    outer = np.stack([np.outer(s, s).ravel() for s in features], axis=1) / n
    level, c = cp.Variable(), cp.Variable()
    a, p, q = cp.Variable(m), cp.Variable(m), cp.Variable(m)
    hessian = np.ones((n, n)) / n + cp.reshape(inner @ p + outer @ q, (n, n), order="C")
    slack = cp.Variable((n, n), symmetric=True)
    flat, fit = slack == level * np.eye(n) - hessian, features.T @ a + c == y
    cones = [cp.norm(cp.vstack([2 * a, p - q]), 2, axis=0) <= p + q]
    problem = cp.Problem(cp.Minimize(level), [slack >> 0, flat, fit, *cones])
    problem.solve(solver=cp.CLARABEL)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"the semidefinite program ended as {problem.status}")
    keep = np.abs(a.value) > 1e-9 * np.abs(a.value).max()
    path = a.value[keep]
    ratio = (np.maximum(q.value[keep], 0) + 1e-9) / (np.maximum(p.value[keep], 0) + 1e-9)
    scale = np.sqrt(np.abs(path) * np.sqrt(ratio))  # |w|, with v = a / |w|
    net = ShallowNet(u[keep] * scale[:, None], -t[keep] * scale, path / scale, float(c.value))
    return net, _positive_part(np.asarray(problem.constraints[0].dual_value)), fit.dual_value


def _positive_part(z: FloatArray) -> FloatArray:
    """Nearest positive semi-definite matrix, scaled to unit trace."""
    values, vectors = np.linalg.eigh((z + z.T) / 2)
    values = np.maximum(values, 0.0)
    part: FloatArray = (vectors * (values / values.sum())) @ vectors.T
    return part


def _any_width_bound(x: FloatArray, y: FloatArray, z: FloatArray, nu: FloatArray) -> float:
    """The bound 1ᵀZ1/N + |ν·y| / excess, where |ν·φ_t| <= excess × cost_t for every kink t."""
    n = len(x)
    nu = nu - nu.mean()
    ends = [-np.inf, *x, np.inf]
    excess = 0.0
    for j in range(1, len(ends)):
        for weight in (np.arange(n) >= j - 1, np.arange(n) < j - 1):
            tilted = weight * x
            area = float(weight @ (z * (np.outer(x, x) + 1)) @ weight)
            moments = [tilted @ z @ tilted, -2 * tilted @ z @ weight, weight @ z @ weight]
            top = np.polynomial.Polynomial([nu @ tilted, -nu @ weight]) ** 2
            below = np.polynomial.Polynomial(moments) * (4 * area / n**2)  # in powers of t
            excess = max(excess, _largest_ratio(top, below, ends[j - 1], ends[j]))
    return float(z.sum() / n + abs(nu @ y) / np.sqrt(excess))


def _largest_ratio(top: Any, below: Any, low: float, high: float) -> float:
    """Supremum of a ratio of quadratics over an interval."""
    slope = top.deriv() * below - top * below.deriv()
    places = [float(t.real) for t in slope.roots() if abs(t.imag) < 1e-9 and low < t.real < high]
    places += [end for end in (low, high) if np.isfinite(end)]
    floor = 1e-13 * float(np.abs(below.coef).max())
    return max((float(top(t) / below(t)) for t in places if below(t) > floor), default=0.0)


@dataclass(frozen=True)
class LeastNorm:
    """The interpolant of least stability norm among networks of any width.

    Attributes
    ----------
    value
        The norm, an infimum: kinks run through data points, which count on the cheaper side.
    a, u, t
        Ridges of an optimal function, shapes (m,), (m, d), (m,); an affine part is free.
    certificate
        Lower bound from the dual variables, for all ridges, divided by `value`; one is optimal.
    """

    value: float
    a: FloatArray
    u: FloatArray
    t: FloatArray
    certificate: float


def least_stability_norm(x: ArrayLike, y: ArrayLike, *, tolerance: float = 0.0) -> LeastNorm:
    """Least stability norm of functions that meet targets, over networks of any width.

    Parameters
    ----------
    x
        Points in general position on the line or in the plane, shape (N, 1) or (N, 2).
    y
        Targets, shape (N,).
    tolerance
        The largest error allowed at a point.

    Returns
    -------
    LeastNorm

    Raises
    ------
    ValueError
        Another dimension, too few points, three on a line, or a negative tolerance.
    SolverError
        A linear program was not solved.

    Notes
    -----
    While no point crosses the hyperplane, a ridge is linear in (u, t) and its weight concave. So a
    dual variable feasible for hyperplanes through d points is feasible for all: finitely many.
    """
    points = _validate.matrix(x, "x")
    n, d = points.shape
    targets = _validate.vector(y, "y", n)
    tolerance = _validate.non_negative(tolerance, "tolerance")
    if d > 2 or n < d + 1:
        raise ValueError(f"x has shape {points.shape}; allowed: (N, 1), N >= 2, or (N, 2), N >= 3")
    u, t = _through_points(points)
    ridge, cost = _closed_cells(points, u, t)
    return _column_generation(points, targets, tolerance, u, t, ridge, cost)


def _through_points(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    if points.shape[1] == 1:
        return np.ones((len(points), 1)), points[:, 0].copy()
    i, j = np.array(list(combinations(range(len(points)), 2))).T
    along = points[j] - points[i]
    lengths = np.linalg.norm(along, axis=1)
    if (lengths == 0).any():
        raise ValueError("x has points that coincide; allowed: points in general position")
    u = np.column_stack([-along[:, 1], along[:, 0]]) / lengths[:, None]
    return u, np.einsum("ij,ij->i", u, points[i])


def _closed_cells(
    points: FloatArray, u: FloatArray, t: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Ridges through the points, and their weight: the least over which side the points are on."""
    n, d = points.shape
    z = u @ points.T - t[:, None]
    on = np.abs(z) < 1e-11 * (1 + np.abs(t))[:, None]
    if (on.sum(axis=1) != d).any():
        raise ValueError(f"x has {d + 1} points on a line; allowed: points in general position")
    z[on] = 0.0
    touching = np.argsort(~on, axis=1, kind="stable")[:, :d]
    rows, best = np.arange(len(t)), np.full(len(t), np.inf)
    rise, fall = np.maximum(z, 0.0).sum(axis=1), np.maximum(-z, 0.0).sum(axis=1)
    for pattern in range(2**d):
        active = (z > 0).astype(np.float64)
        for k in range(d):
            active[rows, touching[:, k]] = pattern >> k & 1
        above = _reach(active, points) * rise
        below = _reach(1 - active, points) * fall
        best = np.minimum(best, np.minimum(above, below))
    return np.maximum(z, 0.0), best / n**2


def _reach(active: FloatArray, points: FloatArray) -> FloatArray:
    reach: FloatArray = np.hypot(active.sum(axis=1), np.linalg.norm(active @ points, axis=1))
    return reach


def _column_generation(
    x: FloatArray, y: FloatArray, tolerance: float, u: FloatArray, t: FloatArray,
    ridge: FloatArray, cost: FloatArray,
) -> LeastNorm:  # fmt: skip
    """Solve the program on a growing set of ridges until no other one would pay."""
    n, affine = len(x), np.column_stack([x, np.ones(len(x))])
    chosen = np.unique(np.linspace(0, len(t) - 1, min(len(t), 4 * n)).astype(int))
    while True:
        columns, price = ridge[chosen].T, cost[chosen]
        fit = np.hstack([columns, -columns, affine])
        program: dict[str, Any] = {"A_eq": fit, "b_eq": y}
        if tolerance > 0:
            program = {"A_ub": np.vstack([fit, -fit]),
                       "b_ub": np.concatenate([y + tolerance, tolerance - y])}  # fmt: skip
        found = optimize.linprog(
            np.concatenate([price, price, np.zeros(affine.shape[1])]),
            bounds=[(0, None)] * (2 * len(chosen)) + [(None, None)] * affine.shape[1],
            method="highs-ds", **program,
        )  # fmt: skip
        if found.status != 0:
            raise SolverError(f"the linear program ended with: {found.message}")
        if tolerance > 0:
            nu = found.ineqlin.marginals[:n] - found.ineqlin.marginals[n:]
        else:
            nu = found.eqlin.marginals
        excess = np.abs(ridge @ nu) / np.maximum(cost, 1e-300)
        excess[cost < 1e-14] = 0.0
        new = np.setdiff1d(np.flatnonzero(excess > 1 + 1e-9), chosen)
        if not new.size:
            break
        chosen = np.union1d(chosen, new[np.argsort(-excess[new])[: 2 * n]])
    m = len(chosen)
    a = found.x[:m] - found.x[m : 2 * m]
    used = a != 0
    dual = (nu @ y - tolerance * np.abs(nu).sum()) / max(float(excess.max()), 1.0)
    ratio = dual / found.fun if found.fun > 0 else 1.0
    return LeastNorm(float(found.fun), a[used], u[chosen][used], t[chosen][used], float(ratio))
