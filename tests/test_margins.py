"""Hard-margin solutions against convex solvers, brute force, closed forms and the flow itself."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ibcore import datasets, margins
from ibcore.margins import (
    NotSeparableError,
    angle,
    convergence_exponent,
    direction_gap,
    direction_gap_constant,
    hard_margin,
    iterated_log_ladder,
    margin_gap,
    margin_gap_constant,
    multiclass_constraints,
    multiclass_hard_margin,
    normalized_margin,
    residual_covariance,
    residual_limit,
    separability_certificate,
    support_spans,
)

seeds = st.integers(0, 10_000)


def _separable(seed, n, d, shift=0.3):
    """Return Gaussian points on the positive side of a random plane."""
    rng = np.random.default_rng(seed)
    x, teacher = rng.standard_normal((n, d)), rng.standard_normal(d)
    teacher /= np.linalg.norm(teacher)
    return x * np.where(x @ teacher > 0, 1.0, -1.0)[:, None] + shift * teacher


def _check_kkt(x, hard, tolerance=1e-13):
    size = max(1.0, float((np.abs(x) @ np.abs(hard.w)).max()))
    np.testing.assert_allclose(hard.dual @ x, hard.w, atol=tolerance * hard.norm, rtol=0)
    assert (hard.dual >= 0).all()
    assert (x @ hard.w).min() >= 1 - 1e-13 * size
    assert not hard.dual[~hard.support].any()
    assert hard.theta > 1
    assert hard.margin == pytest.approx(1 / np.linalg.norm(hard.w), rel=1e-14)
    assert hard.dual.sum() == pytest.approx(hard.norm**2, rel=1e-12)
    assert 0 <= hard.duality_gap < 1e-13 * size


def _convex(x):
    w = cvxpy.Variable(x.shape[1])
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(w) / 2), [x @ w >= 1])
    problem.solve(solver=cvxpy.CLARABEL)
    return w.value


def _brute_force(x):
    """Return ŵ as the best solution over all active sets."""
    best = None
    for size in range(1, min(x.shape) + 1):
        for rows in itertools.combinations(range(x.shape[0]), size):
            w = np.linalg.pinv(x[list(rows)]) @ np.ones(size)
            feasible = (x @ w >= 1 - 1e-9).all()
            if feasible and (best is None or w @ w < best @ best):
                best = w
    return best


# --- Solutions -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(seed=seeds, n=st.integers(1, 25), d=st.integers(1, 10))
def test_solution_agrees_with_a_convex_solver(seed, n, d):
    x = _separable(seed, n, d)
    hard = hard_margin(x)
    _check_kkt(x, hard)
    assert np.linalg.norm(hard.w - _convex(x)) < 1e-6 * hard.norm


@settings(max_examples=50)
@given(seed=seeds, n=st.integers(1, 7), d=st.integers(1, 4))
def test_solution_agrees_with_brute_force(seed, n, d):
    x = _separable(seed, n, d)
    np.testing.assert_allclose(hard_margin(x).w, _brute_force(x), rtol=1e-9, atol=1e-9)


@given(c=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8))
def test_orthogonal_data_in_closed_form(c):
    c = np.array(c)
    hard = hard_margin(np.diag(c))
    np.testing.assert_allclose(hard.w, 1 / c, rtol=1e-15)
    np.testing.assert_allclose(hard.dual, 1 / c**2, rtol=1e-14)
    assert hard.support.all()
    assert hard.theta == math.inf


@settings(max_examples=50)
@given(seed=seeds, columns=st.floats(1, 1e4), rows=st.floats(1, 1e4), scale=st.floats(-150, 150))
def test_badly_scaled_data(seed, columns, rows, scale):
    rng = np.random.default_rng(seed)
    x = _separable(seed, 15, 5) * columns ** rng.uniform(size=5)
    x = np.where(x @ rng.normal(size=5) > 0, 1, -1)[:, None] * x
    x *= rows ** rng.uniform(size=(15, 1))
    hard = hard_margin(x)
    _check_kkt(x, hard)
    far = hard_margin(x * 2.0 ** int(scale))
    np.testing.assert_array_equal(far.w * 2.0 ** int(scale), hard.w)
    np.testing.assert_array_equal(far.support, hard.support)


@settings(max_examples=30)
@given(seed=seeds)
def test_rotation_and_zero_columns_change_nothing(seed):
    x = _separable(seed, 12, 4)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
    hard, turned = hard_margin(x), hard_margin(x @ rotation)
    np.testing.assert_allclose(turned.w, hard.w @ rotation, atol=1e-12 * hard.norm)
    np.testing.assert_allclose(turned.dual, hard.dual, atol=1e-11 * hard.dual.max())
    padded = hard_margin(np.hstack([x, np.zeros((12, 3))]))
    np.testing.assert_allclose(padded.w, np.append(hard.w, np.zeros(3)), atol=1e-14 * hard.norm)


def test_w_is_exact_to_the_last_bits():
    # the asymmetric figure times 10: integers with a rational solution
    x = np.array([[5.0, 15.0], [12.0, 8.0], [40.0, 1.0]])
    hard = hard_margin(x)
    np.testing.assert_allclose(hard.w, [0.05, 0.05], rtol=1e-16)
    np.testing.assert_allclose(hard.dual, [1 / 700, 5 / 1400, 0], rtol=1e-15)
    assert hard.theta == pytest.approx(2.05, rel=1e-15)
    assert hard.support.tolist() == [True, True, False]


def test_extended_precision_keeps_ill_conditioned_solutions():
    # nearly parallel rows, exact in binary: the condition number is about 1e6, ŵ = (3, 4)/25
    along, across, h = np.array([3.0, 4.0]), np.array([-4.0, 3.0]), 2.0**-20
    x = np.array([along + h * across, along - 3 * h * across])
    hard = hard_margin(x)
    np.testing.assert_allclose(hard.w, along / 25, rtol=1e-15)
    np.testing.assert_allclose(hard.dual, [0.03, 0.01], rtol=1e-9)


@given(seed=seeds, copies=st.lists(st.integers(1, 3), min_size=8, max_size=8))
def test_duplicates_share_the_dual_equally(seed, copies):
    x = _separable(seed, 8, 3)
    single, repeated = hard_margin(x), hard_margin(np.repeat(x, copies, axis=0))
    np.testing.assert_allclose(repeated.w, single.w, rtol=1e-12, atol=1e-13 * single.norm)
    shares = np.repeat(single.dual / np.array(copies), copies)
    np.testing.assert_allclose(repeated.dual, shares, atol=1e-10 * single.dual.max())
    np.testing.assert_array_equal(repeated.support, np.repeat(single.support, copies))


def test_figure_of_the_paper_and_its_asymmetric_twin():
    symmetric = datasets.soudry_figure1(np.random.default_rng(0)).signed
    hard = hard_margin(symmetric)
    np.testing.assert_allclose(hard.w, [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(hard.dual[:4], 1 / 8, rtol=1e-13)
    assert margin_gap_constant(hard) == pytest.approx(0, abs=1e-13)
    assert convergence_exponent(symmetric, hard) == pytest.approx(0.25, rel=1e-12)
    asymmetric = datasets.soudry_figure1(np.random.default_rng(0), asymmetric=True).signed
    hard = hard_margin(asymmetric)
    np.testing.assert_allclose(hard.w, [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(hard.dual[:4], [1 / 14, 5 / 28] * 2, rtol=1e-13)
    assert margin_gap_constant(hard) == pytest.approx(0.37024, abs=5e-6)


@pytest.mark.parametrize("extra", [[(1.0, 0.5)], [(1.0, 0.5), (1.0, -0.2)], [(1.0, 1.0)]])
def test_dependent_support_vectors_get_the_dual_that_the_flow_selects(extra):
    x = np.array([(1.0, 1.0), (1.0, -0.7), *extra])
    hard = hard_margin(x)
    _check_kkt(x, hard)
    flow = solve_ivp(
        lambda _, rho: np.exp(-x @ rho) @ x - hard.w, (0, 200), [0.3, 0.1], rtol=1e-11, atol=1e-12,
        method="Radau",
    )  # fmt: skip
    np.testing.assert_allclose(np.exp(-x @ flow.y[:, -1]), hard.dual, atol=1e-9)
    np.testing.assert_allclose(flow.y[:, -1], residual_limit(x, hard, 1.0, [0, 0]), atol=1e-9)
    smallest = np.linalg.eigvalsh((x.T * hard.dual) @ x).min()
    assert convergence_exponent(x, hard) == pytest.approx(smallest)


def test_uneven_entropic_dual_over_many_scales():
    x = np.array([[1.0, 1.0], [1.0, -1e-6], [1.0, 1.0], [1.0, 0.5]])
    hard = hard_margin(x)
    _check_kkt(x, hard)
    assert 0 < hard.dual.min() < 1e-5


@settings(max_examples=20)
@given(seed=seeds)
def test_degenerate_support_vectors_have_exactly_zero_dual(seed):
    hard = hard_margin(datasets.degenerate_separable(np.random.default_rng(seed)).signed)
    assert hard.support.tolist() == [True] * 4 + [False]
    assert hard.positive.tolist() == [True] * 2 + [False] * 3
    assert hard.degenerate.tolist() == [False] * 2 + [True] * 2 + [False]
    assert hard.theta == pytest.approx(1.5)


def test_real_images_are_solved_to_machine_precision():
    data = datasets.mnist((3, 8), 600, 400, np.random.default_rng(0))[0]
    hard = hard_margin(data.signed)
    _check_kkt(data.signed, hard)
    assert 90 <= hard.support.sum() <= 130
    assert 0.001 < convergence_exponent(data.signed, hard) < 0.01
    assert not support_spans(data.signed, hard)
    assert not hard.w[:784][~data.x[:, :784].any(axis=0)].any()


# --- Separability --------------------------------------------------------------------------------


@settings(max_examples=100)
@given(seed=seeds, n=st.integers(1, 20), d=st.integers(1, 8))
def test_exactly_one_of_separation_and_certificate(seed, n, d):
    x = np.random.default_rng(seed).standard_normal((n, d))
    certificate = separability_certificate(x)
    if certificate is None:
        assert hard_margin(x).margin > 0
        return
    assert (certificate >= 0).all()
    assert certificate.sum() == pytest.approx(1, abs=1e-14)
    terms = certificate @ np.linalg.norm(x, axis=1)
    assert np.linalg.norm(certificate @ x) <= 1e-12 * terms
    with pytest.raises(NotSeparableError, match="signed is not separable") as caught:
        hard_margin(x)
    np.testing.assert_allclose(caught.value.certificate, certificate, atol=1e-9)


@pytest.mark.parametrize("margin", [1e-3, 1e-6, 1e-9])
def test_nearly_separable_data_is_decided_both_ways(margin):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    x = np.vstack([x, -x])
    x[:, 0] = margin
    assert separability_certificate(x) is None
    hard = hard_margin(x)
    assert hard.margin == pytest.approx(margin, rel=1e-6)
    x[7, 0] = -3 * margin  # its mirror image has +margin: their sum now points the other way
    certificate = separability_certificate(x)
    assert certificate is not None
    assert np.linalg.norm(certificate @ x) < 1e-12
    x[7, 0] = -margin  # the two cancel exactly: separable no longer strictly
    assert separability_certificate(x) is not None


@pytest.mark.parametrize(
    "x",
    [
        [[0.0, 0.0]],
        [[1.0, 0.0], [0.0, 0.0]],
        [[1.0, 0.0], [-1e6, 0.0]],
        [[1.0, 0.0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]],
        [[1e200, 0.0], [-1e-200, 0.0]],
    ],
)
def test_simple_sets_that_cannot_be_separated(x):
    certificate = separability_certificate(x)
    assert certificate is not None
    assert certificate.sum() == pytest.approx(1)
    with pytest.raises(NotSeparableError):
        hard_margin(x)


def test_uncertain_answers_are_errors_not_numbers(monkeypatch):
    x = np.array([[1.0, 1.0], [1.0, -1.0]])
    with pytest.raises(RuntimeError, match="numerically dependent"):
        margins._equality_solution(np.array([[1.0, 1.0], [1.0, 1.0]]))
    with monkeypatch.context() as patch:
        patch.setattr(margins, "_separates", lambda *_: False)
        with pytest.raises(RuntimeError, match="neither side could be certified"):
            separability_certificate(x)
    with monkeypatch.context() as patch:
        patch.setattr(margins, "_relative_gap", lambda *_: 0.5)
        with pytest.raises(RuntimeError, match="KKT conditions violated"):
            hard_margin(x)
    with monkeypatch.context() as patch:
        patch.setattr(
            margins, "_equality_solution", lambda r: (np.zeros(r.shape[1]), np.ones(len(r)))
        )
        with pytest.raises(RuntimeError, match=r"active set .* could not be certified"):
            hard_margin(np.column_stack([np.arange(1.0, 61.0), np.zeros(60)]))
    with monkeypatch.context() as patch:
        stopped = SimpleNamespace(status=4, message="numerical difficulties")
        patch.setattr(margins.optimize, "linprog", lambda *_, **__: stopped)
        with pytest.raises(RuntimeError, match="dual support not found"):
            hard_margin(np.vstack([x, x]))


def test_a_wrong_guess_of_the_active_set_is_repaired():
    x = _separable(3, 12, 3)
    right = hard_margin(x)
    for guess in ([0], [1, 2], list(np.flatnonzero(~right.support)[:3])):
        w, _, active = margins._active_set_solution(x, guess)
        np.testing.assert_allclose(w, right.w, rtol=1e-12)
        assert sorted(active) == np.flatnonzero(right.support).tolist()


# --- Several classes -----------------------------------------------------------------------------


@settings(max_examples=15)
@given(seed=seeds, k=st.integers(2, 4))
def test_several_classes_agree_with_a_convex_solver(seed, k):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, 3))
    y = (x @ rng.standard_normal((3, k))).argmax(axis=1)
    w = cvxpy.Variable((k, 3))
    constraints = [(w[y[n]] - w[j]) @ x[n] >= 1 for n in range(12) for j in range(k) if j != y[n]]
    cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(w)), constraints).solve(solver=cvxpy.CLARABEL)
    hard = multiclass_hard_margin(x, y, k)
    assert np.linalg.norm(hard.weights - w.value) < 1e-5 * hard.norm
    # stationarity, class by class, in the pairs
    pairs = hard.pair_dual
    assert pairs.shape == (12, k)
    assert not pairs[np.arange(12), y].any()
    own = np.eye(k)[y] * pairs.sum(axis=1, keepdims=True)
    np.testing.assert_allclose((own - pairs).T @ x, hard.weights, atol=1e-12 * hard.norm)


def test_two_classes_are_the_binary_problem():
    x = _separable(5, 10, 3)
    y = np.random.default_rng(0).integers(0, 2, 10)
    points = x * (2 * y - 1)[:, None]
    hard, binary = multiclass_hard_margin(points, y, 2), hard_margin(x)
    np.testing.assert_allclose(hard.weights[1] - hard.weights[0], binary.w, rtol=1e-12)
    np.testing.assert_allclose(hard.weights.sum(axis=0), 0, atol=1e-13)
    z = multiclass_constraints(points, y, 2)
    np.testing.assert_array_equal(z[:, 3:], x)
    np.testing.assert_array_equal(z[:, :3], -x)


def test_order_of_the_pairs():
    z = multiclass_constraints([[2.0], [3.0]], [1, 2], 3)
    assert z.tolist() == [[-2, 2, 0], [0, 2, -2], [-3, 0, 3], [0, -3, 3]]


# --- Distances -----------------------------------------------------------------------------------


def test_margins_and_gaps_are_vectorised():
    x = _separable(1, 9, 3)
    hard = hard_margin(x)
    w = np.random.default_rng(2).standard_normal((4, 5, 3))
    expected = (w @ x.T).min(axis=-1) / np.linalg.norm(w, axis=-1)
    np.testing.assert_allclose(normalized_margin(w, x), expected, rtol=1e-12)
    gap = margin_gap(w, x, hard)
    assert gap.shape == (4, 5)
    assert (gap > 0).all()
    assert margin_gap(7e200 * hard.w, x, hard) == pytest.approx(0, abs=1e-15)
    assert direction_gap(w, hard.w).shape == (4, 5)
    assert normalized_margin(1e-200 * hard.w, x) == pytest.approx(hard.margin)


@given(size=st.floats(1e-150, 3.0), scale=st.floats(1e-3, 1e3))
def test_angles_are_accurate_however_small(size, scale):
    v = [math.cos(size), math.sin(size)]
    found = float(angle([scale, 0.0], v))
    assert found == pytest.approx(size, rel=1e-12)
    assert float(direction_gap(v, [1.0, 0.0])) == pytest.approx(2 * math.sin(size / 2), rel=1e-12)


def test_angle_of_opposite_vectors_and_broadcasting():
    assert float(angle([1.0, 0.0], [-2.0, 0.0])) == pytest.approx(math.pi, rel=1e-15)
    assert angle(np.eye(3), [1.0, 0.0, 0.0]).tolist() == pytest.approx(
        [0, math.pi / 2, math.pi / 2]
    )


# --- Predictions ---------------------------------------------------------------------------------


def _log_flow(x, eta, w0, s0, s1):
    """Integrate the exponential-loss flow in s = log t with the analytic Jacobian."""

    def weights(s, w):
        return eta * np.exp(np.minimum(s - x @ w, 100))

    return solve_ivp(
        lambda s, w: weights(s, w) @ x, (s0, s1), w0, method="Radau", rtol=1e-10, atol=1e-12,
        jac=lambda s, w: -(x.T * weights(s, w)) @ x, dense_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("copies", [1, 3])
def test_every_prediction_against_the_flow(copies):
    base = datasets.spanning_separable(np.random.default_rng(1), 12, 2).signed
    x = np.vstack([base] + [base[:6]] * (copies - 1))
    hard, eta, w0 = hard_margin(x), 0.05, np.array([0.2, -0.1])
    assert support_spans(x, hard)
    limit = residual_limit(x, hard, eta, w0)
    flow = _log_flow(x, eta, w0, 0.0, 2e4)
    rho = flow.sol(2e4) - hard.w * 2e4
    assert np.linalg.norm(rho - limit) < 1e-7
    assert np.linalg.norm(rho - residual_limit(x, hard, 2 * eta, w0)) > 0.1
    s = 2e4
    w = flow.sol(s)
    constant = margin_gap_constant(hard)
    assert float(margin_gap(w, x, hard)) * s == pytest.approx(constant, rel=1e-3)
    direction = direction_gap_constant(hard, limit)
    assert float(direction_gap(w, hard.w)) * s == pytest.approx(direction, rel=1e-3)
    # the exponent, from the distance of ρ to its limit
    early, late = 80.0, 160.0
    distance = [np.linalg.norm(flow.sol(t) - hard.w * t - limit) for t in (early, late)]
    slope = math.log(distance[1] / distance[0]) / (late - early)
    assert slope == pytest.approx(-convergence_exponent(x, hard), rel=0.01)


def test_residual_keeps_the_start_orthogonally_to_the_data():
    x = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    hard, w0 = hard_margin(x), np.array([0.1, 0.2, 5.0])
    limit = residual_limit(x, hard, 0.5, w0)
    np.testing.assert_allclose(limit, [math.log(0.5), math.log(0.5 * 4) / 2, 5.0], atol=1e-15)


def test_residual_outside_the_hypotheses():
    x = datasets.non_spanning_separable(np.random.default_rng(0), 8, 4, 2).signed
    hard, w0 = hard_margin(x), np.ones(4)
    with pytest.raises(ValueError, match="signed is not spanned by its support"):
        residual_limit(x, hard, 0.1, w0)
    solution = residual_limit(x, hard, 0.1, w0, check_span=False)
    np.testing.assert_allclose(0.1 * np.exp(-x[:2] @ solution), hard.dual[:2], rtol=1e-12)
    ladder = datasets.log_ladder(2).signed
    for function in (
        lambda: residual_limit(ladder, hard_margin(ladder), 0.1, [0, 0]),
        lambda: convergence_exponent(ladder, hard_margin(ladder)),
    ):
        with pytest.raises(ValueError, match=r"hard has degenerate support vectors .* at \[1\]"):
            function()
    twice = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    lopsided = replace(hard_margin(twice), dual=np.array([0.1, 0.5, 0.4]))
    with pytest.raises(ValueError, match=r"hard has a dual for which .* no solution"):
        residual_limit(twice, lopsided, 0.1, [0, 0])


@pytest.mark.parametrize("d", [2, 3, 5])
def test_ladder_of_iterated_logarithms(d):
    rungs = iterated_log_ladder(datasets.log_ladder(d).signed)
    np.testing.assert_allclose([rung.w for rung in rungs], np.eye(d), atol=1e-14)
    np.testing.assert_allclose([rung.dual for rung in rungs], np.eye(d), atol=1e-14)
    assert [int(rung.support.sum()) for rung in rungs] == list(range(d, 0, -1))


@settings(max_examples=20)
@given(seed=seeds)
def test_generic_degenerate_set_has_two_rungs(seed):
    x = datasets.degenerate_separable(np.random.default_rng(seed)).signed
    first, second = iterated_log_ladder(x)
    assert first.w @ second.w == pytest.approx(0, abs=1e-13)
    np.testing.assert_allclose(x[:2] @ second.w, 0, atol=1e-13)
    np.testing.assert_allclose(x[2:4] @ second.w, 1, atol=1e-12)
    assert second.positive.tolist() == [False, False, True, True, False]
    assert second.constraints[[0, 1, 4]].tolist() == [math.inf] * 3
    # ŵ_2 = Σ α_n P x_n with P the projection orthogonal to the first two points
    q = np.linalg.qr(x[:2].T)[0]
    projected = x - (x @ q) @ q.T
    np.testing.assert_allclose(second.dual @ projected, second.w, atol=1e-12 * second.norm)


def test_degenerate_points_that_coincide_after_projection_share_the_dual():
    x = np.array([[1.0, 0.0], [1.0, 0.5], [1.0, 0.5], [3.0, 1.0]]) @ [[0.6, 0.8], [-0.8, 0.6]]
    first, second = iterated_log_ladder(x)
    assert first.degenerate.tolist() == [False, True, True, False]
    np.testing.assert_allclose(second.dual, [0, 2, 2, 0], rtol=1e-12)


def test_a_set_without_degenerate_points_has_one_rung():
    x = _separable(0, 10, 3)
    (only,) = iterated_log_ladder(x)
    np.testing.assert_array_equal(only.w, hard_margin(x).w)


def test_maximal_dual_support_decides_what_is_degenerate():
    # three dependent points of which every one can have a positive dual: none is degenerate
    x = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 2.0]])
    assert not hard_margin(x).degenerate.any()
    # add a coordinate in which a fourth point cannot be balanced
    y = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [1.0, 0.5, 1.0]])
    hard = hard_margin(y)
    assert hard.degenerate.tolist() == [False, False, False, True]
    np.testing.assert_allclose(hard.dual[:3], hard_margin(x).dual, rtol=1e-12)


X = [[1.0, 1.0], [1.0, -1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hard_margin([]), "^signed is empty"),
        (lambda: hard_margin([1.0]), r"^signed has shape \(1,\)"),
        (lambda: hard_margin([[np.nan]]), "^signed has 1 entries that are NaN"),
        (lambda: hard_margin([[1.0], [-1.0]]), "^signed is not separable"),
        (lambda: separability_certificate([["a"]]), "^signed has entries of type"),
        (lambda: iterated_log_ladder([[0.0]]), "^signed is not separable"),
        (lambda: multiclass_constraints(X, [0, 2], 2), "^y has the values"),
        (lambda: multiclass_constraints(X, [0], 2), "^y has shape"),
        (lambda: multiclass_constraints(X, [0, 1], 1), "^n_classes is 1"),
        (lambda: multiclass_hard_margin([[1.0], [1.0]], [0, 1], 2), "^signed is not separable"),
        (lambda: normalized_margin([0.0, 0.0], X), "^w has a zero vector"),
        (lambda: normalized_margin([1.0], X), r"^w has shape \(1,\); allowed: shape \(\.\.\., 2\)"),
        (lambda: normalized_margin([np.inf, 1.0], X), "^w has 1 entries"),
        (lambda: margin_gap([1.0, 0.0], [[1.0, 0.0]], hard_margin(X)), "^hard has 2 duals"),
        (lambda: angle(1.0, [1.0]), r"^u has shape \(\)"),
        (lambda: angle([1.0], [1.0, 2.0]), "^v has shape"),
        (lambda: direction_gap([1.0], [0.0]), "^w_hat has a zero"),
        (lambda: direction_gap_constant(hard_margin(X), [1.0]), "^residual has shape"),
        (lambda: residual_limit(X, hard_margin(X), 0, [0, 0]), "^step_size is 0"),
        (lambda: residual_limit(X, hard_margin(X), 1, [0]), "^w0 has shape"),
        (lambda: support_spans([[1.0]], hard_margin(X)), "^hard has 2 duals"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the noise that stochastic descent leaves ----------------------------------------------------


def test_residual_covariance_in_closed_form():
    # ŵ = e_1, α = (6/7, 1/7), M = diag(1, 3/2): the equation decouples entry by entry.
    x = np.array([[1.0, 0.5], [1.0, -3.0], [2.0, 1.0]])
    alpha = np.array([6 / 7, 1 / 7])
    noise = (x[:2].T * alpha**2) @ x[:2] - np.outer([1, 0], [1, 0]) / 3
    expected = noise / np.array([[1.0, 1.5], [1.5, 2.0]])
    np.testing.assert_allclose(residual_covariance(x, hard_margin(x)), expected, atol=1e-14)


@given(seeds)
@settings(max_examples=30)
def test_residual_covariance_solves_its_equation_on_the_span(seed):
    x = datasets.non_spanning_separable(np.random.default_rng(seed), 8, 4, 2).signed
    hard = hard_margin(x)
    m = (x.T * hard.dual) @ x
    if np.sort(np.linalg.eigvalsh(m))[-2] <= 0.5:
        with pytest.raises(ValueError, match=r"^signed has the eigenvalue .* above 1/2"):
            residual_covariance(x, hard)
        return
    sigma = residual_covariance(x, hard)
    noise = (x.T * hard.dual**2) @ x - np.outer(hard.w, hard.w) / len(x)
    np.testing.assert_allclose(
        m @ sigma + sigma @ m - sigma, noise, atol=1e-9 * np.abs(noise).max()
    )
    outside = np.linalg.svd(x[hard.support])[2][2:]
    np.testing.assert_allclose(outside @ sigma, 0, atol=1e-9 * np.abs(sigma).max())
    assert np.linalg.eigvalsh(sigma).min() > -1e-9 * np.abs(sigma).max()


def test_residual_covariance_follows_the_units():
    # x → c x: ŵ → ŵ/c, and so does w, hence Σ → Σ/c².
    x = np.array([[1.0, 0.5], [1.0, -3.0], [2.0, 1.0]])
    one, three = (residual_covariance(c * x, hard_margin(c * x)) for c in (1.0, 3.0))
    np.testing.assert_allclose(9 * three, one, rtol=1e-12)


def test_residual_covariance_of_other_data_is_refused():
    with pytest.raises(ValueError, match=r"^hard has 2 duals"):
        residual_covariance([[1.0]], hard_margin(X))


# --- heavy tails --------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 8.0, 64.0])
def test_heavy_tail_limit_of_orthogonal_points(p):
    # x_n = c_n e_n: v_n = (c_n v_n)^{-p-1} c_n, so v_n = c_n^{-p/(p+2)}
    c = np.array([1.0, 0.5, 3.0])
    v = margins.heavy_tail_limit(np.diag(c), p)
    np.testing.assert_allclose(v, c ** (-p / (p + 2)), rtol=1e-13)


@given(seeds, st.floats(0.3, 40))
@settings(max_examples=30, deadline=None)
def test_heavy_tail_limit_is_stationary_and_scales(seed, p):
    x = _separable(seed, 9, 3)
    v = margins.heavy_tail_limit(x, p)
    np.testing.assert_allclose((x @ v) ** (-p - 1) @ x, v, rtol=0, atol=1e-9 * np.linalg.norm(v))
    # c x has the limit c^{-p/(p+2)} v
    np.testing.assert_allclose(margins.heavy_tail_limit(7 * x, p), 7 ** (-p / (p + 2)) * v, 1e-9)


def test_heavy_tail_limit_tends_to_the_max_margin():
    x = _separable(3, 9, 2)
    hard = hard_margin(x)
    gaps = [direction_gap(margins.heavy_tail_limit(x, p), hard.w) for p in (1e2, 1e3, 1e4)]
    assert gaps[2] < 0.02 * gaps[0]
    assert gaps[2] < 1e-3


def test_heavy_tail_exponent():
    # one axis each: the Hessian is diagonal, ((p+1) + 1)/(p+2) = 1 in every direction
    assert margins.heavy_tail_exponent(np.diag([1.0, 2.0]), 3.0) == pytest.approx(1.0)
    assert margins.heavy_tail_exponent(np.array([[2.0]]), 3.0) == 1.0
    # nothing restrains the direction that no point sees
    assert margins.heavy_tail_exponent(np.array([[2.0, 0.0]]), 3.0) == pytest.approx(1 / 5)


def test_heavy_tail_refuses():
    with pytest.raises(NotSeparableError):
        margins.heavy_tail_limit([[1.0, 0.0], [-1.0, 0.0]], 2.0)
    for p in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match=r"^p is|^p has"):
            margins.heavy_tail_limit([[1.0]], p)
    with pytest.raises(ValueError, match=r"^signed"):
        margins.heavy_tail_exponent([[np.nan]], 1.0)


def test_heavy_tail_limit_gives_up(monkeypatch):
    monkeypatch.setattr(margins, "_NEWTON_STEPS", 1)
    with pytest.raises(RuntimeError, match="1 steps"):
        margins.heavy_tail_limit(np.diag([1.0, 2.0]), 1.0)


# --- Lexicographic margins and constrained paths ------------------------------------------------


def test_lexicographic_margins_that_are_solved_by_hand():
    plane = np.array([[1, 1], [3, 1.5], [1.2, 4]])
    found = margins.lexicographic_max_margin(plane, "l1")
    np.testing.assert_allclose(found.w, [25 / 43, 18 / 43], atol=1e-13)
    np.testing.assert_allclose(found.values, [1, 1.5 + 1.5 * 25 / 43], atol=1e-13)
    assert found.level.tolist() == [0, 1, 1]
    assert found.gaps.max() < 1e-12
    ladder = np.array([[1, 1, 1, 1], [2, 2, 4, 4], [5, 5, 1.5, 1.5], [9, 7, 6, 6],
                       [6, 10, 6, 6], [7, 7, 9, 12], [7, 7, 14, 10]])  # fmt: skip
    found = margins.lexicographic_max_margin(ladder)
    np.testing.assert_allclose(found.w, [5 / 22, 5 / 22, 12 / 77, 30 / 77], atol=1e-13)
    np.testing.assert_allclose(found.values, [1, 34 / 11, 76 / 11, 713 / 77], atol=1e-13)
    assert found.level.tolist() == [0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_no_vector_of_the_ball_is_lexicographically_better(seed, scale):
    x = scale * _separable(seed, 7, 3)
    found = margins.lexicographic_max_margin(x, "l1")
    assert np.abs(found.w).sum() <= 1 + 1e-12
    best = np.sort(found.margins) / scale
    rng = np.random.default_rng(seed)
    near = found.w + rng.laplace(size=(2000, 3)) * 10.0 ** rng.uniform(-6, 0, (2000, 1))
    for w in near / np.abs(near).sum(axis=1, keepdims=True):
        other = np.sort(x @ w) / scale
        first = np.flatnonzero(np.abs(other - best) > 1e-9)
        assert first.size == 0 or other[first[0]] < best[first[0]]


def test_the_euclidean_lexicographic_vector_is_that_of_the_hard_margin():
    x = _separable(0, 9, 3)
    found = margins.lexicographic_max_margin(x, "l2")
    np.testing.assert_allclose(found.w, hard_margin(x).w * hard_margin(x).margin, atol=1e-14)
    np.testing.assert_array_equal(found.level == 0, hard_margin(x).support)


def test_lexicographic_margins_refuse_what_they_cannot_solve():
    with pytest.raises(NotSeparableError):
        margins.lexicographic_max_margin([[1.0, 0.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match="norm is 'l3'; allowed"):
        margins.lexicographic_max_margin([[1.0, 0.0]], "l3")


@pytest.mark.parametrize("radius", [0.3, 3.0, 30.0])
def test_the_constrained_minimiser_against_a_convex_solver(radius):
    x = _separable(3, 8, 3)
    found = margins.constrained_minimiser(x, radius)
    theta = cvxpy.Variable(3)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.log_sum_exp(-x @ theta)),
                            [cvxpy.norm(theta) <= radius])  # fmt: skip
    problem.solve(solver="CLARABEL")
    largest = radius * hard_margin(x).margin
    assert found.loss_gap == pytest.approx(largest + problem.value, abs=1e-6)
    assert np.linalg.norm(found.theta) == pytest.approx(radius, rel=1e-12)
    assert found.margin_gap == pytest.approx(largest - (x @ found.theta).min(), abs=1e-12)
    assert found.weights.sum() == pytest.approx(1)


def test_the_constrained_minimiser_far_out():
    x = _separable(3, 8, 3)
    p = hard_margin(x).dual / hard_margin(x).dual.sum()
    found = margins.constrained_minimiser(x, 1e14)
    np.testing.assert_allclose(found.weights, p, atol=1e-10)
    with pytest.raises(ValueError, match="radius is 0"):
        margins.constrained_minimiser(x, 0.0)


@pytest.mark.parametrize("columns", [2, 5])
@pytest.mark.parametrize("level", [0.1, 1.0, 30.0])
def test_the_split_margin_against_a_convex_solver(columns, level):
    x = _separable(5, 9, 5)
    found = margins.split_margin(x, x[:, :columns], level)
    beta, w = cvxpy.Variable(5), cvxpy.Variable(columns)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(beta) + cvxpy.norm1(w)),
                            [x @ beta + x[:, :columns] @ w >= level])  # fmt: skip
    problem.solve(solver="CLARABEL")
    assert found.norm_squared == pytest.approx(problem.value, rel=1e-6)
    assert (x @ found.shallow + x[:, :columns] @ found.deep).min() >= level * (1 - 1e-12)
    assert abs(found.duality_gap) < 1e-12


def test_the_split_margin_of_one_point_by_hand():
    # β² + |w| at β + w = γ: all shallow up to one half, the rest deep
    for level in (0.25, 0.5, 7.0):
        found = margins.split_margin([[1.0]], [[1.0]], level)
        assert found.shallow[0] == pytest.approx(min(level, 0.5))
        assert found.deep[0] == pytest.approx(max(level - 0.5, 0.0), abs=1e-14)


def test_the_split_margin_refuses_what_it_cannot_solve():
    with pytest.raises(ValueError, match="deep has 1 rows, shallow has 2"):
        margins.split_margin([[1.0], [2.0]], [[1.0]], 1.0)
    with pytest.raises(ValueError, match="level is -1"):
        margins.split_margin([[1.0]], [[1.0]], -1.0)
    with pytest.raises(RuntimeError, match="not separable"):
        margins.split_margin([[1.0], [-1.0]], [[1.0], [-1.0]], 1.0)


@pytest.mark.parametrize("columns", [2, 5])
@pytest.mark.parametrize("level", [-2.0, 1.0, 6.0])
def test_the_split_minimiser_against_a_convex_solver(columns, level):
    x = _separable(5, 9, 5)
    found = margins.split_minimiser(x, x[:, :columns], level)
    beta, w = cvxpy.Variable(5), cvxpy.Variable(columns)
    f = x @ beta + x[:, :columns] @ w
    problem = cvxpy.Problem(cvxpy.Minimize(
        cvxpy.sum_squares(beta) + cvxpy.norm1(w) + cvxpy.sum(cvxpy.exp(level - f))))  # fmt: skip
    problem.solve(solver="CLARABEL")
    assert found.norm_squared + found.dual.sum() == pytest.approx(problem.value, rel=1e-6)
    np.testing.assert_allclose(found.shallow, beta.value, atol=1e-4)
    np.testing.assert_allclose(found.deep, w.value, atol=1e-4)


@given(seed=st.integers(0, 10**6), level=st.floats(-5.0, 1e4), columns=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_split_minimiser_is_stationary(seed, level, columns):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((7, 4)), rng.standard_normal((7, columns))
    w = rng.standard_normal(4 + columns)
    sign = np.sign(np.hstack([a, b]) @ w)[:, None]
    a, b = a * sign, b * sign
    found = margins.split_minimiser(a, b, level)
    f = a @ found.shallow + b @ found.deep
    size = max(1.0, found.dual.max()) * max(1.0, np.abs(f).max())
    np.testing.assert_allclose(found.dual, np.exp(level - f), rtol=1e-6)
    np.testing.assert_allclose(a.T @ found.dual / 2, found.shallow, atol=1e-12 * size)
    pull, used = b.T @ found.dual, found.deep != 0
    np.testing.assert_allclose(pull[used], np.sign(found.deep[used]), atol=1e-11 * size)
    assert (np.abs(pull) <= 1 + 1e-9 + 1e-11 * size).all()
    assert found.margin == pytest.approx(f.min())
    assert found.log_loss == pytest.approx(np.log(np.sum(np.exp(f.min() - f))) - f.min())


@pytest.mark.parametrize("level", [3.0, 50.0, 1e5])
def test_the_split_minimiser_of_three_points_by_hand(level):
    found = margins.split_minimiser([[1], [1], [0]], [[1, 0], [-1, 0], [0, 1]], level)
    beta = found.shallow[0]  # e^(level - β) = β, and the deep part keeps log β more
    assert beta + math.log(beta) == pytest.approx(level)
    np.testing.assert_allclose(found.deep, [0.0, level], atol=1e-9 * level)
    np.testing.assert_allclose(found.dual, [beta, beta, 1.0], rtol=1e-9)


def test_the_split_minimiser_without_separation_and_with_bad_input(monkeypatch):
    found = margins.split_minimiser([[1.0], [-1.0]], [[1.0], [-1.0]], 2.0)
    assert found.norm_squared == 0
    assert found.margin == 0
    with pytest.raises(ValueError, match="deep has 1 rows"):
        margins.split_minimiser([[1.0], [2.0]], [[1.0]], 1.0)
    monkeypatch.setattr(margins, "_NEWTON_STEPS", 0)
    with pytest.raises(RuntimeError, match="no minimiser found"):
        margins.split_minimiser([[1.0]], [[1.0]], 1.0)


@pytest.mark.parametrize("h", [0.0, 0.5, 1.0, 3.0])
def test_the_relative_gap_of_a_tilted_vector(h):
    """One point e_1: (1, h) is feasible at cost 1 + h², the optimum costs 1, any dual finds it."""
    gap = margins._relative_gap(np.array([[1.0, 0.0]]), np.array([2.0, 2 * h]), np.array([3.0]))
    assert gap == pytest.approx(h**2 / (1 + h**2))


@pytest.mark.parametrize("level", [800.0, 1e4])
def test_the_split_minimiser_of_large_features_does_not_overflow(level):
    x = 1e3 * _separable(5, 9, 5)
    found = margins.split_minimiser(x, x[:, :2], level)
    np.testing.assert_allclose(x.T @ found.dual / 2, found.shallow, atol=1e-9)
    assert found.margin == pytest.approx(level, rel=0.1)


def test_constraints_of_large_terms_are_active_to_their_rounding():
    """Points of ŵ = (1, 1) whose terms of up to 1e6 cancel: none is violated beyond that."""
    size = np.random.default_rng(0).uniform(-1e6, 1e6, 8)
    x = np.column_stack([size, 1 - size])
    hard = hard_margin(x)
    np.testing.assert_allclose(hard.w, [1.0, 1.0], rtol=1e-9)
    assert hard.support.all()


# --- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_what_is_predicted_does_not_depend_on_units(unit):
    x = np.array([[1.0, 1.0, 0.0], [1.0, -0.7, 0.0], [1.0, 0.5, 0.0], [3.0, 0.0, 1.0]])
    one, hard = hard_margin(x), hard_margin(unit * x)
    np.testing.assert_allclose(unit**2 * hard.dual, one.dual, rtol=1e-10, atol=1e-12)
    assert not support_spans(x, one)
    assert not support_spans(unit * x, hard)
    assert support_spans(unit * x[:3], hard_margin(unit * x[:3]))
    assert convergence_exponent(unit * x, hard) == pytest.approx(convergence_exponent(x, one))
    limit = residual_limit(unit * x, hard, 0.3 / unit**2, np.zeros(3), check_span=False)
    np.testing.assert_allclose(
        unit * limit, residual_limit(x, one, 0.3, np.zeros(3), check_span=False), atol=1e-8
    )
    assert margin_gap_constant(hard) == pytest.approx(unit * margin_gap_constant(one))
    residual = np.array([0.3, -0.2, 0.5])
    assert direction_gap_constant(hard, residual / unit) == pytest.approx(
        direction_gap_constant(one, residual)
    )
    assert margins.heavy_tail_exponent(unit * x, 2.0) == pytest.approx(
        margins.heavy_tail_exponent(x, 2.0), rel=1e-9
    )


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_ladders_do_not_depend_on_units(unit):
    x = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.5], [1.0, 1.0, -0.5], [2.0, 3.0, 0.1]])
    one, other = iterated_log_ladder(x), iterated_log_ladder(unit * x)
    assert len(one) == len(other) == 2
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(unit * b.w, a.w, atol=1e-12)
        np.testing.assert_array_equal(a.support, b.support)


@pytest.mark.parametrize("radius", [0.03, 3.0, 1e8])
@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 1e3, 1e6, 1e9])
def test_constrained_minimisers_do_not_depend_on_units(unit, radius):
    x = _separable(3, 8, 3)
    one = margins.constrained_minimiser(x, radius)
    other = margins.constrained_minimiser(unit * x, radius / unit)
    np.testing.assert_allclose(unit * other.theta, one.theta, rtol=1e-8)
    np.testing.assert_allclose(unit * other.shift, one.shift, rtol=1e-8)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-8)
    assert other.radius == radius / unit
    assert other.loss_gap == pytest.approx(one.loss_gap, rel=1e-8)
    assert other.margin_gap == pytest.approx(one.margin_gap, rel=1e-8)


@pytest.mark.parametrize("exponent", [-20, -1, 20])
def test_constrained_minimisers_are_exact_in_powers_of_two(exponent):
    x, unit = _separable(4, 8, 3), 2.0**exponent
    one = margins.constrained_minimiser(x, 3.0)
    other = margins.constrained_minimiser(unit * x, 3.0 / unit)
    np.testing.assert_array_equal(unit * other.theta, one.theta)
    np.testing.assert_array_equal(other.weights, one.weights)
    assert (other.margin_gap, other.loss_gap) == (one.margin_gap, one.loss_gap)


def test_the_error_counts_the_rows_of_its_certificate():
    x = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(NotSeparableError, match="combination of 2 of its 3 rows is zero"):
        hard_margin(x)


def test_one_point_by_hand():
    hard = hard_margin([[3.0, 4.0]])
    np.testing.assert_allclose(hard.w, [3 / 25, 4 / 25], rtol=1e-15)
    assert (hard.margin, hard.norm) == pytest.approx((5.0, 0.2))
    assert hard.dual == pytest.approx([1 / 25])
    assert (hard.duality_gap, hard.theta) == (pytest.approx(0, abs=1e-15), math.inf)
    assert margin_gap_constant(hard) == 0.0
    assert convergence_exponent([[3.0, 4.0]], hard) == 1.0
    assert direction_gap_constant(hard, [4.0, -3.0]) == pytest.approx(5 / 0.2)
    assert direction_gap_constant(hard, [3.0, 4.0]) == pytest.approx(0, abs=1e-12)
    found = margins.constrained_minimiser([[3.0, 4.0]], 2.0)
    np.testing.assert_allclose(found.theta, [1.2, 1.6], rtol=1e-12)
    assert found.weights == pytest.approx([1.0])
    assert (found.margin_gap, found.loss_gap) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_the_exponent_is_capped_by_the_second_margin():
    # M = diag(1, 1/4) on the first two; a third point at 1.1 leaves θ - 1 = 0.1.
    x = np.array([[1.0, 0.5], [1.0, -0.5], [1.1, 0.0]])
    assert convergence_exponent(x, hard_margin(x)) == pytest.approx(0.1)
    assert convergence_exponent(x[:2], hard_margin(x[:2])) == pytest.approx(0.25)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_levels_are_counted_from_the_support(norm):
    x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
    found = margins.lexicographic_max_margin(x, norm)
    w = np.array([0.5, 0.5]) if norm == "l1" else np.full(2, 0.5**0.5)
    np.testing.assert_allclose(found.w, w, atol=1e-12)
    np.testing.assert_allclose(found.margins, x @ w, atol=1e-12)
    assert found.level.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.values, [w[0], 4 * w[0]], atol=1e-12)
    assert found.gaps.shape == (2,)
    assert np.abs(found.gaps).max() < 1e-12


# --- the parts of a solution ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "power"), [([0.7], 0.5), ([1.0], 1.0), ([3.0, -5.0], 4.0), ([0.0, 0.0], 1.0)]
)
def test_the_power_of_two_below_the_largest_entry(entries, power):
    assert margins._power_of_two(np.array([entries])) == power
    assert margins._power_of_two(1e3 * np.ones((2, 2))) == 512.0


@pytest.mark.parametrize(("ulps", "separates"), [(13, False), (-13, False), (24, True)])
def test_a_product_separates_where_it_exceeds_its_rounding(ulps, separates):
    """Terms 1 and 1 that cancel to some units of rounding; of two products one is enough."""
    eps = np.finfo(float).eps
    x = np.array([[1.0, 2.0], [1.0, ulps * eps - 1]])
    assert margins._separates(x, np.ones(2)) is separates
    assert margins._separates(x[::-1], np.ones(2)) is separates
    assert margins._separates(1e100 * x, np.array([1e-3, 1e-3])) is separates
    assert margins._separates(x[:1], np.ones(2))


def test_weights_that_are_too_rough_are_a_guess_of_the_active_set():
    x = _separable(3, 12, 3)
    hard = hard_margin(x)
    for n in range(12):
        found = margins._separating_vector(x, np.eye(12)[n])
        if (x @ x[n] > 1e-9).all():
            np.testing.assert_array_equal(found, x[n])
        else:
            np.testing.assert_allclose(found, hard.w, rtol=1e-10)
    assert (x @ x.T).min() < 0
    both = np.vstack([x, -x[:1]])
    assert margins._separating_vector(both, np.full(13, 1 / 13)) is None


@pytest.mark.parametrize("seed", range(12))
def test_rough_weights_of_zero_become_exact(seed):
    """Points of which four have 0 in their hull: from weights that are off by a thousandth."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((3, 3))
    exact = rng.uniform(0.1, 1.0, 4)
    zero = np.vstack([first, -exact[:3] @ first / exact[3]])
    x = np.vstack([rng.standard_normal((2, 3)), zero])
    weights = np.append([0.0, 0.0], exact / exact.sum())
    rough = weights * (1 + 1e-3 * rng.standard_normal(6))
    found = margins._null_weights(x, rough)
    np.testing.assert_allclose(found, weights, atol=1e-14)
    assert np.linalg.norm(found @ x) < 1e-14 * np.linalg.norm(x)
    # Where no weights on these rows are better, they stay.
    few = np.append(rough[:5], 0.0)
    kept = margins._null_weights(x, few)
    assert np.linalg.norm(kept @ x) <= np.linalg.norm(few @ x)
    assert not kept[few == 0].any()


