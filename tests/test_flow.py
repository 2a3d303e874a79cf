"""Log-time flows against closed forms, plain-time solvers, descent and the dossier's numbers."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import OptimizeResult as OdeResult

from ibcore import flow
from ibcore.descent import (
    gradient_descent,
    log_spaced,
    softmax_gradient_descent,
    stochastic_gradient_descent,
)
from ibcore.losses import EXPONENTIAL, LOGISTIC, PROBIT, SIGMOID, polynomial
from ibcore.margins import (
    NotSeparableError,
    convergence_exponent,
    direction_gap,
    hard_margin,
    heavy_tail_limit,
    iterated_log_ladder,
    multiclass_constraints,
    residual_covariance,
    residual_limit,
)
from ibcore.models import end_to_end


def spanning(seed, n_samples, n_features):
    """Separable Gaussian samples whose support vectors span the space (dossier, pitfalls)."""
    rng = np.random.default_rng(seed)
    while True:
        x = rng.normal(size=(n_samples, n_features))
        signed = x * np.sign(x @ rng.normal(size=n_features))[:, None]
        solution = hard_margin(signed)
        positive = solution.dual > 1e-9
        others = (signed @ solution.w)[~positive]
        if (
            positive.sum() == n_features
            and solution.dual[positive].min() > 0.05
            and others.min() > 1.2
        ):
            return signed, solution, positive


def exact_limit(signed, solution, positive, step_size):
    return np.linalg.solve(signed[positive], np.log(step_size / solution.dual[positive]))


SETS = {d: spanning(d, n, d) for d, n in ((2, 12), (3, 20), (5, 30))}


# --- closed forms -------------------------------------------------------------------------------


@given(st.floats(-2, 5), st.floats(-3, 3), st.floats(0.01, 10))
def test_one_point_has_a_closed_form(s0, w0, step):
    # dw/dt = η e^{-w}: e^w = e^{w0} + η (t - t0)
    s = np.array([s0, s0 + 1, 50.0, 1e4, 23026.0])
    run = flow.log_time_flow([[1.0]], step, [w0], s0, s)
    gained = math.log(step) + s + np.log(-np.expm1(np.minimum(s0 - s, -1e-300)))
    np.testing.assert_allclose(run.weights[:, 0], np.logaddexp(w0, gained), rtol=1e-9, atol=1e-9)


def test_orthogonal_data_decouple_and_the_rest_stays():
    scales, step = np.array([0.5, 1.0, 2.0]), 0.3
    signed = np.hstack([np.diag(scales), np.zeros((3, 1))])
    run = flow.log_time_flow(signed, step, [0.0, 0.1, 0.2, 7.0], 0.0, [0.0, 3.0, 1e4])
    t = np.array([1.0, math.exp(3.0)])
    margins = np.log(np.exp(scales * [0.0, 0.1, 0.2]) + step * scales**2 * (t - 1)[:, None])
    np.testing.assert_allclose(run.weights[:2, :3] * scales, margins, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(run.weights[:, 3], 7.0, rtol=1e-15)


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC, SIGMOID, PROBIT], ids=lambda x: x.name)
def test_log_time_is_plain_time_early_on(loss):
    signed, _, _ = SETS[3]
    w0, step = np.array([0.1, -0.2, 0.3]), 0.02
    times = np.array([0.5, 2.0, 40.0])
    plain = solve_ivp(
        lambda t, w: step * loss.slope(signed @ w) @ signed,
        (0.1, times[-1]),
        w0,
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-13,
    ).y.T
    run = flow.log_time_flow(signed, step, w0, math.log(0.1), np.log(times), loss=loss)
    np.testing.assert_allclose(run.weights, plain, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        run.log_loss, np.log(loss.value(plain @ signed.T).sum(axis=1)), rtol=1e-9
    )


# --- direct descent -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC], ids=lambda loss: loss.name)
def test_the_flow_leaves_descent_at_the_order_of_its_start(loss):
    signed, solution, _ = SETS[2]
    step = 1.0 / np.linalg.norm(signed, 2) ** 2
    times = log_spaced(1, 10**5, 20)
    direct = gradient_descent(signed, step, times, loss=loss).weights

    def distance(handover, discrete):
        later = times > handover
        start = direct[times == handover][0]
        run = flow.log_time_flow(
            signed,
            step,
            start,
            math.log(handover),
            np.log(times[later]),
            loss=loss,
            discrete=discrete,
        )
        return np.linalg.norm(run.weights - direct[later], axis=1).max()

    starts = np.array([10, 100, 1000, 10_000])
    plain = np.array([distance(t0, False) for t0 in starts])
    corrected = np.array([distance(t0, True) for t0 in starts])
    scale = np.linalg.norm(solution.w)
    assert ((plain * starts > 0.01 * scale) & (plain * starts < 0.25 * scale)).all()
    # to leading order ½ ‖ŵ‖ log(t/t0)/t, largest at t = e t0
    assert plain[-1] * starts[-1] == pytest.approx(scale / (2 * math.e), rel=0.2)
    assert (corrected * starts**1.5 < 0.25 * scale).all()
    assert corrected[-1] < 1e-3 * plain[-1]


def test_descend_then_flow_joins_the_two():
    signed, _, _ = SETS[2]
    s = np.array([8.0, 100.0])
    run = flow.descend_then_flow(signed, 0.05, [1, 10, 1000], s, w0=[0.1, 0.1])
    direct = gradient_descent(signed, 0.05, [1, 10, 1000], w0=[0.1, 0.1]).weights
    after = flow.log_time_flow(signed, 0.05, direct[-1], math.log(1000), s, loss=LOGISTIC)
    np.testing.assert_array_equal(run.s, [*np.log([1, 10, 1000]), *s])
    np.testing.assert_array_equal(run.weights, np.vstack([direct, after.weights]))
    np.testing.assert_allclose(
        np.exp(run.log_loss[:3]), LOGISTIC.value(direct @ signed.T).sum(axis=1)
    )
    np.testing.assert_array_equal(run.log_loss[3:], after.log_loss)


# --- the dossier's numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("d", SETS)
@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC, SIGMOID], ids=lambda loss: loss.name)
def test_theorem_4_residual_limit(d, loss):
    # e1 and e10: |ρ - w̃| < 1e-9 at t = e^{10^4}; wrong by log 2 in every margin with 2η
    signed, solution, positive = SETS[d]
    step = 1.0 / np.linalg.norm(signed, 2) ** 2
    run = flow.descend_then_flow(signed, step, [1000], [1e4], loss=loss)
    rho = run.weights[-1] - 1e4 * solution.w
    margins = signed[positive] @ rho
    assert np.abs(margins - np.log(step / solution.dual[positive])).max() < 1e-9
    assert np.abs(margins - np.log(2 * step / solution.dual[positive])).min() > 0.6
    limit = exact_limit(signed, solution, positive, step)
    assert np.abs(rho - limit).max() < 1e-9 * np.linalg.cond(signed[positive])


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC], ids=lambda loss: loss.name)
def test_theorem_5_constants(loss):
    # e4: t L → ‖ŵ‖²/η to 1e-6 from 10^30 on, and the speed of Theorem 4 within 1 %
    signed, solution, positive = SETS[2]
    step = 1.0 / np.linalg.norm(signed, 2) ** 2
    s = np.append(np.linspace(60, 120, 7), [1e3, 1e4, 23026.0, 1e6])
    run = flow.descend_then_flow(signed, step, [1000], s, loss=loss)
    time_loss = solution.w @ solution.w / step
    np.testing.assert_allclose(run.time_loss[2:], time_loss, rtol=1e-6)

    norms = np.linalg.norm(run.weights, axis=1)
    gap = 1 / np.linalg.norm(solution.w) - (run.weights @ signed.T).min(axis=1) / norms
    dual = solution.dual[positive]
    d_constant = math.log(dual.max()) - dual @ np.log(dual) / dual.sum()
    assert gap[-1] * 1e6 == pytest.approx(d_constant / np.linalg.norm(solution.w), rel=5e-4)


def test_speed_of_theorem_4_is_the_smallest_eigenvalue():
    signed = np.array([[1.0, 0.4], [1.0, -0.6], [3.0, 0.0]])
    solution, step = hard_margin(signed), 0.1
    s = np.linspace(30, 60, 7)
    rho = flow.descend_then_flow(signed, step, [1000], s, loss=EXPONENTIAL).weights[1:]
    limit = residual_limit(signed, solution, step, np.zeros(2))
    error = np.linalg.norm(rho - s[:, None] * solution.w - limit, axis=1)
    assert np.polyfit(s, np.log(error), 1)[0] == pytest.approx(-0.24, rel=1e-3)
    assert convergence_exponent(signed, solution) == pytest.approx(0.24)


def test_repeated_samples_share_the_dual():
    # η k e^{-x·w̃} = α: one point, three times
    run = flow.log_time_flow([[2.0]] * 3, 0.1, [0.0], 0.0, [1e3])
    assert run.weights[0, 0] - 500.0 == pytest.approx(math.log(0.3 / 0.25) / 2, abs=1e-9)


def test_many_samples_are_followed_in_the_span_of_those_that_matter():
    # the samples that are left out of a segment must not change the solution
    rng = np.random.default_rng(3)
    signed = rng.normal(size=(60, 80)) + 0.3
    options = {"loss": LOGISTIC}
    s = np.array([5.0, 9.0, 19.0, 100.0, 3000.0])
    cut = flow.log_time_flow(signed, 0.01, np.zeros(80), 5.0, s, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "_FIRST_SEGMENT", 1e4)
        patch.setattr(flow, "_NEGLIGIBLE", -np.inf)
        whole = flow.log_time_flow(signed, 0.01, np.zeros(80), 5.0, s, **options)
    np.testing.assert_allclose(cut.weights, whole.weights, rtol=1e-8, atol=1e-8)
    with pytest.MonkeyPatch.context() as patch:  # samples left out too early are put back
        patch.setattr(flow, "_NEGLIGIBLE", -1.0)
        patch.setattr(flow, "_AWAKE", -30.0)
        woken = flow.log_time_flow(signed, 0.01, np.zeros(80), 5.0, s, **options)
    np.testing.assert_allclose(woken.weights, whole.weights, rtol=1e-8, atol=1e-8)
    solution = hard_margin(signed)
    assert cut.time_loss[-1] == pytest.approx(solution.w @ solution.w / 0.01, rel=1e-3)


def test_segments_are_twice_as_long_as_the_ones_before_them():
    cut = list(flow._segments(0.0, np.array([0.0, 5.0, 10.0, 12.0, 100.0])))
    assert [list(stops) for stops, _ in cut] == [[5, 10], [12, 30], [70], [100]]
    assert [wanted for _, wanted in cut] == [2, 1, 0, 1]
    assert list(flow._segments(3.0, np.array([3.0]))) == []


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC], ids=lambda loss: loss.name)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "d"), [(20, 10), (60, 60), (7, 33)])
def test_late_times_cost_few_steps(n, d, seed, loss, monkeypatch):
    """From e^(10^4) to e^(10^8), where the weights round by 10^-8 and the flow is affine."""
    calls = Calls(monkeypatch)
    rng = np.random.default_rng(seed)
    signed = rng.normal(size=(n, d))
    signed *= np.sign(signed[:, :1])
    signed[:, 0] += np.sign(signed[:, 0])
    hard, step = hard_margin(signed), 1 / np.linalg.norm(signed, 2) ** 2
    s = np.array([20.0, 1e4, 1e6, 1e8])
    run = flow.log_time_flow(signed, step, 7 * hard.w, 7.0, s, loss=loss)
    on = hard.support
    for time, w in zip(s[1:], run.weights[1:], strict=True):
        residual = signed[on] @ (w - time * hard.w) - np.log(step / hard.dual[on])
        np.testing.assert_allclose(residual, 0, atol=1e-15 * 100 * time)
    assert sum(solution.nfev for _, solution, _ in calls.seen) < 6000


@pytest.mark.parametrize("seed", range(3))
def test_late_times_of_real_layers_cost_few_steps(seed, monkeypatch):
    """In whole segments, and from one time to the next: the direction error falls like 1/s."""
    calls = Calls(monkeypatch)
    rng = np.random.default_rng(seed)
    signed, solution = SETS[3][:2]
    start = [0.3 * rng.normal(size=shape) for shape in ((2, 3), (1, 2))]
    start[0] += np.sign(start[1].T) * solution.w
    s = np.array([2.0, 12.0, 20.0, 1e6, 1e7, 1e8])
    layers = flow.layered_flow(start, signed, 2.0, s, loss=LOGISTIC)
    np.testing.assert_array_equal(layers[0][0], start[0])
    w = end_to_end(layers)
    errors = direction_gap(w[3:], solution.w)
    np.testing.assert_allclose(errors[1:] / errors[:-1], 0.1, rtol=1e-3)
    again = flow.layered_flow([part[2] for part in layers], signed, 20.0, s[3:], loss=LOGISTIC)
    np.testing.assert_allclose(end_to_end(again), w[3:], rtol=1e-7)
    assert sum(solution.nfev for _, solution, _ in calls.seen) < 30_000


PAIR = np.array([[1.0, 0.0], [1.0, 1.0]])
TRIPLE = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])

# --- degenerate data ----------------------------------------------------------------------------


def test_degenerate_pair_drifts_like_log_log_t():
    # e3A: dρ₂/d log log t → 1, and ρ₁ → log(η/α) = log .2
    sigma = np.log([1e4, 1e8])
    start = [math.log(0.2), sigma[0]]
    run = flow.log_time_residual_flow(PAIR, hard_margin(PAIR), 0.2, start, sigma[0], sigma)
    np.testing.assert_array_equal(run.sigma, sigma)
    np.testing.assert_allclose(run.residual[0], start, rtol=1e-15)
    slope = np.diff(run.residual[:, 1])[0] / np.diff(sigma)[0]
    assert slope == pytest.approx(1.0, abs=1e-3)
    assert run.residual[-1, 0] == pytest.approx(math.log(0.2), abs=1e-7)


@pytest.mark.parametrize("moved", [1.05, 0.95])
def test_without_degeneracy_there_is_no_drift(moved):
    signed = np.array([[1.0, 0.0], [moved, 1.0]])
    solution = hard_margin(signed)
    sigma = np.array([math.log(1e4), 14.0, 16.0, 17.0, 1e3])
    run = flow.log_time_residual_flow(signed, solution, 0.2, [0.0, 0.0], sigma[0], sigma)
    assert np.abs(np.diff(run.residual[1:], axis=0)).max() < 1e-9


def test_residual_flow_is_the_flow():
    signed = np.array([[1.0, 0.0, 0.2], [1.0, 1.0, 0.1], [3.0, -1.0, 0.0], [1.0, 0.0, -0.2]])
    w_hat, s0 = np.array([1.0, 0.0, 0.0]), 3.0
    s = np.array([3.0, 10.0, 1000.0])
    direct = flow.log_time_flow(signed, 0.1, 2.0 * w_hat, s0, s)
    run = flow.log_time_residual_flow(
        signed, hard_margin(signed), 0.1, 2.0 * w_hat - s0 * w_hat, math.log(s0), np.log(s)
    )
    np.testing.assert_allclose(run.residual, direct.weights - s[:, None] * w_hat, atol=2e-9)


def test_elimination_agrees_with_the_full_flow(monkeypatch):
    # dossier: quasi-steady elimination agrees to 6.8e-10
    args = (TRIPLE, hard_margin(TRIPLE), 0.2, np.zeros(3), math.log(1e4))
    sigma = [17.0, 20.0, math.log(1e12)]
    eliminated = flow.log_time_residual_flow(*args, sigma).residual
    monkeypatch.setattr(flow, "_QUASI_STEADY", 30.0)
    full = flow.log_time_residual_flow(*args, sigma).residual
    np.testing.assert_allclose(eliminated, full, atol=2e-8)


def test_three_iterated_logarithms():
    # e3C: w = (log t, log log t, log log log t) + o(1), -1.3e-5 at log log t = 10^6
    sigma = np.array([100.0, 1e4, 1e6])
    run = flow.log_time_residual_flow(
        TRIPLE, hard_margin(TRIPLE), 1.0, np.zeros(3), math.log(1e4), sigma
    )
    np.testing.assert_allclose(run.residual[:, 0], 0.0, atol=1e-9)
    assert abs(run.residual[-1, 1] - 1e6) < 2e-6
    assert run.residual[-1, 2] - math.log(1e6) == pytest.approx(-1.3e-5, abs=1e-6)


def test_generic_degenerate_set_follows_the_recursion():
    # e3B in R^4: two support vectors with a positive dual variable, two with zero, one more point.
    # ρ - ŵ₂ log log t → w̃ at the rate (log t)^{-λ₂}, λ₂ the smallest eigenvalue of the second rung
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    first = [[1.0, 0.5, 0, 0], [1.0, -0.3, 0, 0]]
    second = [[1.0, 0.2, 0.7, 0.4], [1.0, -0.1, 0.2, 0.9]]
    signed = np.array([*first, *second, [1.8, 0.1, -0.4, 0.2]]) @ rotation.T
    step = 0.2
    one, two = iterated_log_ladder(signed)
    limit = np.linalg.solve(signed[:4], np.log(step / (one.dual + two.dual)[:4]))
    sigma = np.array([math.log(1e8), math.log(1e12), 1e3])
    run = flow.log_time_residual_flow(signed, one, step, np.zeros(4), math.log(100.0), sigma)
    error = np.linalg.norm(run.residual - sigma[:, None] * two.w - limit, axis=1)
    slow = np.array(second)[:, 2:]
    rate = np.linalg.eigvalsh((slow.T * two.dual[2:4]) @ slow)[0]
    assert math.log10(error[0] / error[1]) / 4 == pytest.approx(rate, rel=0.01)
    assert error[2] < 1e-9
    # control: ŵ in place of ŵ₂
    assert np.linalg.norm(run.residual[2] - 1e3 * one.w - limit) > 100


def test_a_dual_that_is_not_unique_is_no_degeneracy():
    # ŵ = (1, 0, 0) by (1, ±1, 0) alone or by (1, 0, ±1) alone: all four pull for ever
    signed = np.array([[1.0, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [1, 1, 0]])
    run = flow.log_time_residual_flow(
        signed, hard_margin(signed), 0.2, np.zeros(3), 3.0, [16.0, 1e3]
    )
    assert np.abs(np.diff(run.residual, axis=0)).max() < 1e-7


# --- softmax ------------------------------------------------------------------------------------


def three_classes(n_samples=24, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_samples, n_features))
    y = (x @ rng.normal(size=(n_features, 3))).argmax(axis=1)
    return x, y


def test_softmax_flow_continues_softmax_descent():
    x, y = three_classes()
    times = np.array([1000, 2000, 10_000])
    direct = softmax_gradient_descent(x, y, 3, 0.05, times).weights
    run = flow.log_time_softmax_flow(x, y, 3, 0.05, direct[0], np.log(1e3), np.log(times))
    assert np.abs(run.weights - direct).max() < 5e-3
    np.testing.assert_allclose(run.weights[0], direct[0], rtol=1e-13)


@pytest.mark.parametrize("problem", [(24, 3, 0), (12, 20, 6)])
def test_theorem_7_softmax_residual(problem):
    # e6: t L → ‖ŵ‖²/η and z·ρ → log(η/α) on the support pairs
    x, y = three_classes(*problem)
    step = 0.05
    solution = hard_margin(multiclass_constraints(x, y, 3))
    start = softmax_gradient_descent(x, y, 3, step, [1000]).weights[0]
    run = flow.log_time_softmax_flow(x, y, 3, step, start, math.log(1e3), [500.0, 1e4])
    positive = solution.dual > 1e-9
    rho = (run.weights[-1] - 1e4 * solution.w.reshape(3, -1)).ravel()
    margins = multiclass_constraints(x, y, 3)[positive] @ rho
    np.testing.assert_allclose(margins, np.log(step / solution.dual[positive]), atol=1e-7)
    assert run.time_loss[-1] == pytest.approx(solution.w @ solution.w / step, rel=1e-6)
    np.testing.assert_allclose(run.weights.sum(axis=1), 0.0, atol=1e-9)


def test_softmax_with_two_classes_is_the_logistic_flow():
    signed, _, _ = SETS[2]
    y = np.arange(12) % 2
    x = signed * (2 * y - 1)[:, None]
    w0 = np.array([[0.0, 0.1], [0.2, 0.0]])
    s = np.array([2.0, 5.0, 300.0])
    run = flow.log_time_softmax_flow(x, y, 2, 0.05, w0, 0.0, s)
    binary = flow.log_time_flow(signed, 0.1, w0[1] - w0[0], 0.0, s, loss=LOGISTIC)
    np.testing.assert_allclose(
        run.weights[:, 1] - run.weights[:, 0], binary.weights, rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(run.log_loss, binary.log_loss, rtol=1e-9)


# --- Euler --------------------------------------------------------------------------------------


def test_euler_has_order_one_and_keeps_the_shape():
    def velocity(s, w):
        return np.exp(s - w)  # w = log(e^{w0} + t - t0)

    def error(step):
        w = flow.log_time_euler(velocity, [[0.0]], 0.0, [0.0, 2.0], step)
        assert w.shape == (2, 1, 1)
        assert w[0] == 0.0
        return abs(float(w[1, 0, 0]) - 2.0)

    # w = s is an equilibrium of the exponent: exact in any step
    assert error(0.5) < 1e-14

    def error_from(step):
        w = flow.log_time_euler(velocity, [1.0], 0.0, [2.0], step)[0, 0]
        return abs(w - math.log(math.e + math.exp(2.0) - 1))

    assert math.log2(error_from(0.02) / error_from(0.01)) == pytest.approx(1.0, abs=0.05)


def test_euler_reports_what_went_wrong():
    with pytest.raises(flow.FlowError, match="step = 1"), np.errstate(all="ignore"):
        flow.log_time_euler(lambda s, w: np.exp(w * w), [3.0], 0.0, [10.0], 1.0)
    with pytest.raises(ValueError, match=r"velocity .*allowed"):
        flow.log_time_euler(lambda s, w: np.zeros(2), [3.0], 0.0, [10.0], 1.0)


# --- what is refused ----------------------------------------------------------------------------


def test_data_that_do_not_separate_are_refused():
    signed = np.array([[1.0, 0.2], [-1.0, 0.1], [0.3, -1.0]])
    for s0 in (0.0, 5.0):
        with pytest.raises(NotSeparableError, match="signed is not separable"):
            flow.log_time_flow(signed, 0.1, [0.0, 0.0], s0, [1e4])


def test_weights_that_overflow_are_an_error():
    with pytest.raises(flow.FlowError, match="the solver stops"):
        flow.log_time_flow([[1.0]], 1.0, [2.0], 0.0, [1e4], loss=polynomial(1.0))


FLOW = {"signed": [[1.0, 0.0], [1.0, 1.0]], "step_size": 0.1, "w0": [0.0, 0.0], "s0": 1.0}
RESIDUAL = {
    "signed": PAIR,
    "hard": hard_margin(PAIR),
    "step_size": 0.1,
    "rho0": [0.0, 0.0],
    "sigma0": 1.0,
    "sigma_eval": [2.0],
}
SOFTMAX = {
    "x": np.eye(2),
    "y": [0, 1],
    "n_classes": 2,
    "step_size": 0.1,
    "w0": np.zeros((2, 2)),
    "s0": 1.0,
    "s_eval": [2.0],
}
JOINT = {"signed": [[1.0, 0.0]], "step_size": 0.1, "record_at": [1, 5], "s_eval": [2.0]}
EULER = {"velocity": lambda s, w: w, "w0": [1.0], "s0": 0.0, "s_eval": [1.0], "step": 0.1}


@pytest.mark.parametrize(
    ("function", "good", "bad", "name"),
    [
        ("log_time_flow", FLOW | {"s_eval": [2.0]}, bad, name)
        for bad, name in [
            ({"signed": []}, "signed"),
            ({"signed": [[np.nan, 1.0]]}, "signed"),
            ({"step_size": 0.0}, "step_size"),
            ({"w0": [0.0]}, "w0"),
            ({"w0": [-900.0, 0.0]}, "w0"),
            ({"s0": np.inf}, "s0"),
            ({"s_eval": [0.5]}, "s_eval"),
            ({"s_eval": [3.0, 2.0]}, "s_eval"),
            ({"rtol": 0.0}, "rtol"),
        ]
    ]
    + [
        ("log_time_residual_flow", RESIDUAL, bad, name)
        for bad, name in [
            ({"signed": [1.0]}, "signed"),
            ({"hard": hard_margin(TRIPLE)}, "hard"),
            ({"hard": hard_margin(2 * PAIR)}, "hard"),
            ({"step_size": -1.0}, "step_size"),
            ({"rho0": [0.0]}, "rho0"),
            ({"sigma0": np.nan}, "sigma0"),
            ({"sigma_eval": [0.0]}, "sigma_eval"),
            ({"rtol": -1.0}, "rtol"),
        ]
    ]
    + [
        ("log_time_softmax_flow", SOFTMAX, bad, name)
        for bad, name in [
            ({"x": [[1.0]]}, "y"),
            ({"y": [0, 2]}, "y"),
            ({"n_classes": 1}, "n_classes"),
            ({"step_size": 0.0}, "step_size"),
            ({"w0": [0.0, 0.0]}, "w0"),
            ({"w0": np.zeros((3, 2))}, "w0"),
            ({"s0": 800.0, "s_eval": [900.0]}, "w0"),
            ({"s_eval": [2.0, 1.0]}, "s_eval"),
            ({"rtol": 0.0}, "rtol"),
        ]
    ]
    + [
        ("descend_then_flow", JOINT, bad, name)
        for bad, name in [
            ({"record_at": [0, 5]}, "record_at"),
            ({"s_eval": [1.0]}, "s_eval"),
            ({"step_size": 0.0}, "step_size"),
        ]
    ]
    + [
        ("log_time_euler", EULER, bad, name)
        for bad, name in [
            ({"w0": []}, "w0"),
            ({"s_eval": [-1.0]}, "s_eval"),
            ({"step": 0.0}, "step"),
        ]
    ]
    + [
        ("log_total_loss", {"signed": [[1.0]], "weights": [[1.0]]}, {"weights": [1.0]}, "weights"),
    ],
)
def test_bad_input_is_named(function, good, bad, name):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=f"^{name} .*allowed"):
        getattr(flow, function)(**(good | bad))


# --- stochastic leaps ---------------------------------------------------------------------------

LEAP_X = 0.5 * np.array(
    [[1, 0.5], [1, -3], [2, 1], [2, -2], [2.5, 1.5], [3, -1], [2.2, 0], [2, -4]]
)


def test_leap_without_noise_is_the_flow():
    s = np.log([30.0, 1e3, 1e6, 1e12])
    start = 3.5 * hard_margin(LEAP_X).w
    leap = flow.stochastic_leap(
        LEAP_X, 0.5, start[None], np.log(20), s, np.random.default_rng(0), replacement=False,
        window=0.01,
    )  # fmt: skip
    expected = flow.log_time_flow(LEAP_X, 0.5, start, np.log(20), s, loss=LOGISTIC).weights
    np.testing.assert_allclose(leap[:, 0], expected, atol=1e-5)


def test_leap_keeps_the_asymptotic_solution():
    hard = hard_margin(LEAP_X[:2])
    limit = residual_limit(LEAP_X[:2], hard, 0.5, np.zeros(2))
    s = np.array([30.0, 300.0, 3000.0])
    leap = flow.stochastic_leap(
        LEAP_X[:2], 0.5, (limit + 20 * hard.w)[None], 20.0, s, np.random.default_rng(0),
        replacement=False, loss=EXPONENTIAL,
    )  # fmt: skip
    np.testing.assert_allclose(leap[:, 0] - s[:, None] * hard.w, np.tile(limit, (3, 1)), atol=1e-8)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_leap_agrees_with_steps(batch_size):
    rng, per_epoch = np.random.default_rng(batch_size), 8 // batch_size
    at = np.array([50, 200]) * per_epoch
    path = stochastic_gradient_descent(
        LEAP_X, 0.5, at, rng, batch_size=batch_size, replacement=True, runs=1500
    ).weights
    leap = flow.stochastic_leap(LEAP_X, 0.5, path[0], np.log(50), [np.log(200)], rng)[0]
    # standard error of a mean .003, of a trace 4 %; the rest is log(50)/50² and the like
    np.testing.assert_allclose(leap.mean(axis=0), path[1].mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.trace(np.cov(leap.T)), np.trace(np.cov(path[1].T)), rtol=0.2)


def test_leap_has_the_covariance_of_the_central_limit():
    hard = hard_margin(LEAP_X)
    limit = residual_limit(LEAP_X, hard, 0.5, np.zeros(2))
    s0, s = np.log(1e8), np.log(1e11)
    start = np.tile(limit + s0 * hard.w, (4000, 1))
    leap = flow.stochastic_leap(LEAP_X, 0.5, start, s0, [s], np.random.default_rng(0))[0]
    whitened = np.linalg.solve(residual_covariance(LEAP_X, hard), np.cov(leap.T) * 1e11)
    np.testing.assert_allclose(np.linalg.eigvals(whitened), 1, atol=0.1)  # 4.5 standard errors


def test_leap_returns_its_start_and_depends_on_its_generator_only():
    start = np.array([[9.0, 0.0], [8.0, 1.0]])
    s = [np.log(50), np.log(60)]
    one, two = (
        flow.stochastic_leap(LEAP_X, 0.5, start, np.log(50), s, np.random.default_rng(1))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], start)


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"signed": [[np.nan, 0.0]]}, "signed"),
        ({"step_size": 0.0}, "step_size"),
        ({"w0": [9.0, 0.0]}, "w0"),
        ({"w0": [[-900.0, 0.0]], "loss": EXPONENTIAL}, "w0"),
        ({"s0": 1.0}, "s0"),
        ({"s_eval": [3.0]}, "s_eval"),
        ({"s_eval": [60.0]}, "s_eval"),
        ({"rng": 0}, "rng"),
        ({"window": 0.0}, "window"),
        ({"window": 2.0}, "window"),
    ],
)
def test_bad_leap_is_named(bad, name):
    good = {"signed": LEAP_X, "step_size": 0.5, "w0": [[9.0, 0.0]], "s0": 4.0, "s_eval": [5.0],
            "rng": np.random.default_rng(0)}  # fmt: skip
    with pytest.raises(ValueError, match=f"^{name} .*"):
        flow.stochastic_leap(**(good | bad))


def test_leaps_through_stiff_data_end_by_name(monkeypatch):
    start = [residual_limit(LEAP_X, hard := hard_margin(LEAP_X), 0.5, np.zeros(2)) + 20 * hard.w]
    arguments = (LEAP_X, 0.5, start, 20.0, [21.0], np.random.default_rng(0))
    radius = np.linalg.norm(LEAP_X, axis=1).max()
    monkeypatch.setattr(flow, "_LEAP_WINDOWS", int(2 * (radius / hard.margin) ** 2))
    flow.stochastic_leap(*arguments)
    monkeypatch.setattr(flow, "_LEAP_WINDOWS", 15)
    with pytest.raises(ValueError, match=r"^signed is too stiff to leap: 15 windows .* \(R/γ\)²"):
        flow.stochastic_leap(*arguments)


# --- linear networks and heavy tails ------------------------------------------------------------


def test_depth_one_is_the_plain_flow():
    signed, solution, _ = SETS[2]
    s = np.array([3.0, 10.0, 1000.0])
    deep = flow.deep_linear_flow(signed, 1, 2 * solution.w + 0.1, 3.0, s)
    plain = flow.log_time_flow(signed, 1.0, 2 * solution.w + 0.1, 3.0, s)
    np.testing.assert_allclose(deep.weights, plain.weights, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(deep.log_loss, plain.log_loss, atol=1e-7)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_one_point_in_a_deep_network(depth):
    # m' = L m^{2-2/L} e^{-m}: t = ∫ e^m m^{2/L-2}/L dm
    s = np.array([3.0, 4.0, 5.0])
    run = flow.deep_linear_flow([[1.0]], depth, [2.0], 3.0, s)
    for time, m in zip(s, run.weights[:, 0], strict=True):
        grid = np.linspace(2.0, m, 20_001)
        values = np.exp(grid) * grid ** (2 / depth - 2) / depth
        elapsed = np.sum((values[1:] + values[:-1]) / 2) * (grid[1] - grid[0])
        assert elapsed == pytest.approx(math.exp(time) - math.exp(3.0), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("depth", [2, 3])
def test_balanced_layers_follow_the_predictor_flow(depth):
    signed, solution, _ = SETS[2]
    start = 1.5 * solution.w + np.array([0.2, -0.1])
    size = np.linalg.norm(start)
    layers = [size ** (1 / depth - 1) * start[None]] + [np.full((1, 1), size ** (1 / depth))] * (
        depth - 1
    )
    s = np.array([2.0, 5.0, 100.0])
    deep = flow.deep_linear_flow(signed, depth, start, 2.0, s, loss=LOGISTIC)
    out = flow.layered_flow(layers, signed, 2.0, s, loss=LOGISTIC)
    assert [layer.shape for layer in out] == [(3, 1, 2)] + [(3, 1, 1)] * (depth - 1)
    np.testing.assert_allclose(end_to_end(out), deep.weights, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_jacobian_of_the_predictor_flow(depth):
    rng = np.random.default_rng(depth)
    signed, w = rng.normal(size=(5, 3)), rng.normal(size=3)

    def pulls(s, w):
        pull = np.exp(s - signed @ w)
        return pull @ signed, -(signed.T * pull) @ signed

    velocity, jacobian = flow._preconditioned(pulls, depth)
    h = 1e-6
    rows = [(velocity(0.3, w + h * e) - velocity(0.3, w - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(np.transpose(rows), jacobian(0.3, w), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("p", [0.5, 2.0, 8.0])
def test_polynomial_tails_reach_the_limit_at_every_depth(p, depth):
    signed, solution, _ = SETS[2]
    v = flow.polynomial_tail_flow(signed, p, 2 * solution.w, [400.0], depth=depth)[0]
    assert direction_gap(v, heavy_tail_limit(signed, p)) < 1e-10


def test_polynomial_tail_flow_is_the_flow():
    # started at t = 1, where v = w
    signed, solution, _ = SETS[2]
    s = np.array([0.0, 2.0, 20.0])
    v = flow.polynomial_tail_flow(signed, 2.0, 3 * solution.w, s)
    w = flow.log_time_flow(signed, 1.0, 3 * solution.w, 0.0, s, loss=polynomial(2.0)).weights
    np.testing.assert_allclose(v, np.exp(-s / 4)[:, None] * w, rtol=1e-7)


def test_depth_refuses():
    signed, solution, _ = SETS[2]
    with pytest.raises(ValueError, match=r"^w0 is zero"):
        flow.deep_linear_flow(signed, 2, [0.0, 0.0], 1.0, [2.0])
    with pytest.raises(ValueError, match=r"^depth"):
        flow.deep_linear_flow(signed, 0, solution.w, 1.0, [2.0])
    with pytest.raises(ValueError, match=r"^w0 has a speed"):
        flow.deep_linear_flow(signed, 2, -1000 * solution.w, 1.0, [2.0])
    with pytest.raises(NotSeparableError):
        flow.deep_linear_flow([[1.0, 0.0], [-1.0, 0.0]], 2, [0.1, 0.1], 0.0, [30.0])
    with pytest.raises(ValueError, match=r"^v0 does not separate"):
        flow.polynomial_tail_flow(signed, 2.0, -solution.w, [1.0])
    with pytest.raises(ValueError, match=r"^p "):
        flow.polynomial_tail_flow(signed, 0.0, solution.w, [1.0])
    with pytest.raises(ValueError, match=r"^layers has shapes"):
        flow.layered_flow([np.ones((2, 3))], signed, 1.0, [2.0])


def test_flow_to_interpolation_follows_a_linear_flow():
    x, y = np.array([[1.0, 2.0, 0.0]]), np.array([3.0])
    start = np.array([0.5, -1.0, 2.0])
    end = flow.flow_to_interpolation(lambda w: -x.T @ (x @ w - y), start, lambda w: x @ w - y)
    np.testing.assert_allclose(end, start - np.linalg.pinv(x) @ (x @ start - y), atol=1e-9)
    assert flow.flow_to_interpolation(lambda w: w, end, lambda w: 0 * w) is end
    with pytest.raises(flow.FlowError, match="no interpolation"):
        flow.flow_to_interpolation(lambda w: 0 * w, start, lambda w: x @ w - y, horizon=2.0)
    with pytest.raises(ValueError, match="stop"):
        flow.flow_to_interpolation(lambda w: w, start, lambda w: w, stop=0.0)


# --- diagonal networks by their norm -----------------------------------------------------------


def _net_margins(signed, depth, theta):
    return np.hstack([signed, -signed]) @ theta**depth


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_diagonal_flow_against_its_equation_in_ordinary_time(depth):
    signed = spanning(7, 4, 3)[0]
    u, v = np.array([0.5, 0.9, 0.4]), np.array([0.3, 0.6, 0.7])
    both = np.hstack([signed, -signed])
    end = 1.0

    def velocity(_, theta):
        p = np.exp(-both @ theta**depth)
        return p @ both * theta ** (depth - 1)

    def grown(_, theta):
        return np.log(np.linalg.norm(theta)) - end

    grown.terminal = True
    plain = solve_ivp(velocity, (0, 1e9), np.append(u, v), method="Radau", events=grown,
                      rtol=1e-10, atol=1e-13)  # fmt: skip
    found = flow.diagonal_flow(signed, depth, u, v, [0.8, end])
    np.testing.assert_allclose(found.weights[-1], plain.y_events[0][0], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.weights, axis=1), np.exp([0.8, end]), rtol=1e-8)
    f = _net_margins(signed, depth, found.weights[-1])
    np.testing.assert_allclose(found.margins[-1], f * np.exp(-depth * end), rtol=1e-9)
    shares = np.exp(-f) / np.exp(-f).sum()
    np.testing.assert_allclose(found.shares[-1], shares, rtol=1e-5)
    np.testing.assert_allclose(
        found.push[-1], shares @ both * found.weights[-1] ** (depth - 1), rtol=1e-5, atol=1e-9
    )


@given(seed=st.integers(0, 1000), depth=st.sampled_from([2, 3]))
@settings(max_examples=4, deadline=None)
def test_a_diagonal_flow_keeps_its_invariants(seed, depth):
    rng = np.random.default_rng(seed)
    signed = rng.standard_normal((4, 3))
    signed *= np.sign(signed @ rng.standard_normal(3))[:, None]
    u, v = rng.uniform(0.2, 1, (2, 3))
    end = np.log(np.linalg.norm([u, v])) + 6.0
    found = flow.diagonal_flow(signed, depth, u, v, [end - 1, end])
    a, b = np.split(found.weights[-1], 2)
    if depth == 2:
        np.testing.assert_allclose(a * b, u * v, rtol=1e-6)
    else:
        np.testing.assert_allclose(1 / a + 1 / b, 1 / u + 1 / v, rtol=1e-6)


def test_a_diagonal_flow_far_out():
    # One point: zeta is the same multiple of it for ever, so uv and the norm give the weights.
    found = flow.diagonal_flow([[1.0]], 2, [0.5], [0.4], [5.0, 15.0])
    u, v = found.weights.T
    np.testing.assert_allclose(u * v, 0.2, rtol=1e-7)
    np.testing.assert_allclose(u, np.exp([5.0, 15.0]), rtol=1e-7)
    # Two points held together at margins of 1e13: the dual of the ℓ1 problem is (1, 2)/3 here.
    found = flow.diagonal_flow([[2.0, 0.5], [0.5, 1.25]], 2, [0.5, 0.5], [0.5, 0.5], [5.0, 15.0])
    np.testing.assert_allclose(found.shares[-1], [1 / 3, 2 / 3], rtol=1e-6)


def test_a_diagonal_flow_refuses_what_it_cannot_follow(monkeypatch):
    one = [[1.0, 0.5], [0.5, 1.0]]
    half = [0.5, 0.5]
    with pytest.raises(ValueError, match="u0 has an entry 0"):
        flow.diagonal_flow(one, 2, [0.5, 0.0], half, [3.0])
    with pytest.raises(ValueError, match="log_norms starts at -3"):
        flow.diagonal_flow(one, 2, half, half, [-3.0, 3.0])
    with pytest.raises(ValueError, match="depth"):
        flow.diagonal_flow(one, 1, half, half, [3.0])
    with pytest.raises(NotSeparableError):
        flow.diagonal_flow([[1.0, 0.0], [-1.0, 0.0]], 2, half, half, [3.0])
    with pytest.raises(flow.FlowError, match="the weights overflow"):
        flow.diagonal_flow(one, 3, [1e76, 1e76], half, [180.0])
    gives_up = OdeResult(success=False, message="no", status=-1)
    with monkeypatch.context() as patch:
        patch.setattr(flow, "solve_ivp", lambda *_, **__: gives_up)
        with pytest.raises(flow.FlowError, match="the solver stops before"):
            flow.diagonal_flow(one, 2, [2.0, 2.0], half, [3.0])
    monkeypatch.setattr(flow, "_WARM_UP", 1e-3)
    with pytest.raises(flow.FlowError, match="norm does not start to grow"):
        flow.diagonal_flow(one, 2, half, half, [3.0])


# --- found by the mutation run -----------------------------------------------------------------


@pytest.mark.parametrize("end", [0.25, 1.0, 1.1, 2.0])
def test_euler_takes_equal_steps_that_are_never_longer_than_asked(end):
    seen = []

    def velocity(s, w):
        seen.append(s)
        return np.array([s])

    found = flow.log_time_euler(velocity, [0.0], 0.0, [end], 0.5)
    count = len(seen)
    assert count == math.ceil(end / 0.5)
    np.testing.assert_allclose(seen, np.arange(count) * end / count, atol=1e-15)
    assert found[0, 0] == pytest.approx(sum(seen) * end / count)


def test_euler_stands_still_where_no_time_passes():
    found = flow.log_time_euler(lambda s, w: np.ones(1), [2.0], 1.0, [1.0, 2.0], 5.0)
    np.testing.assert_allclose(found[:, 0], [2.0, 3.0])


def test_any_positive_margin_is_a_start_of_the_polynomial_flow():
    """The limit does not depend on the start, be its margins far below one or above."""
    signed, solution, _ = SETS[2]
    ends = [
        flow.polynomial_tail_flow(signed, 2.0, size * solution.w, [300.0])[0]
        for size in (1e-3, 1.0, 1e3)
    ]
    for end in ends:
        assert direction_gap(end, heavy_tail_limit(signed, 2.0)) < 1e-9


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x, w: flow.polynomial_tail_flow(x, 2.0, w, [-1.0]), "s_eval"),
        (lambda x, w: flow.polynomial_tail_flow(x, 2.0, w, [1.0], rtol=0.0), "rtol"),
        (lambda x, w: flow.polynomial_tail_flow(x, 2.0, w, [1.0], depth=0), "depth"),
        (lambda x, w: flow.polynomial_tail_flow(x, 2.0, 0 * w, [1.0]), "v0"),
        (lambda x, w: flow.deep_linear_flow(x, 2, w, 1.0, [0.5]), "s_eval"),
        (lambda x, w: flow.deep_linear_flow(x, 2, w, 1.0, [3.0, 2.0]), "s_eval"),
        (lambda x, w: flow.deep_linear_flow(x, 2, w, np.nan, [2.0]), "s0"),
        (lambda x, w: flow.deep_linear_flow(x, 2, w, 1.0, [2.0], rtol=-1.0), "rtol"),
        (lambda x, w: flow.diagonal_flow(x, 2, w, w, [9.0], rtol=0.0), "rtol"),
        (lambda x, w: flow.log_time_softmax_flow(x, [0] * len(x), 2, 1.0, np.eye(2), None, [2.0]),
         "s0"),
        (lambda x, w: flow.flow_to_interpolation(lambda v: v, w, lambda v: v, rtol=0.0), "rtol"),
    ],
)  # fmt: skip
def test_bad_times_and_tolerances_are_named(call, name):
    signed, solution, _ = SETS[2]
    with pytest.raises(ValueError, match=f"^{name} "):
        call(signed, np.abs(solution.w))


def test_a_deep_network_may_start_with_a_zero_among_others():
    run = flow.deep_linear_flow(np.eye(2), 2, [0.0, 1.0], 0.0, [3.0])
    assert (run.weights > 0).all()


def test_a_start_on_the_boundary_of_separation_is_refused():
    with pytest.raises(ValueError, match=r"^v0 does not separate"):
        flow.polynomial_tail_flow(np.eye(2), 2.0, [1.0, 0.0], [1.0])


def test_a_start_that_nearly_overflows_is_refused():
    for exponent in (601.0, 1100.0):
        with pytest.raises(ValueError, match=r"^w0 has a speed"):
            flow.deep_linear_flow([[1.0]], 1, [-exponent], 0.0, [1.0])
        with pytest.raises(ValueError, match=r"^w0 has a speed"):
            flow.log_time_flow([[1.0]], 1.0, [-exponent], 0.0, [1.0])


def test_a_leap_says_how_far_draws_fit_an_integer():
    arguments = {"signed": np.eye(2), "step_size": 1.0, "w0": np.zeros((1, 2)), "s0": 3.0,
                 "rng": np.random.default_rng(0), "window": 0.05}  # fmt: skip
    most = math.log(4e18 / (2 * math.expm1(0.05)))
    with pytest.raises(ValueError, match=rf"^s_eval ends at .* at most {most:.1f}"):
        flow.stochastic_leap(s_eval=[most + 0.01], **arguments)


def test_the_total_loss_far_beyond_underflow():
    signed = np.array([[1.0, 0.0], [0.0, 2.0]])
    weights = [[1000.0, 600.0], [1000.0, 500.0], [0.0, 0.0]]
    expected = [-1000 + math.log1p(math.exp(-200)), -1000 + math.log(2), math.log(2)]
    np.testing.assert_allclose(flow.log_total_loss(signed, weights), expected, rtol=1e-15)
    logistic = flow.log_total_loss(signed, weights, LOGISTIC)
    np.testing.assert_allclose(logistic[:2], expected[:2], rtol=1e-15)
    assert logistic[2] == pytest.approx(math.log(2 * math.log(2)))
    run = flow.Flow(np.array([2.0]), np.zeros((1, 1)), np.array([-1.5]))
    assert run.time_loss == pytest.approx([math.exp(0.5)])


@pytest.mark.parametrize("depth", [2, 3])
def test_what_a_diagonal_flow_returns_is_of_its_weights(depth):
    rng = np.random.default_rng(depth)
    signed = np.abs(rng.normal(size=(4, 3))) + 0.1
    u, v = rng.uniform(0.3, 0.8, (2, 3))
    start = 0.5 * math.log(u @ u + v @ v)
    run = flow.diagonal_flow(signed, depth, u, v, start + np.array([0.4, 1.1, 4.0]))
    for log_norm, theta, push, shares, margins in zip(
        run.log_norm, run.weights, run.push, run.shares, run.margins, strict=True
    ):
        u_end, v_end = theta[:3], theta[3:]
        f = signed @ (u_end**depth - v_end**depth)
        assert math.log(np.linalg.norm(theta)) == pytest.approx(log_norm, abs=1e-8)
        np.testing.assert_allclose(margins, f * math.exp(-depth * log_norm), rtol=1e-7)
        expected = np.exp(f.min() - f) / np.exp(f.min() - f).sum()
        np.testing.assert_allclose(shares, expected, rtol=1e-3, atol=1e-9)
        pull = shares @ signed
        gradient = np.append(pull * u_end ** (depth - 1), -pull * v_end ** (depth - 1))
        np.testing.assert_allclose(push, gradient, rtol=1e-10)


def test_a_diagonal_flow_starts_where_it_is_asked_for():
    signed = np.array([[1.0, 0.5], [0.4, 1.0]])
    start = math.log(np.linalg.norm([0.5, 0.5, 0.1, 0.1]))
    run = flow.diagonal_flow(signed, 2, [0.5, 0.5], [0.1, 0.1], [start, start + 1])
    np.testing.assert_allclose(run.weights[0], [0.5, 0.5, 0.1, 0.1], rtol=1e-12)
    with pytest.raises(ValueError, match=r"^log_norms starts at"):
        flow.diagonal_flow(signed, 2, [0.5, 0.5], [0.1, 0.1], [start - 1e-6])
    for u0, v0, name in (([0.5, 0.0], [0.1, 0.1], "u0"), ([0.5, 0.5], [-0.1, 0.1], "v0")):
        with pytest.raises(ValueError, match=rf"^{name} has an entry"):
            flow.diagonal_flow(signed, 2, u0, v0, [3.0])


def test_interpolation_ends_where_the_largest_error_equals_the_stop():
    def end(start, **options):
        return flow.flow_to_interpolation(lambda z: -z, start, lambda z: z, **options)

    np.testing.assert_allclose(end([3.0, -1.0], stop=1e-3), [1e-3, -1e-3 / 3], rtol=1e-8)
    np.testing.assert_array_equal(end([1e-3, -1e-4], stop=1e-3), [1e-3, -1e-4])
    np.testing.assert_allclose(np.abs(end([-2.0])).max(), 1e-10, rtol=1e-6)
    with pytest.raises(flow.FlowError, match="no interpolation by time 3"):
        end([1.0], stop=1e-3, horizon=3.0)
    np.testing.assert_allclose(end([1.0], stop=math.exp(-2.9), horizon=3.0), [math.exp(-2.9)])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_separable_data_are_not_refused_in_other_units(unit):
    one = flow.log_time_flow(np.eye(2), 1.0, [0.0, 0.5], 0.0, [1.0, 5.0])
    other = flow.log_time_flow(unit * np.eye(2), unit**-2, [0.0, 0.5 / unit], 0.0, [1.0, 5.0])
    np.testing.assert_allclose(unit * other.weights, one.weights, rtol=1e-5)


def test_euler_leaves_its_start_alone():
    start = np.array([1.0, 2.0])
    path = flow.log_time_euler(lambda s, w: w, start, 0.0, [0.0, 1.0], 0.1)
    np.testing.assert_array_equal(start, [1.0, 2.0])
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_allclose(path[1], 1.1**10 * start)


def test_euler_counts_its_steps_from_its_start():
    path = flow.log_time_euler(lambda s, w: w, [1.0], 2.0, [3.0, 3.5], 0.1)
    np.testing.assert_allclose(path[:, 0], [1.1**10, 1.1**15])


def test_the_flow_begins_after_the_descent():
    with pytest.raises(ValueError, match=r"^s_eval starts at"):
        flow.descend_then_flow(np.eye(2), 0.1, [1, 100], [math.log(100.0)])


# --- what the solver is given -------------------------------------------------------------------


class Calls:
    """Notes the problems that a flow gives to the solver, and solves them."""

    def __init__(self, monkeypatch):
        self.seen = []
        monkeypatch.setattr(flow, "solve_ivp", self)

    def __call__(self, velocity, span, start, **options):
        solution = solve_ivp(velocity, span, start, **options)
        self.seen.append((velocity, solution, options))
        return solution


PAIR_AND_MORE = np.array([[1.0, 0.5, 0.0], [1.0, -0.3, 0.0], [1.0, 0.2, 0.7], [1.8, 0.1, -0.4]])
MIXED_START = [np.array([0.4, 0.3, 0.2]), np.array([0.3, 0.2, 0.5])]
FLOWS = {
    "plain": lambda **o: flow.log_time_flow(SETS[3][0], 0.1, [0.1, 0.2, 0.3], 1.0, [2.0, 3.0],
                                            loss=LOGISTIC, **o),
    "softmax": lambda **o: flow.log_time_softmax_flow(*three_classes(), 3, 0.1,
                                                      np.eye(3), 1.0, [2.0, 3.0], **o),
    "deep": lambda **o: flow.deep_linear_flow(SETS[3][0], 3, [0.1, 0.2, 0.3], 1.0, [2.0, 3.0],
                                              loss=LOGISTIC, **o),
    "tail": lambda **o: flow.polynomial_tail_flow(SETS[3][0], 1.5, SETS[3][1].w, [2.0, 3.0],
                                                  depth=3, **o),
    "layers": lambda **o: flow.layered_flow([np.eye(2, 3), [[0.3, 0.2]]], SETS[3][0], 1.0,
                                            [2.0, 3.0], loss=LOGISTIC, **o),
    "residual": lambda **o: flow.log_time_residual_flow(
        PAIR_AND_MORE, hard_margin(PAIR_AND_MORE), 0.2, [0.1, 0.2, 0.3], 1.0, [2.0, 3.0], **o),
    "late residual": lambda **o: flow.log_time_residual_flow(
        PAIR_AND_MORE, hard_margin(PAIR_AND_MORE), 0.2, [0.1, 0.2, 16.0], 16.0, [17.0, 18.0], **o),
    "diagonal": lambda **o: flow.diagonal_flow(SETS[3][0], 3, *MIXED_START, [1.0, 2.0], **o),
    "short diagonal": lambda **o: flow.diagonal_flow(SETS[3][0], 2, *MIXED_START, [1.0], **o),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in FLOWS if name != "layers"])
def test_a_jacobian_is_the_derivative_of_its_velocity(name, monkeypatch):
    """A wrong one would only cost steps, and so stay unseen."""
    calls = Calls(monkeypatch)
    FLOWS[name]()
    with_jacobian = [call for call in calls.seen if "jac" in call[-1]]
    assert with_jacobian
    for velocity, solution, options in with_jacobian:
        jacobian = options["jac"]
        for time, state in ((solution.t[0], solution.y[:, 0]), (solution.t[-1], solution.y[:, -1])):
            steps = 1e-5 * np.eye(len(state))
            rows = [(velocity(time, state + h) - velocity(time, state - h)) / 2e-5 for h in steps]
            scale = np.abs(rows).max()
            np.testing.assert_allclose(
                np.transpose(rows), jacobian(time, state), rtol=1e-5, atol=1e-6 * scale
            )


@pytest.mark.parametrize("name", FLOWS)
def test_the_solver_is_given_the_tolerance(name, monkeypatch):
    calls = Calls(monkeypatch)
    FLOWS[name](rtol=1e-6)
    *warm_up, (_, _, options) = calls.seen
    assert (options["rtol"], options["atol"]) == (
        103 * 2.0**-52 if name in ("plain", "layers") else 1e-6, 1e-6
    )  # fmt: skip
    methods = {"plain": "BDF", "layers": "BDF", "diagonal": "Radau", "short diagonal": "Radau"}
    assert options["method"] == methods.get(name, "LSODA")
    assert (options["jac"] is None) == (name == "layers")
    for _, _, others in warm_up:
        assert max(others["rtol"], others["atol"]) <= 1e-6


def test_a_tolerance_below_rounding_is_that_of_the_change_only(monkeypatch):
    """SciPy warns of relative tolerances below 2.2e-14, and raises them."""
    calls = Calls(monkeypatch)
    flow.log_time_flow([[1.0]], 1.0, [0.0], 0.0, [1.0], rtol=1e-15)
    assert (calls.seen[-1][-1]["rtol"], calls.seen[-1][-1]["atol"]) == (103 * 2.0**-52, 1e-15)
    flow.flow_to_interpolation(lambda z: -z, [1.0], lambda z: z, stop=0.5, rtol=1e-15)
    assert (calls.seen[-1][-1]["rtol"], calls.seen[-1][-1]["atol"]) == (1e-13, 1e-17)


def test_no_step_is_asked_for_more_than_the_rounding_of_the_weights_leaves(monkeypatch):
    calls = Calls(monkeypatch)
    flow.log_time_flow(np.eye(2), 1.0, [-1e6, 1.0], -1e6, [-1e6 + 1.0])
    assert calls.seen[-1][-1]["atol"] == pytest.approx(103 * 2.0**-52 * 1e6, rel=1e-9)


def test_interpolation_is_solved_by_the_method_and_to_the_tolerance_it_names(monkeypatch):
    calls = Calls(monkeypatch)
    flow.flow_to_interpolation(lambda z: -z, [1.0], lambda z: z, stop=0.5, rtol=1e-4)
    options = calls.seen[-1][-1]
    assert (options["method"], options["rtol"]) == ("DOP853", 1e-4)
    assert options["atol"] == pytest.approx(1e-6)
    with pytest.raises(flow.FlowError, match=r"^no interpolation by time 1e\+06: "):
        flow.flow_to_interpolation(lambda z: 0 * z, [1.0], lambda z: z)


@pytest.mark.parametrize(
    "solution",
    [
        {"success": False, "y": [[1.0, 2.0], [3.0, 4.0]]},
        {"success": True, "y": [[1.0], [3.0]]},
        {"success": True, "y": [[1.0, np.nan], [3.0, 4.0]]},
        {"success": True, "y": [[1.0, 2.0], [np.inf, 4.0]]},
    ],
)
def test_no_broken_solution_is_returned(solution, monkeypatch):
    start, times = np.zeros(2), np.array([1.0, 2.0])
    result = OdeResult(message="because", **solution)
    monkeypatch.setattr(flow, "solve_ivp", lambda *_, **__: result)
    with pytest.raises(flow.FlowError, match=r"^the solver stops before time 2: because$"):
        flow._solve(lambda s, y: y, None, start, 0.0, times, 1e-9)
    result.update(success=True, y=[[1.0, 2.0], [3.0, 4.0]])
    path = flow._solve(lambda s, y: y, None, start, 0.0, times, 1e-9)
    np.testing.assert_array_equal(path, [[1.0, 3.0], [2.0, 4.0]])


# --- what holds for every flow ------------------------------------------------------------------


@pytest.mark.parametrize("middle", [1.5, 16.0, 20.0])
@pytest.mark.parametrize("name", ["PAIR", "generic"])
def test_a_residual_flow_can_be_interrupted(name, middle):
    """To stop at any time and to go on from there is to go on; and a start is returned as it is."""
    signed = PAIR if name == "PAIR" else PAIR_AND_MORE
    start = np.full(signed.shape[1], 0.1)
    times = np.array([1.0, 1.3, middle, 40.0])
    args = (signed, hard_margin(signed), 0.2)
    whole = flow.log_time_residual_flow(*args, start, 1.0, times)
    assert whole.residual.shape == (4, signed.shape[1])
    np.testing.assert_allclose(whole.residual[0], start, rtol=1e-14)
    np.testing.assert_array_equal(whole.sigma, times)
    for rest in (times[2:], times[3:]):
        later = flow.log_time_residual_flow(*args, whole.residual[2], middle, rest)
        np.testing.assert_allclose(later.residual, whole.residual[-len(rest) :], atol=3e-8)
    early = flow.log_time_residual_flow(*args, start, 1.0, times[:2])
    np.testing.assert_allclose(early.residual, whole.residual[:2], atol=1e-8)


def test_a_late_start_is_returned_before_it_relaxes():
    run = flow.log_time_residual_flow(
        PAIR, hard_margin(PAIR), 0.2, [0.5, 16.0], 16.0, [16.0, 16.5, 17.0]
    )
    np.testing.assert_array_equal(run.residual[0], [0.5, 16.0])
    np.testing.assert_allclose(run.residual[1:, 0], math.log(0.2), atol=1e-6)


@pytest.mark.parametrize("start", [[0.0, -3.0], [-3.0, 0.0], [-2.0, -1.0], [0.6, 0.8], [2.0, 1.0]])
def test_the_equilibrium_is_found_from_any_start(start):
    """Of (1, 0) and (0, 2) the dual is (1, 1/4): e^{-ρ₁} = 1 and e^{-2ρ₂} = 1/4."""
    signed = np.diag([1.0, 2.0])
    run = flow.log_time_residual_flow(signed, hard_margin(signed), 1.0, start, 20.0, [25.0])
    np.testing.assert_allclose(run.residual, [[0.0, math.log(2.0)]], atol=1e-13)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e5])
def test_a_residual_flow_has_no_unit_of_length(unit):
    """Samples c x with the step η/c² give ρ/c; repeated samples make the support rank-deficient."""
    signed = np.array([[1.0, 0.5, 0.1], [1.0, 0.5, 0.1], [1.0, -0.3, 0.2], [1.2, 0.0, 2.0]])
    signed = np.vstack([signed, [[1.0, 0.1, 0.15 + 1e-3]]])
    one, other = (
        flow.log_time_residual_flow(
            c * signed, hard_margin(c * signed), 0.2 / c**2, np.zeros(3), 3.0, [5.0, 30.0]
        ).residual
        * c
        for c in (1.0, unit)
    )
    # the absolute tolerance of the solver, 1e-10, is in the unit of ρ
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-7 + 1e-9 * unit)


def test_a_residual_flow_of_mirrored_samples_is_mirrored():
    for signed in (PAIR, TRIPLE, PAIR_AND_MORE):
        start = np.linspace(0.1, 0.3, signed.shape[1])
        one = flow.log_time_residual_flow(signed, hard_margin(signed), 0.2, start, 2.0, [3.0, 20.0])
        other = flow.log_time_residual_flow(
            -signed, hard_margin(-signed), 0.2, -start, 2.0, [3.0, 20.0]
        )
        np.testing.assert_allclose(other.residual, -one.residual, atol=1e-7)


@pytest.mark.parametrize(
    "other",
    [
        PAIR[:1],
        np.vstack([PAIR, [[2.0, 0.0]]]),
        np.hstack([PAIR, np.zeros((2, 1))]),
        PAIR * [1.0 + 1e-6, 1.0],
        PAIR / [1.0 + 1e-6, 1.0],
        np.array([[1.0, 0.0], [2.0, 1.0]]),
    ],
)
def test_a_solution_of_other_samples_is_refused(other):
    with pytest.raises(ValueError, match=r"^hard belongs to other samples; allowed: "):
        flow.log_time_residual_flow(PAIR, hard_margin(other), 0.2, [0.0, 0.0], 1.0, [2.0])


@pytest.mark.parametrize("shift", [-5.0, 5.0, 600.0])
def test_the_step_size_is_the_unit_of_time(shift):
    """A step e^c times smaller takes e^c times longer; 600 is the largest exponent of a start."""
    s = np.array([0.0, 1.0, 4.0])
    signed, _, _ = SETS[2]
    one = flow.log_time_flow(signed, 0.5, [0.0, 0.0], 0.0, s).weights
    other = flow.log_time_flow(signed, 0.5 * math.exp(-shift), [0.0, 0.0], shift, s + shift)
    np.testing.assert_allclose(other.weights, one, rtol=1e-8, atol=1e-8)
    x, y = three_classes()
    one = flow.log_time_softmax_flow(x, y, 3, 0.5, np.zeros((3, 3)), 0.0, s).weights
    other = flow.log_time_softmax_flow(
        x, y, 3, 0.5 * math.exp(-shift), np.zeros((3, 3)), shift, s + shift
    )
    np.testing.assert_allclose(other.weights, one, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("s0", "logits", "refused"),
    [
        (350.0, [0.0, 251.0, -300.0], True),
        (350.0, [0.0, 10.0, -300.0], False),
        (10.0, [400.0, 400.0, 400.0], False),
        (-10.0, [-700.0, -80.0, -700.0], True),
    ],
)
def test_a_softmax_start_is_refused_by_its_largest_exponent(s0, logits, refused):
    w0, step = np.array(logits)[:, None], math.exp(-max(s0, 0.0))
    with np.errstate(all="ignore"):
        if refused:
            with pytest.raises(ValueError, match=r"^w0 has a speed that overflows"):
                flow.log_time_softmax_flow([[1.0]], [0], 3, step, w0, s0, [s0 + 1e-3])
        else:
            run = flow.log_time_softmax_flow([[1.0]], [0], 3, step, w0, s0, [s0 + 1e-3])
            assert np.isfinite(run.weights).all()


def test_the_largest_exponent_of_a_start():
    for margins, refused in (([-600.0, 0.0], False), ([0.0, -600.1], True), ([-650.0, 99.0], True)):
        if refused:
            with pytest.raises(ValueError, match=r"^w0 has a speed .* is of order 1$"):
                flow._check_speed(np.eye(2), np.array(margins), 0.0, EXPONENTIAL)
        else:
            flow._check_speed(np.eye(2), np.array(margins), 0.0, EXPONENTIAL)


@given(
    st.lists(st.lists(st.floats(-800, 800), min_size=3, max_size=3), min_size=1, max_size=4),
)
def test_the_logarithm_of_a_sum_of_exponentials(rows):
    values = np.array(rows)
    expected = np.logaddexp.reduce(values, axis=1)[:, None]
    np.testing.assert_allclose(flow._log_sum_rows(values), expected, rtol=1e-13, atol=1e-13)


def test_pulls_that_cancel_are_noticed_beside_ones_that_died_out():
    """The third sample would separate the others in its direction, but has no pull left."""
    signed, w = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 800.0])
    with np.errstate(under="ignore"), pytest.raises(NotSeparableError) as caught:
        flow._check_pull(signed, w, EXPONENTIAL)
    np.testing.assert_allclose(caught.value.certificate, [0.5, 0.5, 0.0], atol=1e-12)
    flow._check_pull(signed[[0, 2]], w, EXPONENTIAL)
    flow._check_pull(np.array([[1.0, 1e-6], [-1.0, 1e-6]]), w, EXPONENTIAL)
    with pytest.raises(NotSeparableError):  # a sample at the origin pulls nowhere
        flow.log_time_flow([[0.0, 0.0]], 1.0, [0.0, 0.0], 0.0, [1.0])


@pytest.mark.parametrize(
    ("record_at", "s_eval"), [([1, 10, 1000], [5.0]), ([1, 10, 1000], [5.0, 8.0]), ([3], [1.0])]
)
def test_the_flow_begins_after_all_of_the_descent(record_at, s_eval):
    last = record_at[-1]
    allowed = rf"^s_eval starts at .* log\({last}\) = {math.log(last):g}$"
    with pytest.raises(ValueError, match=allowed):
        flow.descend_then_flow(np.eye(2), 0.1, record_at, s_eval)


def test_no_step_is_taken_where_an_argument_is_wrong(monkeypatch):
    def never(*args, **options):
        raise AssertionError("descended")

    monkeypatch.setattr(flow, "gradient_descent", never)
    with pytest.raises(ValueError, match="discrete"):
        flow.descend_then_flow(PAIR, 0.1, [10], [5.0], discrete="yes")


def test_the_flow_may_begin_after_one_step():
    run = flow.descend_then_flow(np.eye(2), 0.1, [1], [1e-3, 1.0])
    np.testing.assert_array_equal(run.s, [0.0, 1e-3, 1.0])


def test_an_overflow_of_one_entry_ends_the_euler_steps():
    with (
        np.errstate(over="ignore"),
        pytest.raises(flow.FlowError, match=r"overflow before s = 3 with step = 0.5$"),
    ):
        flow.log_time_euler(lambda s, w: w * [0.0, 1e150], [1.0, 1.0], 0.0, [1.0, 3.0], 0.5)


# --- which samples are followed -----------------------------------------------------------------


def test_samples_that_do_not_matter_are_left_out_until_they_do(monkeypatch):
    """A sample with a weight below e^{-42} is followed only from the segment in which it wakes."""
    followed = []
    original = flow._flow_of

    def noted(signed, *args):
        followed.append([int(row.argmax()) for row in signed])
        return original(signed, *args)

    monkeypatch.setattr(flow, "_flow_of", noted)

    def weights(margins, times, s=0.0):
        """Of orthonormal samples, each of which goes its own way."""
        w0 = np.array(margins)
        path = flow._segment(
            np.eye(len(w0)), 1.0, w0, s, np.array(times), EXPONENTIAL, 1e-12, False
        )
        expected = np.log(np.exp(w0) + np.exp(times)[:, None] - math.exp(s))
        np.testing.assert_allclose(path, expected, rtol=1e-8, atol=1e-8)

    weights([0.0, 1.0], [1.0, 2.0])
    assert followed == [[0, 1]]
    followed.clear()
    weights([0.0, 41.9, 42.1, 60.0], [1.0, 2.0])  # the third and fourth sleep to the end
    assert followed == [[0, 1]]
    followed.clear()
    weights([0.0, 60.0, 45.0, 90.0], [3.0, 30.0])  # the second and third wake
    assert followed == [[0], [0, 1, 2]]
    followed.clear()
    weights([0.0, 43.0], [5.9])  # awake is what is above e^{-37} at some look, not below
    assert followed == [[0]]
    followed.clear()
    weights([0.0, 43.0], [6.1])
    assert followed == [[0], [0, 1]]
    followed.clear()
    weights([10.0, 53.0], [11.0, 12.0], s=10.0)
    assert followed == [[0]]


# --- leaps, window by window --------------------------------------------------------------------


class Counts(np.random.Generator):
    """Notes how many draws each window asks for, and what they were."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(seed))
        self.asked, self.drawn = [], []

    def multinomial(self, n, pvals, size=None):
        drawn = super().multinomial(n, pvals, size)
        self.asked.append((n, tuple(pvals), size))
        self.drawn.append(drawn)
        return drawn


