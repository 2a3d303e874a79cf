"""Relations between measurements and predictions against their definitions, value by value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ibcore import comparisons
from ibcore.comparisons import evaluate, fit_rate, resolution

VALUES = st.floats(-50, 50).map(lambda v: round(v, 2))
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5)
NOT_ZERO = VALUES.filter(lambda v: abs(v) >= 0.1)


@given(PAIRS, st.sampled_from([0.0, 0.5, 3.0]))
def test_absolute_comparisons_value_by_value(pairs, tolerance):
    measured, predicted = zip(*pairs, strict=True)
    for relation, distance in (
        ("equal", lambda m, p: abs(m - p)),
        ("at most", lambda m, p: m - p),
        ("at least", lambda m, p: p - m),
    ):
        found = evaluate(relation, measured=measured, predicted=predicted, atol=tolerance)
        errors = tuple(distance(m, p) for m, p in pairs)
        assert (found.measured, found.predicted) == (measured, predicted)
        assert found.errors == pytest.approx(errors, abs=1e-12)
        assert found.holds == tuple(e <= tolerance for e in found.errors)
        assert (found.tolerance, found.unit, found.interval) == (tolerance, "absolute", None)
        assert found.error == max(found.errors)


@given(st.lists(st.tuples(VALUES, NOT_ZERO), min_size=1, max_size=5))
def test_relative_comparisons_value_by_value(pairs):
    measured, predicted = zip(*pairs, strict=True)
    found = evaluate("equal", measured=measured, predicted=predicted, rtol=0.3)
    assert found.errors == pytest.approx([abs(m / p - 1) for m, p in pairs], abs=1e-12)
    assert found.holds == tuple(e <= 0.3 for e in found.errors)
    assert (found.tolerance, found.unit) == (0.3, "relative")


@given(
    st.lists(st.tuples(NOT_ZERO, st.lists(VALUES, min_size=4, max_size=4)), min_size=1, max_size=4),
    st.sampled_from(["rtol", "atol"]),
)
def test_limits_path_by_path(paths, kind):
    predicted = [p for p, _ in paths]
    measured = [path for _, path in paths]
    found = evaluate("limit", measured=measured, predicted=predicted, **{kind: 0.5})
    for k, (p, path) in enumerate(paths):
        unit = abs(p) if kind == "rtol" else 1.0
        error, before = abs(path[-1] - p) / unit, abs(path[0] - p) / unit
        assert found.errors[k] == pytest.approx(error, abs=1e-12)
        assert found.holds[k] == (found.errors[k] <= 0.5 and abs(path[-1] - p) <= abs(path[0] - p))
        assert before >= 0
    assert found.measured == tuple(path[-1] for path in measured)
    assert found.predicted == tuple(predicted)


def test_one_path_has_one_limit_and_may_be_compared_with_several():
    found = evaluate("limit", measured=[5.0, 2.0], predicted=2.0, atol=0.0)
    assert (found.measured, found.holds) == ((2.0,), (True,))
    found = evaluate("limit", measured=[5.0, 2.0], predicted=[2.0, 4.0, 9.0], atol=2.0)
    assert found.errors == (0.0, 2.0, 7.0)
    # at 4 it went from 1 above to 2 below
    assert found.holds == (True, False, False)
    # as far as before is allowed: a path that has arrived stays
    assert evaluate("limit", measured=[1.0, 3.0, 1.0], predicted=1.5, atol=1.0).holds == (True,)
    with pytest.raises(ValueError, match=r"^measured: a limit needs two horizons"):
        evaluate("limit", measured=[[1.0], [2.0], [3.0]], predicted=1.0, atol=1.0)


@given(
    st.integers(6, 13),
    st.integers(1, 3),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.01, 1.0]),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_a_slope_and_its_interval_are_those_of_the_regression(count, rows, seed, noise, bend):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 10, size=count)) + np.arange(count)
    y = rng.normal(size=(rows, 1)) * x + noise * rng.normal(size=(rows, count)) + bend * x**2 / 20
    slopes, half_width = fit_rate(x, y)
    widths = []
    for slope, values in zip(slopes, y, strict=True):
        fit = stats.linregress(x, values)
        assert slope == pytest.approx(fit.slope, abs=1e-9)
        half = count // 2
        first, second = (
            stats.linregress(x[part], values[part]).slope
            for part in (slice(half), slice(half, None))
        )
        spread = fit.stderr * stats.t.ppf(0.975, count - 2)
        widths.append(max(spread, abs(first - second) / 2))
    # Older versions of linregress take the spread from 1 - r², which rounds to its root.
    assert half_width == pytest.approx(max(widths), rel=1e-6, abs=3e-7)
    # each instance with its own abscissa is the same, row by row
    own, same = fit_rate(np.tile(x, (rows, 1)), y)
    np.testing.assert_allclose(own, slopes)
    assert same == pytest.approx(half_width)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones(5), np.ones(5), r"^log_x: expected at least 6 points .* shape \(1, 5\)"),
        (np.ones((7, 5)), np.ones((7, 5)), r"^log_x: .* got shape \(7, 5\)"),
        (np.ones((2, 6, 6)), np.ones((6, 6)), r"^log_x: .* got shape \(2, 6, 6\)"),
        (np.arange(6), np.ones(7), r"^log_y: shape \(1, 7\) does not match .* \(1, 6\)"),
        (np.ones((2, 6)), np.ones((3, 6)), r"^log_y: shape \(3, 6\) .* expected \(2, 6\)"),
        (np.ones((2, 6)), np.ones((1, 6)), r"^log_y: shape \(1, 6\) .* expected \(2, 6\)"),
        (np.arange(6), np.ones((6, 7)), r"^log_y: shape \(6, 7\) .* expected \(1, 6\)"),
        (np.arange(6), np.ones((2, 6, 6)), r"^log_y: shape \(2, 6, 6\) .* expected \(1, 6\)"),
        (np.arange(7), np.ones((2, 7, 6)), r"^log_y: shape \(2, 7, 6\) .* expected \(1, 7\)"),
    ],
)
def test_points_of_a_slope_that_do_not_match(x, y, message):
    with pytest.raises(ValueError, match=message):
        fit_rate(x, y)


@pytest.mark.parametrize(
    ("slope", "width", "predicted", "tolerance", "holds"),
    [
        (2.0, 0.25, 2.0, {"atol": 0.25}, True),  # as wide as the tolerance
        (2.0, 0.26, 2.0, {"atol": 0.25}, False),
        (2.1, 0.3, 2.0, {"rtol": 0.2}, True),  # in the unit of the prediction
        (0.51, 0.09, 0.5, {"rtol": 0.2}, True),
        (0.51, 0.11, 0.5, {"rtol": 0.2}, False),
        (-2.3, 0.1, -2.0, {"rtol": 0.2}, True),
        (-2.5, 0.1, -2.0, {"rtol": 0.2}, False),
        (1.5, 0.1, 2.0, {"rtol": 0.2}, False),
    ],
)
def test_a_rate_needs_an_interval_as_sharp_as_its_tolerance(
    slope, width, predicted, tolerance, holds, monkeypatch
):
    monkeypatch.setattr(comparisons, "fit_rate", lambda *_: (np.array([slope]), width))
    found = evaluate("rate", log_x=[], log_y=[], predicted=predicted, **tolerance)
    assert (found.holds, found.interval) == ((holds,), width)
    unit = abs(predicted) if "rtol" in tolerance else 1.0
    assert found.errors == pytest.approx((abs(slope - predicted) / unit,))


def test_exact_comparisons_of_every_kind():
    for measured, predicted in (
        ([1, 2], [1, 3]), (np.array([1, 2], np.uint8), [1, 3]), ([True, True], [True, False]),
        (["a", "b"], ["a", "c"]),
    ):  # fmt: skip
        found = evaluate("exact", measured=measured, predicted=predicted)
        assert (found.holds, found.errors, found.tolerance) == ((True, False), (0.0, 1.0), 0.0)
        assert (list(found.measured), list(found.predicted)) == (list(measured), predicted)
        assert (found.unit, found.interval) == ("absolute", None)
    grid = evaluate("exact", measured=[[3, 4], [3, 3]], predicted=3)
    assert grid.holds == (True, False, True, True)
    with pytest.raises(ValueError, match=r"^measured: no instances"):
        evaluate("exact", measured=[], predicted=[])
    for name, arguments in (
        ("measured", {"measured": [1.0], "predicted": [1]}),
        ("predicted", {"measured": [1], "predicted": [1.0]}),
        ("predicted", {"measured": [1], "predicted": [None]}),
    ):
        with pytest.raises(ValueError, match=f"^{name}: an exact comparison takes"):
            evaluate("exact", **arguments)


def test_qualitative_comparisons():
    found = evaluate("qualitative", holds=[True, False])
    assert (found.measured, found.predicted) == (("yes", "no"), ("yes", "yes"))
    assert (found.holds, found.errors, found.tolerance) == ((True, False), (0.0, 1.0), 0.0)
    found = evaluate("qualitative", holds=True, measured="flat", predicted="flat as well")
    assert (found.measured, found.predicted) == (("flat",), ("flat as well",))
    for holds in (1, [], [0, 1], np.zeros(0, dtype=bool), ["yes"]):
        with pytest.raises(ValueError, match=r"^holds: expected at least one boolean"):
            evaluate("qualitative", holds=holds)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measured": [1.0, np.nan]}, "^measured: expected finite numbers, got nan"),
        ({"predicted": [np.inf, 1.0]}, "^predicted: expected finite numbers, got inf"),
        ({"measured": []}, "^measured: no instances"),
        ({"measured": ["a"]}, "^measured: expected real numbers, got dtype <U1"),
        ({"measured": [1j]}, "^measured: expected real numbers, got dtype complex"),
        ({"measured": [1.0, 2.0, 3.0], "predicted": [1.0, 2.0]}, r"^predicted: shape \(2,\)"),
        ({"measured": np.ones(65)}, "^measured: 65 instances; at most 64 fit"),
        ({"predicted": 0.0, "atol": None, "rtol": 0.1}, "^predicted: a relative tolerance"),
        ({"predicted": [1.0, 0.0], "atol": None, "rtol": 0.1}, "^predicted: a relative"),
        ({"rtol": 0.1}, "^tolerance: give exactly one"),
        ({"atol": None}, "^tolerance: give exactly one"),
        ({"atol": -0.1}, "^atol "),
        ({"atol": None, "rtol": -0.1}, "^rtol "),
    ],
)
def test_what_decides_nothing_is_refused(arguments, message):
    given = {"measured": 1.0, "predicted": 1.0, "atol": 0.1} | arguments
    with pytest.raises(ValueError, match=message):
        evaluate("equal", **given)


def test_numbers_of_every_kind_and_as_many_as_fit():
    for measured in (True, 1, np.uint8(1), np.float32(1.0), np.ones(64), [[1.0], [1.0]]):
        found = evaluate("equal", measured=measured, predicted=1.0, rtol=0.0)
        assert found.holds == (True,) * np.size(measured)
    for relation in ("at most", "at least"):  # the tolerance of a bound is zero by default
        assert evaluate(relation, measured=2.0, predicted=2.0).holds == (True,)
        wrong = 2.5 if relation == "at most" else 1.5
        assert evaluate(relation, measured=wrong, predicted=2.0).holds == (False,)
    with pytest.raises(ValueError, match=r"^relation: 'about' is not one of equal, at most, at l"):
        evaluate("about", measured=1.0, predicted=1.0)


@pytest.mark.parametrize(
    ("largest", "found"),
    [(1e-13, 0.0), (5e-13, 0.0), (2e-12, 2e-12), (0.5, 0.5), (0.99899, 0.99899), (1.5, 1.0)],
)
def test_what_passes_is_looked_for_from_rounding_to_one(largest, found):
    result = comparisons._last_passing(lambda e: e <= largest)
    assert result == pytest.approx(found, rel=3e-4, abs=0)
    assert result <= found


@given(st.floats(0.01, 0.3), st.floats(-0.9, 0.9), st.sampled_from([-3.0, 0.2, 50.0]))
def test_the_resolution_of_an_equality(tolerance, share, predicted):
    """|m - p(1 + e)| <= r |p (1 + e)|: of both signs of e, the one that passes for longer."""
    error = share * tolerance
    ends = (1 + error) / (1 - tolerance) - 1, 1 - (1 + error) / (1 + tolerance)
    found = resolution(
        "equal", measured=predicted * (1 + error), predicted=predicted, rtol=tolerance
    )
    assert found == pytest.approx(max(ends), rel=1e-3)


def test_the_resolution_is_that_of_all_instances_together():
    arguments = {"measured": [1.0, 1.0], "predicted": [1.0, 1.02], "atol": 0.1}
    # the second is .02 high already: up to 1.1/1.02, or down to .9
    assert resolution("equal", **arguments) == pytest.approx(0.1, rel=1e-3)
    with pytest.raises(ValueError, match=r"^arguments: expected a comparison that holds$"):
        resolution("equal", measured=[1.0, 2.0], predicted=[1.0, 1.0], atol=0.1)
    assert resolution("exact", measured=[1], predicted=[1]) == 0.0
    assert resolution("qualitative", holds=[True]) is None
    assert resolution("equal", measured=[0.0, 0.1], predicted=[0.0, 0.0], atol=0.2) is None
    one = resolution("equal", measured=[0.0, 2.0], predicted=[0.0, 2.0], atol=0.2)
    assert one == pytest.approx(0.1, rel=1e-3)
    # a bound can fail on one side only
    for relation, sign in (("at most", 1), ("at least", -1)):
        slack = resolution(relation, measured=2.0 - sign * 0.1, predicted=2.0)
        assert slack == pytest.approx(0.05, rel=1e-3)
    assert resolution("at most", measured=-5.0, predicted=3.0) == 1.0
    assert math.isclose(resolution("at most", measured=3.0, predicted=3.0), 0.0)
