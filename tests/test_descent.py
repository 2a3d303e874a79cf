"""Gradient methods against naive references, closed forms and the statistics of sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibcore import descent
from ibcore.losses import EXPONENTIAL, LOGISTIC, SIGMOID


def separable(seed, n_samples=12, n_features=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_samples, n_features))
    return x * np.sign(x @ rng.normal(size=n_features))[:, None]


def safe_step(signed):
    return 1.0 / np.linalg.norm(signed, 2) ** 2


def slope(loss, u):
    return {
        "exponential": lambda: np.exp(-u),
        "logistic": lambda: 1 / (1 + np.exp(u)),
        "sigmoid": lambda: np.exp(-u) / (1 + np.exp(-u)) ** 2,
    }[loss.name]()


def naive(signed, step_size, steps, w, loss, momentum=0.0):
    v, path = np.zeros_like(w), [w]
    for _ in range(steps):
        v = momentum * v + step_size * slope(loss, signed @ w) @ signed
        w = w + v
        path.append(w)
    return np.array(path)


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC, SIGMOID], ids=lambda loss: loss.name)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("shape", [(12, 2), (5, 7), (70, 3)])
def test_gradient_descent_is_the_naive_loop(loss, momentum, shape):
    signed = separable(1, *shape)
    step, w0 = 0.1 * safe_step(signed), 0.1 * np.ones(shape[1])
    times = [0, 1, 2, 3, 10, 401]
    run = descent.gradient_descent(signed, step, times, w0=w0, loss=loss, momentum=momentum)
    expected = naive(signed, step, 401, w0, loss, momentum)[times]
    np.testing.assert_array_equal(run.times, times)
    np.testing.assert_allclose(run.weights, expected, rtol=1e-12, atol=1e-13)


def test_both_rules_agree_after_many_steps(monkeypatch):
    signed = separable(2)
    fast = descent.gradient_descent(signed, 0.05, [50_001]).weights
    monkeypatch.setattr(descent, "_ONE_MAP_LIMIT", 0)
    plain = descent.gradient_descent(signed, 0.05, [50_001]).weights
    np.testing.assert_allclose(fast, plain, rtol=1e-12)


def test_one_point_follows_the_closed_form_of_the_flow():
    # w(t) = log(t + e^{w0}) as η → 0 with η t fixed; the error is of first order in η.
    def error(step):
        steps = round(2.0 / step)
        w = descent.gradient_descent([[1.0]], step, [steps], w0=[0.3], loss=EXPONENTIAL).weights
        return abs(float(w[0, 0]) - math.log(2.0 + math.exp(0.3)))

    order = math.log2(error(1e-2) / error(5e-3))
    assert order == pytest.approx(1.0, abs=0.02)


@given(st.lists(st.floats(0.2, 2.0), min_size=2, max_size=4), st.floats(0.01, 0.2))
def test_orthogonal_data_decouple(scales, step):
    together = descent.gradient_descent(np.diag(scales), step, [37]).weights[0]
    alone = [descent.gradient_descent([[c]], step, [37]).weights[0, 0] for c in scales]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@given(st.integers(1, 50), st.integers(1, 10**7), st.integers(1, 30))
def test_log_spaced_times(start, span, per_decade):
    times = descent.log_spaced(start, start + span, per_decade)
    assert times.dtype == np.int64
    assert times[0] == start
    assert times[-1] == start + span
    assert (np.diff(times) > 0).all()
    assert len(times) <= per_decade * math.log10(1 + span / start) + 3


def test_log_spaced_single_time():
    np.testing.assert_array_equal(descent.log_spaced(7, 7, 5), [7])


@pytest.mark.parametrize("by", ["loss", "gradient"])
def test_normalized_descent_is_the_naive_loop(by):
    signed = separable(3)
    signed /= np.linalg.norm(signed, axis=1).max()
    run = descent.normalized_gradient_descent(signed, 0.7, [0, 1, 50], by=by)
    w = np.zeros(2)
    for t in range(50):
        p = np.exp(-signed @ w)
        g = -p @ signed
        w = w - 0.7 / math.sqrt(t + 1) * g / (p.sum() if by == "loss" else np.linalg.norm(g))
    np.testing.assert_allclose(run.weights[-1], w, rtol=1e-12)


def test_constant_normalized_steps_outlive_underflow():
    # the loss itself is 0 in float64 once the margins exceed 745
    run = descent.normalized_gradient_descent([[1.0, 0.0], [0.0, 0.5]], 1.0, [4000], decay=0.0)
    margins = np.array([1.0, 0.5]) * run.weights[0]
    assert margins.min() > 745
    # R3 of Nacson et al.: the weights of the samples tend to α/Σα = (1, 4)/5
    assert np.diff(margins)[0] == pytest.approx(-math.log(4), abs=0.8)


def test_adam_and_adagrad_are_the_naive_loops():
    signed, w0 = separable(4), np.array([0.1, -0.2])
    run = descent.adam(signed, 0.05, [60], w0=w0, decay=0.5)
    w, m, v = w0, np.zeros(2), np.zeros(2)
    for t in range(1, 61):
        g = -slope(LOGISTIC, signed @ w) @ signed
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 0.05 * t**-0.5 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(run.weights[0], w, rtol=1e-11)
    np.testing.assert_allclose(run.accumulated[0], v, rtol=1e-11)

    run = descent.adagrad(signed, 0.05, [0, 60], w0=w0, initial_accumulator=1e-3)
    w, total = w0, np.full(2, 1e-3)
    for _ in range(60):
        g = -slope(LOGISTIC, signed @ w) @ signed
        total = total + g**2
        w = w - 0.05 * g / np.sqrt(total)
    np.testing.assert_allclose(run.weights[1], w, rtol=1e-12)
    np.testing.assert_allclose(run.accumulated, [[1e-3, 1e-3], total], rtol=1e-12)


def test_softmax_with_two_classes_is_logistic_regression_in_the_difference():
    x, y = np.abs(separable(5)), np.arange(12) % 2
    run = descent.softmax_gradient_descent(x, y, 2, 0.02, [0, 300], w0=[[0.3, 0.0], [0.1, 0.2]])
    signed = x * (2 * y - 1)[:, None]
    # each of the two rows moves by half of the difference, so the difference moves twice as fast
    logistic = descent.gradient_descent(signed, 0.04, [0, 300], w0=[-0.2, 0.2])
    np.testing.assert_allclose(
        run.weights[:, 1] - run.weights[:, 0], logistic.weights, rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(run.weights.sum(axis=1), [[0.4, 0.2]] * 2, atol=1e-12)


# --- stochastic descent -------------------------------------------------------------------------


def counting_run(replacement, seed, epochs, runs=1, batch_size=3, n_samples=12):
    """On orthonormal samples, with a constant slope, w counts how often each sample was used."""
    # the logistic slope at a margin of -1000 is 1 to the last bit
    times = np.arange(1, epochs + 1) * (n_samples // batch_size)
    run = descent.stochastic_gradient_descent(
        np.eye(n_samples),
        1.0,
        times,
        np.random.default_rng(seed),
        batch_size=batch_size,
        replacement=replacement,
        runs=runs,
        w0=np.full(n_samples, -1000.0),
    )
    return run.weights + 1000.0


def test_without_replacement_every_epoch_is_a_partition():
    counts = counting_run(False, 0, 60, runs=4)
    np.testing.assert_array_equal(counts, np.arange(1, 61)[:, None, None] * np.ones((60, 4, 12)))


def test_the_partitions_differ_between_epochs_and_runs():
    times = [1]
    first = descent.stochastic_gradient_descent(
        np.eye(12), 1.0, times, np.random.default_rng(0), batch_size=6, replacement=False, runs=40
    ).weights[0]
    assert len(np.unique(first > 0, axis=0)) > 30
    np.testing.assert_array_equal((first > 0).sum(axis=1), 6)


def test_with_replacement_counts_are_multinomial():
    counts = counting_run(True, 1, 250, runs=20)[-1]
    np.testing.assert_array_equal(counts.sum(axis=1), 250 * 12)
    # mean 250, variance 250 (1 - 1/12): twenty runs of twelve counts
    assert counts.mean() == pytest.approx(250)
    assert counts.var() == pytest.approx(250 * 11 / 12, rel=0.35)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("ahead", [1, 1 << 18])
def test_a_run_does_not_depend_on_the_other_runs(replacement, ahead, monkeypatch):
    signed, times = separable(6), [1, 7, 100]
    options = {"batch_size": 3, "replacement": replacement}
    together = descent.stochastic_gradient_descent(
        signed, 0.1, times, np.random.default_rng(5), runs=3, **options
    )
    monkeypatch.setattr(descent, "_DRAW_AHEAD", ahead)
    rng = np.random.default_rng(5)
    for run in range(3):
        alone = descent.stochastic_gradient_descent(signed, 0.1, times, rng, **options)
        np.testing.assert_allclose(
            alone.weights[:, 0], together.weights[:, run], rtol=1e-13, atol=1e-15
        )


def test_full_batch_without_replacement_is_gradient_descent():
    signed, w0 = separable(7), np.array([[0.1, 0.2], [0.3, -0.1]])
    stochastic = descent.stochastic_gradient_descent(
        signed,
        0.05,
        [10, 500],
        np.random.default_rng(0),
        batch_size=12,
        replacement=False,
        runs=2,
        w0=w0,
    )
    for run, start in enumerate(w0):
        full = descent.gradient_descent(signed, 0.05, [10, 500], w0=start)
        np.testing.assert_allclose(stochastic.weights[:, run], full.weights, rtol=1e-11)


# --- what is refused ----------------------------------------------------------------------------


def test_a_lost_run_is_an_error_that_names_the_step_size():
    signed = separable(8)
    with pytest.raises(descent.DivergenceError, match="step_size is 1000"):
        descent.gradient_descent(signed, 1e3, [10**9], w0=[-9.0, 9.0], loss=EXPONENTIAL)
    with pytest.raises(descent.DivergenceError, match="step_size is 1e"):
        descent.adam([[1.0]], 1e10, [40], w0=[-600.0], loss=EXPONENTIAL)


SIGNED = separable(0)
RNG = np.random.default_rng(0)
BAD_COMMON = [
    ({"signed": np.empty((0, 2))}, "signed"),
    ({"signed": [1.0, 2.0]}, "signed"),
    ({"signed": [[1.0, np.nan]]}, "signed"),
    ({"step_size": 0.0}, "step_size"),
    ({"step_size": -1.0}, "step_size"),
    ({"step_size": np.inf}, "step_size"),
    ({"record_at": []}, "record_at"),
    ({"record_at": [3, 2]}, "record_at"),
    ({"record_at": [1, 1]}, "record_at"),
    ({"record_at": [-1, 1]}, "record_at"),
    ({"record_at": [0.5, 1]}, "record_at"),
    ({"w0": [1.0]}, "w0"),
    ({"w0": [1.0, np.inf]}, "w0"),
]
METHODS = {
    "gradient_descent": {},
    "normalized_gradient_descent": {},
    "adam": {},
    "adagrad": {},
    "stochastic_gradient_descent": {"rng": RNG, "batch_size": 3, "replacement": False},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("bad", "name"), BAD_COMMON)
def test_bad_input_is_named(method, bad, name):
    good = {"signed": SIGNED, "step_size": 0.1, "record_at": [1, 2]} | METHODS[method]
    with pytest.raises(ValueError, match=f"^{name} .*allowed"):
        getattr(descent, method)(**(good | bad))


@pytest.mark.parametrize(
    ("method", "bad", "name"),
    [
        ("gradient_descent", {"momentum": 1.0}, "momentum"),
        ("gradient_descent", {"momentum": -0.1}, "momentum"),
        ("normalized_gradient_descent", {"decay": -1.0}, "decay"),
        ("normalized_gradient_descent", {"by": "margin"}, "by"),
        ("adam", {"beta1": 1.0}, "beta1"),
        ("adam", {"beta2": 1.5}, "beta2"),
        ("adam", {"epsilon": 0.0}, "epsilon"),
        ("adam", {"decay": -0.5}, "decay"),
        ("adagrad", {"initial_accumulator": 0.0}, "initial_accumulator"),
        ("stochastic_gradient_descent", {"batch_size": 5}, "batch_size"),
        ("stochastic_gradient_descent", {"batch_size": 13, "replacement": True}, "batch_size"),
        ("stochastic_gradient_descent", {"batch_size": 0}, "batch_size"),
        ("stochastic_gradient_descent", {"runs": 0}, "runs"),
        ("stochastic_gradient_descent", {"rng": 0}, "rng"),
        ("stochastic_gradient_descent", {"w0": np.zeros((3, 2)), "runs": 2}, "w0"),
    ],
)
def test_bad_options_are_named(method, bad, name):
    good = {"signed": SIGNED, "step_size": 0.1, "record_at": [1, 2]} | METHODS[method]
    with pytest.raises(ValueError, match=f"^{name} .*allowed"):
        getattr(descent, method)(**(good | bad))


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"x": [[np.inf, 0.0]]}, "x"),
        ({"y": [0, 3]}, "y"),
        ({"y": [0]}, "y"),
        ({"n_classes": 1}, "n_classes"),
        ({"step_size": 0.0}, "step_size"),
        ({"record_at": [2, 1]}, "record_at"),
        ({"w0": np.zeros((2, 2))}, "w0"),
    ],
)
def test_bad_softmax_input_is_named(bad, name):
    good = {"x": np.eye(2), "y": [0, 1], "n_classes": 3, "step_size": 0.1, "record_at": [1]}
    with pytest.raises(ValueError, match=f"^{name} .*allowed"):
        descent.softmax_gradient_descent(**(good | bad))


@pytest.mark.parametrize(
    ("args", "name"), [((0, 5, 3), "start"), ((5, 4, 3), "stop"), ((1, 5, 0), "per_decade")]
)
def test_bad_log_spacing_is_named(args, name):
    with pytest.raises(ValueError, match=f"^{name} .*allowed"):
        descent.log_spaced(*args)


# --- step sizes of stochastic descent ------------------------------------------------------------


def test_step_size_bounds_in_closed_form():
    # Rows e_1 and e_2: γ = 1/√2, σ = R = 1.
    bounds = descent.step_size_bounds(np.eye(2), 0.25)
    root = np.sqrt(2)
    np.testing.assert_allclose(bounds.subset, 4.0)
    np.testing.assert_allclose(bounds.independent, 4.0)
    np.testing.assert_allclose(bounds.reshuffled, (1 / root) / (0.5 * (2 + root)))
    np.testing.assert_allclose(
        descent.step_size_bounds(np.eye(2), 0.25, batch_size=2).independent, 8 / 2.5
    )


@given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 6]))
@settings(max_examples=30, deadline=None)
def test_a_step_at_the_bound_descends_on_average(seed, batch_size):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 3)) * 0.5 + [2.0, 0.0, 0.0]
    w = rng.normal(size=3)
    step = 0.999 * descent.step_size_bounds(x, 0.25, batch_size=batch_size).subset
    slopes = LOGISTIC.slope(x @ w)
    after = [
        LOGISTIC.value(x @ (w + step * slopes[list(b)] @ x[list(b)])).sum()
        for b in itertools.combinations(range(6), batch_size)
    ]
    assert np.mean(after) < LOGISTIC.value(x @ w).sum()


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"signed": [[1.0], [-1.0]]}, "signed"),
        ({"smoothness": 0.0}, "smoothness"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 3}, "batch_size"),
    ],
)
def test_bad_step_size_bounds_are_named(bad, name):
    good = {"signed": np.eye(2), "smoothness": 0.25}
    with pytest.raises(ValueError, match=f"^{name} .*allowed"):
        descent.step_size_bounds(**(good | bad))


def test_independent_minibatches_are_bounded_by_the_longest_sample():
    # Rows 3 e_1 and e_2: 1/γ² = 1/9 + 1, σ = R = 3, so R²/γ² = 10.
    bounds = descent.step_size_bounds(np.diag([3.0, 1.0]), 0.25, batch_size=2)
    assert bounds.independent == pytest.approx(2 / (0.25 * 9 * (10 + 0.5)))
    # one minibatch an epoch: K = 1, and σ/γ = √10
    root = math.sqrt(10)
    assert bounds.reshuffled == pytest.approx((3 / root) / (2 * 0.25 * 27 * (1 + root)))


@pytest.mark.parametrize("by", ["loss", "gradient"])
def test_normalized_descent_of_a_logistic_loss_is_the_naive_loop(by):
    signed = separable(3)
    run = descent.normalized_gradient_descent(signed, 0.7, [30], by=by, loss=LOGISTIC)
    w = np.zeros(2)
    for t in range(30):
        u = signed @ w
        g = -(1 / (1 + np.exp(u))) @ signed
        scale = np.log1p(np.exp(-u)).sum() if by == "loss" else np.linalg.norm(g)
        w = w - 0.7 / math.sqrt(t + 1) * g / scale
    np.testing.assert_allclose(run.weights[-1], w, rtol=1e-12)


def test_softmax_descent_with_logits_far_apart():
    """A sample with logits of 2000 must not take the digits of one with logits near zero."""
    x, y = np.array([[2000.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    run = descent.softmax_gradient_descent(x, y, 2, 0.5, [1], w0=[[1.0, 0.0], [0.0, 0.0]])
    # the first sample is fitted to the last bit; the second has p = 1/2 for both classes
    np.testing.assert_allclose(run.weights[0], [[1.0, -0.25], [0.0, 0.25]], rtol=1e-14)


def test_the_given_start_is_left_alone():
    w0 = np.zeros((2, 2))
    descent.softmax_gradient_descent(np.eye(2), [0, 1], 2, 0.5, [5], w0=w0)
    assert not w0.any()
    single = np.zeros(2)
    for method in (descent.gradient_descent, descent.normalized_gradient_descent):
        method(np.eye(2), 0.5, [5], w0=single)
        assert not single.any()


def test_which_batches_are_possible_is_said():
    assert descent._batch_size(4, 6, True) == 4
    assert descent._batch_size(3, 6, False) == 3
    with pytest.raises(ValueError, match=r"replacement=True; allowed: 1\.\.6$"):
        descent._batch_size(7, 6, True)
    with pytest.raises(ValueError, match=r"replacement=False; allowed: a divisor of 6$"):
        descent._batch_size(4, 6, False)


def test_the_bound_of_any_minibatch_of_long_samples():
    # Rows 3 e_1 and e_2: γ² = 9/10 and σ = 3.
    bounds = descent.step_size_bounds(np.diag([3.0, 1.0]), 0.25)
    assert bounds.subset == pytest.approx(2 * 0.9 / (0.25 * 81))


@pytest.mark.parametrize("per_decade", [1, 3, 4, 10])
@pytest.mark.parametrize("ratio", [1, 1.5, 5, 10, 999, 10**4])
def test_times_are_the_fewest_that_are_as_dense_as_asked(per_decade, ratio):
    """Far out, where none round to the same integer: ends included, equal in log t."""
    start, stop = 10**9, round(10**9 * ratio)
    intervals = next(k for k in range(99) if 10 ** (k / per_decade) >= ratio * (1 - 1e-12))
    expected = [start * ratio ** (k / max(intervals, 1)) for k in range(intervals + 1)]
    times = descent.log_spaced(start, stop, per_decade)
    np.testing.assert_allclose(times, expected, rtol=1e-9)


def test_times_near_one_are_integers_without_repeats():
    np.testing.assert_array_equal(descent.log_spaced(1, 10, 5), [1, 2, 3, 4, 6, 10])
    np.testing.assert_array_equal(descent.log_spaced(1, 4, 50), [1, 2, 3, 4])
    np.testing.assert_array_equal(descent.log_spaced(100, 150, 1), [100, 150])


@pytest.mark.parametrize("by", ["loss", "gradient"])
@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC], ids=lambda loss: loss.name)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_normalised_step_of_margins_far_apart(by, loss, sign):
    """One sample has all of the pull, though it or the other one is beyond any exponent."""
    w0 = [2000.0, 5.0 + 2000.0 * (sign - 1) / 2]
    run = descent.normalized_gradient_descent(
        np.diag([1.0, 2.0]), 0.5, [1], by=by, loss=loss, w0=w0
    )
    # -∇L/L is 2 e_2 for e^{-u}, also far out on the logistic loss; there it is 2 e_2/u on the left
    u = 2 * w0[1]
    share = {"gradient": 1.0, "loss": 2.0 / (-u if loss is LOGISTIC and u < 0 else 1.0)}[by]
    np.testing.assert_allclose(run.weights[0], [w0[0], w0[1] + 0.5 * share], rtol=1e-4)


def test_what_is_not_given():
    signed = separable(4)
    for method, defaults in (
        (descent.adam, {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decay": 0.0}),
        (descent.adagrad, {"initial_accumulator": 1e-10}),
        (descent.gradient_descent, {"momentum": 0.0, "w0": [0.0, 0.0], "loss": LOGISTIC}),
        (descent.normalized_gradient_descent,
         {"decay": 0.5, "by": "loss", "w0": [0.0, 0.0], "loss": EXPONENTIAL}),
    ):  # fmt: skip
        np.testing.assert_array_equal(
            method(signed, 0.05, [7]).weights, method(signed, 0.05, [7], **defaults).weights
        )
    options = {"batch_size": 3, "replacement": True}
    run = descent.stochastic_gradient_descent(
        signed, 0.05, [7], np.random.default_rng(0), **options
    )
    assert run.weights.shape == (1, 1, 2)
    same = descent.stochastic_gradient_descent(
        signed, 0.05, [7], np.random.default_rng(0), runs=1, w0=[[0.0, 0.0]], **options
    )
    np.testing.assert_array_equal(run.weights, same.weights)
    x, y = np.abs(signed), np.arange(12) % 2
    np.testing.assert_array_equal(
        descent.softmax_gradient_descent(x, y, 2, 0.02, [5]).weights,
        descent.softmax_gradient_descent(x, y, 2, 0.02, [5], w0=np.zeros((2, 2))).weights,
    )
    bounds = descent.step_size_bounds(signed, 0.25)
    assert bounds == descent.step_size_bounds(signed, 0.25, batch_size=1)


def test_three_classes_are_the_naive_loop():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(9, 2)), np.arange(9) % 3, rng.normal(size=(3, 2))
    run = descent.softmax_gradient_descent(x, y, 3, 0.1, [0, 25], w0=w)
    np.testing.assert_array_equal(run.weights[0], w)
    for _ in range(25):
        p = np.exp(x @ w.T)
        p /= p.sum(axis=1)[:, None]
        w = w - 0.1 * (p - np.eye(3)[y]).T @ x
    np.testing.assert_allclose(run.weights[1], w, rtol=1e-12)


@pytest.mark.parametrize(
    "lost",
    [
        lambda a, b: a.__setitem__(0, np.nan),
        lambda a, b: a.__setitem__(1, -np.inf),
        lambda a, b: b.__setitem__(0, np.inf),
    ],
)
def test_one_entry_that_overflows_is_noticed_at_the_next_look(lost, monkeypatch):
    monkeypatch.setattr(descent, "_CHECK_EVERY", 4)
    state, done = (np.zeros(2), np.zeros(1)), []

    def advance(steps):
        done.append(steps)
        state[0][:] += steps
        if sum(done) >= 11:
            lost(*state)

    first, second = descent._record(advance, state, np.array([0, 3, 9]), 0.5)
    np.testing.assert_array_equal(first, [[0, 0], [3, 3], [9, 9]])
    np.testing.assert_array_equal(second, [[0], [0], [0]])
    assert done == [3, 4, 2]
    done.clear()
    with pytest.raises(descent.DivergenceError, match=r"^step_size is 0.5, .* within 12 updates;"):
        descent._record(advance, state, np.array([100]), 0.5)
    assert done == [4, 4, 4]
