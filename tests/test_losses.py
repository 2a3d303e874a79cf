"""Losses against multiple-precision references and their own definitions."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibcore.losses import (
    EXPONENTIAL,
    LOGISTIC,
    PROBIT,
    QUADRATIC_EXPONENTIAL,
    SIGMOID,
    log_cross_entropy,
    log_power,
    poly_exponential,
    polynomial,
    scaled,
)

SMOOTH = [LOGISTIC, SIGMOID, PROBIT, poly_exponential(0.5), poly_exponential(2), polynomial(1.5)]
ALL = [EXPONENTIAL, *SMOOTH, poly_exponential(1), polynomial(8), scaled(LOGISTIC, 2.0, 3.0)]
names = pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)


def _phi(u):
    return mpmath.erfc(-u / mpmath.sqrt(2)) / 2


REFERENCES = {
    "exponential": lambda u: mpmath.exp(-u),
    "logistic": lambda u: mpmath.log1p(mpmath.exp(-u)),
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(u)),
    "probit": lambda u: -mpmath.log(_phi(u)) if u < 3 else -mpmath.log1p(-_phi(-u)),
}
SLOPES = {
    "exponential": lambda u: mpmath.exp(-u),
    "logistic": lambda u: 1 / (1 + mpmath.exp(u)),
    "sigmoid": lambda u: 1 / (2 * mpmath.cosh(u / 2)) ** 2,
    "probit": lambda u: mpmath.exp(-u * u / 2) / mpmath.sqrt(2 * mpmath.pi) / _phi(u),
}
POINTS = [-60.0, -51.0, -49.0, -8.0, -1.0, -0.01, 0.0, 0.3, 1.0, 5.0, 8.3, 20.7, 22.0, 37.0, 60.0]


@pytest.mark.parametrize("loss", [EXPONENTIAL, LOGISTIC, SIGMOID, PROBIT], ids=lambda x: x.name)
def test_logarithms_agree_with_multiple_precision(loss):
    with mpmath.workdps(820):
        for point in POINTS:
            u = mpmath.mpf(point)
            value = mpmath.log(REFERENCES[loss.name](u))
            exponent = -mpmath.log(SLOPES[loss.name](u))
            assert float(loss.log_value(point)) == pytest.approx(float(value), rel=1e-14, abs=1e-16)
            assert float(loss.exponent(point)) == pytest.approx(
                float(exponent), rel=1e-14, abs=1e-15
            )


def test_probit_exponent_slope_keeps_its_digits_far_below_zero():
    with mpmath.workdps(850):
        for point in (-60.0, -50.5, -49.5, -20.0, 0.0, 3.0):
            u = mpmath.mpf(point)
            exact = float(u + SLOPES["probit"](u))
            assert float(PROBIT.exponent_slope(point)) == pytest.approx(exact, rel=1e-12)


@names
@given(u=st.floats(-20, 40))
def test_slope_is_minus_the_derivative_of_the_value(loss, u):
    h = 1e-5
    if abs(u - 1) < 2 * h:
        return
    # d log ℓ/du = -e^{-f}/ℓ, compared in the log domain: nothing underflows
    difference = (loss.log_value(u + h) - loss.log_value(u - h)) / (2 * h)
    exact = -np.exp(-loss.exponent(u) - loss.log_value(u))
    assert float(difference) == pytest.approx(float(exact), rel=1e-5, abs=1e-7)


@names
@given(u=st.floats(-20, 40))
def test_exponent_slope_is_the_derivative_of_the_exponent(loss, u):
    h = 1e-5
    if abs(u - 1) < 2 * h:
        return
    difference = (loss.exponent(u + h) - loss.exponent(u - h)) / (2 * h)
    assert float(difference) == pytest.approx(float(loss.exponent_slope(u)), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("loss", [*SMOOTH, polynomial(64)], ids=lambda x: x.name)
def test_smoothness_is_the_largest_second_derivative(loss):
    u = np.unique(np.concatenate([np.linspace(-40, 40, 80001), [1.0]]))
    second = loss.exponent_slope(u) * loss.slope(u)
    if loss is PROBIT:  # a supremum, approached like 1 - 1/u² at -∞
        assert 1 - 2e-3 < second.max() < loss.smoothness
    else:
        assert np.abs(second).max() == pytest.approx(loss.smoothness, rel=1e-6)


@names
def test_far_arguments_stay_finite_and_numbers_are_never_lost(loss):
    u = np.array([-1e3, -750.0, 700.0, 745.0, 1e4, 1e6])
    assert np.isfinite(loss.log_value(u)).all()
    assert np.isfinite(loss.exponent(u)).all()
    assert np.isfinite(loss.exponent_slope(u)).all()
    assert (np.diff(loss.log_value(u)) < 0).all() or loss is SIGMOID
    assert not np.isnan(loss.value(u)).any()
    assert (loss.slope(u) >= 0).all()
    assert loss.value([[0.0, 1.0]]).shape == (1, 2)


@names
def test_tail_is_tight(loss):
    if loss.tail is None:
        return
    a, c = loss.tail
    u = np.array([40.0, 100.0, 1000.0])
    np.testing.assert_allclose(loss.exponent(u), a * u - np.log(c), rtol=1e-14)
    np.testing.assert_allclose(loss.log_value(u), -a * u + np.log(c / a), rtol=1e-14)


def test_smoothness_and_tail_are_none_where_there_is_none():
    assert EXPONENTIAL.smoothness is None
    assert scaled(EXPONENTIAL, 2, 3).smoothness is None
    assert PROBIT.tail is None
    assert poly_exponential(2).tail is None
    assert polynomial(2).tail is None


@given(a=st.floats(0.1, 10), c=st.floats(0.1, 10), b=st.floats(0.1, 10), e=st.floats(0.1, 10))
def test_scaling_composes(a, c, b, e):
    twice, once = scaled(scaled(LOGISTIC, a, c), b, e), scaled(LOGISTIC, b, e)
    u = np.array([-3.0, 0.0, 2.0, 50.0])
    np.testing.assert_allclose(twice.log_value(u), once.log_value(u), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(twice.exponent(u), once.exponent(u), rtol=1e-9, atol=1e-9)
    assert twice.smoothness == pytest.approx(once.smoothness)


@pytest.mark.parametrize("nu", [0.05, 0.25, 0.5, 1.0, 1.5, 3.0])
def test_poly_exponential_value_is_the_integral_of_its_tail(nu):
    loss = poly_exponential(nu)
    with mpmath.workdps(30):
        for u in (1.0, 2.0, 7.0, 60.0, 1e3):
            x = mpmath.mpf(u) ** nu
            if x > 2e3:
                continue
            exact = mpmath.log(mpmath.gammainc(1 / mpmath.mpf(nu), x) / nu)
            assert float(loss.log_value(u)) == pytest.approx(float(exact), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("loss", [poly_exponential(0.5), poly_exponential(2), polynomial(2)])
def test_the_continuation_below_one_is_the_integral_of_its_slope(loss):
    with mpmath.workdps(20):
        for u in (-45.0, -3.0, 0.5):
            area = mpmath.quad(lambda v: float(loss.slope(float(v))), [u, -2, 0, 0.7, 1.0])
            assert float(loss.value(u) - loss.value(1.0)) == pytest.approx(float(area), rel=1e-10)


def test_polynomial_tail_is_exact():
    u = np.array([1.0, 2.0, 1e6])
    np.testing.assert_allclose(polynomial(3).slope(u), u**-4.0, rtol=1e-13)
    np.testing.assert_allclose(polynomial(3).value(u), u**-3.0 / 3, rtol=1e-13)


def test_cross_entropy_of_two_classes_is_the_logistic_loss():
    u = np.array([-3.0, 0.5, 2.0])
    logits = np.column_stack([u, np.zeros(3)])
    exact = np.log(LOGISTIC.value(u).sum())
    assert log_cross_entropy(logits, [0, 0, 0]) == pytest.approx(exact, rel=1e-14)


@given(shift=st.floats(-100, 100), seed=st.integers(0, 1000))
def test_cross_entropy_against_the_definition(shift, seed):
    rng = np.random.default_rng(seed)
    logits, y = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    exact = np.log(-np.log(probability[np.arange(6), y]).sum())
    assert log_cross_entropy(logits + shift, y) == pytest.approx(exact, abs=1e-12)


def test_cross_entropy_does_not_underflow():
    logits = np.array([[1000.0, 0.0, 0.0], [0.0, 1500.0, 100.0]])
    assert log_cross_entropy(logits, [0, 1]) == pytest.approx(-1000 + np.log(2), rel=1e-15)
    assert log_cross_entropy(logits, [1, 1]) == pytest.approx(np.log(1000), rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scaled(PROBIT, 1, 1), "'probit' has no exponential tail; allowed"),
        (lambda: scaled(LOGISTIC, 0, 1), "^a is 0"),
        (lambda: scaled(LOGISTIC, 1, -1), "^c is -1"),
        (lambda: poly_exponential(0), "^nu is 0"),
        (lambda: polynomial(float("nan")), "^p has"),
        (lambda: log_cross_entropy([[1.0]], [0]), "logits .* at least two columns"),
        (lambda: log_cross_entropy([[1.0, 2.0]], [2]), "^y has the values 2"),
        (lambda: log_cross_entropy([[1.0, 2.0]], [0, 1]), r"^y has shape \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the exponential loss made smooth -----------------------------------------------------------


@given(st.floats(-1e6, 600))
def test_quadratic_exponential_is_what_it_says(u):
    loss = QUADRATIC_EXPONENTIAL
    value = math.exp(-u) if u > 0 else 1 - u + u * u / 2
    slope = math.exp(-u) if u > 0 else 1 - u
    np.testing.assert_allclose(loss.value(u), value, rtol=1e-9)
    np.testing.assert_allclose(loss.slope(u), slope, rtol=1e-9)
    curvature = 1.0 if u <= 0 else slope  # ℓ'' = f' e^{-f} never exceeds β
    np.testing.assert_allclose(loss.exponent_slope(u) * loss.slope(u), curvature, rtol=1e-9)
    assert loss.exponent_slope(u) * loss.slope(u) <= loss.smoothness * (1 + 1e-9)


def test_quadratic_exponential_keeps_its_tail_where_it_underflows():
    assert QUADRATIC_EXPONENTIAL.log_value(1e4) == -1e4
    assert QUADRATIC_EXPONENTIAL.exponent(1e4) == 1e4


# --- sub-poly-exponential tails -----------------------------------------------------------------


@pytest.mark.parametrize("a", [1.2, 1.5, 2.0, 3.0, 5.0])
def test_log_power_tail(a):
    loss = log_power(a)
    for u in (1.0, 1.5, 5.0, 1e3, 1e10):
        y = 1 + mpmath.log(u)
        rate = a * y ** (a - 1) - 1
        ends = [y + mpmath.mpf(k) / rate for k in (0, 0.3, 1, 2, 4, 8, 16, 30, 60, 120)]
        exact = mpmath.log(mpmath.quad(lambda z: mpmath.exp(z - 1 - z**a), ends))
        assert float(loss.log_value(u)) == pytest.approx(float(exact), abs=1e-6)
        assert float(loss.exponent(u)) == pytest.approx(float(y**a), rel=1e-14)


@pytest.mark.parametrize("a", [1.5, 3.0])
def test_log_power_is_continued_smoothly(a):
    loss, h = log_power(a), 1e-6
    u = np.array([-2.0, 0.3, 1 - 1e-9, 1 + 1e-9, 3.0, 1e4])
    slope = (loss.exponent(u * (1 + h)) - loss.exponent(u * (1 - h))) / (2 * h * u)
    np.testing.assert_allclose(slope, loss.exponent_slope(u), rtol=1e-4)
    decrease = (loss.value(u[:5] - h) - loss.value(u[:5] + h)) / (2 * h)
    np.testing.assert_allclose(decrease, loss.slope(u[:5]), rtol=1e-4)
    assert loss.tail is None


@pytest.mark.parametrize("a", [1.0, 0.5, -1.0, np.nan])
def test_log_power_refuses(a):
    with pytest.raises(ValueError, match=r"^a "):
        log_power(a)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (EXPONENTIAL, "exponential"),
        (LOGISTIC, "logistic"),
        (SIGMOID, "sigmoid"),
        (PROBIT, "probit"),
        (QUADRATIC_EXPONENTIAL, "quadratic-exponential"),
        (poly_exponential(0.5), "poly-exponential (ν=0.5)"),
        (polynomial(2), "polynomial (p=2)"),
        (log_power(1.5), "log-power (a=1.5)"),
        (scaled(LOGISTIC, 2.0, 0.5), "logistic (a=2, c=0.5)"),
    ],
)
def test_names_of_losses(loss, name):
    assert loss.name == name


@pytest.mark.parametrize("loss", [PROBIT, QUADRATIC_EXPONENTIAL], ids=lambda loss: loss.name)
def test_curvature_tends_to_the_smoothness_far_on_the_wrong_side(loss):
    """ℓ'' = f' e^{-f} tends to 1 at -∞ from below."""
    u = np.array([-300.0, -1000.0])
    second = loss.exponent_slope(u) * loss.slope(u)
    np.testing.assert_allclose(second, loss.smoothness, rtol=2e-5)


