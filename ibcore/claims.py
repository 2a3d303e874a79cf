"""Claims: what was predicted, what was measured, and the controls that show a comparison can fail.

A claim carries the label of the statement it tests. It compares measurements with predictions,
raises where they disagree, and repeats each comparison under at least one *control*: an
assumption of the statement broken, or a wrong constant put in. A control counts only when the
comparison then fails; a comparison that nothing can fail says nothing.

    claim = Claim("soudry2018-separable-thm4", grade="finite horizon", scope="exp loss, d <= 5")
    claim.equal("residual at t = e^10000", measured=residual, predicted=limit, atol=1e-9)
    claim.control("step size doubled in the formula", predicted=wrong_limit)
    claim.report()

The report shows itself in a notebook (HTML with a plain-text twin) and carries its full-precision
record in the output's metadata, from which the book's ledger is computed.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Claim", "ClaimError", "Grade", "Relation", "Report", "not_checked"]

Relation = Literal["equal", "at most", "at least", "rate", "limit", "exact", "qualitative"]
Grade = Literal["exact instance", "finite horizon", "special case", "analogue"]

RELATIONS: tuple[Relation, ...] = get_args(Relation)
GRADES: tuple[Grade, ...] = get_args(Grade)
SIGNS = {"equal": "=", "at most": "≤", "at least": "≥", "rate": "≈", "limit": "→", "exact": "≡"}

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
#: More values than this belong in a figure; a ledger row holds what a reader can check.
_MAX_INSTANCES = 64


class ClaimError(AssertionError):
    """A comparison that does not hold, a control that does not bite, or an incomplete claim."""


# --- comparing -----------------------------------------------------------------------------------


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
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.size == 0:
        raise ValueError(f"{name}: no instances; a claim about nothing is not a claim")
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
    value, unit = (rtol, "relative") if rtol is not None else (atol, "absolute")
    if value is None or not math.isfinite(value) or value < 0:
        raise ValueError(f"{unit} tolerance: expected a finite number >= 0, got {value}")
    return float(value), unit


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
        raise ValueError("measured: a limit needs at least two horizons along the last axis")
    last, p = _instances(path[..., -1], predicted)
    first = np.broadcast_to(path[..., 0], path[..., -1].shape).ravel()
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
    count = xs.shape[-1]
    if xs.ndim != 2 or count < 6:
        raise ValueError(f"log_x: expected at least 6 points in a row, got shape {xs.shape}")
    if ys.shape[-1] != count or len(xs) not in (1, len(ys)):
        raise ValueError(f"log_y: shape {ys.shape} does not match log_x, of shape {xs.shape}")
    quantile = special.stdtrit(count - 2, 0.975)
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


@dataclass(frozen=True)
class Control:
    """A comparison repeated with something broken, and what came of it."""

    broken: str
    outcome: Outcome


@dataclass
class Comparison:
    """One row of a claim: a quantity, its prediction, and the controls of the comparison."""

    quantity: str
    relation: Relation
    arguments: dict[str, Any]
    outcome: Outcome
    drift: float
    controls: list[Control] = field(default_factory=list)


# --- claiming ------------------------------------------------------------------------------------


class Claim:
    """The measured side of one labelled statement.

    Parameters
    ----------
    id : str
        Label of the statement, ``<slug>-<result>``, lower case.
    grade : {"exact instance", "finite horizon", "special case", "analogue"}
        How near the measurement comes to the statement: the statement's own hypotheses and
        conclusion; its conclusion at a finite time or size; a sub-case of its hypotheses; or a
        different object that should behave alike.
    scope : str
        What is *not* covered, in one line. Only an exact instance may leave it empty.
    contradicted : str
        For a statement that the measurement contradicts: why. The comparisons must then fail and
        the controls hold; the ledger shows the row in red.
    seeds : sequence of int
        The seeds of the random numbers behind the measurement.
    dtype : str
        Floating-point type of the measurement.

    Raises
    ------
    ValueError
        A malformed id, an unknown grade, or no scope where one is due.
    """

    def __init__(
        self,
        id: str,
        *,
        grade: Grade,
        scope: str = "",
        contradicted: str = "",
        seeds: Sequence[int] = (),
        dtype: str = "float64",
    ) -> None:
        if not _ID.fullmatch(id):
            raise ValueError(f"id: {id!r} is not a label such as 'soudry2018-separable-thm3'")
        if grade not in GRADES:
            raise ValueError(f"grade: {grade!r} is not one of {', '.join(GRADES)}")
        if grade != "exact instance" and not scope.strip():
            raise ValueError(
                f"scope: a claim of grade {grade!r} says in one line what it leaves out"
            )
        self.id = id
        self.grade = grade
        self.scope = scope.strip()
        self.contradiction = contradicted.strip()
        self.seeds = tuple(int(seed) for seed in seeds)
        self.dtype = dtype
        self.comparisons: list[Comparison] = []

    # The relations. Each records a comparison and raises where it does not hold.

    def equal(
        self,
        quantity: str,
        *,
        measured: ArrayLike,
        predicted: ArrayLike,
        rtol: float | None = None,
        atol: float | None = None,
        drift: float | None = None,
    ) -> None:
        """Claim that measured values equal predicted ones within one tolerance.

        Parameters
        ----------
        quantity : str
            What is compared, in a few words.
        measured, predicted : array_like
            Values, broadcast against each other; one instance an entry, at most 64.
        rtol, atol : float
            The relative or the absolute tolerance; exactly one.
        drift : float, optional
            How far measured values may move between machines before the reference test reports
            it, absolute. By default a tenth of the tolerance.

        Raises
        ------
        ClaimError
            The comparison does not hold.
        ValueError
            No instances, values that are not finite, shapes that do not match, or a tolerance
            that is missing or ambiguous.
        """
        self._compare("equal", quantity, drift, measured=measured, predicted=predicted,
                      rtol=rtol, atol=atol)  # fmt: skip

    def at_most(
        self,
        quantity: str,
        *,
        measured: ArrayLike,
        predicted: ArrayLike,
        atol: float = 0.0,
        drift: float | None = None,
    ) -> None:
        """Claim that measured values stay below predicted bounds. Parameters as in `equal`."""
        self._compare("at most", quantity, drift, measured=measured, predicted=predicted, atol=atol)

    def at_least(
        self,
        quantity: str,
        *,
        measured: ArrayLike,
        predicted: ArrayLike,
        atol: float = 0.0,
        drift: float | None = None,
    ) -> None:
        """Claim that measured values stay above predicted bounds. Parameters as in `equal`."""
        self._compare(
            "at least", quantity, drift, measured=measured, predicted=predicted, atol=atol
        )

    def rate(
        self,
        quantity: str,
        *,
        log_x: ArrayLike,
        log_y: ArrayLike,
        predicted: ArrayLike,
        rtol: float | None = None,
        atol: float | None = None,
        drift: float | None = None,
    ) -> None:
        """Claim that y grows like x to the predicted exponent.

        The fitted slope must lie within the tolerance of the predicted exponent, and its 95 %
        interval (see `fit_rate`) must be narrower than the tolerance.

        Parameters
        ----------
        quantity, rtol, atol, drift
            As in `equal`; tolerances are on the exponent.
        log_x : array_like, shape (H,) or (n, H)
            Logarithms, so that t = 10^10000 has one.
        log_y : array_like, shape (H,) or (n, H)
            Logarithms, one row an instance.
        predicted : array_like
            The exponent, or one an instance.
        """
        self._compare("rate", quantity, drift, log_x=log_x, log_y=log_y, predicted=predicted,
                      rtol=rtol, atol=atol)  # fmt: skip

    def limit(
        self,
        quantity: str,
        *,
        measured: ArrayLike,
        predicted: ArrayLike,
        rtol: float | None = None,
        atol: float | None = None,
        drift: float | None = None,
    ) -> None:
        """Claim that measured values tend to a predicted limit.

        Parameters
        ----------
        quantity, rtol, atol, drift
            As in `equal`.
        measured : array_like, shape (H,) or (n, H)
            Values at growing horizons. The last must lie within the tolerance of the limit, and
            no farther from it than the first.
        predicted : array_like
            The limit, or one an instance.
        """
        self._compare("limit", quantity, drift, measured=measured, predicted=predicted,
                      rtol=rtol, atol=atol)  # fmt: skip

    def exact(self, quantity: str, *, measured: Any, predicted: Any) -> None:
        """Claim that integers, booleans or words agree exactly, with no tolerance."""
        self._compare("exact", quantity, 0.0, measured=measured, predicted=predicted)

    def qualitative(
        self, quantity: str, *, holds: Any, measured: str = "", predicted: str = ""
    ) -> None:
        """Claim that something is so, where there is no number to predict.

        Parameters
        ----------
        quantity : str
            What is so.
        holds : bool or array_like of bool
            Whether it is, one an instance.
        measured, predicted : str
            What was seen and what was expected, in words.
        """
        self._compare(
            "qualitative", quantity, 0.0, holds=holds, measured=measured, predicted=predicted
        )

    def control(self, broken: str, **replaced: Any) -> None:
        """Repeat the last comparison with something broken; it must now fail on every instance.

        Parameters
        ----------
        broken : str
            The assumption or the constant that was broken, in a few words.
        **replaced
            Arguments of the comparison, by name, that take the place of the honest ones.

        Raises
        ------
        ClaimError
            The comparison still holds somewhere: the control does not bite.
        ValueError
            There is no comparison to control, nothing was replaced, or an unknown argument was.
        """
        if not self.comparisons:
            raise ValueError("control: there is no comparison yet; a control repeats one")
        last = self.comparisons[-1]
        unknown = sorted(set(replaced) - set(last.arguments))
        if unknown or not replaced:
            raise ValueError(
                f"control: replace some of {', '.join(last.arguments)}; got {unknown or 'nothing'}"
            )
        outcome = _EVALUATE[last.relation](**{**last.arguments, **replaced})
        if any(held is not self._contradicted for held in outcome.holds):
            raise ClaimError(
                f"{self.id}: the control {broken!r} does not bite: {last.quantity!r} "
                f"{'fails' if self._contradicted else 'still holds'} "
                f"(error {outcome.error:.3g}, tolerance {outcome.tolerance:.3g})"
            )
        last.controls.append(Control(broken, outcome))

    def report(self) -> Report:
        """Close the claim: check that it is complete, and return what the notebook shows.

        Raises
        ------
        ClaimError
            There is no comparison, or a comparison without a control.
        """
        if not self.comparisons:
            raise ClaimError(f"{self.id}: nothing was compared")
        for comparison in self.comparisons:
            if not comparison.controls:
                raise ClaimError(
                    f"{self.id}: {comparison.quantity!r} has no control; break an assumption and "
                    "show that the comparison fails"
                )
        return Report(_record(self))

    @property
    def _contradicted(self) -> bool:
        return bool(self.contradiction)

    def _compare(
        self, relation: Relation, quantity: str, drift: float | None, **arguments: Any
    ) -> None:
        outcome = _EVALUATE[relation](**arguments)
        if self._contradicted and all(outcome.holds):
            raise ClaimError(f"{self.id}: {quantity!r} holds, though the claim is contradicted")
        if not self._contradicted and not all(outcome.holds):
            raise ClaimError(
                f"{self.id}: {quantity!r} does not hold. {_explain(relation, outcome)}"
            )
        allowed = _default_drift(outcome) if drift is None else float(drift)
        self.comparisons.append(Comparison(quantity, relation, arguments, outcome, allowed))


def _default_drift(outcome: Outcome) -> float:
    """A tenth of the tolerance where there is one, else what rounding can move."""
    scale = max(map(abs, outcome.predicted)) if outcome.unit == "relative" else 1.0
    rounding = 1e-6 * max(map(abs, (*outcome.predicted, *outcome.measured)))
    return float(max(0.1 * outcome.tolerance * scale, rounding))


def _explain(relation: Relation, outcome: Outcome) -> str:
    worst = outcome.holds.index(False)
    text = (
        f"Instance {worst + 1} of {len(outcome.holds)}: measured {outcome.measured[worst]}, "
        f"predicted {outcome.predicted[worst]}, {outcome.unit} error {outcome.errors[worst]:.3g}, "
        f"tolerance {outcome.tolerance:.3g}"
    )
    if relation == "rate":
        text += f", half-width of the interval {outcome.interval:.3g}"
    return text


def not_checked(id: str, because: str) -> Report:
    """State that a labelled result is not measured, and why.

    Parameters
    ----------
    id : str
        Label of the statement.
    because : str
        The reason, for the reader.

    Raises
    ------
    ValueError
        A malformed id or no reason.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"id: {id!r} is not a label such as 'soudry2018-separable-thm3'")
    if not because.strip():
        raise ValueError("because: say why the result is not checked")
    return Report(
        {"id": id, "status": "not checked", "because": because.strip(), "comparisons": []}
    )