@pytest.mark.parametrize("window", [1.0, 0.3, 0.05])
@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC], ids=lambda loss: loss.name)
def test_a_leap_is_the_midpoint_rule_in_windows_that_end_at_the_times(window, replacement, loss):
    signed, step, s0 = LEAP_X[:5], 0.5, math.log(10.5)
    w0 = np.array([[2.0, 0.1], [1.5, -0.2], [4.0, 0.3]])
    times, given_to = np.array([s0, 2.4, 2.4 + 1e-3, 4.0]), w0.copy()
    rng = Counts(7)
    path = flow.stochastic_leap(
        signed, step, given_to, s0, times, rng, replacement=replacement, loss=loss, window=window
    )
    np.testing.assert_array_equal(given_to, w0)

    def rate(s, w, weight):
        return step * (weight * np.exp(s) * loss.slope(w @ signed.T)) @ signed

    s, w, expected, windows = s0, w0, [], 0
    for time in times:
        while time - s > 1e-12:
            # the Jacobian's largest eigenvalue is at most Σ η e^{s-f} |x|²
            bound = (step * np.exp(s) * loss.slope(w @ signed.T) @ (signed**2).sum(axis=1)).max()
            h = min(window, 0.5 / bound, time - s)
            weight = 1.0
            if replacement:
                draws = max(1, round(5 * (math.exp(s + h) - math.exp(s))))
                assert rng.asked[windows] == (draws, (0.2,) * 5, 3)
                weight = rng.drawn[windows] * 5 / draws
            middle = w + h / 2 * rate(s, w, weight)
            w = w + h * rate(s + h / 2, middle, weight)
            s, windows = s + h, windows + 1
        expected.append(w)
    assert len(rng.asked) == windows * replacement
    np.testing.assert_allclose(path, expected, rtol=1e-11)