def test_the_slope_of_the_probit_exponent_is_its_series_far_below_zero():
    """-x + φ(x)/Φ(-x) from the series of Mills' ratio, Σ (-1)^k (2k-1)!! x^{-2k-1}, inverted."""
    mills = [Fraction(1)]
    for k in range(1, 6):
        mills.append(-mills[-1] * (2 * k - 1))
    inverse = [Fraction(1)]
    for k in range(1, 6):
        inverse.append(-sum(mills[j] * inverse[k - j] for j in range(1, k + 1)))
    for u in (-50.5, -50.1, -60.0, -1e3, -1e6):
        t = 1 / Fraction(u) ** 2
        expected = float(sum(c * t**k for k, c in enumerate(inverse) if k) * -Fraction(u))
        assert float(PROBIT.exponent_slope(u)) == pytest.approx(expected, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    "loss", [*ALL, QUADRATIC_EXPONENTIAL, log_power(1.5)], ids=lambda x: x.name
)
def test_pieces_of_a_loss_meet(loss):
    """Where a formula ends and another begins, the value, the exponent and its slope go on."""
    for joint in (0.0, 1.0, -50.0):
        around = np.array([np.nextafter(joint, -99.0), joint, np.nextafter(joint, 99.0)])
        for part in (loss.log_value, loss.exponent, loss.exponent_slope):
            np.testing.assert_allclose(part(around), part(around)[1], rtol=1e-11, atol=1e-13)
