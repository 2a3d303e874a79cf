"""Comparisons of measurements with predictions: the relations that a claim can assert.

Each relation is a pure function from arrays to an `Outcome`. Values that are not finite are
refused: a NaN must never decide a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ibcore import _validate

__all__ = ["BOUNDS", "RELATIONS", "Outcome", "Relation", "evaluate", "fit_rate", "resolution"]

Relation = Literal["equal", "at most", "at least", "rate", "limit", "exact", "qualitative"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
#: Relations that fail on one side only.
BOUNDS: tuple[Relation, ...] = ("at most", "at least")

#: More values than this belong in a figure; a ledger row holds what a reader can check.
_MAX_INSTANCES = 64


@dataclass(frozen=True)
class Outcome:
    """One comparison, evaluated.

    Parameters
    ----------
    predicted, measured : tuple
        One entry an instance (numbers, integers, booleans or words).
    errors : tuple of float
        Distance from what the relation allows with tolerance zero, one an instance, in the unit
        of `tolerance`; negative where a bound is respected with slack.
    tolerance : float
        The largest error that is accepted.
    holds : tuple of bool
        Whether the relation holds, one an instance.
    unit : str
        "relative" or "absolute": the unit of the errors and of the tolerance.
    interval : float or None
        Half-width of the 95 % interval of a fitted rate.
    """

    predicted: tuple[Any, ...]
    measured: tuple[Any, ...]
    errors: tuple[float, ...]
    tolerance: float
    holds: tuple[bool, ...]
    unit: str = "absolute"
    interval: float | None = None

    @property
    def error(self) -> float:
        """The largest error over the instances."""
        return max(self.errors)


def _numbers(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Finite numbers as a float64 array; a NaN must never decide a comparison."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of real numbers ({error})") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.size == 0:
        raise ValueError(
            f"{name}: no instances; a claim about nothing is not a claim, expected at least one"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)][0]}")
    return array


def _instances(measured: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Measured and predicted values, broadcast against each other and flattened."""
    m, p = _numbers(measured, "measured"), _numbers(predicted, "predicted")
    try:
        m, p = np.broadcast_arrays(m, p)
    except ValueError as error:
        raise ValueError(
            f"predicted: shape {p.shape} does not match measured, of shape {m.shape}"
        ) from error
    if m.size > _MAX_INSTANCES:
        raise ValueError(
            f"measured: {m.size} instances; at most {_MAX_INSTANCES} fit a ledger row, "
            "summarise them (the worst, a quantile) first"
        )
    return m.ravel(), p.ravel()


def _tolerance(rtol: float | None, atol: float | None) -> tuple[float, str]:
    """The one tolerance that was given, and its unit."""
    if (rtol is None) == (atol is None):
        raise ValueError("tolerance: give exactly one of rtol and atol")
    if rtol is not None:
        return _validate.non_negative(rtol, "rtol"), "relative"
    return _validate.non_negative(atol, "atol"), "absolute"