def test_a_leap_of_samples_without_pull_stands_still():
    start = np.array([[800.0, 900.0]])
    with np.errstate(under="ignore"):
        path = flow.stochastic_leap(
            np.eye(2), 1.0, start, 3.0, [3.5, 20.0], np.random.default_rng(0), window=1.0
        )
    np.testing.assert_array_equal(path, [start, start])


def test_a_leap_counts_its_windows(monkeypatch):
    """From 3 to 4 there are four of 1/4, where nothing is stiff."""
    documentation = " ".join(flow.stochastic_leap.__doc__.split())
    assert f"or more than {flow._LEAP_WINDOWS:,} windows:" in documentation
    arguments = {
        "signed": np.eye(2), "step_size": 1e-6, "w0": np.zeros((1, 2)), "s0": 3.0,
        "s_eval": [3.25, 4.0], "rng": np.random.default_rng(0), "window": 0.25,
    }  # fmt: skip
    monkeypatch.setattr(flow, "_LEAP_WINDOWS", 4)
    flow.stochastic_leap(**arguments)
    monkeypatch.setattr(flow, "_LEAP_WINDOWS", 3)
    with pytest.raises(ValueError, match=r"^signed is too stiff to leap: 3 windows reach s = 3.75"):
        flow.stochastic_leap(**arguments)