def test_a_point_that_certifies_nothing_gets_no_weight():
    x = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    for flip in (1.0, -1.0):
        found = margins._null_weights(flip * x, np.array([0.6, 0.35, 0.05]))
        np.testing.assert_allclose(found, [2 / 3, 1 / 3, 0.0], atol=1e-15)
    # Independent rows: the least singular vector is no kernel, and worse than the weights.
    near = np.array([[1.0, 0.0], [0.8, 0.6]])
    weights = np.array([0.5, 0.5])
    assert margins._null_weights(near, weights) is weights
    np.testing.assert_allclose(separability_certificate([[0, 0], [1, 2], [0, 0]]), [0.5, 0, 0.5])


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e200])
def test_certificates_weigh_points_by_their_size(size):
    """λ_n is the weight of the unit vector over the length."""
    x = np.array([[3.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]) * size
    np.testing.assert_allclose(separability_certificate(x), [0.25, 0.75, 0.0], atol=1e-15)


def test_active_constraints_are_independent():
    for rows in ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0 + 1e-15]],
                 [[1.0], [2.0]]):  # fmt: skip
        with pytest.raises(RuntimeError, match="active constraints are numerically dependent"):
            margins._equality_solution(np.array(rows))
    w, alpha = margins._equality_solution(np.array([[1.0, 0.0], [1.0, 2.0**-40]]))
    np.testing.assert_allclose(w, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(alpha, [1.0, 0.0], atol=1e-9)
    w, alpha = margins._equality_solution(np.array([[2.0, 0.0, 0.0], [0.0, 3.0, 4.0]]))
    np.testing.assert_allclose(w, [1 / 2, 3 / 25, 4 / 25], rtol=1e-15)
    np.testing.assert_allclose(alpha, [1 / 4, 1 / 25], rtol=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_a_guess_that_misses_some_active_rows_ends_at_the_solution(seed):
    """In more dimensions than points any rows are independent, and may be tried."""
    x = _separable(seed, 6, 7)
    right = hard_margin(x)
    rows = np.flatnonzero(right.support)
    for guess in ([int(rows[0])], list(rows[1:]), list(range(6))):
        w, alpha, active = margins._active_set_solution(x, guess)
        np.testing.assert_allclose(w, right.w, rtol=1e-9, atol=1e-11 * right.norm)
        np.testing.assert_allclose(alpha @ x[active], w, atol=1e-11 * right.norm)
        assert alpha.min() > -1e-12 * alpha.max()
        assert sorted(active) == rows.tolist()


def test_dual_supports_by_hand():
    """On the line w = e_1 through (1, a): inner points can be positive, one-sided ones not."""

    def possible(heights):
        x = np.column_stack([np.ones(len(heights)), heights])
        return margins._largest_dual_support(x, np.array([1.0, 0.0])).tolist()

    assert possible([-1.0, 0.5, 2.0]) == [True, True, True]
    assert possible([0.0, 0.5, 2.0]) == [True, False, False]
    assert possible([-1.0, -0.5, 0.0, 0.0]) == [False, False, True, True]
    assert possible([-1e-4, 1e4, 3.0]) == [True, True, True]
    x = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.3, 2.0]])
    assert margins._largest_dual_support(x, np.array([1.0, 0.0, 0.0])).tolist() == [
        True, True, False, False
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(2, 6), spread=st.floats(0.01, 3.0))
def test_the_dual_of_maximal_entropy_is_of_exponential_form(seed, n, spread):
    """Points (1, a) with 0 between the a: α_n ∝ e^{-c a_n} with Σ α = 1 and Σ α_n a_n = 0."""
    a = spread * np.random.default_rng(seed).standard_normal(n)
    a[0], a[1] = abs(a[0]) + 0.01, -abs(a[1]) - 0.01
    x = np.column_stack([np.ones(n), a])
    alpha = margins._dual_on_support(x, np.array([1.0, 0.0]))
    assert alpha.sum() == pytest.approx(1.0, rel=1e-12)
    assert alpha @ a == pytest.approx(0.0, abs=1e-12 * np.abs(a).max())
    slope = np.polyfit(a, np.log(alpha), 1)
    np.testing.assert_allclose(np.polyval(slope, a), np.log(alpha), atol=1e-8)