# --- recording -----------------------------------------------------------------------------------

_STATUS = {
    "at most": "bound respected",
    "at least": "bound respected",
    "rate": "rate fitted",
}


def _outcome_record(outcome: Outcome) -> dict[str, Any]:
    return {
        "predicted": list(outcome.predicted),
        "measured": list(outcome.measured),
        "error": outcome.error,
        "tolerance": outcome.tolerance,
        "unit": outcome.unit,
        "interval": outcome.interval,
        "instances": len(outcome.holds),
    }


def _record(claim: Claim) -> dict[str, Any]:
    comparisons = [
        {
            "quantity": comparison.quantity,
            "relation": comparison.relation,
            **_outcome_record(comparison.outcome),
            "drift": comparison.drift,
            "controls": [
                {
                    "broken": control.broken,
                    **_outcome_record(control.outcome),
                    "bites": True,
                }
                for control in comparison.controls
            ],
        }
        for comparison in claim.comparisons
    ]
    status = _STATUS.get(claim.comparisons[0].relation, "corroborated")
    return {
        "id": claim.id,
        "status": "contradicted" if claim.contradiction else status,
        "because": claim.contradiction,
        "grade": claim.grade,
        "scope": claim.scope,
        "seeds": list(claim.seeds),
        "dtype": claim.dtype,
        "comparisons": comparisons,
    }