def test_leaps_begin_after_ten_epochs_and_are_at_most_one_long():
    def leap(s0, window=0.5, s_eval=4.0, signed=LEAP_X, **options):
        w0, rng = np.full((1, signed.shape[1]), 3.0), np.random.default_rng(0)
        return flow.stochastic_leap(signed, 0.01, w0, s0, [s_eval], rng, window=window, **options)

    for s0 in (math.log(10), math.log(10) - 1e-12, math.log(10.5)):
        assert leap(s0).shape == (1, 1, 2)
    for s0 in (math.log(10) - 1e-9, math.log(9.5), 2.0):
        with pytest.raises(ValueError, match=r"^s0 is 2.*; allowed: at least log 10, ten epochs$"):
            leap(s0)
    assert leap(3.0, window=1.0).shape == (1, 1, 2)
    for window in (np.nextafter(1, 2), 1.5):
        with pytest.raises(ValueError, match=r"^window is .*; allowed: a number in \(0, 1\]$"):
            leap(3.0, window=window)
    # as many draws as fit an integer are allowed, and any time without draws
    for signed, window in ((np.ones((1, 1)), 0.05), (LEAP_X, 0.3)):
        most = math.log(4e18) - np.log(len(signed) * np.expm1(window))
        least = np.log(len(signed) * np.expm1(window))
        near = (most + k * np.spacing(most) for k in range(-4, 5))
        exact = [end for end in near if least + end == np.log(flow._LEAP_DRAWS)]
        assert exact
        leap(most - 0.1, signed=signed, window=window, s_eval=exact[0])
        for end in (most - 1e-9, most + 1e-9):
            arguments = {"signed": signed, "window": window, "s_eval": end}
            assert np.isfinite(leap(most - 0.1, replacement=False, **arguments)).all()
            if end < most:
                leap(most - 0.1, **arguments)
            else:
                with pytest.raises(ValueError, match=r"^s_eval ends at"):
                    leap(most - 0.1, **arguments)


