"""Ridge densities against quadrature, finite differences and reconstruction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from ibcore import radon, shallow


def test_gaussian_weight_is_its_definition():
    for t in (0.0, 0.7, -0.7, 3.0):
        q = stats.norm.sf(abs(t))
        m = stats.norm.pdf(t) / q
        assert radon.gaussian_weight(t) == pytest.approx(q**2 * (m - abs(t)) * np.hypot(1, m))
    x = np.random.default_rng(0).standard_normal((100_000, 2))
    empirical = shallow.stability_weight(np.array([[0.6, 0.8]]), np.array([0.5]), x)
    assert empirical == pytest.approx(radon.gaussian_weight(0.5), rel=0.02)
    assert np.isfinite(radon.gaussian_weight([30.0])).all()


def test_slope_of_the_weight():
    t, h = np.array([0.1, 0.5, 1.0, 2.5]), 1e-5
    numerical = (radon.gaussian_weight(t + h) - radon.gaussian_weight(t - h)) / (2 * h)
    np.testing.assert_allclose(radon.gaussian_weight_slope(t), numerical, rtol=1e-8)


def reconstruct(density, x, n_angles, t):
    """∫∫ α max(u·x - t, 0) in the plane, up to an affine function: second differences are kept."""
    turn = (np.arange(n_angles) + 0.5) * 2 * np.pi / n_angles
    octant = np.minimum(turn % (np.pi / 2), np.pi / 2 - turn % (np.pi / 2))
    u = np.column_stack([np.cos(turn), np.sin(turn)])
    total = np.zeros(len(x))
    for direction, angle in zip(u, octant, strict=True):
        total += np.maximum(x @ direction - t[:, None], 0).T @ density(angle, t)
    return total * (2 * np.pi / n_angles) * (t[1] - t[0])


def test_the_bump_in_the_plane_is_reconstructed():
    x = np.array([[0.0, 0.0], [0.4, 0.1], [0.8, -0.5], [1.5, 1.0]])
    t = np.linspace(-40, 40, 80_001)
    found = reconstruct(lambda _, t: radon.bump_density(t, 2.0, 2), x, 8, t)
    expected = np.exp(-2 * np.square(x).sum(axis=1))
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=0.02)
    many = reconstruct(
        lambda _, t: radon.bump_density(t, 2.0, 2), x, 40, np.linspace(-40, 40, 8001)
    )
    np.testing.assert_allclose(many - many[0], expected - expected[0], atol=1e-4)


def test_the_bump_in_space_is_reconstructed_along_an_axis():
    def value(r):  # average over directions u: cosines are uniform
        def inner(t):
            kink = np.clip(t / r, -1, 1) if r else 1.0
            return radon.bump_density(t, 2.0, 3) * np.pi * (r * (1 - kink**2) - 2 * t * (1 - kink))

        return integrate.quad(inner, -r, r, epsabs=1e-12)[0] if r else 0.0

    # beyond |t| = r a ridge is affine in x, and the even density leaves a constant
    outside = integrate.quad(
        lambda t: radon.bump_density(t, 2.0, 3) * 4 * np.pi * t, 0, 8, epsabs=1e-12
    )[0]

    def whole(r):
        left = integrate.quad(
            lambda t: radon.bump_density(t, 2.0, 3) * 4 * np.pi * t, r, 8, epsabs=1e-12
        )[0]
        return value(r) + left - outside

    for r in (0.3, 0.9, 2.0):
        assert whole(r) == pytest.approx(np.exp(-2 * r**2) - 1, abs=1e-9)


def test_the_smoothed_pyramid_is_reconstructed():
    eps = 0.15
    x = np.array([[0.0, 0.0], [0.5, 0.0], [0.3, 0.3], [0.9, 0.4]])
    found = reconstruct(
        lambda angle, t: radon.pyramid_density(angle, t, eps), x, 512, np.linspace(-30, 30, 6001)
    )
    node = np.linspace(-6, 6, 241)
    share = stats.norm.pdf(node) * (node[1] - node[0])
    grid = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2) * eps
    weights = np.outer(share, share).ravel()
    expected = np.array([weights @ radon.pyramid(point + grid) for point in x])
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=2e-3)


def test_pyramid_norm_is_a_plain_double_integral_where_that_is_easy():
    eps = 0.2
    turn = (np.arange(100) + 0.5) * np.pi / 4 / 100
    t = np.linspace(-60, 60, 12_001)
    plain, weighted = 0.0, 0.0
    for angle in turn:
        density = np.abs(radon.pyramid_density(angle, t, eps))
        plain += density.sum()
        weighted += density @ radon.gaussian_weight(t)
    unit = 2 * np.pi / 100 * (t[1] - t[0])
    assert radon.pyramid_norm(eps) == pytest.approx(plain * unit, rel=1e-4)
    assert radon.pyramid_norm(eps, radon.gaussian_weight) == pytest.approx(
        weighted * unit, rel=1e-4
    )


def test_pyramid_norm_grows_at_the_rate():
    for weight in (None, radon.gaussian_weight):
        norms = [radon.pyramid_norm(10.0**-k, weight, nodes=6) for k in (8, 9, 10)]
        second = np.diff(norms, 2)[0] / (2 * np.log(10) ** 2)
        assert second == pytest.approx(radon.pyramid_rate(weight), rel=1e-3)


def test_panels_that_need_no_halving():
    node, share = np.polynomial.legendre.leggauss(4)
    places, measure = radon._panels(1.0, 0.5, node, share)
    assert measure @ places**2 == pytest.approx(0.5**3 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: radon.bump_density(0.0, 1.0, 4), "^n_features is 4"),
        (lambda: radon.bump_density(0.0, 0.0, 2), "^beta is 0"),
        (lambda: radon.pyramid_density(1.0, 0.0, 0.1), "^angle is 1.0"),
        (lambda: radon.pyramid_density(0.0, 0.0, 0.1), "^angle is 0"),
        (lambda: radon.pyramid_norm(0.6), "^eps is 0.6"),
        (lambda: radon.pyramid_norm(0.1, nodes=1), "^nodes is 1"),
        (lambda: radon.gaussian_weight([np.nan]), "^t has 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- exact values ---------------------------------------------------------------------------------


def by_frequencies(spectrum, t, cut):
    """α(t) = -(2π)^{-d} ∫ k^{d+1} f̂(ku) cos(kt) dk, the density from the Fourier transform of f."""
    return np.array([integrate.quad(lambda k, z=z: spectrum(k) * np.cos(k * z), 0, cut, limit=400,
                                    epsabs=1e-13, epsrel=1e-12)[0] for z in t])  # fmt: skip


@pytest.mark.parametrize("beta", [0.7, 3.0])
@pytest.mark.parametrize("d", [2, 3])
def test_the_bump_has_the_density_of_its_fourier_transform(beta, d):
    t = np.array([0.0, 0.3, -0.9, 2.0, 5.0])

    def spectrum(k):
        return (
            -((2 * np.pi) ** -d)
            * k ** (d + 1)
            * (np.pi / beta) ** (d / 2)
            * np.exp(-(k**2) / (4 * beta))
        )

    expected = by_frequencies(spectrum, t, 30 * np.sqrt(beta))
    np.testing.assert_allclose(radon.bump_density(t, beta, d), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("eps", [0.1, 0.4])
@pytest.mark.parametrize("angle", [0.05, 0.4, 0.75])
def test_the_pyramid_has_the_density_of_its_fourier_transform(eps, angle):
    """f̂(p, q) = 4 (sin q/q - sin p/p)/(p² - q²), times that of the Gaussian."""
    t, c, s = np.array([0.0, 0.2, 0.7, -1.0, 3.0]), np.cos(angle), np.sin(angle)

    def spectrum(k):
        transform = (
            4 * (np.sinc(k * s / np.pi) - np.sinc(k * c / np.pi)) / (k * k * (c * c - s * s))
        )
        return -(k**3) * transform * np.exp(-((k * eps) ** 2) / 2) / (4 * np.pi**2)

    expected = by_frequencies(lambda k: spectrum(max(k, 1e-9)), t, 9 / eps)
    np.testing.assert_allclose(radon.pyramid_density(angle, t, eps), expected, atol=1e-9)


def test_the_pyramid_by_hand():
    points = [[0.0, 0.0], [0.25, -0.5], [-0.5, 0.75], [1.0, 0.0]]
    assert radon.pyramid(points).tolist() == [1.0, 0.25, 0.0, 0.0]
    assert radon.pyramid([[0.25, 0.25, -0.25], [3.0, -4.0, 0.0]]).tolist() == [0.25, 0.0]


@pytest.mark.parametrize("angle", [0.05, 0.3, 0.7])
def test_the_slice_at_an_angle_is_an_integral_over_the_line(angle):
    eps, (c, s) = 0.05, (np.cos(angle), np.sin(angle))
    rule = np.polynomial.legendre.leggauss(60)
    pieces = [(0, s), (s, c), (c, 1.5), (1.5, 5), (5, 61)]
    for weight in (None, radon.gaussian_weight):

        def value(t, weight=weight):
            found = abs(float(radon.pyramid_density(angle, t, eps)))
            return found if weight is None else found * float(weight(t))

        line = 2 * sum(integrate.quad(value, *ends, limit=400)[0] for ends in pieces)
        found = radon._slice(angle, np.pi / 4 - angle, eps, weight, *rule)
        assert found == pytest.approx(line, rel=5e-6)


@pytest.mark.parametrize("end", [0.5, 1.0, 1.5, 2.0, 7.3, 300.0])
def test_panels_double_from_the_first(end):
    """One node a panel shows the panels: no wider than the first, then doubling, as few as can."""
    places, widths = radon._panels(1.0, end, np.array([0.0]), np.array([2.0]))
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    np.testing.assert_allclose(places, (edges[1:] + edges[:-1]) / 2, rtol=1e-12)
    assert edges[-1] == pytest.approx(end, rel=1e-12)
    assert widths[0] == pytest.approx(min(1.0, end), rel=1e-12)
    ratios = edges[2:] / edges[1:-1]
    np.testing.assert_allclose(ratios, ratios[0] if ratios.size else 1.0, rtol=1e-12)
    assert ratios.max(initial=1.0) <= 2 + 1e-12
    assert ratios.size == 0 or 2.0 ** (ratios.size - 1) < end <= 2.0**ratios.size
    node, share = np.polynomial.legendre.leggauss(3)
    places, measure = radon._panels(1.0, end, node, share)
    assert measure @ places**5 == pytest.approx(end**6 / 6, rel=1e-12)


@pytest.mark.parametrize("eps", [0.5, 0.01])
def test_few_nodes_a_panel_integrate_as_well_as_many(eps):
    for weight in (None, radon.gaussian_weight):
        many = radon.pyramid_norm(eps, weight, nodes=32)
        assert radon.pyramid_norm(eps, weight) == pytest.approx(many, rel=5e-5)
    assert radon.pyramid_norm(eps) == radon.pyramid_norm(eps, nodes=8)
    coarse = radon.pyramid_norm(eps, nodes=2)
    assert coarse == pytest.approx(radon.pyramid_norm(eps, nodes=32), rel=5e-3)


def test_the_rate_by_hand():
    assert radon.pyramid_rate() == pytest.approx(8 / np.pi**2 * (1 + np.sqrt(2)), rel=1e-15)
    rate = radon.pyramid_rate(lambda t: 3 + 10 * t**2)
    assert rate == pytest.approx(8 / np.pi**2 * (3 + 8 * np.sqrt(2)), rel=1e-14)


def test_the_ends_of_the_ranges():
    assert radon.pyramid_density(np.pi / 4 - 1e-3, [0.3], 0.1).shape == (1,)
    for call, message in (
        (lambda: radon.pyramid_density(np.pi / 4, 0.0, 0.1), "^angle is"),
        (lambda: radon.pyramid_density(0.1, 0.0, 0.0), "^eps is"),
        (lambda: radon.bump_density(0.0, 1.0, 1), "^n_features is 1"),
        (lambda: radon.pyramid_norm(0.0), "^eps is"),
        (lambda: radon.pyramid_norm(0.1, 3.0), "^weight is"),
        (lambda: radon.pyramid_rate(3.0), "^weight is"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