# --- showing -------------------------------------------------------------------------------------


class Report:
    """What a claim shows: HTML for a page, text for a terminal, the record for the ledger.

    Parameters
    ----------
    record : dict
        The JSON-ready record of the claim, at full precision.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/plain": as_text(self.record), "text/html": as_html(self.record)}
        return data, {"ibcore": {"claim": self.record}}

    def __repr__(self) -> str:
        return as_text(self.record)


def headline(record: Mapping[str, Any]) -> str:
    """The status of a claim in the words a reader trusts.

    Parameters
    ----------
    record : mapping
        The record of a claim.
    """
    if record["status"] in ("not checked", "contradicted"):
        return f"{record['status']}: {record['because']}"
    count = sum(c["instances"] for c in record["comparisons"])
    instances = f"{count} instance{'s' if count > 1 else ''}"
    first = record["comparisons"][0]
    if record["status"] == "bound respected":
        return f"bound respected on {instances} (slack {number(-first['error'])})"
    if record["status"] == "rate fitted":
        return f"rate fitted on {instances} ({_shown(first)} against {_predicted(first)})"
    return f"corroborated on {instances}"


def summary(comparison: Mapping[str, Any]) -> dict[str, str]:
    """One comparison in the words and digits that pages show.

    Parameters
    ----------
    comparison : mapping
        A comparison of a claim's record.

    Returns
    -------
    dict
        "measured", "sign", "predicted", "error", "tolerance".
    """
    return {
        "measured": _shown(comparison),
        "sign": SIGNS.get(comparison["relation"], ""),
        "predicted": _predicted(comparison),
        "error": _error(comparison),
        "tolerance": _allowed(comparison),
    }


def number(value: Any, digits: int = 3) -> str:
    """A value as it is shown: integers and words whole, floats to a few significant digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, str)):
        return str(value)
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text


