"""Stability of delayed descent: angle equations, roots and plain loops, each against the others."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from ibcore import stability

KINDS = ("heavy ball", "shifted")
delays = st.integers(0, 24)
momenta = st.floats(0.0, 0.95)
kinds = st.sampled_from(KINDS)


def radius(c, delay, momentum=0.0, kind="heavy ball", decay=0.0):
    return stability.spectral_radius(
        stability.characteristic_polynomial(c, delay, momentum, kind=kind, decay=decay)
    )


def loop(c, delay, momentum, kind, decay, steps, start=1.0):
    """The recurrence, written out, from a constant past."""
    path = [start] * (delay + 2)
    for _ in range(steps):
        late, early = (path[-1], path[-2]) if kind == "heavy ball" else (path[-delay - 1], path[0])
        new = (1 - decay) * path[-1] + momentum * (late - early) - c * path[-delay - 1]
        path = [*path[1:], new]
        yield new


# --- polynomials --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0, 1, 2, 5])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.2), (0.4, 0.1)])
def test_the_polynomial_is_that_of_the_recurrence(kind, delay, momentum, decay):
    c = 0.3
    p = stability.characteristic_polynomial(c, delay, momentum, kind=kind, decay=decay)
    for z in (0.9 + 0.3j, -1.1, 1.7j):
        late, early = (z**0, z**-1) if kind == "heavy ball" else (z**-delay, z ** -(delay + 1))
        equation = z - (1 - decay) - momentum * (late - early) + c * z**-delay
        np.testing.assert_allclose(np.polyval(p, z), equation * z ** (delay + 1), rtol=1e-12)
    assert p.size == delay + 3


def test_a_certain_delay_is_a_random_one():
    p = stability.random_delay_polynomial(0.4, [0, 0, 0, 1.0])
    np.testing.assert_allclose(p, stability.characteristic_polynomial(0.4, 3)[:-1])


def test_the_spectral_radius_is_the_largest_root():
    assert stability.spectral_radius([1, -3, 2]) == pytest.approx(2, abs=1e-12)


@pytest.mark.parametrize("bad", [[1.0], [0, 1, 2], [[1, 2]], [1, np.nan]])
def test_a_polynomial_has_a_root(bad):
    with pytest.raises(ValueError, match="polynomial"):
        stability.spectral_radius(bad)


# --- thresholds ---------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(delays, momenta, kinds)
def test_a_root_reaches_the_circle_at_the_threshold_and_not_before(delay, momentum, kind):
    c = stability.momentum_threshold(delay, momentum, kind=kind)
    assert radius(c, delay, momentum, kind) == pytest.approx(1, abs=1e-9)
    assert all(radius(f * c, delay, momentum, kind) < 1 for f in (0.05, 0.3, 0.6, 0.9, 0.99))
    assert all(radius(f * c, delay, momentum, kind) > 1 for f in (1.01, 1.5, 3.0, 10.0))


@settings(max_examples=40, deadline=None)
@given(delays, st.floats(0.0, 0.9))
def test_the_same_with_weight_decay(delay, decay):
    c = stability.decay_threshold(delay, decay)
    assert radius(c, delay, decay=decay) == pytest.approx(1, abs=1e-9)
    assert radius(0.99 * c, delay, decay=decay) < 1 < radius(1.01 * c, delay, decay=decay)


@pytest.mark.parametrize("kind", KINDS)
def test_without_momentum_all_thresholds_are_one(kind):
    for delay in range(200):
        assert stability.momentum_threshold(delay, 0.0, kind=kind) == pytest.approx(
            float(stability.delay_threshold(delay)), rel=1e-13
        )
        assert stability.decay_threshold(delay, 0.0) == pytest.approx(
            float(stability.delay_threshold(delay)), rel=1e-13
        )


def test_hand_solved_thresholds():
    assert stability.delay_threshold([0, 1, 2]) == pytest.approx([2, 1, (5**0.5 - 1) / 2])
    for m in (0.1, 0.5, 0.99):
        assert stability.momentum_threshold(0, m) == pytest.approx(2 * (1 + m))
        assert stability.momentum_threshold(1, m) == pytest.approx(1 - m, rel=1e-12)
        assert stability.momentum_threshold(1, m, kind="shifted") == pytest.approx(1 - m**2)
        assert stability.decay_threshold(0, m) == pytest.approx(2 - m)
        assert stability.decay_threshold(1, m) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("delay", [2, 8, 32])
def test_limits_of_the_momentum(delay):
    m = 1 - 1e-9
    assert stability.momentum_threshold(delay, m) / (1 - m) == pytest.approx(1 / delay, rel=1e-6)
    assert stability.momentum_threshold(delay, m, kind="shifted") / (1 - m) == pytest.approx(
        2 / delay, rel=1e-6
    )


@pytest.mark.parametrize("delay", [0, 1, 2, 7])
def test_the_fastest_rate_is_a_minimum(delay):
    c, rate = stability.fastest_delayed_rate(delay)
    assert radius(c, delay) == pytest.approx(rate, abs=1e-6)
    grid = np.linspace(0.01, 1, 60) * float(stability.delay_threshold(delay))
    assert min(radius(x, delay) for x in grid) >= rate - 1e-7


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_symmetric_laws_against_roots(seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(rng.integers(1, 16), 0.5))
    p = (p + p[::-1]) / 2
    c = stability.random_delay_threshold(p)
    # A root on the circle, and, as that is ill-conditioned for spread-out laws, none before.
    grown = [stability.spectral_radius(stability.random_delay_polynomial(f * c, p)) for f in
             (0.5, 0.99, 1 - 1e-6, 1 + 1e-6)]  # fmt: skip
    assert grown[0] < 1
    assert grown[1] < 1
    assert grown[2] < 1 < grown[3]
    assert c >= float(stability.delay_threshold((p.size - 1) / 2)) * (1 - 1e-12)


def test_a_uniform_law_in_closed_form():
    for mu in (1, 5, 50):
        expected = 2 * (2 * mu + 1) * np.sin(np.pi / (2 * (2 * mu + 1))) ** 2
        law = np.full(2 * mu + 1, 1 / (2 * mu + 1))
        assert stability.random_delay_threshold(law) == pytest.approx(expected, rel=1e-12)


# --- second moments -----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.floats(0.05, 0.95))
def test_the_energy_is_that_of_a_kick(delay, share):
    c = share * float(stability.delay_threshold(delay))
    g = np.zeros(6000 * (1 + delay))
    g[delay] = 1.0
    for t in range(delay, g.size - 1):
        g[t + 1] = g[t] - c * g[t - delay]
        if t % 500 == 0 and np.abs(g[t - delay : t + 1]).max() < 1e-12:
            break
    assert float(stability.impulse_energy(c, delay)) == pytest.approx(g @ g, rel=1e-9)


@pytest.mark.parametrize("delay", range(6))
@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_the_mean_square_against_the_lyapunov_operator(delay, noise):
    c = stability.mean_square_threshold(delay, noise)
    assert stability.mean_square_radius(c, delay, noise) == pytest.approx(1, abs=1e-9)
    assert stability.mean_square_radius(0.99 * c, delay, noise) < 1
    assert stability.mean_square_radius(1.01 * c, delay, noise) > 1
    energy = float(stability.impulse_energy(c, delay))
    assert (c * noise) ** 2 * energy == pytest.approx(1, rel=1e-9)


def test_noise_in_closed_form():
    assert stability.mean_square_threshold(0, 0.7) == pytest.approx(2 / 1.49, rel=1e-13)
    for delay in (0, 1, 9, 300):
        assert stability.mean_square_threshold(delay, 0.0) == pytest.approx(
            float(stability.delay_threshold(delay)), rel=1e-13
        )
        assert stability.mean_square_threshold(delay, 1.0) == pytest.approx(
            float(stability.delay_threshold(delay + 1)), rel=1e-13
        )


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_four_moments_are_all_moments(workers):
    """Iterate all second moments of (x, y_1, ..., y_N) from a symmetric start."""
    c, n = 0.37, workers
    everything = np.ones((n + 1, n + 1)) + np.diag([0.0] + [0.5] * n)
    mean = np.append(0.0, np.full(n, 1 / n))
    few = np.array(
        [
            everything[0, 0],
            everything[0] @ mean,
            np.diag(everything)[1:].mean(),
            mean @ everything @ mean,
        ]
    )
    for _ in range(7):
        after = np.zeros_like(everything)
        for i in range(n):
            step = np.eye(n + 1)
            step[0, i + 1] = -c
            step[i + 1] = step[0]
            after += step @ everything @ step.T / n
        everything = after
        few = stability.random_worker_moments(c, n) @ few
        np.testing.assert_allclose(
            few,
            [
                everything[0, 0],
                everything[0] @ mean,
                np.diag(everything)[1:].mean(),
                mean @ everything @ mean,
            ],
            rtol=1e-12,
        )


@pytest.mark.parametrize("workers", [2, 4, 64, 5000])
def test_random_workers_at_their_threshold(workers):
    def excess(c):
        eigenvalues = np.linalg.eigvals(stability.random_worker_moments(c, workers))
        return np.abs(eigenvalues).max() - 1

    c = float(stability.random_worker_threshold(workers))
    assert excess(c) == pytest.approx(0, abs=1e-9)
    assert excess(0.9 * c) < 0 < excess(1.1 * c)
    assert workers * c**2 == pytest.approx(c + 2)


# --- running it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("delay", [0, 1, 4])
def test_delayed_descent_is_the_loop(kind, momentum, delay):
    curvatures = np.array([0.3, 1.1])
    run = stability.delayed_descent(
        lambda x: curvatures * x,
        [1.0, 2.0],
        0.2,
        delay,
        [0, 1, 2, 30],
        momentum=momentum,
        kind=kind,
    )
    np.testing.assert_array_equal(run.times, [0, 1, 2, 30])
    np.testing.assert_array_equal(run.weights[0], [1.0, 2.0])
    for k, (a, x0) in enumerate(zip(curvatures, [1.0, 2.0], strict=True)):
        path = list(loop(0.2 * a, delay, momentum, kind, 0.0, 30, x0))
        np.testing.assert_allclose(run.weights[1:, k], np.array(path)[[0, 1, 29]], rtol=1e-12)
    assert not run.diverged


def test_a_batch_of_runs_is_its_runs():
    rng = np.random.default_rng(0)
    start, steps, ms = rng.normal(size=(3, 4)), [0.1, 0.3, 0.2], [0.0, 0.5, 0.9]
    both = stability.delayed_descent(np.tanh, start, steps, 2, [5, 17], momentum=ms)
    for k in range(3):
        alone = stability.delayed_descent(np.tanh, start[k], steps[k], 2, [5, 17], momentum=ms[k])
        np.testing.assert_allclose(both.weights[:, k], alone.weights, rtol=1e-13)


def test_a_diverged_run_keeps_its_last_recorded_iterate():
    run = stability.delayed_descent(
        lambda x: x, [[1.0], [1.0]], [0.5, 3.0], 0, [1, 3, 10, 2000], bound=100
    )
    np.testing.assert_array_equal(run.diverged, [False, True])
    np.testing.assert_allclose(run.weights[:, 1, 0], [-2, -8, -8, -8])
    assert np.isfinite(run.weights).all()
    overflowed = stability.delayed_descent(lambda x: x**3, [5.0], 1.0, 0, [50])
    assert overflowed.diverged
    np.testing.assert_array_equal(overflowed.weights, [[5.0]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("delay", [0, 1, 3, 10])
def test_growth_rates_against_roots(kind, momentum, delay):
    c = np.array([0.8, 1.3]) * stability.momentum_threshold(delay, momentum, kind=kind)
    measured = stability.growth_rate(
        lambda x: 2 * x, np.ones((2, 1)), c / 2, delay, 6000, momentum=momentum, kind=kind
    )
    expected = [np.log(radius(x, delay, momentum, kind)) for x in c]
    np.testing.assert_allclose(measured, expected, rtol=1e-2)


def test_growth_ignores_what_has_no_curvature():
    curvatures = np.array([0.0, 1.0])
    measured = stability.growth_rate(lambda x: curvatures * x, [1.0, 1.0], 0.2, 2, 2000)
    assert float(measured) == pytest.approx(np.log(radius(0.2, 2)), rel=1e-3)


def test_the_sign_of_growth_flips_at_the_threshold():
    for delay in (0, 1, 5):
        c = float(stability.delay_threshold(delay))
        edge = optimize.brentq(
            lambda f, delay=delay, c=c: float(
                stability.growth_rate(lambda x: x, [1.0], f * c, delay, 3000)
            ),
            0.97,
            1.03,
            xtol=1e-4,
        )
        assert edge == pytest.approx(1, abs=2e-3)


# --- bad input ----------------------------------------------------------------------------------

RUN = {"gradient": np.tanh, "start": [1.0], "step_size": 0.1, "delay": 1}


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (stability.characteristic_polynomial, (0.0, 1), "c"),
        (stability.characteristic_polynomial, (0.1, -1), "delay"),
        (stability.characteristic_polynomial, (0.1, 1.5), "delay"),
        (stability.characteristic_polynomial, (0.1, 1, 1.0), "momentum"),
        (stability.random_delay_polynomial, (0.1, [0.5, 0.6]), "law"),
        (stability.random_delay_polynomial, (0.1, [1.5, -0.5]), "law"),
        (stability.delay_threshold, (-1,), "delay"),
        (stability.fastest_delayed_rate, (-1,), "delay"),
        (stability.momentum_threshold, (1, -0.1), "momentum"),
        (stability.decay_threshold, (1, 1.0), "decay"),
        (stability.random_delay_threshold, ([0.3, 0.7],), "law"),
        (stability.impulse_energy, (2.0, 0), "c"),
        (stability.impulse_energy, ([0.1, -0.1], 1), "c"),
        (stability.mean_square_threshold, (1, -1.0), "noise"),
        (stability.mean_square_radius, (-1.0, 1, 0.0), "c"),
        (stability.random_worker_moments, (0.1, 1), "workers"),
        (stability.random_worker_threshold, ([2, 0],), "workers"),
    ],
)
def test_bad_arguments_are_named(function, arguments, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        function(*arguments)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="kind is 'nesterov'; allowed: 'heavy ball' or 'shifted'"):
        stability.momentum_threshold(1, 0.5, kind="nesterov")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"start": 1.0}, "start"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": [0.1, 0.2]}, "step_size"),
        ({"delay": -1}, "delay"),
        ({"momentum": 1.0}, "momentum"),
        ({"kind": "other"}, "kind"),
        ({"bound": 0.0}, "bound"),
        ({"record_at": [0.5]}, "record_at"),
        ({"record_at": [3, 2]}, "record_at"),
    ],
)
def test_bad_runs_are_named(changed, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        stability.delayed_descent(**{**RUN, "record_at": [1], **changed})


def test_growth_needs_something_that_grows():
    with pytest.raises(ValueError, match="vanish"):
        stability.growth_rate(lambda x: 0 * x, [1.0], 0.1, 1, 200)
    with pytest.raises(ValueError, match="steps"):
        stability.growth_rate(lambda x: x, [1.0], 0.1, 1, 10)


# --- grids of runs, and values exactly at a limit -------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_of_runs_is_its_runs(kind):
    rng = np.random.default_rng(1)
    start, steps = rng.normal(size=(2, 3, 4)), rng.uniform(0.1, 0.3, (2, 3))
    momenta = rng.uniform(0.1, 0.6, (2, 3))
    both = stability.delayed_descent(np.tanh, start, steps, 2, [4, 9], momentum=momenta, kind=kind)
    assert both.weights.shape == (2, 2, 3, 4)
    for k in np.ndindex(2, 3):
        alone = stability.delayed_descent(
            np.tanh, start[k], steps[k], 2, [4, 9], momentum=momenta[k], kind=kind
        )
        np.testing.assert_allclose(both.weights[:, *k], alone.weights, rtol=1e-13)


def test_a_run_of_a_grid_diverges_alone_at_one_coordinate():
    steps = np.full((2, 3), 0.1)
    steps[1, 2] = 3.0
    run = stability.delayed_descent(
        lambda x: x * [1.0, 0.0], np.ones((2, 3, 2)), steps, 0, [1, 2], bound=3.0
    )
    assert np.argwhere(run.diverged).tolist() == [[1, 2]]
    np.testing.assert_allclose(run.weights[1], np.where(steps[..., None] > 1, [-2, 1], [0.81, 1]))


def test_an_iterate_on_the_bound_has_not_diverged():
    run = stability.delayed_descent(lambda x: x, [1.0], 3.0, 0, [2], bound=4.0)
    assert not run.diverged
    assert run.weights.item() == 4.0


def test_without_delay_growth_is_exact():
    c = np.array([[0.5, 2.5, 1.9], [2.1, 0.1, 3.0]])
    measured = stability.growth_rate(lambda x: x, np.ones((2, 3, 1)), c, 0, 100)
    np.testing.assert_allclose(measured, np.log(np.abs(1 - c)), rtol=1e-12)


def test_the_transient_does_not_count():
    """Of two modes the one that dies out is gone after the first half, and only then."""
    fast = np.array([0.5, 0.02])

    def rate(transient):
        return float(stability.growth_rate(
            lambda x: fast * x, [1e3, 1.0], 1.0, 0, 240, transient=transient
        ))  # fmt: skip

    assert rate(0.5) == pytest.approx(np.log(0.98), rel=1e-12)
    assert abs(rate(0.0) / np.log(0.98) - 1) > 0.1


@pytest.mark.parametrize("law", [[0.3 - 5e-10, 0.4, 0.3 + 5e-10], [0.5 + 1e-11, 0.5]])
def test_a_law_is_symmetric_and_sums_to_one_to_rounding(law):
    with pytest.raises(ValueError, match=r"^law"):
        stability.random_delay_threshold(law)
    rounded = stability.random_delay_threshold([0.3 - 1e-13, 0.4, 0.3])
    assert rounded == pytest.approx(stability.random_delay_threshold([0.3, 0.4, 0.3]))


def test_the_ends_of_ranges():
    with pytest.raises(ValueError, match=r"^c has entries outside"):
        stability.impulse_energy(0.0, 1)
    edge = float(stability.delay_threshold(3))
    with pytest.raises(ValueError, match=r"^c has entries outside"):
        stability.impulse_energy([0.1, edge], 3)
    assert stability.impulse_energy([0.5, 1.5], 0) == pytest.approx([4 / 3, 4 / 3])
    assert float(stability.random_worker_threshold(1)) == 2.0
    assert stability.spectral_radius([2.0, -3.0]) == 1.5
    assert stability.spectral_radius([1.0, 0.0, 4.0]) == pytest.approx(2.0)
    assert stability.random_delay_threshold([1.0]) == pytest.approx(2.0)
    for momentum in ([0.1, -0.1], [0.1, 1.0]):
        with pytest.raises(ValueError, match=r"^momentum is"):
            stability.delayed_descent(np.tanh, [[1.0]] * 2, 0.1, 1, [1], momentum=momentum)
    with pytest.raises(ValueError, match=r"^step_size is 0"):
        stability.delayed_descent(np.tanh, [[1.0]] * 2, [0.1, 0.0], 1, [1])
    with pytest.raises(ValueError, match="vanish or overflow"):
        stability.growth_rate(lambda x: x * [[1.0], [0.0]], np.ones((2, 1)), 0.1, 0, 100)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="vanish or overflow"):
        stability.growth_rate(lambda x: x, np.ones((2, 1)), [0.1, 1e200], 0, 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("delay", "period"), [(0, 24), (1, 24), (2, 20), (3, 14), (5, 22), (7, 30)]
)
@pytest.mark.parametrize(("steps", "transient"), [(100, 0.5), (431, 0.0), (431, 0.7)])
def test_growth_is_the_slope_of_mean_squares(kind, delay, period, steps, transient):
    """Over whole periods 2(2τ+1) of the edge, at least 24 steps if that many fit; eight or more."""
    curvatures, start = np.array([0.3, 1.0]), np.array([0.7, -1.0])
    c = 0.9 * stability.momentum_threshold(delay, 0.3, kind=kind)
    windows = max(steps // period, 8)
    count = windows * period
    path = [[x0] * (delay + 1) + list(loop(c * a, delay, 0.3, kind, 0.0, count, x0))
            for a, x0 in zip(curvatures, start, strict=True)]  # fmt: skip
    squares = ((curvatures[:, None] * np.array(path)[:, :count]) ** 2).sum(axis=0)
    logs = np.log(squares.reshape(windows, period).mean(axis=1)) / 2
    first = int(transient * windows)
    slope = np.polyfit(period * np.arange(first, windows), logs[first:], 1)[0]
    found = stability.growth_rate(
        lambda x: curvatures * x, start, c, delay, steps, momentum=0.3, kind=kind,
        transient=transient,
    )  # fmt: skip
    assert float(found) == pytest.approx(slope, rel=1e-8, abs=1e-12)
    assert found.shape == ()


def test_growth_by_default_forgets_the_first_half_and_has_no_momentum():
    def rate(**options):
        return float(stability.growth_rate(lambda x: [0.5, 0.02] * x, [1e3, 1.0], 1.0, 1, 300,
                                           **options))  # fmt: skip

    assert rate() == rate(transient=0.5, momentum=0.0, kind="heavy ball")
    assert rate() != rate(transient=0.4)
    assert rate() != rate(momentum=0.1)
    assert rate(momentum=0.1) != rate(momentum=0.1, kind="shifted")


def test_a_run_leaves_its_start_alone():
    start = np.ones((2, 1))
    stability.growth_rate(lambda x: x, start, 0.1, 1, 100)
    stability.delayed_descent(lambda x: x, start, 0.1, 1, [3])
    assert (start == 1).all()
    run = stability.delayed_descent(lambda x: x, start, 0.1, 1, [0, 3])
    assert (run.weights[0] == 1).all()


def test_a_run_by_default():
    """No momentum, the heavy ball, and a bound of a million."""

    def run(**options):
        return stability.delayed_descent(lambda x: x, [1.0], 3.0, 0, [19, 20], **options)

    assert run().weights.ravel().tolist() == [-(2.0**19), -(2.0**19)]  # 2**20 is above 10**6
    assert run().diverged
    assert run(bound=2.0**20).weights.ravel().tolist() == [-(2.0**19), 2.0**20]
    later = [stability.delayed_descent(lambda x: x, [1.0], 0.3, 2, [9], momentum=0.4, **options)
             for options in ({}, {"kind": "heavy ball"}, {"kind": "shifted"})]  # fmt: skip
    assert later[0].weights == later[1].weights != later[2].weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("momentum", [0.0, 1e-9, 0.3, 0.999])
@pytest.mark.parametrize("delay", [1, 2, 30])
def test_thresholds_are_exact_to_rounding(kind, momentum, delay):
    """The root on the circle and c together, polished with more digits."""
    c = stability.momentum_threshold(delay, momentum, kind=kind)
    roots = np.roots(stability.characteristic_polynomial(c, delay, momentum, kind=kind))
    largest = roots[np.abs(roots).argmax()]

    def equation(theta, c):
        z = mpmath.expj(theta)
        late = 1 if kind == "heavy ball" else z**-delay
        value = z - 1 - momentum * late * (1 - 1 / z) + c * z**-delay
        return [value.real, value.imag]

    with mpmath.workdps(30):
        exact = mpmath.findroot(equation, (float(np.angle(largest)), c))
    assert c == pytest.approx(float(exact[1]), rel=2e-14 / (1 - momentum))


def test_a_law_of_delays_by_hand():
    assert stability.random_delay_threshold([0.5, 0.5]) == pytest.approx(2.0, rel=1e-15)
    p = stability.random_delay_polynomial(0.4, [0.25, 0.75])
    np.testing.assert_allclose(p, [1.0, 0.1 - 1, 0.3], rtol=1e-15)
    with pytest.raises(ValueError, match=r"^law is not symmetric"):
        stability.random_delay_threshold([0.3 + 1.5e-12, 0.4, 0.3 - 1.5e-12])
    for law in ([0.5, 0.5 + 2e-12], [0.5, 0.5 - 2e-12], [1.0 + 1e-3, -1e-3]):
        with pytest.raises(ValueError, match=r"^law sums to"):
            stability.random_delay_polynomial(0.4, law)
    stability.random_delay_polynomial(0.4, [0.0, 0.5, 0.5 + 5e-13])


def test_rates_by_hand():
    assert stability.fastest_delayed_rate(0) == (1.0, 0.0)
    assert stability.fastest_delayed_rate(2) == pytest.approx((4 / 27, 2 / 3), rel=1e-15)
    assert stability.decay_threshold(0, 0.25) == 1.75
    assert stability.momentum_threshold(0, 0.25, kind="shifted") == 2.5
    assert float(stability.random_worker_threshold(3)) == pytest.approx(1.0, rel=1e-15)
    assert stability.mean_square_radius(0.5, 0, 0.5) == pytest.approx(0.25 + 0.0625, rel=1e-12)
    assert float(stability.impulse_energy(1e-3, 2)) == pytest.approx(
        (1 + np.sin(2.5 * 1e-3)) / 2e-3 / np.cos(2.5e-3), rel=1e-5
    )