# --- where a diagonal flow can start ------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_diagonal_flow_warms_up_along_its_path(depth):
    """Until θ and -∇L make the angle with the cosine .3, by the flow in ordinary time."""
    assert f"an angle of {math.acos(0.3):.2f} rad or less" in flow.diagonal_flow.__doc__
    signed = np.array([[1.0, 0.4], [0.3, 1.0], [0.5, -0.2]])
    theta = np.array([0.2, 0.3, 0.9, 0.8])  # mostly against the data, so that the norm shrinks
    both = np.hstack([signed, -signed])

    def push(theta):
        return np.exp(-both @ theta**depth) @ both * theta ** (depth - 1)

    def cosine(_, theta):
        g = push(theta)
        return g @ theta / (np.linalg.norm(g) * np.linalg.norm(theta)) - 0.3

    cosine.terminal = True
    assert cosine(0.0, theta) < 0
    plain = solve_ivp(
        lambda _, theta: push(theta), (0.0, 1e3), theta, method="DOP853", events=cosine,
        rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    (expected,) = plain.y_events[0]
    net = flow._Diagonal(both, depth)
    log_theta, log_norm = net.warm_up(theta, 1e-9)
    np.testing.assert_allclose(np.exp(log_theta), expected, rtol=1e-8)
    assert log_norm == pytest.approx(math.log(np.linalg.norm(expected)), abs=1e-8)
    f = both @ expected**depth
    np.testing.assert_allclose(net.state(log_theta), [*np.log(expected), *-f], rtol=1e-7)
    # where the cosine is larger already, the flow can start at once
    warm = theta[[2, 3, 0, 1]]
    assert cosine(0.0, warm) > 0
    log_theta, log_norm = net.warm_up(warm, 1e-9)
    np.testing.assert_array_equal(log_theta, np.log(warm))
    assert log_norm == pytest.approx(math.log(np.linalg.norm(warm)), abs=1e-15)
    with pytest.raises(ValueError, match=rf"^log_norms starts at -3; allowed: {log_norm:g} and"):
        flow.diagonal_flow(signed, depth, warm[:2], warm[2:], [-3.0, 3.0])


def test_a_diagonal_flow_is_the_same_in_one_go_and_through_more_norms():
    signed = np.array([[1.0, 0.4], [0.3, 1.0], [0.5, -0.2]])
    args = (signed, 3, [0.5, 0.4], [0.3, 0.6])
    ends = np.array([0.5, 0.9, 2.9])
    whole = flow.diagonal_flow(*args, ends)
    for k in (0, 2):
        alone = flow.diagonal_flow(*args, ends[k : k + 1])
        np.testing.assert_allclose(alone.weights[0], whole.weights[k], rtol=1e-6)
        np.testing.assert_allclose(alone.shares[0], whole.shares[k], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(alone.margins[0], whole.margins[k], rtol=1e-6)


def test_overflow_in_a_trial_step_is_nobodys_business():
    """The solver takes a step that overflows as a failed one, whatever NumPy does of overflows."""
    one, half = [[1.0, 0.5], [0.5, 1.0]], [0.5, 0.5]
    with (
        np.errstate(over="raise", invalid="raise"),
        pytest.raises(flow.FlowError, match="the weights overflow before log"),
    ):
        flow.diagonal_flow(one, 3, [1e76, 1e76], half, [180.0])


def test_a_solution_to_eight_digits_is_one_of_these_samples():
    hard = hard_margin(PAIR)
    for off, refused in ((1.9e-8, False), (-1.9e-8, False), (2.1e-8, True), (-2.1e-8, True)):
        near = replace(hard, w=hard.w * (1 + off))
        if refused:
            with pytest.raises(ValueError, match=r"^hard belongs to other samples"):
                flow._check_solution(PAIR, near)
        else:
            flow._check_solution(PAIR, near)


@pytest.mark.parametrize("stiffness", [0.4, 0.6, 0.8, 1.0, 1.3, 40.0])
def test_a_window_is_half_of_the_time_scale(stiffness):
    """One sample: η e^{s-w} is the only eigenvalue of the Jacobian, and the bound of it."""
    rng, w0 = Counts(0), 2.0
    flow.stochastic_leap(
        [[1.0]], stiffness * math.exp(w0 - 9.0), [[w0]], 9.0, [11.0], rng,
        loss=EXPONENTIAL, window=1.0,
    )  # fmt: skip
    window = min(1.0, 0.5 / stiffness)
    assert rng.asked[0][0] == round(math.exp(9.0 + window) - math.exp(9.0))


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC, SIGMOID], ids=lambda loss: loss.name)
def test_the_correction_of_the_discrete_flow_is_the_backward_error(loss, monkeypatch):
    """To dw/ds it adds -½ e^{-s} J dw/ds, with the Jacobian of the plain flow."""
    calls = Calls(monkeypatch)
    for discrete in (False, True):
        flow.log_time_flow(
            SETS[3][0], 0.05, [0.1, -0.2, 0.3], 0.5, [0.6], loss=loss, discrete=discrete
        )
    (plain, _, options), (corrected, _, _) = calls.seen
    for s in (0.5, 1.5):
        for state in (np.zeros(3), np.array([0.3, -0.1, 0.2])):
            rate = plain(s, state)
            expected = rate - 0.5 * math.exp(-s) * options["jac"](s, state) @ rate
            np.testing.assert_allclose(corrected(s, state), expected, rtol=1e-12)