def test_spans_count_singular_values_above_a_share_of_the_largest():
    for size in (1.0, 1e-30, 1e30):
        rows = size * np.diag([1.0, 1e-9, 1e-11])
        assert margins._span_basis(rows).shape == (3, 2)
        assert margins._orthogonal_complement(rows).shape == (3, 1)
    basis = margins._span_basis(np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]]))
    np.testing.assert_allclose(np.abs(basis), np.full((3, 1), 0.5**0.5) * [[1], [1], [0]],
                               atol=1e-15)  # fmt: skip
    complement = margins._orthogonal_complement(np.array([[1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(complement.T @ complement, np.eye(2), atol=1e-15)
    np.testing.assert_allclose([1, 1, 0] @ complement, 0, atol=1e-15)


def test_constraints_are_active_to_a_ten_billionth():
    for excess, active in ((6e-11, True), (1.6e-10, False)):
        hard = hard_margin([[1.0, 0.0, 0.0], [1.0 + excess, 1.0, 0.0]])
        assert hard.support.tolist() == [True, active]
        assert hard.dual[1] == 0.0
        assert hard.theta == (math.inf if active else pytest.approx(1 + excess))
    # Relative to the terms that cancel in a constraint: here some 2000.
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1001 + 1e-7, -1000.0, 1.0]])
    assert hard_margin(x).support.all()


@pytest.mark.parametrize("size", [0.0, 1e-3, 30.0])
def test_the_equations_of_the_residual_have_a_solution_to_rounding(size):
    """Two copies with unequal duals: η e^{-x·w̃} = α_n for both is off by half of log(1 + s)."""
    x = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    hard, w0 = hard_margin(x), np.array([0.3, -0.7])
    eta = float(hard.dual[1]) * math.exp(size)
    for s, fits in ((0.0, True), (1e-9, True), (1e-6, False)):
        off = replace(hard, dual=hard.dual * [1.0, 1.0, 1 + s])
        if fits:
            found = residual_limit(x, off, eta, w0)
            np.testing.assert_allclose(eta * np.exp(-x @ found), off.dual, rtol=1e-8)
        else:
            with pytest.raises(ValueError, match="hard has a dual for which"):
                residual_limit(x, off, eta, w0)


def test_levels_by_hand():
    """Equal to a share of the largest entry counts as equal; levels follow the entries."""
    values, level = margins._grouped(np.array([3.0, 1.0, 1.0 + 1e-9, 2.0, 1.0]), 1e-9)
    assert level.tolist() == [2, 0, 0, 1, 0]
    np.testing.assert_allclose(values, [1.0, 2.0, 3.0], atol=2e-9)
    values, level = margins._grouped(np.array([3.0, 1.0, 1.0 + 1e-8]), 1e-9)
    assert level.tolist() == [2, 0, 1]
    values, level = margins._grouped(np.array([-4.0, -4.0 + 3e-9, 1.0]), 1e-9)
    assert level.tolist() == [0, 0, 1]
    assert margins._grouped(np.array([2.0]), 1e-9)[1].tolist() == [0]


@pytest.mark.parametrize("seed", range(3))
def test_lexicographic_gaps_bound_the_error(seed):
    x = _separable(seed, 8, 3)
    for unit in (1.0, 2.0**20):
        found = margins.lexicographic_max_margin(unit * x)
        assert found.gaps.shape == found.values.shape
        assert found.gaps.max() < 1e-11 * unit
        assert (found.gaps >= 0).all()
        np.testing.assert_allclose(found.margins, unit * x @ found.w, rtol=1e-13, atol=0)
        np.testing.assert_allclose(found.margins, found.values[found.level], atol=1e-10 * unit)
        assert (np.diff(found.values) > 0).all()
    euclid = margins.lexicographic_max_margin(x, "l2")
    np.testing.assert_allclose(euclid.values, np.unique(np.round(euclid.margins, 12)), atol=1e-11)
    np.testing.assert_allclose(euclid.gaps, hard_margin(x).duality_gap * hard_margin(x).margin)
    assert (
        margins.lexicographic_max_margin(x).w.tolist()
        == margins.lexicographic_max_margin(x, "l1").w.tolist()
    )


@pytest.mark.parametrize(("share", "zero"), [(1e-13, True), (1e-11, False)])
@pytest.mark.parametrize("margin", [1e-3, 1.0])
def test_duals_below_a_trillionth_of_the_largest_are_rounding(monkeypatch, margin, share, zero):
    x = np.array([[margin, 1.0, 0.0], [margin, -1.0, 0.0], [margin, 0.0, 1e-3 * margin]])
    alpha = np.array([1.0, 1.0, share]) / (2 * margin**2)
    solution = np.array([1 / margin, 0.0, 0.0]), alpha, [0, 1, 2]
    monkeypatch.setattr(margins, "_active_set_solution", lambda *_: solution)
    dual = hard_margin(x).dual
    np.testing.assert_allclose(dual, [alpha[0], alpha[1], 0.0 if zero else alpha[2]], rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("level", [0.5, 3.0])
def test_the_split_minimiser_does_not_depend_on_where_it_starts(seed, level):
    """Weights of the wrong sign, and such that have to vanish, are given up on the way."""
    rng = np.random.default_rng(seed)
    a, b = _separable(seed, 7, 3), _separable(seed, 7, 4)
    zeros = margins._split_descent(a, b, level, np.zeros(7))
    for size in (0.1, 2.0):
        guess = size * rng.standard_normal(7)
        found = margins._split_descent(a, b, level, guess)
        np.testing.assert_allclose(found, zeros, atol=1e-7)
        np.testing.assert_array_equal(found == 0, zeros == 0)
    flipped = margins._split_descent(a, b, level, -2 * zeros)
    np.testing.assert_allclose(flipped, zeros, atol=1e-7)
    mirrored = margins._split_descent(a, -b, level, np.zeros(7))
    np.testing.assert_allclose(mirrored, np.append(zeros[:3], -zeros[3:]), atol=1e-7)


@pytest.mark.parametrize("p", [0.5, 2.0, 7.0])
def test_heavy_tails_of_two_points_by_hand(p):
    """(1, ±a): v = (v, 0) with v = 2 v^{-p-1}, and across 1/(p+2) + (p+1) v^{-p-2} 2a²."""
    for a in (0.3, 2.0):
        x = [[1.0, a], [1.0, -a]]
        np.testing.assert_allclose(
            margins.heavy_tail_limit(x, p), [2 ** (1 / (p + 2)), 0.0], rtol=1e-12, atol=1e-12
        )
        # w = v (p+2)^{1/(p+2)}: (x·w)^{-p-2} = 1/(2(p+2))
        expected = 1 / (p + 2) + (p + 1) / (p + 2) * a * a
        assert margins.heavy_tail_exponent(x, p) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("distance", [1.0, 1e-3, 1e-7])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (8, 3), (5, 9), (30, 4)])