def _resolution(comparison: Mapping[str, Any]) -> float:
    """The smallest difference worth printing: two digits below the tolerance.

    What lies below is rounding, and differs between machines.
    """
    scale = 1.0
    if comparison["unit"] == "relative":
        scale = max(abs(p) for p in comparison["predicted"])
    tolerance = comparison["tolerance"] * scale
    return 10.0 ** (math.floor(math.log10(tolerance)) - 1) if tolerance > 0 else 0.0


def _round(value: float, resolution: float) -> str:
    """A value down to what is worth printing, zeros included: 1.0000 says more than 1."""
    if resolution == 0.0 or value == 0.0:
        return number(value)
    if abs(value) < resolution:
        return f"< {number(resolution)}"
    decimals = -math.floor(math.log10(resolution))
    if 0 <= decimals <= 10 and 1e-3 <= abs(value) < 1e6:
        return f"{value:.{decimals}f}"
    return number(value, min(math.floor(math.log10(abs(value))) + decimals + 1, 12))


def _span(values: Sequence[Any], show: Callable[[Any], str]) -> str:
    """Up to three values whole, more as their range."""
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return ", ".join(dict.fromkeys(show(v) for v in values))
    texts = list(dict.fromkeys(show(v) for v in values))
    if len(texts) <= 3:
        return ", ".join(texts)
    return f"{show(min(values))} … {show(max(values))}"


def _shown(comparison: Mapping[str, Any]) -> str:
    resolution = _resolution(comparison)
    text = _span(comparison["measured"], lambda v: _round(v, resolution) if _real(v) else number(v))
    if comparison["interval"] is not None:
        text += f" ± {number(max(comparison['interval'], resolution), 1)}"
    return text


