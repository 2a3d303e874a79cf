"""Convex programs of flatness against general-purpose minimisation and hand-solved cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from ibcore import flattest, shallow


@pytest.mark.parametrize("seed", range(3))
def test_flattest_rescaling_is_a_minimum_over_scales(seed):
    rng = np.random.default_rng(seed)
    net, x = shallow.random_net(rng, 5, 2), rng.standard_normal((12, 2))
    found = flattest.flattest_rescaling(net, x)

    def scaled(s):
        return replace(net, w=net.w * np.exp(s)[:, None], b=net.b * np.exp(s),
                       v=net.v * np.exp(-s))  # fmt: skip

    searched = optimize.minimize(
        lambda s: shallow.sharpness(scaled(s), x), np.zeros(5), method="Nelder-Mead",
        options={"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-11},
    )  # fmt: skip
    assert found.sharpness <= searched.fun * (1 + 1e-9)
    assert found.lower <= found.sharpness <= found.lower * (1 + 1e-8)
    assert found.sharpness == pytest.approx(shallow.sharpness(found.net, x), rel=1e-12)
    np.testing.assert_allclose(found.net.outputs(x), net.outputs(x), atol=1e-12)
    assert found.lower >= 1 + 2 * shallow.path_sum(net, x) - 1e-12


def test_flattest_rescaling_says_how_wide_the_gap_is():
    rng = np.random.default_rng(4)
    net, x = shallow.random_net(rng, 5, 2), rng.standard_normal((12, 2))
    found = flattest.flattest_rescaling(net, x, rounds=1)
    assert found.lower == pytest.approx(1 + 2 * shallow.path_sum(net, x))
    assert found.sharpness > found.lower * (1 + 1e-6)


def test_flattest_interpolant_is_certified_and_beats_networks():
    x = np.linspace(-2, 2, 8)
    y = np.sin(2 * x)
    found = flattest.flattest_interpolant(x[::-1], y[::-1])
    np.testing.assert_allclose(found.net.outputs(x[:, None]), y, atol=1e-6)
    assert found.lower <= found.sharpness * (1 + 1e-9)
    assert found.sharpness <= found.lower * (1 + 1e-6)
    assert found.lower >= 1 + 2 * flattest.least_stability_norm(x[:, None], y).value
    rng = np.random.default_rng(0)
    for _ in range(5):  # networks with random kinks, output weights solved for
        net = shallow.random_net(rng, 40, 1)
        features = np.maximum(net.preactivations(x[:, None]), 0.0)
        net = replace(net, v=np.linalg.lstsq(features.T, y, rcond=None)[0])
        best = flattest.flattest_rescaling(net, x[:, None])
        assert best.sharpness > found.lower


def test_a_trial_run_by_other_code():
    # Six digits of an earlier run, which put the kinks on a grid.
    x = np.random.default_rng(3).uniform(-2, 2, 8)
    y = np.sin(2 * x)
    assert flattest.flattest_interpolant(x, y).sharpness == pytest.approx(2.633346, abs=2e-6)
    assert flattest.least_stability_norm(x[:, None], y).value == pytest.approx(0.468660, abs=1e-6)


@pytest.mark.parametrize("h", [0.3, 1.0, 3.0])
def test_two_points_by_hand(h):
    # One neuron from either side, a = h/2, kinks at the other point: K/2 has 1 + sqrt(2) h on top.
    found = flattest.flattest_interpolant([-1.0, 1.0], [-h, h])
    assert found.sharpness == pytest.approx(1 + np.sqrt(2) * h, rel=1e-6)
    assert found.lower == pytest.approx(found.sharpness, rel=1e-6)


def test_least_norm_on_the_line_is_that_of_a_fine_grid_of_kinks():
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.uniform(-2, 2, 6)), rng.standard_normal(6)
    found = flattest.least_stability_norm(x[:, None], y)
    t = np.concatenate([np.linspace(-2, 2, 4001), x - 1e-7, x + 1e-7])
    price = shallow.stability_weight(np.ones((len(t), 1)), t, x[:, None])
    ridge = np.maximum(x[:, None] - t, 0.0)
    fit = np.column_stack([ridge, -ridge, x, np.ones(6)])
    grid = optimize.linprog(
        np.concatenate([price, price, [0, 0]]), A_eq=fit, b_eq=y,
        bounds=[(0, None)] * (2 * len(t)) + [(None, None)] * 2,
    )  # fmt: skip
    assert found.value == pytest.approx(grid.fun, rel=1e-4)
    assert found.certificate == pytest.approx(1, abs=1e-8)
    assert np.abs(found.a) @ np.ones(len(found.a)) > 0
    values = np.maximum(x[:, None] * found.u[:, 0] - found.t, 0.0) @ found.a
    rest = np.column_stack([x, np.ones(6)])
    np.testing.assert_allclose(rest @ np.linalg.lstsq(rest, y - values, rcond=None)[0], y - values,
                               atol=1e-9)  # fmt: skip


def test_least_norm_in_the_plane_bounds_every_network():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((14, 2)), rng.standard_normal(14)
    found = flattest.least_stability_norm(x, y)
    assert found.certificate == pytest.approx(1, abs=1e-8)
    for seed in range(5):
        net = shallow.random_net(np.random.default_rng(seed), 60, 2)
        features = np.maximum(net.preactivations(x), 0.0)
        net = replace(net, v=np.linalg.lstsq(features.T, y, rcond=None)[0])
        assert shallow.stability_norm(net, x) > found.value
    looser = flattest.least_stability_norm(x, y, tolerance=0.1)
    assert looser.value < found.value
    assert looser.certificate == pytest.approx(1, abs=1e-8)


def test_programs_that_are_not_solved_are_reported(monkeypatch):
    import cvxpy

    x = np.array([-1.0, 0.5, 1.0])
    monkeypatch.setattr(cvxpy.Problem, "status", cvxpy.INFEASIBLE)
    with pytest.raises(flattest.SolverError, match="ended as infeasible"):
        flattest.flattest_interpolant(x, x)
    failed = optimize.OptimizeResult(status=4, message="trouble")
    monkeypatch.setattr(flattest.optimize, "linprog", lambda *_, **__: failed)
    with pytest.raises(flattest.SolverError, match="trouble"):
        flattest.least_stability_norm(x[:, None], x)


def test_affine_targets_cost_nothing():
    x = np.random.default_rng(3).standard_normal((8, 2))
    found = flattest.least_stability_norm(x, x @ [1.0, -2.0] + 0.5)
    assert found.value == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flattest.flattest_interpolant([0.0, 0.0], [1, 1]), "^x has points that coincide"),
        (lambda: flattest.flattest_interpolant([0.0], [1]), "^x has points that coincide"),
        (lambda: flattest.flattest_interpolant([0.0, 1.0], [1]), "^y has shape"),
        (lambda: flattest.least_stability_norm(np.eye(4), np.ones(4)), r"^x has shape \(4, 4\)"),
        (lambda: flattest.least_stability_norm([[0.0, 1]] * 3, np.ones(3)), "coincide"),
        (lambda: flattest.least_stability_norm([[0.0, 0], [1, 1], [2, 2]], np.ones(3)),
         "3 points on a line"),
        (lambda: flattest.least_stability_norm([[0.0, 0], [1, 1], [2, 2], [0, 1]], np.ones(4)),
         "3 points on a line"),
        (lambda: flattest.least_stability_norm([[0.0], [1]], [0, 1], tolerance=-1), "^tolerance"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("seed", range(2))
def test_a_tolerance_counts_on_either_side(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((8, 2)), rng.standard_normal(8)
    exact = flattest.least_stability_norm(x, y).value
    up, down = (flattest.least_stability_norm(x, s * y, tolerance=0.05).value for s in (1, -1))
    assert up == pytest.approx(down)
    assert 0 < up < exact
    assert flattest.least_stability_norm(x, y, tolerance=1e-7).value == pytest.approx(
        exact, rel=1e-4
    )


def test_ridges_vanish_where_they_begin():
    """The ridge through two points of the plane is exactly zero at both, linear beyond them."""
    x = np.random.default_rng(5).standard_normal((6, 2))
    u, t = flattest._through_points(x)
    ridge, cost = flattest._closed_cells(x, u, t)
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    assert len(ridge) == len(cost) == len(pairs)
    for k, (i, j) in enumerate(pairs):
        assert ridge[k, i] == ridge[k, j] == 0.0
        assert abs(u[k] @ (x[j] - x[i])) < 1e-13
        assert np.linalg.norm(u[k]) == pytest.approx(1)
        np.testing.assert_allclose(ridge[k], np.maximum(x @ u[k] - u[k] @ x[i], 0), atol=1e-13)
        # The price is the least over the four ways to count the two points, on either side.
        sides = [u[k] + 1e-9 * turn * (x[j] - x[i]) for turn in (-1, 1)]
        near = [(side, side @ x[i] + shift) for side in sides for shift in (-1e-8, 1e-8)]
        near += [(u[k], t[k] + shift) for shift in (-1e-8, 1e-8)]
        prices = [shallow.stability_weight(side[None] / np.linalg.norm(side),
                                           np.array([at]) / np.linalg.norm(side), x)[0]
                  for side, at in near]  # fmt: skip
        assert cost[k] == pytest.approx(min(prices), rel=1e-6)


@pytest.mark.parametrize(
    ("top", "below", "low", "high", "largest"),
    [
        # (t - 1)² / (1 + t²): largest at t = -1, where it is 2; smallest at t = 1.
        ([1, -2, 1], [1, 0, 1], -np.inf, np.inf, 2.0),
        ([1, -2, 1], [1, 0, 1], -0.5, np.inf, 1.8),
        ([1, -2, 1], [1, 0, 1], -0.5, 0.5, 1.8),
        ([1, -2, 1], [1, 0, 1], 0.0, 3.0, 1.0),
        ([1, -2, 1], [1, 0, 1], -np.inf, -3.0, 1.6),
        # 1 / (1 + t²) at its top and beside it.
        ([1, 0, 0], [1, 0, 1], -1.0, 2.0, 1.0),
        ([1, 0, 0], [1, 0, 1], 1.0, 2.0, 0.5),
        # Where the denominator vanishes the numerator does too, and the end does not count.
        ([0, 0, 1], [0, 0, 2], 0.0, 1.0, 0.5),
        ([0, 0, 1], [0, 0, 0], 0.0, 1.0, 0.0),
        # Coefficients far from one, and of either sign.
        ([1e-9, 0, 0], [1e-9, 0, 1e-9], -1.0, 2.0, 1.0),
        ([4, -4, 1], [4, -2, 1], 0.0, 1.0, 1.0),
    ],
)
def test_the_largest_ratio_of_quadratics_by_hand(top, below, low, high, largest):
    polynomials = (np.polynomial.Polynomial(c) for c in (top, below))
    assert flattest._largest_ratio(*polynomials, low, high) == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_affine_and_constant_targets_have_certified_networks(scale):
    x = np.array([-1.0, -0.3, 0.4, 1.0])
    for y in (scale * x, scale * (2 + x), scale * x**2):
        found = flattest.flattest_interpolant(x, y)
        assert found.lower <= found.sharpness * (1 + 1e-12)
        assert found.sharpness <= found.lower * (1 + 1e-5)
    flat = flattest.flattest_interpolant(x, np.full(4, scale))
    assert flat.sharpness == pytest.approx(1, abs=1e-6)
    assert flat.lower == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_least_norm_of_a_hat_by_hand(tolerance):
    """Through (-1, 0), (0, h), (1, 0): a kink of slope -2 at 0, less what the tolerance allows."""
    x, h = np.array([[-1.0], [0.0], [1.0]]), 0.3
    found = flattest.least_stability_norm(x, [0, h, 0], tolerance=tolerance)
    price = shallow.stability_weight(np.ones((1, 1)), np.array([1e-9]), x)[0]
    assert found.value == pytest.approx((2 * h - 4 * tolerance) * price, rel=1e-6)
    assert found.certificate == pytest.approx(1, abs=1e-9)
    assert found.a == pytest.approx([-(2 * h - 4 * tolerance)])
    assert found.u.tolist() == [[1.0]]
    assert found.t.tolist() == [0.0]


def test_a_flat_function_has_an_empty_sum_of_ridges():
    found = flattest.least_stability_norm([[-1.0], [0.0], [1.0]], [0.1, 0.0, -0.1], tolerance=0.0)
    assert (found.value, found.certificate) == (0.0, 1.0)
    assert (found.a.shape, found.u.shape, found.t.shape) == ((0,), (0, 1), (0,))


def test_least_norm_takes_the_fewest_points():
    assert flattest.least_stability_norm([[0.0], [1.0]], [1.0, 5.0]).value == 0.0
    plane = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert flattest.least_stability_norm(plane, [1.0, 5.0, 2.0]).value == pytest.approx(
        0, abs=1e-12
    )
    for few in ([[0.0]], plane[:2]):
        with pytest.raises(ValueError, match=r"^x has shape"):
            flattest.least_stability_norm(few, np.ones(len(few)))


@pytest.mark.parametrize("seed", range(4))
def test_the_gap_of_a_rescaling_is_that_asked_for(seed):
    rng = np.random.default_rng(seed)
    net, x = shallow.random_net(rng, 4, 2), rng.standard_normal((9, 2))
    for options in ({}, {"rtol": 1e-3}):
        found = flattest.flattest_rescaling(net, x, **options)
        gap = found.sharpness / found.lower - 1
        assert -1e-12 < gap <= options.get("rtol", 1e-9)
    rough = flattest.flattest_rescaling(net, x, rtol=1e-3)
    assert rough.sharpness / rough.lower - 1 > 1e-9
    np.testing.assert_array_equal(
        flattest.flattest_rescaling(net, x).net.w,
        flattest.flattest_rescaling(net, x, rtol=1e-9, rounds=500).net.w,
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_of_any_width_by_a_fine_grid_of_kinks(seed):
    """1ᵀZ1/N + |ν·y|/√excess, where |ν·φ|² <= excess × (4/N²) × (reach² in Z) × φᵀZφ."""
    rng = np.random.default_rng(seed)
    x, y, nu = np.sort(rng.uniform(-2, 2, 5)), rng.standard_normal(5), rng.standard_normal(5)
    root = rng.standard_normal((5, 5))
    z = root @ root.T / np.trace(root @ root.T)
    centred, excess = nu - nu.mean(), 0.0
    t = np.concatenate([np.linspace(-3, 3, 20_001), np.linspace(-40, 40, 20_001), x])
    for side in (1.0, -1.0):
        ridge = np.maximum(side * (x - t[:, None]), 0.0)
        for active in (ridge > 0, side * (x - t[:, None]) >= 0):
            gate = active.astype(float)
            reach = np.einsum("ti,ij,tj->t", gate, z * (np.outer(x, x) + 1), gate)
            height = np.einsum("ti,ij,tj->t", ridge, z, ridge)
            below = 4 / 25 * reach * height
            fine = below > 1e-9
            excess = max(excess, ((ridge @ centred) ** 2 / np.where(fine, below, 1))[fine].max())
    expected = z.sum() / 5 + abs(centred @ y) / np.sqrt(excess)
    for scale in (1.0, 1e-3):
        found = flattest._any_width_bound(x, y, z, scale * nu)
        assert found <= expected * (1 + 1e-9)
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_positive_part_of_a_matrix():
    part = flattest._positive_part(np.diag([3.0, -1.0, 1.0]))
    np.testing.assert_allclose(part, np.diag([0.75, 0.0, 0.25]), atol=1e-15)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    odd = np.array([[0.0, 5.0, 1.0], [-5.0, 0.0, 2.0], [-1.0, -2.0, 0.0]])
    turned = flattest._positive_part(turn @ np.diag([3.0, -1.0, 1.0]) @ turn.T + odd)
    np.testing.assert_allclose(turned, turn @ part @ turn.T, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_least_norm_is_that_of_the_program_with_all_ridges(seed):
    """More ridges than are there at first; the certificate bounds the value from below."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((16, 2)), rng.standard_normal(16)
    found = flattest.least_stability_norm(x, y)
    ridge, cost = flattest._closed_cells(x, *flattest._through_points(x))
    assert len(ridge) == 120 > 64
    affine = np.column_stack([x, np.ones(16)])
    whole = optimize.linprog(
        np.concatenate([cost, cost, np.zeros(3)]), A_eq=np.hstack([ridge.T, -ridge.T, affine]),
        b_eq=y, bounds=[(0, None)] * 240 + [(None, None)] * 3,
    )  # fmt: skip
    assert found.value == pytest.approx(whole.fun, rel=1e-9)
    assert found.certificate == pytest.approx(1, abs=1e-8)