def _scale(predicted: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """What errors are divided by; a relative error of a predicted zero has no meaning."""
    if unit == "absolute":
        return np.ones_like(predicted)
    if (predicted == 0).any():
        raise ValueError("predicted: a relative tolerance needs predicted values other than 0")
    return np.abs(predicted)


def _outcome(
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
    errors: NDArray[np.float64],
    tolerance: float,
    unit: str,
    *,
    also: NDArray[np.bool_] | bool = True,
    interval: float | None = None,
) -> Outcome:
    return Outcome(
        tuple(predicted.tolist()),
        tuple(measured.tolist()),
        tuple(errors.tolist()),
        tolerance,
        tuple(((errors <= tolerance) & also).tolist()),
        unit,
        interval,
    )


def _equal(
    measured: ArrayLike,
    predicted: ArrayLike,
    rtol: float | None = None,
    atol: float | None = None,
) -> Outcome:
    m, p = _instances(measured, predicted)
    tolerance, unit = _tolerance(rtol, atol)
    return _outcome(m, p, np.abs(m - p) / _scale(p, unit), tolerance, unit)


def _at_most(measured: ArrayLike, predicted: ArrayLike, atol: float = 0.0) -> Outcome:
    m, p = _instances(measured, predicted)
    return _outcome(m, p, m - p, *_tolerance(None, atol))


def _at_least(measured: ArrayLike, predicted: ArrayLike, atol: float = 0.0) -> Outcome:
    m, p = _instances(measured, predicted)
    return _outcome(m, p, p - m, *_tolerance(None, atol))


def _limit(
    measured: ArrayLike,
    predicted: ArrayLike,
    rtol: float | None = None,
    atol: float | None = None,
) -> Outcome:
    """Last axis of `measured`: growing horizons. Close at the last one, and closer than before."""
    path = np.atleast_2d(_numbers(measured, "measured"))
    if path.shape[-1] < 2:
        raise ValueError("measured: a limit needs two horizons, expected them along the last axis")
    last, p = _instances(path[..., -1], predicted)
    first = path[..., 0].ravel()
    tolerance, unit = _tolerance(rtol, atol)
    scale = _scale(p, unit)
    errors, before = np.abs(last - p) / scale, np.abs(first - p) / scale
    return _outcome(last, p, errors, tolerance, unit, also=errors <= before)


def fit_rate(log_x: ArrayLike, log_y: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Slope of log y against log x by least squares, and the half-width of its 95 % interval.

    The half-width is the larger of the regression's own and of half the difference between the
    slopes of the two halves of the range: on deterministic curves the first is tiny even where
    the curve still bends, and the second says so.

    Parameters
    ----------
    log_x : array_like, shape (H,) or (n, H)
        Logarithms of the abscissa, at least six; one row for all instances or one for each.
    log_y : array_like, shape (H,) or (n, H)
        Logarithms of the ordinate, one row an instance.

    Returns
    -------
    slopes : ndarray, shape (n,)
    half_width : float
        The largest over the instances.

    Raises
    ------
    ValueError
        Fewer than six points, shapes that do not match, or values that are not finite.
    """
    xs, ys = np.atleast_2d(_numbers(log_x, "log_x")), np.atleast_2d(_numbers(log_y, "log_y"))
    if xs.ndim != 2 or xs.shape[1] < 6:
        raise ValueError(f"log_x: expected at least 6 points in a row, got shape {xs.shape}")
    if ys.shape[1:] != xs.shape[1:] or len(xs) not in (1, len(ys)):
        raise ValueError(f"log_y: shape {ys.shape} does not match log_x, expected {xs.shape}")
    quantile = special.stdtrit(xs.shape[1] - 2, 0.975)
    slopes, widths = [], []
    for x, y in zip(np.broadcast_to(xs, ys.shape), ys, strict=True):
        (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
        first, second = (np.polyfit(a, b, 1)[0] for a, b in _halves(x, y))
        slopes.append(slope)
        widths.append(max(quantile * np.sqrt(covariance[0, 0]), abs(second - first) / 2))
    return np.array(slopes), float(max(widths))


def _halves(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    half = len(x) // 2
    return [(x[:half], y[:half]), (x[half:], y[half:])]


def _rate(
    log_x: ArrayLike,
    log_y: ArrayLike,
    predicted: ArrayLike,
    rtol: float | None = None,
    atol: float | None = None,
) -> Outcome:
    slopes, half_width = fit_rate(log_x, log_y)
    m, p = _instances(slopes, predicted)
    tolerance, unit = _tolerance(rtol, atol)
    scale = _scale(p, unit)
    # An interval wider than the tolerance would let any exponent through.
    sharp = half_width <= tolerance * scale
    return _outcome(m, p, np.abs(m - p) / scale, tolerance, unit, also=sharp, interval=half_width)


def _exact(measured: Any, predicted: Any) -> Outcome:
    m, p = np.broadcast_arrays(np.atleast_1d(measured), np.atleast_1d(predicted))
    if m.size == 0:
        raise ValueError("measured: no instances; a claim about nothing is not a claim")
    for name, array in (("measured", m), ("predicted", p)):
        if array.dtype.kind not in "biuU":
            raise ValueError(
                f"{name}: an exact comparison takes integers, booleans or words, "
                f"got dtype {array.dtype}"
            )
    same = (m == p).ravel()
    return Outcome(
        tuple(p.ravel().tolist()),
        tuple(m.ravel().tolist()),
        tuple((~same).astype(float).tolist()),
        0.0,
        tuple(same.tolist()),
    )


def _qualitative(holds: Any, measured: str = "", predicted: str = "") -> Outcome:
    flags = np.atleast_1d(np.asarray(holds))
    if flags.dtype != np.bool_ or flags.size == 0:
        raise ValueError("holds: expected at least one boolean")
    flags = flags.ravel()
    return Outcome(
        (predicted or "yes",) * flags.size,
        (measured,) * flags.size if measured else tuple("yes" if f else "no" for f in flags),
        tuple((~flags).astype(float).tolist()),
        0.0,
        tuple(flags.tolist()),
    )


_EVALUATE: Mapping[Relation, Callable[..., Outcome]] = {
    "equal": _equal,
    "at most": _at_most,
    "at least": _at_least,
    "rate": _rate,
    "limit": _limit,
    "exact": _exact,
    "qualitative": _qualitative,
}


def evaluate(relation: Relation, **arguments: Any) -> Outcome:
    """Evaluate one comparison.

    Parameters
    ----------
    relation : str
        One of `RELATIONS`.
    **arguments
        Those of the method of `ibcore.claims.Claim` that asserts the relation.

    Raises
    ------
    ValueError
        No instances, values that are not finite, shapes that do not match, or a tolerance that is
        missing or ambiguous.
    """
    if relation not in RELATIONS:
        raise ValueError(f"relation: {relation!r} is not one of {', '.join(RELATIONS)}")
    return _EVALUATE[relation](**arguments)


def resolution(relation: Relation, **arguments: Any) -> float | None:
    """How wrong a prediction could be, relatively, without the comparison noticing.

    All predicted values are multiplied by 1 + e and by 1 - e: the law with a wrong constant. What
    is returned is the largest e that passes; of the two signs the worse one, and for a bound the
    one that can fail, which is its slack.

    Parameters
    ----------
    relation : str
        One of `RELATIONS`.
    **arguments
        Those of a comparison that holds.

    Returns
    -------
    float or None
        Between 0 and 1, where 1 stands for a factor of two or more; 0 for an exact comparison;
        None where there is no number to change: words, or predictions that are all zero.

    Raises
    ------
    ValueError
        The comparison does not hold as it stands.
    """
    if not all(evaluate(relation, **arguments).holds):
        raise ValueError("arguments: expected a comparison that holds")
    if relation == "qualitative":
        return None
    if relation == "exact":
        return 0.0
    predicted = np.asarray(arguments["predicted"], dtype=np.float64)
    if not predicted.any():
        return None

    def passes(change: float) -> bool:
        return all(evaluate(relation, **{**arguments, "predicted": predicted * change}).holds)

    larger, smaller = _last_passing(lambda e: passes(1 + e)), _last_passing(lambda e: passes(1 - e))
    return min(larger, smaller) if relation in BOUNDS else max(larger, smaller)


def _last_passing(passes: Callable[[float], bool]) -> float:
    """The largest e up to 1 that passes, to three digits: what passes is an interval from 0."""
    low, high = -12.0, math.log10(0.999)
    if passes(10**high):
        return 1.0
    if not passes(10**low):
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if passes(10**middle) else (low, middle)
    return float(10**low)