def _predicted(comparison: Mapping[str, Any]) -> str:
    resolution = _resolution(comparison)

    def show(value: Any) -> str:
        if not _real(value) or (value.is_integer() and abs(value) < 1e6):
            return number(value) if not _real(value) else f"{value:.0f}"
        return _round(value, resolution)

    return _span(comparison["predicted"], show)


def _real(value: Any) -> bool:
    return isinstance(value, float)


def _error(comparison: Mapping[str, Any]) -> str:
    if comparison["relation"] in ("exact", "qualitative"):
        return "none"
    if comparison["relation"] in ("at most", "at least") and comparison["error"] < 0:
        return f"slack {number(-comparison['error'], 2)}"
    floor = 0.1 * comparison["tolerance"]
    if comparison["error"] < floor:
        return f"< {number(floor, 2)}"
    return number(comparison["error"], 2)


def _allowed(comparison: Mapping[str, Any]) -> str:
    if comparison["tolerance"] == 0:
        return "0"
    suffix = " rel." if comparison["unit"] == "relative" else ""
    return number(comparison["tolerance"]) + suffix


def _control_text(comparison: Mapping[str, Any], control: Mapping[str, Any]) -> str:
    """What the control measured, to three digits and never below what is determined."""
    resolution = _resolution(control)

    def show(value: Any) -> str:
        return (
            f"< {number(resolution)}" if _real(value) and abs(value) < resolution else number(value)
        )

    measured = _span(control["measured"], show)
    if comparison["relation"] in ("exact", "qualitative"):
        return measured
    if list(control["predicted"]) != list(comparison["predicted"]):
        return f"{measured} against {_span(control['predicted'], number)}"
    return measured


def as_text(record: Mapping[str, Any]) -> str:
    """The claim as plain text.

    Parameters
    ----------
    record : mapping
        The record of a claim.
    """
    lines = [f"{record['id']}: {headline(record)}"]
    for c in record["comparisons"]:
        s = summary(c)
        lines.append(
            f"  {c['quantity']}: measured {s['measured']} {s['sign']} predicted "
            f"{s['predicted']}; error {s['error']}, tolerance {s['tolerance']}, "
            f"n = {c['instances']}"
        )
        lines += [
            f"    control, {k['broken']}: {_control_text(c, k)}, fails as it must"
            if record["status"] != "contradicted"
            else f"    control, {k['broken']}: {_control_text(c, k)}, holds as it must"
            for k in c["controls"]
        ]
    if record.get("grade"):
        scope = f"; not covered: {record['scope']}" if record["scope"] else ""
        lines.append(f"  grade: {record['grade']}{scope}")
    return "\n".join(lines)


def as_html(record: Mapping[str, Any]) -> str:
    """The claim as an HTML fragment, styled by the site and readable without a style sheet.

    Parameters
    ----------
    record : mapping
        The record of a claim.
    """
    e = html.escape
    kind = record["status"].replace(" ", "-")
    parts = [
        f'<div class="ib-claim ib-{kind}" id="claim-{e(record["id"])}">',
        f'<p class="ib-claim-title"><a href="#{e(record["id"])}">'
        f"<code>{e(record['id'])}</code></a> "
        f'<span class="ib-status">{e(headline(record))}</span></p>',
    ]
    if record["comparisons"]:
        heads = ("quantity", "measured", "", "predicted", "error", "tolerance", "n")
        parts.append('<table class="ib-table"><thead><tr>')
        parts += [f'<th scope="col">{h}</th>' for h in heads]
        parts.append("</tr></thead><tbody>")
        for c in record["comparisons"]:
            parts.append(f'<tr><th scope="row">{e(c["quantity"])}</th>')
            parts += [f"<td>{e(x)}</td>" for x in (*summary(c).values(), str(c["instances"]))]
            parts.append("</tr>")
            verdict = "holds, as it must" if kind == "contradicted" else "fails, as it must"
            for k in c["controls"]:
                parts.append(
                    f'<tr class="ib-control"><th scope="row">control: {e(k["broken"])}</th>'
                    f"<td>{e(_control_text(c, k))}</td>"
                    f'<td colspan="5">{verdict}</td></tr>'
                )
        parts.append("</tbody></table>")
    if record.get("grade"):
        scope = f" Not covered: {e(record['scope'])}." if record["scope"] else ""
        parts.append(f'<p class="ib-scope">Grade: {e(record["grade"])}.{scope}</p>')
    parts.append("</div>")
    return "\n".join(parts)
