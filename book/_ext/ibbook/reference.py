"""The committed reference of the ledger's numbers: what moved between commits and machines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

#: Fields of a comparison that the reference keeps; costs and versions may move freely.
KEPT = ("relation", "predicted", "measured", "instances", "drift")


def extract(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a ledger that should not move, by claim and quantity.

    Parameters
    ----------
    ledger : mapping
        A ledger.
    """
    return {
        row["id"]: {
            "status": row["status"],
            "comparisons": {
                c["quantity"]: {key: c[key] for key in KEPT} for c in row["comparisons"]
            },
        }
        for row in ledger["claims"]
    }


def differences(reference: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """What has moved beyond the drift that each comparison allows.

    Parameters
    ----------
    reference, current : mapping
        As `extract` returns them.

    Returns
    -------
    list of str
        One sentence a difference, with the claim, the old and the new value.
    """
    return list(_differences(reference, current))


def shares(reference: Mapping[str, Any], current: Mapping[str, Any]) -> list[float]:
    """How far each number has moved, as a share of the drift that it may move by.

    Parameters
    ----------
    reference, current : mapping
        As `extract` returns them; what only one of them has is for `differences` to name.

    Returns
    -------
    list of float
        One entry a value that both have. A word, or a number that may not move at all, has moved
        by nothing or by infinity.
    """
    return [
        _share(a, b, old["drift"])
        for label in set(reference) & set(current)
        for quantity, old in reference[label]["comparisons"].items()
        if quantity in current[label]["comparisons"]
        for key in ("predicted", "measured")
        for a, b in zip(old[key], current[label]["comparisons"][quantity][key], strict=False)
    ]


def _share(old: Any, new: Any, drift: float) -> float:
    if old == new:
        return 0.0
    return abs(new - old) / drift if _are_numbers(old, new) and drift > 0 else math.inf


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _differences(reference: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    for label in sorted(set(reference) | set(current)):
        if label not in current:
            yield f"{label}: was in the reference, is gone"
        elif label not in reference:
            yield f"{label}: is new; the reference does not have it"
        else:
            yield from _claim_differences(label, reference[label], current[label])


def _claim_differences(label: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old["status"] != new["status"]:
        yield f"{label}: status was {old['status']!r}, is {new['status']!r}"
    before, after = old["comparisons"], new["comparisons"]
    for quantity in sorted(set(before) ^ set(after)):
        yield f"{label}: {quantity!r} " + ("is gone" if quantity in before else "is new")
    for quantity in sorted(set(before) & set(after)):
        for key in ("relation", "instances"):
            if before[quantity][key] != after[quantity][key]:
                yield (
                    f"{label}: {key} of {quantity!r} was {before[quantity][key]}, "
                    f"is {after[quantity][key]}"
                )
        for key in ("predicted", "measured"):
            yield from _value_differences(
                f"{label}: {key} {quantity!r}",
                before[quantity][key],
                after[quantity][key],
                before[quantity]["drift"],
            )


def _value_differences(what: str, old: list[Any], new: list[Any], drift: float) -> Iterator[str]:
    for position, (a, b) in enumerate(zip(old, new, strict=False)):
        numbers = _are_numbers(a, b)
        moved = abs(b - a) > drift if numbers else a != b
        if moved:
            by = f", by {abs(b - a):.3g} where {drift:.3g} is allowed" if numbers else ""
            yield f"{what}, instance {position + 1}: was {a}, is {b}{by}"
