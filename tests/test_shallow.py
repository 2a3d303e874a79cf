"""Two-layer ReLU networks: sharpness and norm against automatic differentiation and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibcore import curvature, networks, shallow


def case(seed, width=6, n_features=3, n_samples=15):
    rng = np.random.default_rng(seed)
    return shallow.random_net(rng, width, n_features), rng.standard_normal((n_samples, n_features))


def polygon(a=3.0):
    turns = np.arange(12) * np.pi / 6
    x = np.column_stack([np.cos(turns), np.sin(turns)])
    return shallow.balanced(shallow.ShallowNet(x, np.full(12, -0.45), np.full(12, a)), x), x


# --- sharpness ---


@pytest.mark.parametrize("seed", range(4))
def test_the_gram_matrix_is_that_of_the_gradients_and_the_hessian(seed):
    net, x = case(seed)
    model = networks.Network((3, 6, 1), "relu")
    loss = networks.squared_loss(model, x, net.outputs(x))
    hessian = curvature.hessian(loss, net.flat())
    import torch

    rows = curvature.jacobian(lambda theta: model.outputs(theta, torch.tensor(x)), net.flat())
    np.testing.assert_allclose(shallow.tangent_gram(net, x), rows @ rows.T, atol=1e-12)
    assert shallow.sharpness(net, x) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-12)
    mean = rows.mean(axis=0)
    assert shallow.mean_gradient(net, x) == pytest.approx(mean @ mean, rel=1e-12)
    without = shallow.tangent_gram(net, x, output_bias=False)
    np.testing.assert_allclose(without, shallow.tangent_gram(net, x) - 1)
    assert shallow.sharpness(net, x, output_bias=False) < shallow.sharpness(net, x)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 6), st.integers(1, 30))
def test_the_chain_holds_for_every_network(seed, width, n_features, n_samples):
    net, x = case(seed, width, n_features, n_samples)
    chain = [shallow.sharpness(net, x), shallow.mean_gradient(net, x)]
    chain += [1 + 2 * shallow.path_sum(net, x, two_sided=two) for two in (False, True)]
    chain.append(1 + 2 * shallow.stability_norm(net, x))
    assert (np.diff(chain) <= 1e-12 * chain[0]).all()
    even = shallow.balanced(net, x)
    np.testing.assert_allclose(even.outputs(x), net.outputs(x), atol=1e-12)
    assert shallow.mean_gradient(even, x) == pytest.approx(chain[2], rel=1e-12)


@pytest.mark.parametrize("a", [0.05, 1.0, 3.0])
def test_on_the_polygon_all_five_are_equal(a):
    net, x = polygon(a)
    weight = (np.sqrt(3) - 0.25) * np.sqrt(25 + (2 + np.sqrt(3)) ** 2) / 144
    values = [shallow.sharpness(net, x), shallow.mean_gradient(net, x)]
    values += [1 + 2 * shallow.path_sum(net, x, two_sided=two) for two in (False, True)]
    values.append(1 + 2 * shallow.stability_norm(net, x))
    np.testing.assert_allclose(values, 1 + 24 * a * weight, rtol=1e-13)


# --- the function ---


def test_the_weight_is_its_definition():
    rng = np.random.default_rng(0)
    x, u, t = rng.standard_normal((40, 2)), np.array([[0.6, 0.8]]), np.array([0.3])

    def one_side(sign):
        inside = sign * (x @ u[0] - t[0]) > 0
        height = sign * (x[inside] @ u[0] - t[0])
        return (
            inside.mean() ** 2 * height.mean() * np.hypot(1, np.linalg.norm(x[inside].mean(axis=0)))
        )

    assert shallow.stability_weight(u, t, x, two_sided=False) == pytest.approx(one_side(1))
    assert shallow.stability_weight(u, t, x) == pytest.approx(min(one_side(1), one_side(-1)))
    assert shallow.stability_weight(u, [9.0], x, two_sided=False) == 0


def test_neurons_on_one_hyperplane_are_merged():
    net, x = case(1, 5)
    doubled = shallow.ShallowNet(
        np.vstack([net.w, -2 * net.w]), np.append(net.b, -2 * net.b), np.append(net.v, -net.v / 2)
    )  # f(x) of one side minus that of the other: affine
    assert shallow.stability_norm(doubled, x) == pytest.approx(0, abs=1e-12)
    assert shallow.path_sum(doubled, x, two_sided=True) > 0
    assert shallow.stability_norm(doubled, x, merge=0.0) >= 0
    together = replace(doubled, v=np.append(net.v, net.v / 2))
    assert shallow.stability_norm(together, x) == pytest.approx(2 * shallow.stability_norm(net, x))


def test_rescaling_and_dead_neurons_change_no_function():
    net, x = case(2)
    s = np.exp(np.random.default_rng(3).standard_normal(6))
    scaled = replace(net, w=net.w * s[:, None], b=net.b * s, v=net.v / s)
    assert shallow.stability_norm(scaled, x) == pytest.approx(shallow.stability_norm(net, x))
    assert shallow.sharpness(scaled, x) != pytest.approx(shallow.sharpness(net, x))
    dead = shallow.ShallowNet(
        np.vstack([net.w, np.zeros((1, 3)), net.w[:1]]),
        np.concatenate([net.b, [1.0], [-99.0]]), np.append(net.v, [0.5, 0.0]),
    )  # fmt: skip
    assert len(shallow.ridges(dead)[0]) == 7
    assert shallow.stability_norm(dead, x) == pytest.approx(shallow.stability_norm(net, x))
    even = shallow.balanced(dead, x)
    np.testing.assert_allclose(even.b[-1], -99.0)  # never active: left alone
    flat = shallow.ShallowNet(np.zeros((2, 3)), np.ones(2), np.ones(2))
    assert shallow.stability_norm(flat, x) == shallow.path_sum(flat, x) == 0


# --- descent ---


def test_descent_is_that_of_automatic_differentiation():
    net, x = case(4)
    y = np.random.default_rng(5).standard_normal(15)
    loss = networks.squared_loss(networks.Network((3, 6, 1), "relu"), x, y)
    theta = net.flat()
    for t in range(10):
        theta = theta - min(1.0, 0.05 + 0.95 * t / 4) * 0.1 * curvature.gradient(loss, theta)
    other, run = shallow.descend([net], x, y, [0.02, 0.1], updates=10, ramp=4)
    np.testing.assert_allclose(run.net.flat(), theta, atol=1e-13)
    assert run.steps == 10
    assert run.mse == pytest.approx(np.mean((run.net.outputs(x) - y) ** 2))
    assert other.mse > run.mse
    assert run.highest >= run.mse


def test_descent_stops_each_run_by_itself():
    net, x = case(6, 40)
    y = np.random.default_rng(7).standard_normal(15)
    slow, fast = shallow.descend([net, net], x, y, [0.02, 0.05], updates=20_000, stop=1e-6)
    assert fast.steps < slow.steps < 20_000
    assert max(slow.mse, fast.mse) <= 1e-6
    (alone,) = shallow.descend([net], x, y, [0.05], updates=20_000, stop=1e-6)
    assert alone.steps == fast.steps
    with pytest.raises(FloatingPointError, match="diverged"), np.errstate(all="ignore"):
        shallow.descend([net], x, y, [1e3], updates=500)


# --- linear stability ---


def test_mean_square_radius_is_that_of_the_map_on_matrices():
    net, x = polygon()
    k = shallow.tangent_gram(net, x)[:5, :5]
    from itertools import combinations

    for batch in (1, 2, 5):
        maps = [np.eye(5) - 0.1 / batch * k * np.isin(np.arange(5), s)
                for s in combinations(range(5), batch)]  # fmt: skip
        whole = np.mean([np.kron(m, m) for m in maps], axis=0)
        values = np.abs(np.linalg.eigvals(whole))
        assert shallow.mean_square_radius(k, 0.1, batch) == pytest.approx(values.max(), rel=1e-9)
    step = shallow.mean_square_threshold(k, 2)
    assert shallow.mean_square_radius(k, step, 2) == pytest.approx(1, abs=1e-10)
    lam = np.linalg.eigvalsh(k)[-1] / 5
    assert shallow.mean_square_threshold(k, 5) == pytest.approx(2 / lam)
    assert shallow.mean_square_threshold(k, 1) < step < 2 / lam


def test_mean_square_radius_ignores_the_kernel():
    k = np.diag([1.0, 2.0, 0.0])
    assert shallow.mean_square_radius(k, 0.3, 3) == pytest.approx((1 - 0.1) ** 2)


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, x: n.outputs(x[:, :2]), "^x has shape"),
        (lambda n, x: replace(n, b=n.b[:2]), "^b has shape"),
        (lambda n, x: replace(n, c=np.nan), "^c has"),
        (lambda n, x: shallow.random_net(0, 2, 2), "^rng is a int"),
        (lambda n, x: shallow.random_net(np.random.default_rng(0), 0, 2), "^width is 0"),
        (lambda n, x: shallow.stability_weight(np.eye(3), [0.0], x), "^t has shape"),
        (lambda n, x: shallow.stability_norm(n, x, merge=-1), "^merge is -1"),
        (lambda n, x: shallow.descend([n], x, np.ones(3), [0.1], updates=1), "^y has shape"),
        (lambda n, x: shallow.descend([n], x, np.ones(15), [0.0], updates=1), "^steps has"),
        (lambda n, x: shallow.descend([n], x, np.ones(15), [0.1], updates=0), "^updates is 0"),
        (lambda n, x: shallow.descend([n, n], x, np.ones(15), [1, 1, 1], updates=1), "^nets has 2"),
        (lambda n, x: shallow.mean_square_radius(np.ones((2, 3)), 0.1), "^gram has shape"),
        (lambda n, x: shallow.mean_square_radius(np.eye(2), 0.0), "^step is 0"),
        (lambda n, x: shallow.mean_square_radius(np.eye(2), 0.1, 3), "^batch is 3"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*case(8))


# --- by hand, and values at a limit ---


def test_a_network_is_drawn_in_its_order():
    net, rng = shallow.random_net(np.random.default_rng(3), 5, 4), np.random.default_rng(3)
    np.testing.assert_array_equal(net.w, rng.standard_normal((5, 4)) / 2)
    np.testing.assert_array_equal(net.b, rng.standard_normal(5))
    np.testing.assert_array_equal(net.v, rng.standard_normal(5) / np.sqrt(5))
    assert net.c == 0.0


def test_a_point_on_the_hyperplane_is_not_active():
    x = np.array([[0.0], [1.0]])
    net = shallow.ShallowNet(np.ones((1, 1)), np.zeros(1), np.array([3.0]), 0.5)
    side = shallow.stability_weight([[1.0]], [0.0], x, two_sided=False)
    assert side == pytest.approx(2**0.5 / 4)  # (1/2)², height 1, and a mean of length √(1 + 1)
    assert shallow.stability_weight([[1.0]], [0.0], x) == 0.0
    assert shallow.stability_weight([[1.0]], [-0.1], x, two_sided=False) == pytest.approx(
        1.2 / 2 * 1.25**0.5
    )
    np.testing.assert_allclose(shallow.tangent_gram(net, x), [[1, 1], [1, 1 + 1 + 9 * 2]])
    np.testing.assert_allclose(net.outputs(x), [0.5, 3.5])
    assert shallow.mean_gradient(net, x) == pytest.approx(23 / 4)
    value, vector = shallow.leading([[2.0, 1.0], [1.0, 2.0]])
    assert value == pytest.approx(1.5)
    np.testing.assert_allclose(np.abs(vector), 0.5**0.5)
    for gram in ([[1.0, 2.0], [0.0, 1.0]], [[1.0, 0.0]]):
        with pytest.raises(ValueError, match="allowed: a symmetric matrix"):
            shallow.leading(gram)


def test_neurons_are_rescaled_one_by_one():
    net = shallow.ShallowNet(np.ones((4, 1)), np.full(4, 2.0), np.full(4, 3.0), 1.0)
    moved = shallow.rescaled(net, [4.0, 0.0, 4.0, -1.0], [1.0, 1.0, 0.0, 1.0])
    np.testing.assert_array_equal(moved.w[:, 0], [2, 1, 1, 1])
    np.testing.assert_array_equal(moved.b, [4, 2, 2, 2])
    np.testing.assert_array_equal(moved.v, [1.5, 3, 3, 3])
    assert moved.c == 1.0
    for bad in (([1.0] * 3, [1.0] * 4), ([1.0] * 4, [1.0] * 3)):
        with pytest.raises(ValueError, match="has shape"):
            shallow.rescaled(net, *bad)


def test_hyperplanes_merge_within_a_distance():
    x = np.array([[-1.0], [0.0], [2.0]])
    weight = float(shallow.stability_weight([[1.0]], [0.5], x)[0])

    def pair(gap, sign):
        return shallow.ShallowNet(
            np.array([[1.0], [sign]]),
            np.array([-0.5, -sign * (0.5 + gap)]),
            np.array([1.0, -0.25]),
        )

    for sign in (1.0, -1.0):
        assert shallow.stability_norm(pair(1e-10, sign), x) == pytest.approx(0.75 * weight)
        assert shallow.stability_norm(pair(1e-8, sign), x) == pytest.approx(1.25 * weight)
        wide = shallow.stability_norm(pair(1e-8, sign), x, merge=1e-7)
        assert wide == pytest.approx(0.75 * weight)
        assert shallow.path_sum(pair(0.0, sign), x, two_sided=True) == pytest.approx(1.25 * weight)


@pytest.mark.parametrize("ramp", [0, 3])
def test_a_run_counts_its_updates_and_its_highest_error(ramp):
    net, x = case(6, 40)
    y = np.random.default_rng(7).standard_normal(15)
    errors, current = [np.mean((net.outputs(x) - y) ** 2)], net
    for t in range(30):
        share = min(1.0, 0.05 + 0.95 * t / ramp) if ramp else 1.0
        (one,) = shallow.descend([current], x, y, [share * 0.05], updates=1)
        current = one.net
        errors.append(one.mse)
    errors = np.array(errors)
    stop = float(errors[12])
    done = next(n for n in range(ramp + 1, 31) if errors[n] <= stop)
    (run,) = shallow.descend([net], x, y, [0.05], updates=30, ramp=ramp, stop=stop)
    assert run.steps == done
    assert run.mse == pytest.approx(errors[done], rel=1e-9)
    assert run.highest == pytest.approx(errors[: done + 1].max(), rel=1e-9)
    (early,) = shallow.descend([net], x, y, [0.05], updates=30, ramp=ramp, stop=1e9)
    assert early.steps == ramp + 1
    (late,) = shallow.descend([net], x, y, [0.05], updates=7, ramp=ramp)
    assert late.steps == 7


def test_one_bad_run_is_enough():
    net, x = case(8)
    y = np.ones(15)
    with pytest.raises(ValueError, match=r"^steps has entries that are not positive"):
        shallow.descend([net], x, y, [0.1, 0.0], updates=1)
    with pytest.raises(ValueError, match=r"^nets has 2 networks of shapes"):
        shallow.descend([net, case(8, 5)[0]], x, y, [0.1, 0.1], updates=1)
    with pytest.raises(ValueError, match=r"^nets has 0 networks"):
        shallow.descend([], x, y, [0.1], updates=1)
    two = shallow.descend([net, replace(net, c=1.0)], x, y, [0.1, 0.1], updates=1)
    assert two[0].net.c != two[1].net.c
    with pytest.raises(FloatingPointError, match="diverged"), np.errstate(all="ignore"):
        shallow.descend([net], x, y, [0.01, 1e9], updates=60)


def test_mean_square_stability_by_hand():
    # One sample: r ← (1 - ηK) r. Two orthogonal ones, a batch of one: r_1² keeps half of itself.
    assert shallow.mean_square_radius([[2.0]], 0.3) == pytest.approx(0.4**2)
    assert shallow.mean_square_threshold([[2.0]]) == pytest.approx(1.0)
    assert shallow.mean_square_radius(np.diag([2.0, 1.0]), 0.1) == pytest.approx((1 + 0.81) / 2)
    assert shallow.mean_square_threshold(np.diag([2.0, 1.0])) == pytest.approx(1.0)
    assert shallow.mean_square_threshold(np.diag([2.0, 1.0]), 2) == pytest.approx(2.0)
    for batch in (2, 3):
        with pytest.raises(ValueError, match="at most the 1 samples"):
            shallow.mean_square_threshold([[2.0]], batch)


def test_points_on_a_hyperplane_do_not_balance_its_neuron():
    x = np.array([[0.0], [1.0], [3.0]])
    net = shallow.ShallowNet(np.ones((1, 1)), np.zeros(1), np.array([2.0]))
    even = shallow.balanced(net, x)
    # reach of the two active points: √(2² + 4²), times |v| = 2; their heights add up to 4
    assert even.w[0, 0] == pytest.approx(np.sqrt(2 * np.sqrt(20) / 4))
    assert even.v[0] * even.w[0, 0] == pytest.approx(2.0)


def test_a_run_that_interpolates_from_the_start_takes_one_step():
    net = shallow.ShallowNet(np.zeros((1, 1)), np.zeros(1), np.zeros(1))
    (run,) = shallow.descend([net], [[1.0], [2.0]], [0.0, 0.0], [0.1], updates=9)
    assert (run.steps, run.mse, run.highest) == (1, 0.0, 0.0)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_mean_square_thresholds_do_not_depend_on_units(unit):
    net, x = polygon()
    k = shallow.tangent_gram(net, x)[:5, :5]
    one = shallow.mean_square_threshold(k, 2)
    assert shallow.mean_square_threshold(unit * k, 2) * unit == pytest.approx(one, rel=3e-8)
    assert shallow.mean_square_radius(unit * k, one / unit, 2) == pytest.approx(1, abs=1e-7)


def test_hyperplanes_that_touch_in_a_chain_are_one():
    x = np.array([[-1.0], [0.0], [2.0]])
    net = shallow.ShallowNet(np.ones((4, 1)), -np.array([0.5, 0.5 + 1e-10, 0.5 + 2e-10, 0.9]),
                             np.array([1.0, 2.0, -4.0, 3.0]))  # fmt: skip
    weights = shallow.stability_weight(np.ones((2, 1)), [0.5, 0.9], x)
    found = shallow.stability_norm(net, x, merge=1.5e-10)
    assert found == pytest.approx(1.0 * weights[0] + 3.0 * weights[1], rel=1e-8)
    assert shallow.stability_norm(net, x, merge=0.5e-10) == pytest.approx(
        7.0 * weights[0] + 3.0 * weights[1], rel=1e-8
    )
