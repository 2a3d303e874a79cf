"""Caps, kernels and orthants: against integrals, Monte Carlo and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from ibcore.orthants import (
    _systematic,
    arc_cosine_kernel,
    bounce,
    cap_lower_bound,
    cap_probability,
    orthant_path,
)


@pytest.mark.parametrize("d", [2, 3, 5, 20])
@pytest.mark.parametrize("angle", [0.01, 0.3, 1.2, math.pi / 2])
def test_caps_are_integrals_of_the_sine(d, angle):
    part = integrate.quad(lambda t: math.sin(t) ** (d - 2), 0, angle, epsabs=0)[0]
    whole = integrate.quad(lambda t: math.sin(t) ** (d - 2), 0, math.pi, epsabs=0)[0]
    assert cap_probability(d, angle) == pytest.approx(part / whole, rel=1e-10)
    assert 0 < cap_lower_bound(d, angle) < cap_probability(d, angle) * (1 + 1e-12)


def test_small_caps_meet_their_bound():
    assert cap_lower_bound(6, 1e-3) == pytest.approx(cap_probability(6, 1e-3), rel=1e-5)
    assert cap_probability(2, [0.1, math.pi / 2]) == pytest.approx([0.1 / math.pi, 0.5])


def test_arc_cosine_kernel_is_the_mean_over_gaussian_neurons():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    w = rng.standard_normal((400_000, 4))
    products = np.maximum(w @ a.T, 0)[:, :, None] * np.maximum(w @ b.T, 0)[:, None, :]
    error = products.std(axis=0) / np.sqrt(len(w))
    assert (np.abs(products.mean(axis=0) - arc_cosine_kernel(a, b)) < 4.5 * error).all()
    np.testing.assert_allclose(np.diag(arc_cosine_kernel(a, a)), np.sum(a**2, axis=1) / 2)


def covariance(n, seed):
    a = np.random.default_rng(seed).standard_normal((n, n + 2))
    return a @ a.T / (n + 2)


def test_orthants_with_a_closed_form():
    for rho in (-0.6, 0.0, 0.9):
        path = orthant_path([[1.0, rho], [rho, 1.0]], 20_000, np.random.default_rng(0))
        expected = 0.25 + math.asin(rho) / (2 * math.pi)
        assert math.exp(path.log_probability[2]) == pytest.approx(expected, rel=0.03)
        assert path.log_probability[1] == pytest.approx(-math.log(2))
    # Equal correlation 1/2: the first of n + 1 independent numbers is the largest.
    half = 0.5 * (np.eye(30) + 1)
    path = orthant_path(half, 4000, np.random.default_rng(1))
    np.testing.assert_allclose(path.log_probability, -np.log(np.arange(1, 32)), atol=0.1)
    np.testing.assert_allclose(np.log(path.next_positive), np.diff(path.log_probability))
    independent = orthant_path(np.diag([1.0, 4.0, 9.0]), 10, np.random.default_rng(2))
    np.testing.assert_allclose(independent.log_probability, -math.log(2) * np.arange(4))


def test_orthants_of_random_covariances():
    for seed in range(3):
        k = covariance(6, seed)
        exact = stats.multivariate_normal(cov=k, seed=0).cdf(np.zeros(6))
        path = orthant_path(k, 5000, np.random.default_rng(seed), moves=2)
        assert math.exp(path.log_probability[6]) == pytest.approx(exact, rel=0.08)


def test_particles_have_the_law_of_the_orthant():
    k = covariance(4, 5)
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(4), k, size=400_000)
    inside = draws[(draws > 0).all(axis=1)]
    path = orthant_path(k, 20_000, np.random.default_rng(1), checkpoints=(4,))
    particles = path.particles[4]
    assert particles.shape == (20_000, 4)
    assert (particles >= 0).all()
    for i in range(4):
        assert stats.ks_2samp(inside[:, i], particles[:, i]).pvalue > 1e-4


@pytest.mark.parametrize("time", [0.4, math.pi / 2])
def test_bouncing_keeps_the_law_and_forgets_the_start(time):
    k = covariance(3, 7)
    rng = np.random.default_rng(2)
    draws = rng.multivariate_normal(np.zeros(3), k, size=300_000)
    inside = draws[(draws > 0).all(axis=1)]
    moved = bounce(inside, k, time, rng)
    for i in range(3):
        assert stats.ks_2samp(inside[:, i], moved[:, i]).pvalue > 1e-4
    far = np.full((2000, 3), 5.0)
    for _ in range(40):
        far = bounce(far, k, time, rng)
    assert stats.ks_2samp(inside[:2000, 0], far[:, 0]).pvalue > 1e-4


EYE = np.eye(2)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: cap_probability(1, 0.1), "d is 1"),
        (lambda: cap_probability(2, 0.0), "angle"),
        (lambda: cap_lower_bound(2, 2.0), "angle"),
        (lambda: arc_cosine_kernel([[1, 0]], [[1, 0, 0]]), "b has shape"),
        (lambda: arc_cosine_kernel([[0, 0]], [[1, 0]]), "zero"),
        (lambda: bounce([[-1.0, 1.0]], EYE, 1.0, RNG), "negative"),
        (lambda: bounce([[1.0, 1.0]], EYE, 2.0, RNG), "time"),
        (lambda: bounce([[1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], 1.0, RNG), "positive definite"),
        (lambda: bounce([[1.0, 1.0]], np.ones((3, 2)), 1.0, RNG), "covariance"),
        (lambda: orthant_path(EYE, 1, RNG), "n_particles"),
        (lambda: orthant_path(EYE, 10, RNG, checkpoints=(3,)), "checkpoints"),
        (lambda: orthant_path(EYE, 10, RNG, moves=0), "moves"),
        (lambda: orthant_path(EYE, 10, 0), "rng"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(0, 10**6))
def test_resampling_repeats_each_particle_by_its_weight(sizes, seed):
    """As often as M times its weight, rounded down or up."""
    weights = np.array(sizes) / np.sum(sizes)
    counts = np.bincount(_systematic(weights, np.random.default_rng(seed)), minlength=len(sizes))
    assert counts.sum() == len(sizes)
    assert (np.abs(counts - len(sizes) * weights) < 1 + 1e-9).all()


def test_a_mark_beyond_the_last_sum_takes_the_last_particle():
    class Last:
        def random(self):
            return 1.0

    assert _systematic(np.array([0.5, 0.25, 0.25]), Last()).tolist() == [0, 1, 2]


# --- exact values ---------------------------------------------------------------------------------


def bounced(x, k, time, v):
    """One trajectory, in coordinates in which the law is standard and walls are oblique planes."""
    factor = np.linalg.cholesky(k)
    y, u, left = np.linalg.solve(factor, x), np.linalg.solve(factor, v), time
    last = -1
    while True:
        height, speed = factor @ y, factor @ u
        # h cos t + s sin t = 0 first at t = arctan2(h, -s), in (0, π) for h > 0
        times = np.arctan2(height, -speed)
        if last >= 0:
            times[last] = np.pi  # it leaves the wall that it has just met
        wall = int(times.argmin())
        step = min(left, times[wall])
        y, u, left = (
            y * np.cos(step) + u * np.sin(step),
            u * np.cos(step) - y * np.sin(step),
            left - step,
        )
        if left <= 0:
            return factor @ y
        normal = factor[wall]
        u = u - 2 * (normal @ u) / (normal @ normal) * normal
        last = wall


@pytest.mark.parametrize("time", [0.3, 1.1, math.pi / 2])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_bouncing_is_that_of_a_single_trajectory(n, time):
    k = covariance(n, n)
    start = np.abs(np.random.default_rng(1).multivariate_normal(np.zeros(n), k, 40))
    found = bounce(start, k, time, np.random.default_rng(3))
    v = np.random.default_rng(3).standard_normal((40, n)) @ np.linalg.cholesky(k).T
    expected = [bounced(row, k, time, own) for row, own in zip(start, v, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert (found >= 0).all()


def test_independent_coordinates_swing_through_zero():
    """Where the walls are at right angles, a bounce is |f cos t + v sin t|; the input stays."""
    sizes, start = np.array([1.0, 3.0, 0.2]), np.full((50, 3), 0.3)
    found = bounce(start, np.diag(sizes**2), 1.3, np.random.default_rng(0))
    v = np.random.default_rng(0).standard_normal((50, 3)) * sizes
    np.testing.assert_allclose(found, np.abs(start * np.cos(1.3) + v * np.sin(1.3)), atol=1e-12)
    assert (start == 0.3).all()


def followed(k, count, rng, checkpoints=(), moves=1):
    """The path by regressions on the coordinates before, instead of a factor."""
    n_samples, f, weights = len(k), np.empty((count, 0)), np.full(count, 1 / count)
    chances, particles, resampled = [], {}, []
    for n in range(n_samples):
        slope = np.linalg.solve(k[:n, :n], k[:n, n])
        spread = math.sqrt(k[n, n] - k[:n, n] @ slope)
        chance = stats.norm.cdf(f @ slope / spread)
        new = f @ slope - spread * stats.norm.ppf(chance * (1 - rng.random(count)))
        f = np.column_stack([f, new])
        chances.append(weights @ chance)
        weights = weights * chance / chances[-1]
        if weights @ weights * count > 2 or n + 1 in checkpoints:
            resampled.append(n + 1)
            marks, ends = (np.arange(count) + rng.random()) / count, np.cumsum(weights)
            f = f[[int(np.flatnonzero(ends > mark)[0]) for mark in marks]]
            for _ in range(moves):
                v = rng.standard_normal(f.shape) @ np.linalg.cholesky(k[: n + 1, : n + 1]).T
                f = np.array([bounced(row, k[: n + 1, : n + 1], math.pi / 2, own)
                              for row, own in zip(f, v, strict=True)])  # fmt: skip
            weights = np.full(count, 1 / count)
            if n + 1 in checkpoints:
                particles[n + 1] = f
    return np.array(chances), particles, resampled


@pytest.mark.parametrize(("checkpoints", "moves"), [((), 1), ((2, 5), 1), ((3,), 2), ((6,), 3)])
def test_a_path_is_that_of_regressions(checkpoints, moves):
    k = covariance(6, 11) + 3 * np.diag([1.0, 0, 0, 0, 0, 0])
    found = orthant_path(k, 25, np.random.default_rng(4), checkpoints=checkpoints, moves=moves)
    chances, particles, resampled = followed(k, 25, np.random.default_rng(4), checkpoints, moves)
    np.testing.assert_allclose(found.next_positive, chances, rtol=1e-9)
    np.testing.assert_allclose(
        found.log_probability, np.append(0.0, np.cumsum(np.log(chances))), rtol=1e-9
    )
    assert sorted(found.particles) == sorted(particles)
    for n, expected in particles.items():
        np.testing.assert_allclose(found.particles[n], expected, atol=1e-8)
    assert set(checkpoints) <= set(resampled)


def test_a_path_resamples_where_half_of_the_particles_count():
    """Of 40 strongly dependent coordinates the weights degenerate on the way, not at once."""
    k = (
        np.eye(40)
        + 0.2 * np.ones((40, 40))
        - 0.9 * np.eye(40, k=1) * 0.5
        - 0.9 * np.eye(40, k=-1) * 0.5
    )
    found = orthant_path(k, 12, np.random.default_rng(7))
    chances, _, resampled = followed(k, 12, np.random.default_rng(7))
    assert 1 < len(resampled) < 30
    np.testing.assert_allclose(found.next_positive, chances, rtol=1e-7)


def test_caps_of_ordinary_space_by_hand():
    """Archimedes: the cap of angle α has the share (1 - cos α)/2, and the bound sin²α/4."""
    angles = np.array([0.2, 1.0, math.pi / 2])
    np.testing.assert_allclose(cap_probability(3, angles), (1 - np.cos(angles)) / 2, rtol=1e-14)
    np.testing.assert_allclose(cap_lower_bound(3, angles), np.sin(angles) ** 2 / 4, rtol=1e-14)
    np.testing.assert_allclose(cap_lower_bound(2, angles), np.sin(angles) / math.pi, rtol=1e-14)
    for bad in ([0.1, 0.0], [0.1, -1.0], [0.1, 1.6]):
        for function in (cap_probability, cap_lower_bound):
            with pytest.raises(ValueError, match=r"^angle is .*; allowed: numbers in \(0, pi/2\]"):
                function(3, bad)


def test_arc_cosine_kernel_by_hand():
    x = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    half = (
        2 * math.sqrt(2) * (math.sin(math.pi / 4) + 0.75 * math.pi * math.sqrt(0.5)) / (2 * math.pi)
    )
    np.testing.assert_allclose(
        arc_cosine_kernel(x[:1], x), [[2.0, 6 / (2 * math.pi), 0.0, half]], atol=1e-15
    )
    same = np.round(np.random.default_rng(0).uniform(0.1, 1, (50, 3)), 1)
    lengths = np.linalg.norm(same, axis=1)
    assert ((same @ same.T).diagonal() > lengths * lengths).any()  # cosines that round beyond one
    kernel = arc_cosine_kernel(same, np.vstack([same, -same]))
    np.testing.assert_allclose(kernel.diagonal(), np.sum(same**2, axis=1) / 2, rtol=1e-7)
    np.testing.assert_allclose(kernel[:, 50:].diagonal(), 0, atol=1e-12)
    for a, b in (([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]]), ([[1.0, 0.0]], [[1.0, 0.0], [0, 0]])):
        with pytest.raises(ValueError, match=r"^a, b have a row that is zero"):
            arc_cosine_kernel(a, b)


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (np.ones((2, 3)), r"has shape \(2, 3\)"),
        ([[1.0, 1e-7], [0.0, 1.0]], "a symmetric matrix"),
        ([[1e-9, 1e-12], [0.0, 1e-9]], "a symmetric matrix"),
        ([[1.0, 0.5 + 1e-9], [0.5, 1.0]], "a symmetric matrix"),
        ([[1.0, 1.0], [1.0, 1.0]], "is not positive definite"),
    ],
)
def test_covariances_are_symmetric_and_definite(k, message):
    with pytest.raises(ValueError, match=f"^covariance.*{message}"):
        orthant_path(k, 10, np.random.default_rng(0))
    rounded = [[1.0, 0.5 + 1e-12], [0.5, 1.0]]
    assert orthant_path(rounded, 10, np.random.default_rng(0)).log_probability[0] == 0.0


def test_what_a_bounce_starts_from():
    start = np.array([[0.0, 1.0], [2.0, 0.0]])  # on a wall
    assert (bounce(start, np.eye(2), math.pi / 2, np.random.default_rng(0)) >= 0).all()
    for f, time, message in (
        ([[1.0, 1.0], [1.0, -1e-3]], 1.0, "^f has negative"),
        ([[1.0, 1.0]], 0.0, "^time is 0"),
        ([[1.0, 1.0]], 1.6, r"^time is 1.6; allowed: a number in \(0, pi/2\]"),
        ([[1.0]], 1.0, "^covariance has"),
    ):
        with pytest.raises(ValueError, match=message):
            bounce(f, np.eye(2), time, np.random.default_rng(0))


def test_checkpoints_reach_to_the_last_coordinate():
    path = orthant_path(np.eye(3), 2, np.random.default_rng(0), checkpoints=(1, 3))
    assert {n: p.shape for n, p in path.particles.items()} == {1: (2, 1), 3: (2, 3)}
    with pytest.raises(ValueError, match=r"^checkpoints is \[1, 4\]; allowed: at most N = 3"):
        orthant_path(np.eye(3), 2, np.random.default_rng(0), checkpoints=(4, 1))
    with pytest.raises(ValueError, match=r"^checkpoints is 0"):
        orthant_path(np.eye(3), 2, np.random.default_rng(0), checkpoints=(0,))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.floats(0.3, 30))
def test_weights_need_not_sum_to_one(sizes, unit):
    one, other = (_systematic(scale * np.array(sizes) / np.sum(sizes), np.random.default_rng(1))
                  for scale in (1.0, unit))  # fmt: skip
    np.testing.assert_array_equal(other, one)
    assert other.dtype == np.int64