def test_the_nearest_point_of_a_hull(n, d, distance):
    """Convex weights, and a point p for which the hull lies beyond the plane x·p = p·p."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, d))
    x[:, 0] = distance * rng.uniform(1, 2, n)
    weights = margins._closest_point_weights(x)
    assert weights.shape == (n,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, rel=1e-14)
    p = weights @ x
    assert (x @ p).min() >= (1 - 1e-6) * (p @ p) - 1e-15  # p is known to rounding of the terms


def test_the_nearest_point_of_a_hull_around_zero_is_zero():
    for d in (2, 3, 7):
        x = np.vstack([np.eye(d), -np.ones((1, d))])
        weights = margins._closest_point_weights(x)
        np.testing.assert_allclose(weights, 1 / (d + 1), rtol=1e-9)
        np.testing.assert_allclose(margins._closest_point_weights(1e30 * x), weights, rtol=1e-9)
    with pytest.raises(RuntimeError, match="active constraints are numerically dependent"):
        margins._equality_solution(np.zeros((1, 2)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_sign_of_a_singular_vector_does_not_matter(monkeypatch, sign):
    x = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]])
    svd = margins.linalg.svd

    def turned(*args, **kwargs):
        u, sizes, rows = svd(*args, **kwargs)
        return u, sizes, sign * np.sign(rows[-1].sum()) * rows

    monkeypatch.setattr(margins, "linalg", SimpleNamespace(svd=turned))
    found = margins._null_weights(x, np.array([0.6, 0.35, 0.05]))
    np.testing.assert_allclose(found, [2 / 3, 1 / 3, 0.0], atol=1e-15)


def test_rounding_is_that_of_terms_of_either_sign():
    eps = np.finfo(float).eps
    for ulps, separates in ((13, False), (24, True)):
        x, w = np.array([[-1.0, 1 - ulps * eps]]), np.array([-1.0, -1.0])
        assert margins._separates(x, w) is separates


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_dependence_does_not_depend_on_units(unit):
    w, alpha = margins._equality_solution(unit * np.array([[2.0, 0.0], [1.0, 1e-5]]))
    np.testing.assert_allclose(unit * w, [0.5, 5e4], rtol=1e-9)
    np.testing.assert_allclose(unit**2 * alpha, [-2.5e9 + 0.25, 5e9], rtol=1e-6)
    with pytest.raises(RuntimeError, match="numerically dependent"):
        margins._equality_solution(unit * np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]]))
