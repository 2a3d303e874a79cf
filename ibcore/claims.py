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

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from ibcore import _validate
from ibcore.comparisons import Outcome, Relation, evaluate, resolution
from ibcore.reports import Report

__all__ = ["Claim", "ClaimError", "Grade", "Report", "not_checked"]

Grade = Literal["exact instance", "finite horizon", "special case", "analogue"]
GRADES: tuple[Grade, ...] = get_args(Grade)

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


class ClaimError(AssertionError):
    """A comparison that does not hold, a control that does not bite, or an incomplete claim."""


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


def _label(id: str) -> str:
    """Return a label of a statement, or raise `ValueError`."""
    if not _ID.fullmatch(_validate.text(id, "id")):
        raise ValueError(f"id: {id!r} is no label; allowed: one like 'soudry2018-separable-thm3'")
    return id


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
        self.id = _label(id)
        if grade not in GRADES:
            raise ValueError(f"grade: {grade!r} is not one of {', '.join(GRADES)}")
        for name, words in (("scope", scope), ("contradicted", contradicted), ("dtype", dtype)):
            _validate.text(words, name)
        _validate.sequence(seeds, "seeds", "integers")
        if grade != "exact instance" and not scope.strip():
            raise ValueError(
                f"scope: a claim of grade {grade!r} says in one line what it leaves out"
            )
        self.grade = grade
        self.scope = scope.strip()
        self.contradiction = contradicted.strip()
        self.seeds = tuple(_validate.integer(seed, "seeds", 0) for seed in seeds)
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
        interval (see `ibcore.comparisons.fit_rate`) must be narrower than the tolerance.

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
        _validate.text(measured, "measured")
        _validate.text(predicted, "predicted")
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
        _validate.text(broken, "broken")
        if not self.comparisons:
            raise ValueError("control: there is no comparison yet; a control repeats one")
        last = self.comparisons[-1]
        unknown = sorted(set(replaced) - set(last.arguments))
        if unknown or not replaced:
            raise ValueError(
                f"control: replace some of {', '.join(last.arguments)}; got {unknown or 'nothing'}"
            )
        outcome = evaluate(last.relation, **{**last.arguments, **replaced})
        if any(held is not self._contradicted for held in outcome.holds):
            self._refuse(
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

    def _refuse(self, message: str) -> None:
        """Raise; `ibbook.trial`, which looks for every failure, notes the message and goes on."""
        raise ClaimError(message)

    def _compare(
        self, relation: Relation, quantity: str, drift: float | None, **arguments: Any
    ) -> None:
        _validate.text(quantity, "quantity")
        outcome = evaluate(relation, **arguments)
        if self._contradicted and all(outcome.holds):
            self._refuse(f"{self.id}: {quantity!r} holds, though the claim is contradicted")
        if not self._contradicted and not all(outcome.holds):
            self._refuse(f"{self.id}: {quantity!r} does not hold. {_explain(relation, outcome)}")
        if drift is None:
            drift = _default_drift(outcome)
        allowed = _validate.non_negative(drift, "drift")
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
    label = _label(id)
    if not _validate.text(because, "because").strip():
        raise ValueError("because: say why the result is not checked")
    return Report(
        {"id": label, "status": "not checked", "because": because.strip(), "comparisons": []}
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


def _resolution(comparison: Comparison) -> float | None:
    """What the comparison could miss: of the prediction, or, where that is zero, of a control."""
    outcome = comparison.outcome
    if not all(outcome.holds):
        return None
    found = resolution(comparison.relation, **comparison.arguments)
    if found is not None or comparison.relation == "qualitative":
        return found
    smallest = min(control.outcome.error for control in comparison.controls)
    return outcome.tolerance / smallest if smallest > outcome.tolerance else 1.0


def _record(claim: Claim) -> dict[str, Any]:
    comparisons = [
        {
            "quantity": comparison.quantity,
            "relation": comparison.relation,
            **_outcome_record(comparison.outcome),
            "drift": comparison.drift,
            "resolution": _resolution(comparison),
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
