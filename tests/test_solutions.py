"""Gradient-flow solutions against ODE solvers, hand-solved cases and high-precision arithmetic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq, minimize_scalar

from ibcore import flow, networks, regularizers
from ibcore import solutions as sol
from ibcore.descent import DivergenceError

ROOT = Path(__file__).resolve().parents[1]


def networks_of(depth, count=20, seed=0, sign=1.0):
    w = np.exp(0.6 * np.random.default_rng(seed).normal(size=(count, depth)))
    w[:, 0] *= sign
    return w


# --- scalar networks ----------------------------------------------------------------------------


def gradient(w):
    """Of ½(∏ w - 1)², by brute force."""
    others = [np.delete(w, i).prod() for i in range(w.size)]
    return (w.prod() - 1) * np.array(others)


@pytest.mark.parametrize("depth", [2, 3, 7])
def test_a_step_is_one_of_gradient_descent(depth):
    w = networks_of(depth, sign=-1.0)
    expected = [row - 0.1 * gradient(row) for row in w]
    np.testing.assert_allclose(sol.scalar_step(w, 0.1), expected, rtol=1e-13)
    zero = np.array([0.0, 2.0, 3.0])
    np.testing.assert_allclose(sol.scalar_step(zero, 0.1), [0.6, 2.0, 3.0])


def test_steps_of_several_sizes():
    w = networks_of(3, count=4)
    eta = np.array([0.1, 0.2, 0.3, 0.4])
    path = sol.scalar_descent(w, eta, 5)
    assert path.shape == (6, 4, 3)
    again = w[2]
    for _ in range(5):
        again = sol.scalar_step(again, 0.3)
    np.testing.assert_allclose(path[-1, 2], again, rtol=1e-13)
    assert sol.scalar_descent(w[0], eta, 2).shape == (3, 4, 3)


def test_a_run_that_overflows():
    with pytest.raises(DivergenceError, match="step_size"):
        sol.scalar_descent([3.0, 3.0], 5.0, 60)


@pytest.mark.parametrize("depth", [2, 4, 8])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_solution_against_an_ode_solver(depth, sign):
    for w in networks_of(depth, count=3, seed=depth, sign=sign):
        w = w * (0.7 / abs(w.prod())) ** (1 / depth)
        end = sol.scalar_solution(w)
        horizon = 200 * depth / sol.scalar_solution_sharpness(w)
        run = solve_ivp(lambda _, z: -gradient(z), (0, horizon), w, method="DOP853",
                        rtol=1e-12, atol=1e-14)  # fmt: skip
        np.testing.assert_allclose(end, run.y[:, -1], atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (4,), elements=st.floats(0.01, 30)))
def test_solution_has_the_balances_and_product_one(w):
    end = sol.scalar_solution(w)
    np.testing.assert_allclose(end.prod(), 1, rtol=1e-12)
    square = w**2 - w.min() ** 2
    np.testing.assert_allclose(end**2 - end.min() ** 2, square, rtol=1e-9, atol=1e-12)
    assert sol.scalar_solution_sharpness(w) >= 4 * (1 - 1e-12)


def test_extreme_weights_keep_their_accuracy():
    w = np.array([1e6, 1e5, 3e-7, 2e-7])
    with mpmath.workdps(50):
        beta = [mpmath.mpf(float(x)) ** 2 - mpmath.mpf(2e-7) ** 2 for x in w]
        x = mpmath.findroot(lambda z: mpmath.fprod(z + b for b in beta) - 1, (1e-23, 1e-20),
                            solver="anderson", tol=1e-60, verify=False)  # fmt: skip
        expected = sum(1 / (x + b) for b in beta)
    np.testing.assert_allclose(sol.scalar_solution(w).prod(), 1, rtol=1e-13)
    np.testing.assert_allclose(sol.scalar_solution_sharpness(w), float(expected), rtol=1e-12)


def test_depth_two_by_hand():
    w = networks_of(2, count=50)
    b = w[:, 0] ** 2 - w[:, 1] ** 2
    np.testing.assert_allclose(sol.scalar_solution_sharpness(w), np.sqrt(b**2 + 4), rtol=1e-13)


def test_the_smallest_weight_crosses_zero():
    end = sol.scalar_solution([[-0.1, 2.0, 3.0], [0.0, -2.0, 3.0], [0.1, 2.0, -3.0]])
    np.testing.assert_array_equal(np.sign(end), [[1, 1, 1], [-1, -1, 1], [-1, 1, -1]])
    np.testing.assert_allclose(end.prod(axis=1), 1)


@pytest.mark.parametrize("w", [[-1.0, 1.0], [0.0, 0.0], [2.0, -0.5, 0.5], [0.0, 0.0, 1.0]])
def test_a_start_whose_flow_ends_at_a_saddle(w):
    with pytest.raises(ValueError, match="saddle"):
        sol.scalar_solution(w)


def test_sharpness_is_that_of_the_hessian():
    w = np.array([0.7, -1.3, 0.4, 1.9])
    h = 1e-5
    hessian = np.array([(gradient(w + h * e) - gradient(w - h * e)) / (2 * h) for e in np.eye(4)])
    np.testing.assert_allclose(sol.scalar_sharpness(w), np.linalg.eigvalsh(hessian)[-1], rtol=1e-8)
    points = networks_of(5)
    at_minimum = sol.scalar_sharpness(sol.scalar_solution(points))
    np.testing.assert_allclose(at_minimum, sol.scalar_solution_sharpness(points), rtol=1e-12)


def test_on_manifold_keeps_balances():
    w = networks_of(4, count=6)
    moved = sol.scalar_on_manifold(w, [[0.1], [1.0], [3.0]])
    assert moved.shape == (3, 6, 4)
    np.testing.assert_allclose(moved.prod(axis=-1), np.broadcast_to([[0.1], [1], [3]], (3, 6)))
    np.testing.assert_allclose(np.diff(moved**2), np.diff(w**2)[None].repeat(3, 0), atol=1e-12)
    np.testing.assert_allclose(sol.scalar_on_manifold(w, w.prod(axis=1)), w, rtol=1e-12)


def test_minimum_of_a_given_sharpness():
    w = sol.scalar_minimum([1.0, 5.0, -2.0], 7.5)
    np.testing.assert_allclose([w.prod(), (w**-2).sum()], [1, 7.5])
    steps = np.log(w)
    np.testing.assert_allclose((steps[1] - steps[0]) / (steps[0] - steps[2]), 4 / 3)
    np.testing.assert_allclose(sol.scalar_minimum([1.0, 2.0], 2.0), 1)


def test_frozen_map_is_a_step_on_the_manifold():
    w, p = networks_of(3, count=5), np.array([0.2, 0.9, 1.3])
    expected = sol.scalar_step(sol.scalar_on_manifold(w, p[:, None]), 0.15).prod(axis=-1)
    np.testing.assert_allclose(sol.frozen_map(w, 0.15, p[:, None]), expected, rtol=1e-12)
    orbit = sol.frozen_orbit(w, [[0.1], [0.15]], 0.9, 1, 2)
    assert orbit.shape == (2, 2, 5)
    once = sol.frozen_map(w, 0.15, 0.9)
    twice = sol.frozen_map(w, 0.15, once)
    np.testing.assert_allclose(orbit[0, 1], twice, rtol=1e-12)
    np.testing.assert_allclose(orbit[1, 1], sol.frozen_map(w, 0.15, twice), rtol=1e-12)


def test_an_orbit_that_leaves_the_positive_products():
    for w in ([3.0, 0.2], [3.0, 0.2, 0.4]):  # one grows, one turns negative
        with pytest.raises(ValueError, match="leaves the positive products"):
            sol.frozen_orbit(w, 0.9, 0.1, 0, 50)


def test_peak_of_the_frozen_map():
    w = sol.scalar_solution([1.5, 0.9, 1.1])
    peak, at = sol.frozen_peak(w, [0.5, 0.8])
    p = np.linspace(1e-3, 1, 20_001)
    for k, eta in enumerate((0.5, 0.8)):
        values = sol.frozen_map(w, eta, p)
        np.testing.assert_allclose(peak[k], values.max(), rtol=1e-7)
        np.testing.assert_allclose(at[k], p[values.argmax()], atol=1e-3)


def test_invariant_set_against_a_scan():
    rng = np.random.default_rng(3)
    w = np.exp(rng.uniform(0, 1, (60, 1)) * rng.normal(size=(60, 3)))
    w = sol.scalar_on_manifold(w, rng.uniform(0.1, 1.4, 60))
    eta = rng.uniform(1, 3.2, 60) / sol.scalar_solution_sharpness(w)
    found = sol.in_invariant_set(w, eta)
    for row, step, member in zip(w, eta, found, strict=True):
        p = np.linspace(1e-6, 1, 4000)
        bound = max(sol.frozen_map(row, step, p).max(), row.prod())
        p = np.linspace(1e-6, bound * (1 + 1e-9), 4000)
        after = sol.scalar_step(sol.scalar_on_manifold(row, p), step)
        low = step * sol.scalar_solution_sharpness(row) <= 2 * np.sqrt(2)
        assert member == bool(low and (after > 0).all())
    assert 5 < found.sum() < 55
    assert not sol.in_invariant_set([-1.0, -1.0], 0.1)
    assert not sol.in_invariant_set([0.0, 1.0], 0.1)


def test_room_of_depth_two_has_a_closed_form():
    b = 4.0
    top = brentq(lambda z: z**2 * (z - 1) ** 2 - b**2 * (2 - z), 1, 2)
    w = sol.scalar_on_manifold([np.sqrt(1 + b), 1.0], 1.0)
    assert sol.in_invariant_set(w, (top - 1e-6) / b)
    assert not sol.in_invariant_set(w, (top + 1e-6) / b)


def test_symmetric_functions_by_brute_force():
    w = networks_of(5, count=1)[0]
    p = sol.scalar_solution(w) ** -2
    p /= p.sum()
    pairs = sum(p[i] * p[j] for i in range(5) for j in range(i))
    triples = sum(p[i] * p[j] * p[k] for i in range(5) for j in range(i) for k in range(j))
    np.testing.assert_allclose(sol.scalar_elementary(w), [pairs, triples], rtol=1e-12)
    kappa, gamma = sol.scalar_normal_form(w)
    np.testing.assert_allclose(kappa, 8 * (4 * pairs**2 - triples))
    np.testing.assert_allclose(gamma, 8 * ((p**3).sum() - (p**2).sum() ** 2), rtol=1e-12)
    balanced = sol.scalar_normal_form(np.ones(6))
    np.testing.assert_allclose(balanced.kappa, 4 * 5 * 26 / (3 * 36), rtol=1e-12)
    np.testing.assert_allclose(balanced.gamma, 0, atol=1e-14)


def test_normal_form_near_one_large_share():
    w = np.array([1e-4, 1e3, 2e3])
    w = w / w.prod() ** (1 / 3)
    with mpmath.workdps(60):
        r = [mpmath.mpf(float(x)) ** -2 for x in sol.scalar_solution(w)]
        p = [x / sum(r) for x in r]
        e2 = p[0] * p[1] + p[0] * p[2] + p[1] * p[2]
        expected = 8 * (4 * e2**2 - p[0] * p[1] * p[2])
    np.testing.assert_allclose(sol.scalar_normal_form(w).kappa, float(expected), rtol=1e-9)


def test_normal_form_is_that_of_the_frozen_map():
    w = sol.scalar_minimum([0.3, -1.0, 0.5, 0.4], 6.0)
    e = 1e-2 * np.arange(-3, 4)
    a = np.polyfit(e, sol.frozen_map(w, 2 / 6, 1 + e) - 1, 6)[::-1]
    kappa, gamma = sol.scalar_normal_form(w)
    np.testing.assert_allclose([a[1], a[2] ** 2 + a[3]], [-1, kappa], rtol=1e-6)
    start = sol.scalar_on_manifold(w, [1 + 1e-3, 1 - 1e-3])
    fall = 6 - sol.scalar_solution_sharpness(sol.scalar_step(start, 2 / 6)).mean()
    np.testing.assert_allclose(fall * 2 / 6 / 1e-6, gamma, rtol=1e-4)


BAD = [
    (lambda: sol.scalar_step([1.0], 0.1), "w has shape"),
    (lambda: sol.scalar_step(1.0, 0.1), "w has shape"),
    (lambda: sol.scalar_step([1.0, np.nan], 0.1), "w has 1 entries"),
    (lambda: sol.scalar_step([1.0, 1.0], 0.0), "step_size has the entry 0"),
    (lambda: sol.scalar_descent([1.0, 1.0], 0.1, 0), "n_steps"),
    (lambda: sol.scalar_on_manifold([1.0, 2.0], 0.0), "product has the entry 0"),
    (lambda: sol.scalar_minimum([1.0, 1.0], 3.0), "pattern is constant"),
    (lambda: sol.scalar_minimum([1.0, 2.0], 1.5), "sharpness is 1.5"),
    (lambda: sol.frozen_orbit([1.0, 2.0], 0.1, -1.0, 0, 1), "product has the entry -1"),
    (lambda: sol.frozen_orbit([1.0, 2.0], 0.1, 1.0, 0, 0), "keep"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_of_scalar_networks(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- squared regression -------------------------------------------------------------------------


def regression(batch=(), n=4, d=9, seed=0, scale=0.4):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(*batch, n, d)), rng.normal(size=(*batch, n))
    u, v = scale * np.exp(0.3 * rng.normal(size=(2, *batch, d)))
    return u, v, x, y


def test_squared_solution_against_an_ode_solver():
    u, v, x, y = regression()
    end = sol.squared_solution(u, v, x, y)

    def velocity(z):
        g = 2 * x.T @ (x @ (z[:9] ** 2 - z[9:] ** 2) - y) / 4
        return np.concatenate([-z[:9] * g, z[9:] * g])

    run = flow.flow_to_interpolation(
        velocity, np.append(u, v), lambda z: x @ (z[:9] ** 2 - z[9:] ** 2) - y
    )
    np.testing.assert_allclose(np.append(end.u, end.v), run, atol=1e-9)
    np.testing.assert_allclose(end.u * end.v, u * v, rtol=1e-13)
    assert 1 < end.iterations < 15


def test_squared_solution_minimises_the_tilted_entropy():
    u, v, x, y = regression(seed=3)
    end = sol.squared_solution(u, v, x, y)
    root = np.log(4 * u * v)  # u² - v² = (√k/2) sinh 2z at √k = 4uv
    found = regularizers.least_hyperbolic_entropy(x, y, root, np.log(u / v) / 2)
    np.testing.assert_allclose(end.u**2 - end.v**2, found.w, atol=1e-8)


def test_squared_batches_are_single_problems():
    u, v, x, y = regression(batch=(3, 2), seed=1)
    end = sol.squared_solution(u, v, x, y)
    drift = sol.squared_drift(u, v, x, y, 0.1)
    for k in np.ndindex(3, 2):
        one = sol.squared_solution(u[k], v[k], x[k], y[k])
        np.testing.assert_allclose(end.u[k], one.u, rtol=1e-10)
        values = sol.squared_sharpness(end.u, end.v, x)[k]
        kernel = (x[k] * (one.u**2 + one.v**2)) @ x[k].T
        np.testing.assert_allclose(values, np.linalg.eigvalsh(kernel)[-1])
        np.testing.assert_allclose(drift[k], sol.squared_drift(u[k], v[k], x[k], y[k], 0.1))


def test_squared_start_far_from_the_targets():
    u, v, x, y = regression(scale=1e-3, seed=2)
    end = sol.squared_solution(u, v, x, 1e3 * y)
    np.testing.assert_allclose(x @ (end.u**2 - end.v**2), 1e3 * y, rtol=1e-9)


@pytest.mark.parametrize("scale", [0.02, 0.1, 1.0])
def test_squared_solutions_along_runs(scale):
    u, v, x, y = regression(batch=(20,), n=8, d=20, scale=scale, seed=7)
    end = sol.squared_solution(u, v, x, y)
    eta = 2.2 / sol.squared_sharpness(end.u, end.v, x)
    for _ in range(40):
        u, v = sol.squared_step(u, v, x, y, eta)
        end = sol.squared_solution(u, v, x, y)
        reached = np.einsum("bnd,bd->bn", x, end.u**2 - end.v**2)
        np.testing.assert_allclose(reached, y, atol=1e-10)


def test_squared_step_and_hessian():
    u, v, x, y = regression()

    def loss(z):
        return ((x @ (z[:9] ** 2 - z[9:] ** 2) - y) ** 2).sum() / 8

    z, h = np.append(u, v), 1e-6
    slope = np.array([(loss(z + h * e) - loss(z - h * e)) / (2 * h) for e in np.eye(18)])
    np.testing.assert_allclose(np.append(*sol.squared_step(u, v, x, y, 0.3)), z - 0.3 * slope,
                               atol=1e-7)  # fmt: skip
    end = sol.squared_solution(u, v, x, y)
    z = np.append(end.u, end.v)
    j = np.hstack([x * 2 * end.u, -x * 2 * end.v])
    np.testing.assert_allclose(sol.squared_sharpness(end.u, end.v, x),
                               np.linalg.eigvalsh(j @ j.T / 4)[-1])  # fmt: skip


def test_squared_drift_is_the_leading_order():
    u, v, x, y = regression(seed=5)
    end = sol.squared_solution(u, v, x, y)
    phi = sol.squared_sharpness(end.u, end.v, x)
    error = np.random.default_rng(0).normal(size=4)
    measured, predicted = [], []
    for sign in (1e-3, -1e-3):
        start = sol.squared_solution(end.u, end.v, x, y + sign * error)
        after = sol.squared_solution(*sol.squared_step(start.u, start.v, x, y, 0.2), x, y)
        measured.append(sol.squared_sharpness(after.u, after.v, x) - phi)
        predicted.append(sol.squared_drift(start.u, start.v, x, y, 0.2))
    np.testing.assert_allclose(np.mean(measured), np.mean(predicted), rtol=1e-4)


def test_dependent_samples_and_unreachable_targets():
    u, v, x, y = regression()
    x[1] = x[0]
    with pytest.raises(flow.FlowError, match="Newton"):
        sol.squared_solution(u, v, x, y)
    with pytest.raises(flow.FlowError, match="Newton"):
        sol.squared_solution(np.zeros(9), v, np.abs(x[:1]), [1.0])
    with pytest.raises(flow.FlowError, match="singular"):
        sol.squared_solution(u, v, np.zeros((2, 9)), [1.0, 1.0])


BAD_SQUARED = [
    (lambda u, v, x, y: sol.squared_solution(u[:3], v, x, y), "u has shape"),
    (lambda u, v, x, y: sol.squared_solution(u, v[:3], x, y), "v has shape"),
    (lambda u, v, x, y: sol.squared_solution(u, v, x, y[:2]), "y has shape"),
    (lambda u, v, x, y: sol.squared_solution(u, v, x[0], y), "y has shape"),
    (lambda u, v, x, y: sol.squared_step(u, v, x, y, -1.0), "step_size has the entry -1"),
    (lambda u, v, x, y: sol.squared_sharpness(u[:3], v, x), "u has shape"),
]


@pytest.mark.parametrize(("call", "message"), BAD_SQUARED)
def test_bad_arguments_of_squared_regression(call, message):
    with pytest.raises(ValueError, match=message):
        call(*regression())


# --- any model with squared errors --------------------------------------------------------------


def small_network():
    import torch

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2)), rng.normal(size=2)
    network = networks.Network((2, 5, 1))
    points, targets = torch.tensor(x), torch.tensor(y)

    def residuals(theta):
        return network.outputs(theta, points)[:, 0] - targets

    return residuals, network.initial(rng)


def test_network_solution_against_an_ode_solver():
    import torch

    residuals, theta = small_network()

    def velocity(z):
        point = torch.tensor(z, requires_grad=True)
        (residuals(point) ** 2).sum().backward()
        return -point.grad.numpy()

    def errors_at(z):
        return residuals(torch.tensor(z)).numpy()

    run = flow.flow_to_interpolation(velocity, theta, errors_at, stop=1e-9, rtol=1e-9)
    errors = [
        np.abs(sol.least_squares_solution(residuals, theta, tolerance=tolerance) - run).max()
        for tolerance in (1e-4, 1e-6, 1e-9)
    ]
    assert errors[2] < 1e-7
    assert errors[2] < errors[1] < errors[0] < 1e-2


def test_a_start_at_zero_loss_stays():
    residuals, theta = small_network()
    end = sol.least_squares_solution(residuals, theta)
    np.testing.assert_array_equal(sol.least_squares_solution(residuals, end), end)
    early = sol.least_squares_solution(residuals, theta, stop=1e-2)
    assert np.abs(early - end).max() > 1e-5


def test_the_solution_of_linear_regression_is_exact():
    import torch

    rng = np.random.default_rng(4)
    x, y, theta = rng.normal(size=(4, 7)), rng.normal(size=4), rng.normal(size=7)
    rows, targets = torch.tensor(x), torch.tensor(y)
    end = sol.least_squares_solution(lambda z: rows @ z - targets, theta)
    expected = theta - np.linalg.pinv(x) @ (x @ theta - y)
    np.testing.assert_allclose(end, expected, atol=1e-10)


def test_zero_loss_out_of_reach():
    import torch

    with pytest.raises(flow.FlowError, match="zero loss in reach"):
        sol.least_squares_solution(lambda z: torch.stack([z[0] - 1, z[0] + 1]), [0.5, 0.0])
    with pytest.raises(ValueError, match="gradient is finite"):
        sol.least_squares_solution(lambda z: torch.sqrt(z), [-1.0])
    with pytest.raises(ValueError, match="tolerance"):
        sol.least_squares_solution(lambda z: z, [1.0], tolerance=0.0)


@pytest.mark.parametrize("z", [0.0, -1e-9, -0.3, -1.0, -1.01, -7.0, -900.0])
def test_phi_functions(z):
    found = [f[0] for f in sol._phi_functions(np.array([z]))]
    if z < -8:
        first = -1 / z
        expected = [first, (first - 1) / z, ((first - 1) / z - 0.5) / z]
    else:
        with mpmath.workdps(40):
            terms = [mpmath.mpf(z) ** j for j in range(80)]
            expected = [
                float(sum(term / mpmath.factorial(j + k) for j, term in enumerate(terms)))
                for k in (1, 2, 3)
            ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_scalar_networks_do_not_load_torch():
    code = "import sys, ibcore.solutions as s; s.scalar_step([1., 2.], 0.1)"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_one_orbit_that_leaves_is_enough():
    w = [3.0, 0.2, 0.4]
    assert (sol.frozen_orbit(w, 0.01, 0.1, 0, 50) > 0).all()
    with pytest.raises(ValueError, match="leaves the positive products"):
        sol.frozen_orbit(w, [0.01, 0.9], 0.1, 0, 50)


def _ends(flow_of, rows, start, counts):
    """Where the exponential method ends at time 1, after several numbers of equal steps."""
    ends = []
    for count in counts:
        frozen = sol._Frozen(rows, flow_of)
        theta = start
        for _ in range(count):
            theta = frozen.step(theta, 1 / count, flow_of(theta))
        ends.append(theta)
    return np.array(ends)


def test_the_exponential_method_is_exact_on_linear_flows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 4)) * [[1.0], [30.0]]
    target, start = rng.normal(size=2), rng.normal(size=4)
    kernel = rows.T @ rows
    (end,) = _ends(lambda w: -rows.T @ (rows @ w - target), rows, start, [1])
    rest = np.linalg.pinv(rows) @ target
    np.testing.assert_allclose(end, rest + expm(-kernel) @ (start - rest), atol=1e-10)


def test_the_exponential_method_is_of_fourth_order():
    """The error falls sixteenfold when the steps are halved."""
    rng = np.random.default_rng(1)
    for size in (0.3, 1.0):
        rows = size * rng.normal(size=(1, 3))

        def velocity(w, rows=rows):
            return -rows.T @ (rows @ w) - 0.5 * np.sin(w[::-1]) * w

        start = 1.0 + rng.uniform(size=3)
        exact = solve_ivp(
            lambda _, w: velocity(w), (0, 1), start, method="Radau", rtol=1e-12, atol=1e-13
        ).y[:, -1]
        errors = np.abs(_ends(velocity, rows, start, [8, 16, 32, 64]) - exact).max(axis=1)
        order = np.log2(errors[:-1] / errors[1:])
        assert order.min() > 3.6, (errors, order)


def test_grids_of_problems_are_single_ones():
    w, eta = networks_of(3, count=4), np.array([[0.1, 0.2, 0.1, 0.3], [0.05, 0.1, 0.2, 0.1]])
    path = sol.scalar_descent(w, eta, 3)
    assert path.shape == (4, 2, 4, 3)
    orbit = sol.frozen_orbit(w, eta, [[0.5], [0.7]], 0, 2)
    peak, at = sol.frozen_peak(w, eta)
    assert orbit.shape == (2, 2, 4)
    assert peak.shape == at.shape == sol.in_invariant_set(w, eta).shape == (2, 4)
    for i, k in np.ndindex(2, 4):
        own = w[k], eta[i, k]
        np.testing.assert_allclose(path[:, i, k], sol.scalar_descent(*own, 3), rtol=1e-13)
        np.testing.assert_allclose(path[1, i, k], sol.scalar_step(*own), rtol=1e-13)
        start = (0.5, 0.7)[i]
        np.testing.assert_allclose(orbit[:, i, k], sol.frozen_orbit(*own, start, 0, 2), rtol=1e-11)
        np.testing.assert_allclose([peak[i, k], at[i, k]], sol.frozen_peak(*own), rtol=1e-9)
        assert sol.in_invariant_set(w, eta)[i, k] == sol.in_invariant_set(*own)
    grid = w.reshape(2, 2, 3)
    for f in (sol.scalar_solution, sol.scalar_sharpness, sol.scalar_solution_sharpness):
        np.testing.assert_allclose(f(grid).reshape(f(w).shape), f(w), rtol=1e-13)
    for whole, flat in zip(
        (sol.scalar_elementary(grid), sol.scalar_normal_form(grid)),
        (sol.scalar_elementary(w), sol.scalar_normal_form(w)),
        strict=True,
    ):
        np.testing.assert_allclose(np.reshape(whole, (2, 4)), flat, rtol=1e-13)


def test_an_orbit_that_overflows_leaves_without_a_warning():
    with pytest.raises(ValueError, match="leaves the positive products at step 1"):
        sol.frozen_orbit([1.0, 2.0, 3.0], 0.1, 1e200, 0, 1)
    with pytest.raises(ValueError, match="leaves the positive products at step 1"):
        sol.frozen_orbit([1.0, 2.0], 0.1, 1e200, 0, 1)


def test_each_problem_of_a_batch_reaches_its_own_targets():
    """What is far out in one problem does not excuse another, whose target is out of reach."""
    x, v = np.ones((2, 1, 2)), np.array([[1.0, 1.0], [0.1, 0.1]])
    sol.squared_solution(v, v, x, [[1e6], [1e-6]])
    with pytest.raises(flow.FlowError, match="Newton"):
        sol.squared_solution([[1.0, 1.0], [0.0, 0.0]], v, x, [[1e6], [1e-6]])


def test_squared_steps_of_several_sizes():
    u, v, x, y = regression(batch=(2, 3), seed=4)
    eta = np.linspace(0.05, 0.3, 6).reshape(2, 3)
    after, drift = sol.squared_step(u, v, x, y, eta), sol.squared_drift(u, v, x, y, eta)
    for k in np.ndindex(2, 3):
        own = u[k], v[k], x[k], y[k], eta[k]
        np.testing.assert_allclose([part[k] for part in after], sol.squared_step(*own), rtol=1e-13)
        np.testing.assert_allclose(drift[k], sol.squared_drift(*own), rtol=1e-9)


def test_one_run_that_overflows_is_enough():
    w = [[1.0, 1.1], [3.0, 3.0]]
    with pytest.raises(DivergenceError, match="step_size"):
        sol.scalar_descent(w, [0.1, 5.0], 60)
    steps = next(n for n in range(1, 60) if not _stays_finite(w[1], n))
    assert np.isfinite(sol.scalar_descent(w, [0.1, 5.0], steps - 1)).all()
    with pytest.raises(DivergenceError):
        sol.scalar_descent(w, [0.1, 5.0], steps)


def _stays_finite(w, n_steps):
    try:
        sol.scalar_descent(w, 5.0, n_steps)
    except DivergenceError:
        return False
    return True


@pytest.mark.parametrize("pattern", [[0.0, 0.3], [-1e-3, 2e-3, 0.0], [1.0, 5.0, -2.0, 3.0]])
@pytest.mark.parametrize("excess", [1e-6, 0.5, 40.0])
def test_a_minimum_has_its_sharpness_to_rounding(pattern, excess):
    goal = len(pattern) + excess
    w = sol.scalar_minimum(pattern, goal)
    np.testing.assert_allclose([w.prod(), (w**-2).sum()], [1, goal], rtol=2e-14)
    assert (np.argsort(w) == np.argsort(pattern)).all()


@pytest.mark.parametrize("eta", [0.3, 0.6, 0.85])
def test_the_peak_of_the_frozen_map_is_exact_to_rounding(eta):
    w = sol.scalar_solution([1.5, 0.9, 1.1])
    peak, at = sol.frozen_peak(w, eta)
    best = minimize_scalar(lambda p: -float(sol.frozen_map(w, eta, p)), bounds=(1e-3, 1.0),
                           method="bounded", options={"xatol": 1e-12})  # fmt: skip
    assert float(peak) == pytest.approx(-best.fun, rel=1e-13)
    assert float(at) == pytest.approx(best.x, rel=1e-6)
    assert float(sol.frozen_map(w, eta, at)) == float(peak)


def test_a_peak_at_the_end_is_one():
    """For small steps the map increases on (0, 1]: its supremum is its value 1 at π = 1."""
    assert [float(z) for z in sol.frozen_peak([1.0, 1.0], 1e-3)] == [1.0, 1.0]


def test_depth_three_by_hand():
    """Balanced weights a: one step from the product π = a³ multiplies it by (1 - η (π-1) a)³."""
    a, eta = 0.8, 0.3
    p = a**3
    after = p * (1 - eta * (p - 1) * p / a**2) ** 3
    assert float(sol.frozen_map([1.0, 1.0, 1.0], eta, p)) == pytest.approx(after, rel=1e-14)
    np.testing.assert_allclose(sol.scalar_step([a] * 3, eta).prod(), after, rtol=1e-14)
    assert float(sol.scalar_solution_sharpness([a] * 3)) == pytest.approx(3)
    kappa, gamma = sol.scalar_normal_form([a] * 3)
    assert (float(kappa), float(gamma)) == pytest.approx((8 * (4 / 9 - 1 / 27), 0.0), abs=1e-14)


def test_a_flow_ends_at_the_root_mean_square_that_was_asked_for():
    start = [3e-3, -4e-3]  # of root mean square sqrt(12.5) e-3 = 3.5355e-3

    def end(stop):
        return sol.least_squares_solution(lambda z: z, start, stop=stop)

    np.testing.assert_array_equal(end(3.54e-3), start)
    assert np.abs(end(3.53e-3)).max() < 3e-3


# --- exact values ---------------------------------------------------------------------------------


def test_products_of_the_others_by_deleting():
    for depth in (2, 3, 6):
        w = networks_of(depth, count=4, sign=-1.0)
        w[1, -1] = 0.0
        expected = [[np.delete(row, i).prod() for i in range(depth)] for row in w]
        np.testing.assert_allclose(sol._products_of_others(w), expected, rtol=1e-14)


def test_differences_of_squares_keep_their_digits():
    w = np.array([[1.0, -1.0 - 2.0**-50, 3.0], [1e-160, 2e-160, -1e3]])
    expected = [[0.0, 2.0**-49, 8.0], [0.0, 0.0, 1e6]]
    np.testing.assert_allclose(sol._balances(w), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("log_square", [-60.0, -3.0, 0.0, 5.0, 700.0])
@pytest.mark.parametrize("beta", [[0.0, 0.0], [0.0, 3.0, 1e-9], [0.0, 1e12, 1e-12, 2.0]])
def test_the_smallest_square_solves_its_equation(beta, log_square):
    beta = np.array(beta)
    x = sol._smallest_square(beta, np.array([log_square]))
    assert np.log(x + beta).sum() == pytest.approx(log_square, rel=1e-13, abs=1e-12)


def test_sharpness_by_hand():
    """Depth two: the Hessian is ((w₂², 2w₁w₂ - 1), (2w₁w₂ - 1, w₁²)); at w = 0 it is 1."""
    for a, b in ((2.0, 3.0), (-0.5, 0.25), (0.0, 2.0)):
        mean, half, off = (a * a + b * b) / 2, (a * a - b * b) / 2, 2 * a * b - 1
        assert float(sol.scalar_sharpness([a, b])) == pytest.approx(mean + np.hypot(half, off))
    assert float(sol.scalar_sharpness([0.0, 0.0])) == pytest.approx(1.0)
    assert float(sol.scalar_sharpness([0.0, 0.0, 0.0])) == 0.0
    w = np.array([0.7, -1.3, 0.4])
    assert sol.scalar_sharpness(w) == sol.scalar_sharpness(w)
    assert w.tolist() == [0.7, -1.3, 0.4]


def test_the_edge_of_the_invariant_set_belongs_to_it():
    """At (1, 1), φ = 2: η = √2 gives η φ = 2√2 exactly, and the rest of the conditions holds."""
    assert sol.in_invariant_set([1.0, 1.0], np.sqrt(2))
    assert not sol.in_invariant_set([1.0, 1.0], np.sqrt(2) * (1 + 1e-12))
    assert sol.in_invariant_set([1.0, 1.0], [0.5, 1.5]).tolist() == [True, False]
    assert sol.in_invariant_set([[1.0, 1.0], [1.0, -1.0], [0.0, 3.0]], 0.5).tolist() == [
        True, False, False
    ]  # fmt: skip
    # A product far above one is mapped below zero by a step that is small at the solution.
    assert not sol.in_invariant_set([3.0, 3.0], 0.3)
    assert sol.in_invariant_set([3.0, 3.0], 0.01)


def test_an_orbit_by_hand():
    """Two equal weights: p⁺ = p(1 - η(p - 1))²; what is burnt is not kept."""
    p, path = 0.5, []
    for _ in range(6):
        p = p * (1 - 0.4 * (p - 1)) ** 2
        path.append(p)
    np.testing.assert_allclose(sol.frozen_orbit([2.0, 2.0], 0.4, 0.5, 0, 6), path, rtol=1e-12)
    np.testing.assert_allclose(sol.frozen_orbit([2.0, 2.0], 0.4, 0.5, 4, 2), path[4:], rtol=1e-12)
    # three different weights: after one step up, a factor is negative
    first = float(sol.frozen_map([1.0, 2.0, 3.0], 1.5, 0.9))
    assert float(sol.frozen_map([1.0, 2.0, 3.0], 1.5, first)) < 0 < first
    with pytest.raises(ValueError, match=r"leaves the positive products at step 2$"):
        sol.frozen_orbit([1.0, 2.0, 3.0], 1.5, 0.9, 1, 1)
    assert sol.frozen_orbit([1.0, 2.0, 3.0], 1.5, 0.9, 0, 1) == pytest.approx(first)
    for product in (0.0, [0.5, -0.5], [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"^product has the entry"):
            sol.frozen_orbit([1.0, 1.0], 0.1, product, 0, 1)
    with pytest.raises(ValueError, match=r"^burn is -1"):
        sol.frozen_orbit([1.0, 1.0], 0.1, 0.5, -1, 1)


def test_squared_regression_of_one_sample_by_hand():
    """x = 2, N = 1: h = 4η r, and x(u²e^{-2ξ} - v²e^{2ξ}) = y is a quadratic in e^{2ξ}."""
    u, v, x, y, eta = 1.5, 0.5, 2.0, 1.0, 0.01
    h = 2 * eta * x * (x * (u * u - v * v) - y)
    after = sol.squared_step([u], [v], [[x]], [y], eta)
    np.testing.assert_allclose(np.ravel(after), [u * (1 - h), v * (1 + h)], rtol=1e-15)
    end = sol.squared_solution([u], [v], [[x]], [y])
    square = (y / x + np.hypot(y / x, 2 * u * v)) / 2
    np.testing.assert_allclose([end.u[0], end.v[0]], [square**0.5, u * v / square**0.5])
    phi = float(sol.squared_sharpness(end.u, end.v, [[x]]))
    assert phi == pytest.approx(4 * x * x * (2 * square - y / x), rel=1e-12)
    # s = u² + v² changes by (m²/s - s) h² = -(2uv)² h²/s: one direction, one eigenvalue
    s = 2 * square - y / x
    drift = 4 * x * x * ((y / x) ** 2 / s - s) * h * h
    assert float(sol.squared_drift([u], [v], [[x]], [y], eta)) == pytest.approx(drift, rel=1e-9)


def test_two_samples_count_half_each():
    u, v, eta = np.array([1.0, 0.5]), np.array([0.2, 0.9]), 0.05
    x, y = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([0.3, -0.2])
    residual = x @ (u**2 - v**2) - y
    h = 2 * eta * x.T @ residual / 2
    np.testing.assert_allclose(sol.squared_step(u, v, x, y, eta), [u * (1 - h), v * (1 + h)])
    kernel = 2 * (x * (u**2 + v**2)) @ x.T
    assert float(sol.squared_sharpness(u, v, x)) == pytest.approx(np.linalg.eigvalsh(kernel)[-1])


@pytest.mark.parametrize("far", [1.0, 1e3])
def test_newton_reaches_the_targets_to_rounding(far):
    u, v, x, y = regression(seed=8, scale=0.1)
    end = sol.squared_solution(u, v, x, far * y)
    error = np.abs(x @ (end.u**2 - end.v**2) - far * y).max()
    assert error < 1e-12 * (far + np.max(np.abs(x) @ (end.u**2 + end.v**2)))
    np.testing.assert_allclose(end.u * end.v, u * v, rtol=1e-12)
    # u e^{ξ} = u₀ with ξ in the row space of x
    xi = np.log(u / end.u)
    np.testing.assert_allclose(x.T @ np.linalg.lstsq(x.T, xi)[0], xi, atol=1e-12)


def test_targets_of_the_start_need_no_step():
    u, v, x, _ = regression()
    end = sol.squared_solution(u, v, x, x @ (u**2 - v**2))
    np.testing.assert_array_equal(end.u, u)
    np.testing.assert_array_equal(end.v, v)
    assert end.iterations == 1


@pytest.mark.parametrize("shape", ["y", "u", "v"])
def test_shapes_of_squared_regression_are_named(shape):
    given = dict(zip("uvxy", regression(), strict=True))
    for bad in (1.0, np.ones(2), np.ones((3, 2))):
        with pytest.raises(ValueError, match=f"^{shape} has shape .*for x of shape"):
            sol.squared_solution(**{**given, shape: bad})
    with pytest.raises(ValueError, match=r"^y has shape"):
        sol.squared_solution(given["u"], given["v"], np.ones(9), 1.0)


def test_the_parts_of_a_frozen_flow():
    rng = np.random.default_rng(2)
    rows, move = rng.normal(size=(3, 5)), rng.normal(size=5)
    rows = np.vstack([rows, rows[0], 1e-9 * rng.normal(size=5)])  # one dependent, one negligible
    frozen = sol._Frozen(rows, lambda z: z)
    assert frozen.rates.shape == (3,)
    np.testing.assert_allclose(frozen.basis @ frozen.basis.T, np.eye(3), atol=1e-7)
    np.testing.assert_allclose(frozen.linear(move), -rows.T @ (rows @ move), atol=1e-6)
    kernel = rows[:4].T @ rows[:4]
    exact = expm(-0.1 * kernel) @ move
    np.testing.assert_allclose(frozen.apply(np.exp(-0.1 * frozen.rates), 1.0, move), exact,
                               atol=1e-7)  # fmt: skip
    np.testing.assert_allclose(frozen.apply(np.full(3, 0.25), 0.25, move), 0.25 * move)


def test_a_flow_by_default_is_accurate_to_a_millionth_and_a_tiny_residual():
    residuals, theta = small_network()
    default = sol.least_squares_solution(residuals, theta)
    same = sol.least_squares_solution(residuals, theta, tolerance=1e-6, stop=1e-11)
    np.testing.assert_array_equal(default, same)
    near = [9e-12, -9e-12]  # as residuals: within the default, so that they stay
    np.testing.assert_array_equal(sol.least_squares_solution(lambda z: z, near), near)
    assert (np.abs(sol.least_squares_solution(lambda z: z, [1.1e-11, 1.1e-11])) < 1e-11).all()


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_a_factor_in_the_loss_changes_no_end(unit):
    residuals, theta = small_network()
    end = sol.least_squares_solution(residuals, theta, tolerance=1e-8)
    found = sol.least_squares_solution(lambda z: unit * residuals(z), theta, tolerance=1e-8,
                                       stop=unit * 1e-11)  # fmt: skip
    np.testing.assert_allclose(found, end, atol=1e-6)


def test_a_flow_that_rests_away_from_zero_loss_says_where():
    import torch

    with pytest.raises(flow.FlowError, match=r"^residuals: the flow rests at 1\.0e\+00; is zero"):
        sol.least_squares_solution(lambda z: torch.stack([z[0] - 1, z[0] + 1]), [0.5, 0.0])


def test_signs_and_crossings_are_those_of_each_start():
    """A start that would end at a saddle in no batch, whatever the signs of the others."""
    for other in ([0.0, 2.0, 3.0], [-0.1, 2.0, 3.0], [-1.0, -1.0, 2.0], [2.0, 3.0, -0.1]):
        both = sol.scalar_solution([other, [1.0, 1.0, 1.0], other])
        np.testing.assert_allclose(both[1], 1.0, rtol=1e-14)
        np.testing.assert_allclose(both[0], sol.scalar_solution(other), rtol=1e-13)
        np.testing.assert_allclose(both[2], both[0], rtol=1e-14)
    with pytest.raises(ValueError, match="saddle"):
        sol.scalar_solution([[1.0, 2.0, 3.0], [-0.5, 0.5, 2.0]])


def test_residuals_of_exactly_the_size_asked_for_are_the_end():
    start = np.full(2, 2.0**-10)
    np.testing.assert_array_equal(
        sol.least_squares_solution(lambda z: z, start, stop=2.0**-10), start
    )


@pytest.mark.parametrize("seed", range(3))
def test_steps_that_overflow_are_shortened_without_a_warning(seed):
    """From weights far below the targets, and some of exactly zero, which stay zero."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 12)), 1e3 * rng.normal(size=4)
    u, v = 1e-5 * np.exp(0.3 * rng.normal(size=(2, 12)))
    u[0] = v[1] = 0.0
    end = sol.squared_solution(u, v, x, y)
    np.testing.assert_allclose(x @ (end.u**2 - end.v**2), y, rtol=1e-9)
    assert end.u[0] == end.v[1] == 0.0


def test_a_run_of_one_step():
    path = sol.scalar_descent([1.0, 2.0], 0.1, 1)
    np.testing.assert_array_equal(path, [[1.0, 2.0], sol.scalar_step([1.0, 2.0], 0.1)])