def test_a_residual_flow_is_followed_no_farther_than_asked(monkeypatch):
    calls = Calls(monkeypatch)
    args = (PAIR_AND_MORE, hard_margin(PAIR_AND_MORE), 0.2, [0.1, 0.2, 0.3])
    flow.log_time_residual_flow(*args, 1.0, [2.0, 3.0])
    assert [solution.t[-1] for _, solution, _ in calls.seen] == [3.0]
    for start in (16.0, 20.0):  # nothing is left before the elimination
        calls.seen.clear()
        flow.log_time_residual_flow(*args, start, [start, 30.0])
        assert [solution.t[-1] for _, solution, _ in calls.seen] == [30.0]


@pytest.mark.parametrize("seed", range(3))
def test_a_residual_flow_does_not_feel_a_rotation(seed, monkeypatch):
    """Where no margin and no drift is exact in the given coordinates; an error grows like log t."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turned = TRIPLE @ rotation
    start, sigma = np.array([0.1, 0.2, 0.3]), [10.0, 16.0, 27.0, 1e4]
    plain = flow.log_time_residual_flow(TRIPLE, hard_margin(TRIPLE), 0.2, start, 9.0, sigma)
    args = (turned, hard_margin(turned), 0.2, start @ rotation, 9.0)
    other = flow.log_time_residual_flow(*args, sigma)
    np.testing.assert_allclose(other.residual, plain.residual @ rotation, rtol=1e-7, atol=2e-7)
    monkeypatch.setattr(flow, "_QUASI_STEADY", 30.0)
    full = flow.log_time_residual_flow(*args, sigma[:3])
    np.testing.assert_allclose(full.residual, plain.residual[:3] @ rotation, atol=2e-7)


def test_a_start_that_interpolates_is_not_moved():
    def never(_):
        raise AssertionError("asked for the velocity")

    for size in (1e-3, 0.9e-3):
        start = np.array([size, -1e-4])
        assert flow.flow_to_interpolation(never, start, lambda z: z, stop=1e-3) is start


@pytest.mark.parametrize("name", ["plain", "diagonal"])
def test_what_the_solver_warns_of_is_left_to_its_verdict(name, monkeypatch):
    """A trial step that fails is repeated; a solver that gives up says so by an error."""

    def warning(*args, **options):
        warnings.warn("a singular matrix", RuntimeWarning, stacklevel=1)
        return solve_ivp(*args, **options)

    # the warm-up, which solves explicitly, is left out
    monkeypatch.setattr(flow, "_WARM", -1.0)
    monkeypatch.setattr(flow, "solve_ivp", warning)
    FLOWS[name]()


def test_numbers_that_the_documentation_names():
    """Quick, so that a flow that warms up for ever need not be waited for."""
    assert flow._log_sum_rows(np.zeros((1, 1))) == 0
    angle = f"an angle of {math.acos(min(flow._WARM, 1.0)):.2f} rad or less"
    assert angle in flow.diagonal_flow.__doc__
    windows = f"or more than {flow._LEAP_WINDOWS:,} windows:"
    assert windows in " ".join(flow.stochastic_leap.__doc__.split())
