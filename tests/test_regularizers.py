"""Potentials against their defining integrals and gradients; solvers against their certificates."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize

from ibcore import regularizers as reg


def problem(seed=0, n=4, d=9):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n)


def test_scale_and_shape_of_the_magnitudes():
    shape = np.array([-0.9, 0.0, 0.5])
    p, q = reg.weight_magnitudes(0.3, shape)
    np.testing.assert_allclose(p * q, 0.3)
    np.testing.assert_allclose((q - p) / (q + p), shape)
    np.testing.assert_allclose(reg.root_k(0.3, shape), 2 * (p**2 + q**2))


@pytest.mark.parametrize("root", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("w", [-2.0, 1e-3, 5.0])
def test_hyperbolic_entropy_is_its_integral(root, w):
    end = np.arcsinh(2 * w / root)  # with z = (√k/2) sinh t
    integral = quad(lambda t: t * root / 4 * np.cosh(t), 0, end, epsabs=0, epsrel=1e-12)[0]
    np.testing.assert_allclose(reg.hyperbolic_entropy(w, root), integral, rtol=1e-9)


def test_slopes_are_derivatives():
    h, w = 1e-5, np.array([-1.5, 0.2, 3.0])
    rise = reg.hyperbolic_entropy(w + h, 0.7) - reg.hyperbolic_entropy(w - h, 0.7)
    np.testing.assert_allclose(rise / (2 * h), reg.hyperbolic_entropy_slope(w, 0.7), atol=1e-8)
    r = np.array([0.3, 1.0, 4.0])
    for delta in (-2.0, 0.0, 1.0):
        rise = reg.neuron_potential(r + h, delta) - reg.neuron_potential(r - h, delta)
        np.testing.assert_allclose(rise / (2 * h), reg.neuron_slope(r, delta), atol=1e-8)


def test_potential_of_an_unbiased_start():
    u, v = np.array([0.3, -0.4]), np.array([0.5, 0.1])
    root, tilt = reg.diagonal_potential(u, u, v, v)
    np.testing.assert_allclose(root, 2 * (u**2 + v**2))
    np.testing.assert_allclose(tilt, 0, atol=1e-15)
    with pytest.raises(ValueError, match="k = 0"):
        reg.diagonal_potential([1.0], [0.0], [1.0], [0.0])


@pytest.mark.parametrize("log_root", [-600.0, -20.0, 0.0, 10.0])
def test_least_hyperbolic_entropy_satisfies_its_conditions(log_root):
    x, y = problem()
    rng = np.random.default_rng(1)
    roots, tilt = log_root + rng.normal(size=9), 0.3 * rng.normal(size=9)
    found = reg.least_hyperbolic_entropy(x, y, roots, tilt)
    np.testing.assert_allclose(x @ found.w, y, atol=1e-9)
    slope = reg.hyperbolic_entropy_slope(found.w, np.exp(roots))
    np.testing.assert_allclose(slope - tilt, x.T @ found.dual, rtol=1e-7, atol=1e-7)


def test_least_hyperbolic_entropy_refuses_dependent_rows():
    with pytest.raises(reg.RegularizerError):
        reg.least_hyperbolic_entropy([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0], 0.0)


def test_norms():
    x, y = problem()
    c = np.random.default_rng(2).uniform(0.5, 2, 9)
    short = reg.least_l2(x, y, c)
    np.testing.assert_allclose(x @ short.w, y)
    np.testing.assert_allclose(c * short.w, x.T @ short.dual, atol=1e-12)
    sparse = reg.least_l1(x, y, c)
    np.testing.assert_allclose(x @ sparse.w, y)
    np.testing.assert_allclose(y @ sparse.dual, c @ abs(sparse.w))
    assert (abs(x.T @ sparse.dual) <= c * (1 + 1e-9)).all()
    with pytest.raises(reg.RegularizerError, match="no minimiser"):
        reg.least_l1([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0])


@pytest.mark.parametrize("size", [0.0, 1e-3, 2.0])
def test_least_radial_is_stationary(size):
    x, y = problem()
    z = -size * np.arange(9.0)
    found = reg.least_radial(x, y, lambda r: 1.5 * np.sqrt(r), z)
    gradient = 1.5 * found.w / np.sqrt(np.linalg.norm(found.w)) + z
    np.testing.assert_allclose(x @ found.w, y, atol=1e-10)
    np.testing.assert_allclose(reg.null_projector(x) @ gradient, 0, atol=1e-10)
    np.testing.assert_allclose(gradient, x.T @ found.dual, atol=1e-9)


def test_least_radial_refuses_what_has_no_minimiser():
    x, y = problem()
    with pytest.raises(reg.RegularizerError, match="never exceeds"):
        reg.least_radial(x, y, lambda r: 1.0, np.arange(9.0))
    with pytest.raises(ValueError, match="y is zero"):
        reg.least_radial(x, 0 * y, lambda r: 1.0, np.arange(9.0))


@pytest.mark.parametrize("delta", [0.0, 0.7, 40.0])
def test_the_closed_form_minimises_the_potential(delta):
    x, y = problem()
    w0 = np.random.default_rng(3).normal(size=9)
    a0 = np.sqrt(delta + w0 @ w0)
    found = reg.least_radial(x, y, lambda r: float(reg.neuron_slope(r, delta)), -1.5 * w0)
    np.testing.assert_allclose(reg.neuron_limit(x, y, a0, w0), found.w, rtol=1e-9)
    np.testing.assert_allclose(reg.neuron_limit(x, y, -a0, -w0), found.w, rtol=1e-9)
    with pytest.raises(ValueError, match="sign is"):
        reg.neuron_limit(x, y, a0, w0, sign=2)


@pytest.mark.parametrize("log_root", [-5.0, 0.0, 8.0])
def test_margin_hyperbolic_entropy_satisfies_its_conditions(log_root):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(10, 4))
    x *= np.sign(x @ rng.normal(size=4))[:, None]
    found = reg.margin_hyperbolic_entropy(x, log_root, 3.0)
    margins = x @ found.w
    assert margins.min() >= 3 * (1 - 1e-6)
    assert found.dual.min() >= 0
    np.testing.assert_allclose(found.dual * (margins - 3), 0, atol=1e-5)
    slope = reg.hyperbolic_entropy_slope(found.w, np.exp(log_root))
    np.testing.assert_allclose(slope, x.T @ found.dual, atol=1e-5 * abs(slope).max())


def separable(seed, n=10, d=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x * np.sign(x @ rng.normal(size=d))[:, None]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("log_root", [-9.0, 0.0, 9.0])
def test_margin_hyperbolic_entropy_closes_the_gap(seed, log_root):
    x, root = separable(seed), np.exp(log_root)
    found = reg.margin_hyperbolic_entropy(x, log_root, 100.0)
    value = reg.hyperbolic_entropy(found.w, root).sum()
    # by scalar maximisation and not by the formula of the conjugate
    pull = x.T @ found.dual
    best = root / 2 * np.sinh(2 * pull)
    conjugate = (pull * best - reg.hyperbolic_entropy(best, root)).sum()
    assert found.dual.min() >= 0
    assert (x @ found.w).min() >= 100 * (1 - 1e-7)
    assert value + conjugate - 100 * found.dual.sum() == pytest.approx(0, abs=2e-7 * value)


def test_margin_hyperbolic_entropy_agrees_with_a_general_solver():
    x = separable(0)
    found = reg.margin_hyperbolic_entropy(x, 0.0, 3.0)
    reference = minimize(
        lambda w: reg.hyperbolic_entropy(w, 1.0).sum(),
        3 * np.linalg.lstsq(x, np.ones(10))[0],
        jac=lambda w: reg.hyperbolic_entropy_slope(w, 1.0),
        constraints=[{"type": "ineq", "fun": lambda w: x @ w - 3, "jac": lambda w: x}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found.w, reference.x, atol=1e-6)


def greedy(x, margin, step):
    """Add to the multiplier of the sample with the least margin, step by step."""
    nu = np.zeros(len(x))
    while True:
        margins = x @ np.sinh(2 * x.T @ nu) / 2
        if margins.min() >= margin:
            return nu
        nu[margins.argmin()] += step


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_stagewise_path_is_that_of_small_greedy_steps(seed):
    x = separable(seed)
    found = reg.stagewise_margin(x, [0.5, 30.0])
    for margin, point in zip([0.5, 30.0], found, strict=True):
        np.testing.assert_allclose(point.dual, greedy(x, margin, 2e-4), atol=2e-2)
        np.testing.assert_allclose((x @ point.w).min(), margin, rtol=1e-8)


def test_the_stagewise_path_parts_from_the_margin_path_where_a_multiplier_falls():
    parted = []
    for seed in range(6):
        x = separable(seed)
        margins = np.geomspace(0.1, 100, 30)
        path = [reg.margin_hyperbolic_entropy(x, 0.0, m).dual for m in margins]
        falls = min(np.diff(path, axis=0).min(), 0) < -1e-6
        stages = [point.dual for point in reg.stagewise_margin(x, margins)]
        assert np.diff(stages, axis=0).min() >= 0
        apart = np.abs(np.array(stages) - path).max()  # they may meet again later
        assert (apart > 1e-6) == falls
        parted.append(falls)
    assert set(parted) == {False, True}


def test_stagewise_margin_checks_its_margins():
    with pytest.raises(ValueError, match="margins do not increase"):
        reg.stagewise_margin(separable(0), [1.0, 1.0])


@pytest.mark.parametrize("seed", range(4))
def test_margin_l1_satisfies_its_conditions(seed):
    x = separable(seed)
    found = reg.margin_l1(x)
    assert (x @ found.w).min() >= 1 - 1e-12
    assert np.abs(x.T @ found.dual).max() <= 1 + 1e-9
    assert found.dual.min() >= 0
    np.testing.assert_allclose(found.dual.sum(), np.abs(found.w).sum())
    with pytest.raises(reg.RegularizerError, match="positive margins"):
        reg.margin_l1([[1.0], [-1.0]])


def test_hessian_map_defect():
    assert reg.hessian_map_defect(lambda w: np.diag(np.exp(w)), [0.1, 0.2]) < 1e-9
    defect = reg.hessian_map_defect(lambda w: np.eye(2) * w[0], [0.1, 0.2])
    assert defect == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: reg.root_k(0.0, 0.0), "scale"),
        (lambda: reg.weight_magnitudes(1.0, [0.5, -1.0]), "shape"),
        (lambda: reg.hyperbolic_entropy(1.0, 0.0), "root_k"),
        (lambda: reg.neuron_slope(-1.0, 0.0), "r has"),
        (lambda: reg.least_l2(np.eye(2), [1.0, 1.0], -1.0), "weights"),
        (lambda: reg.least_hyperbolic_entropy(np.eye(2), [1.0], 0.0), "y has"),
        (lambda: reg.margin_hyperbolic_entropy(np.eye(2), 0.0, 0.0), "margin"),
    ],
)
def test_arguments_are_checked(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_the_worst_shape_is_named():
    with pytest.raises(ValueError, match="shape has the value -2;"):
        reg.weight_magnitudes(1.0, [0.5, -2.0, 1.0])


@pytest.mark.parametrize("log_root", [-20.0, -1.0, 2.0])
@pytest.mark.parametrize("margin", [0.5, 1.0, 40.0])
def test_margin_hyperbolic_entropy_of_one_sample_is_exact(log_root, margin):
    """w_i = (√k/2) sinh(2 x_i ν), with the one ν that gives the margin."""
    x, half = np.array([1.0, 2.0, -0.5]), np.exp(log_root) / 2
    nu = brentq(lambda v: np.log(half * x @ np.sinh(2 * x * v) / margin), 1e-12, 100, xtol=1e-300,
                rtol=1e-15)  # fmt: skip
    found = reg.margin_hyperbolic_entropy([x], log_root, margin=margin)
    np.testing.assert_allclose(found.dual, nu, rtol=1e-12)
    np.testing.assert_allclose(found.w, half * np.sinh(2 * x * nu), rtol=1e-11)


@pytest.mark.parametrize("shift", [0.0, 0.4, -1.3])
def test_a_biased_start_moves_along_hyperbolas(shift):
    """The flow turns (u, v) hyperbolically; w = (√k/2) sinh 2(shift + c) all along."""
    a, b, c, e = np.random.default_rng(5).normal(size=(4, 6))
    root, tilt = reg.diagonal_potential(a, b, c, e)
    up, down = np.cosh(shift), np.sinh(shift)
    plus = (a * up + c * down) * (c * up + a * down)
    minus = (b * up - e * down) * (e * up - b * down)
    np.testing.assert_allclose(plus - minus, root / 2 * np.sinh(2 * (shift + tilt)), atol=1e-13)


def test_one_coordinate_that_cannot_change_its_sign_is_refused():
    with pytest.raises(ValueError, match="k = 0"):
        reg.diagonal_potential([1.0, 1.0], [0.0, 0.5], [1.0, 1.0], [0.0, 0.5])


@pytest.mark.parametrize("log_root", [-600.0, -3.0, 0.0, 12.0])
@pytest.mark.parametrize("z", [1e-9, -0.3, 0.999, -1.001, 1.7, 40.0, -600.0])
def test_weights_and_their_rates_from_the_dual(log_root, z):
    """One feature, one sample: w = (√k/2) sinh z, and √(w² + k/4) = (√k/2) cosh z."""
    w, half = reg._primal(np.ones((1, 1)), np.array([z / 2 - 0.125]), np.array([log_root]),
                          np.array([0.125]))  # fmt: skip
    with mpmath.workdps(40):
        exact = 2 * (mpmath.mpf(z / 2 - 0.125) + 0.125)
        root = mpmath.exp(log_root)
        expected = [float(root * f(exact) / 2) for f in (mpmath.sinh, mpmath.cosh)]
    np.testing.assert_allclose([w[0], half[0]], expected, rtol=1e-12)


@pytest.mark.parametrize("log_root", [-400.0, -5.0, 1.0])
@pytest.mark.parametrize("y", [1e-3, -2.0, 50.0])
def test_least_hyperbolic_entropy_of_one_sample_is_exact(log_root, y):
    x, c = np.array([1.0, 2.0, -0.5]), np.array([0.1, -0.2, 0.3])

    def excess(v):
        with mpmath.workdps(30):
            terms = [xi * mpmath.exp(log_root) / 2 * mpmath.sinh(2 * (xi * v + ci))
                     for xi, ci in zip(x, c, strict=True)]  # fmt: skip
            return float(mpmath.asinh((mpmath.fsum(terms) - y) * mpmath.exp(-log_root)))

    nu = brentq(excess, -400, 400, xtol=1e-14, rtol=1e-15)
    found = reg.least_hyperbolic_entropy([x], [y], log_root, c)
    assert found.dual[0] == pytest.approx(nu, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(x @ found.w, y, rtol=1e-13)


def test_the_gap_of_a_pair_that_is_not_optimal():
    x, margin, log_root = np.array([[1.0, 0.5], [0.2, 1.0]]), 2.0, np.log(0.7)
    w, dual = np.array([2.0, 3.0]), np.array([0.3, 0.1])
    value = reg.hyperbolic_entropy(w, 0.7).sum()
    best = 0.35 * np.sinh(2 * x.T @ dual)  # where the pull is the slope
    conjugate = (x.T @ dual @ best) - reg.hyperbolic_entropy(best, 0.7).sum()
    gap = abs(value + conjugate - margin * dual.sum()) / value
    found = reg._margin_gap(x, np.full(2, log_root), margin, reg.Interpolator(w, dual))
    assert found == pytest.approx(gap, rel=1e-12)
    short = reg.Interpolator(w / 100, dual)
    lack = reg._margin_gap(x, np.full(2, log_root), margin, short)
    value = reg.hyperbolic_entropy(w / 100, 0.7).sum()
    gap = abs(value + conjugate - margin * dual.sum()) / value
    assert lack == pytest.approx(max(gap, 1 - 0.034 / 2), rel=1e-12)
    loose = reg.Interpolator(w / 10, np.zeros(2))
    assert reg._margin_gap(x, np.full(2, 9.0), margin, loose) == pytest.approx(1.0, rel=1e-6)


def test_potentials_of_a_neuron_by_hand():
    # r = 3, δ = 8: √(9 + 16) = 5, so a² = 9 and ‖w₁‖² = 1.
    assert float(reg.neuron_potential(3.0, 8.0)) == pytest.approx(27 - 36)
    assert float(reg.neuron_slope(3.0, 8.0)) == pytest.approx(1.5)
    assert float(reg.neuron_potential(3.0, -8.0)) == pytest.approx(1 + 12)
    assert float(reg.neuron_slope(3.0, -8.0)) == pytest.approx(4.5)
    np.testing.assert_allclose(reg.neuron_potential([0.0, 4.0], 0.0), [0.0, 8.0])
    assert float(reg.neuron_slope(1e-10, 4.0)) == pytest.approx(1.5 * 1e-10 / 2, rel=1e-12)
    assert float(reg.neuron_potential(0.0, 4.0)) == pytest.approx(8 - 12)
    with pytest.raises(ValueError, match=r"r has the value -1"):
        reg.neuron_potential([2.0, -1.0], 1.0)


@pytest.mark.parametrize("a0", [0.5, -0.5, 2.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_of_a_neuron_by_its_formula(a0, sign):
    """x = e_1: w₂ = y e_1, and b is w0 without its first entry."""
    w0 = np.array([1.0, 2.0, -2.0])
    b, delta = np.array([0.0, 2.0, -2.0]), a0**2 - 9
    square = ((delta + 8) + np.sqrt((delta + 8) ** 2 + 4 * 9)) / 2
    expected = np.array([3.0, 0, 0]) + sign * np.sqrt(square) * b
    found = reg.neuron_limit([[1.0, 0.0, 0.0]], [3.0], a0, w0, sign=sign)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    if np.sign(a0) == sign:
        own = reg.neuron_limit([[1.0, 0.0, 0.0]], [3.0], a0, w0)
        np.testing.assert_allclose(own, expected, rtol=1e-13)
    with pytest.raises(ValueError, match="a start a0 that is not zero"):
        reg.neuron_limit([[1.0, 0.0, 0.0]], [3.0], 0.0, w0)


def test_the_stagewise_path_of_one_sample_is_exact():
    x, margins = np.array([[1.0, 2.0]]), [0.1, 1.0, 20.0]
    for margin, found in zip(margins, reg.stagewise_margin(x, margins), strict=True):
        np.testing.assert_allclose(x @ found.w, margin, rtol=1e-10)
        np.testing.assert_allclose(found.w, np.sinh(2 * x.T @ found.dual) / 2, rtol=1e-10)
    for bad in ([0.0, 1.0], [-1.0, 1.0], [1.0, 2.0, 1.5], [1.0, 1.0]):
        with pytest.raises(ValueError, match="margins do not increase"):
            reg.stagewise_margin(x, bad)


@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e5])
def test_sparse_solutions_do_not_depend_on_units(unit):
    x, y = problem()
    np.testing.assert_allclose(reg.least_l1(x, unit * y).w, unit * reg.least_l1(x, y).w,
                               rtol=1e-11, atol=1e-12 * unit)  # fmt: skip
    signed = separable(1)
    found, one = reg.margin_l1(unit * signed), reg.margin_l1(signed)
    np.testing.assert_allclose(unit * found.w, one.w, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(unit * found.dual, one.dual, rtol=1e-11, atol=1e-12)


def test_a_scale_beyond_floating_point_is_refused_without_a_warning():
    with pytest.raises(reg.RegularizerError, match="failed at large k"):
        reg.least_hyperbolic_entropy(*problem(), 800.0)


# --- exact values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("size", [0.0, 1e-3, 3.0, 1e5])
def test_least_radial_of_half_the_square_is_a_shifted_projection(unit, size):
    """½‖w‖² + zᵀw on x w = y is least at the shortest solution minus z in the null space."""
    x, y = problem()
    z = size * unit * np.arange(9.0)
    found = reg.least_radial(x, unit * y, lambda r: r, z)
    expected = np.linalg.pinv(x) @ (unit * y) - reg.null_projector(x) @ z
    np.testing.assert_allclose(found.w, expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(
        found.w + z, x.T @ found.dual, atol=1e-11 * np.abs(found.w + z).max()
    )


def test_a_bracket_is_sought_far_out_and_not_for_ever():
    x, y = np.array([[1.0, 0.0]]), [1.0]
    slow = reg.least_radial(x, y, lambda r: np.log1p(r) / 20, [0.0, 1.0])  # needs r = e^20
    radius = np.linalg.norm(slow.w)
    assert np.log1p(radius) / 20 == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(slow.w, [1.0, -radius], rtol=1e-12)
    with pytest.raises(reg.RegularizerError, match="never exceeds"):
        reg.least_radial(x, y, lambda r: np.log1p(r) / 30, [0.0, 1.0])


def test_a_tilt_of_the_length_of_the_slope_has_no_minimiser():
    """The slope tends to that of the tilt and stays below."""
    with pytest.raises(reg.RegularizerError, match="never exceeds"):
        reg.least_radial([[1.0, 0.0]], [1.0], lambda r: r / (1 + r), [7.0, 1.0])
    with pytest.raises(ValueError, match=r"^tilt has"):
        reg.least_radial([[1.0, 0.0]], [1.0], lambda r: r, [1.0])


def test_defects_by_hand():
    """∂_k H_ij - ∂_i H_kj of metrics that are no Hessians, and of one that is."""

    def metric(w):
        return np.array([[np.exp(w[1]), 0.0], [0.0, 1.0]])

    assert reg.hessian_map_defect(metric, [0.3, 2.0]) == pytest.approx(np.exp(2), rel=1e-10)
    assert reg.hessian_map_defect(lambda w: np.diag(w[::-1] ** 3), [0.5, 2.0]) == pytest.approx(
        12.0, rel=1e-10
    )

    def hessian(w):  # of w_0² w_1³ + e^{w_0}
        return np.array([[2 * w[1] ** 3 + np.exp(w[0]), 6 * w[0] * w[1] ** 2],
                         [6 * w[0] * w[1] ** 2, 6 * w[0] ** 2 * w[1]]])  # fmt: skip

    assert reg.hessian_map_defect(hessian, [0.7, -1.1]) < 1e-10


@pytest.mark.parametrize("y", [0.0, 1e-30, 1e-9, 1e9])
def test_targets_of_any_size_are_met_to_rounding(y):
    x = np.array([[1.0, 2.0, -0.5]])
    found = reg.least_hyperbolic_entropy(x, [y], 0.0)
    np.testing.assert_allclose(x @ found.w, [y], rtol=1e-13)
    slope = reg.hyperbolic_entropy_slope(found.w, 1.0)
    np.testing.assert_allclose(slope, x.T @ found.dual, rtol=1e-12)


def test_newton_says_where_it_does_not_converge():
    one, zero = np.ones((1, 1)), np.zeros(1)
    y = np.ones(1)
    assert reg._dual_newton(one, y, np.array([-600.0]), zero, zero) is None
    assert reg._dual_newton(one, y, zero, zero, np.array([1e3])) is None  # overflows at once
    for size in (1e-6, 1e6):
        assert reg._dual_newton(one, size * y, np.array([-600.0]), zero, zero) is None
        assert reg._dual_newton(one, -size * y, np.array([-600.0]), zero, zero) is None
    apart, far = np.eye(2), np.array([0.0, 1.0])  # the first equation holds from the start
    assert reg._dual_newton(apart, far, np.array([0.0, -600.0]), np.zeros(2), np.zeros(2)) is None
    wide = np.array([[1.0, 1e-9]])  # of two features one overflows
    assert reg._dual_newton(wide, y, np.zeros(2), np.zeros(2), np.array([1e3])) is None
    twice = np.ones((2, 1))
    assert reg._dual_newton(twice, np.ones(2), zero, zero, np.zeros(2)) is None  # singular
    found = reg._dual_newton(one, y, zero, zero, zero)
    np.testing.assert_allclose(found, np.arcsinh(2) / 2, rtol=1e-15)


@pytest.mark.parametrize("shape", [[0.5, 1.0], [-1.0, 0.5], [0.2, -3.0]])
def test_shapes_lie_inside_the_unit_interval(shape):
    for function in (reg.weight_magnitudes, reg.root_k):
        with pytest.raises(ValueError, match=r"^shape has the value .*; allowed: numbers in"):
            function(1.0, shape)
    p, q = reg.weight_magnitudes(4.0, 0.6)
    assert (float(p), float(q)) == pytest.approx((1.0, 4.0))
    assert float(reg.root_k(4.0, 0.6)) == pytest.approx(2 * (1 + 16))


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -2.0], 0.0])
def test_weights_are_positive(weights):
    for function in (reg.least_l2, reg.least_l1):
        with pytest.raises(ValueError, match=r"^weights has the value .*; allowed: numbers > 0"):
            function([[1.0, 1.0]], [1.0], weights)
    with pytest.raises(ValueError, match=r"^weights has"):
        reg.least_l2([[1.0, 1.0]], [1.0], [1.0, 1.0, 1.0])


def test_norms_by_hand():
    short = reg.least_l2([[3.0, 4.0]], [50.0], [1.0, 4.0])  # w ∝ (3, 1)
    np.testing.assert_allclose(short.w, [150 / 13, 50 / 13], rtol=1e-14)
    np.testing.assert_allclose(short.dual, [50 / 13], rtol=1e-14)
    sparse = reg.least_l1([[3.0, 4.0], [0.0, 1.0]], [-6.0, 0.0], [1.0, 2.0])
    np.testing.assert_allclose(sparse.w, [-2.0, 0.0], atol=1e-15)
    assert abs(sparse.dual @ [3.0, 0.0] + 1.0) < 1e-12
    wide = reg.least_l1([[3.0, 4.0]], [-6.0], [1.0, 2.0])  # 2 at cost 1 each, or 3/2 at cost 2
    np.testing.assert_allclose(wide.w, [-2.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(wide.dual, [-1 / 3], rtol=1e-14)
    np.testing.assert_allclose(reg.least_l1([[3.0, 4.0]], [-6.0]).w, [0.0, -1.5], atol=1e-15)
    vertex = reg.margin_l1([[2.0, 1.0], [1.0, 2.0], [5.0, 5.0]])
    np.testing.assert_allclose(vertex.w, [1 / 3, 1 / 3], rtol=1e-14)
    np.testing.assert_allclose(vertex.dual, [1 / 3, 1 / 3, 0.0], atol=1e-15)
    np.testing.assert_allclose(reg.null_projector([[0.0, 2.0]]), [[1, 0], [0, 0]], atol=1e-15)


@pytest.mark.parametrize("margins", [[1e-7, 1e-3], [1e-3, 0.2], [0.5, 30.0]])
def test_the_stagewise_path_of_orthogonal_samples_is_exact(margins):
    """Each sample has a coordinate of its own: c sinh(2 c ν)/2 = γ; all are tied throughout."""
    c = np.array([1.0, 0.5, 3.0])
    for margin, found in zip(margins, reg.stagewise_margin(np.diag(c), margins), strict=True):
        np.testing.assert_allclose(found.dual, np.arcsinh(2 * margin / c) / (2 * c), rtol=2e-6)
        np.testing.assert_allclose(found.w, margin / c, rtol=2e-6)


def test_polishing_keeps_the_better_of_two():
    x, zero = separable(2), np.zeros(4)
    exact = reg.margin_hyperbolic_entropy(x, 0.0, 2.0)
    rough = reg.Interpolator(exact.w * (1 + 1e-4), exact.dual * (1 + 1e-4))
    polished = reg._polished(x, zero, 2.0, rough)
    np.testing.assert_allclose(polished.w, exact.w, rtol=1e-10)
    np.testing.assert_allclose(polished.dual, exact.dual, rtol=1e-9, atol=1e-12)
    # What cannot be polished, as its support is dependent, is kept if it is good enough.
    twice, half = np.vstack([x, x]), np.append(exact.dual, exact.dual) / 2
    kept = reg.Interpolator(exact.w, half)
    assert reg._polished(twice, zero, 2.0, kept) is kept
    with pytest.raises(reg.RegularizerError, match="relative duality gap of"):
        reg._polished(twice, zero, 2.0, reg.Interpolator(exact.w * (1 + 1e-4), half))
    # A support that is not that of the solution: the solution of its equations is worse.
    wrong = np.where(np.arange(10) == np.flatnonzero(exact.dual == 0)[0], 1.0, 0.0)
    with pytest.raises(reg.RegularizerError, match="relative duality gap of"):
        reg._polished(x, zero, 2.0, reg.Interpolator(exact.w, wrong))


def test_defaults():
    x, y = problem()
    for found, same in (
        (reg.least_hyperbolic_entropy(x, y, 0.0), reg.least_hyperbolic_entropy(x, y, 0.0, 0.0)),
        (reg.least_l2(x, y), reg.least_l2(x, y, np.ones(9))),
        (reg.least_l1(x, y), reg.least_l1(x, y, np.ones(9))),
        (
            reg.margin_hyperbolic_entropy(separable(1), 0.0),
            reg.margin_hyperbolic_entropy(separable(1), 0.0, 1.0),
        ),
    ):
        np.testing.assert_array_equal(found.w, same.w)
        np.testing.assert_array_equal(found.dual, same.dual)
