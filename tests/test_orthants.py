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
