"""What a claim shows: its record in the words and digits that a reader trusts.

Nothing below a hundredth of a tolerance is printed: it is rounding, and differs between machines.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ibcore import _validate
from ibcore.comparisons import BOUNDS

__all__ = ["Report", "as_html", "as_text", "headline", "number", "resolution", "summary"]

SIGNS = {"equal": "=", "at most": "≤", "at least": "≥", "rate": "≈", "limit": "→", "exact": "≡"}


class Report:
    """What a claim shows: HTML for a page, text for a terminal, the record for the ledger.

    Parameters
    ----------
    record : dict
        The JSON-ready record of the claim, at full precision.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = _validate.instance(record, "record", dict)

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
    _validate.instance(record, "record", dict)
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
    _validate.instance(comparison, "comparison", dict)
    return {
        "measured": _shown(comparison),
        "sign": SIGNS.get(comparison["relation"], ""),
        "predicted": _predicted(comparison),
        "error": _error(comparison),
        "tolerance": _allowed(comparison),
    }


def resolution(comparison: Mapping[str, Any]) -> str:
    """How wrong a prediction could be without the comparison noticing, in words.

    Parameters
    ----------
    comparison : mapping
        A comparison of a claim's record.

    Returns
    -------
    str
        Of the prediction, in per cent; the slack of a bound; and, where zero is predicted, of what
        is seen when an assumption is broken.
    """
    _validate.instance(comparison, "comparison", dict)
    value = comparison["resolution"]
    if value is None:
        return "no number"
    if comparison["relation"] == "exact":
        return "nothing"
    share = "100 % or more" if value >= 1 else f"{number(100 * value, 2)} %"
    if not any(comparison["predicted"]):
        return f"{share} of a control"
    return f"{share} slack" if comparison["relation"] in BOUNDS else share


def number(value: Any, digits: int = 3) -> str:
    """A value as it is shown: integers and words whole, floats to a few significant digits."""
    digits = _validate.integer(digits, "digits", 1)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, str)):
        return str(value)
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text


def _digit(comparison: Mapping[str, Any]) -> float:
    """The smallest difference worth printing: two digits below the tolerance.

    What lies below is rounding, and differs between machines.
    """
    scale = 1.0
    if comparison["unit"] == "relative":
        scale = max(abs(p) for p in comparison["predicted"])
    tolerance = comparison["tolerance"] * scale
    return 10.0 ** (math.floor(math.log10(tolerance)) - 1) if tolerance > 0 else 0.0


def _round(value: float, digit: float) -> str:
    """A value down to what is worth printing, zeros included: 1.0000 says more than 1."""
    if digit == 0.0:
        return number(value)
    if abs(value) < digit:  # an exact zero on this machine is 1e-17 on the next
        return f"< {number(digit)}"
    decimals = -math.floor(math.log10(digit))
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
    digit = _digit(comparison)
    text = _span(comparison["measured"], lambda v: _round(v, digit) if _real(v) else number(v))
    if comparison["interval"] is not None:
        text += f" ± {number(max(comparison['interval'], digit), 1)}"
    return text


def _predicted(comparison: Mapping[str, Any]) -> str:
    digit = _digit(comparison)

    def show(value: Any) -> str:
        if not _real(value) or (value.is_integer() and abs(value) < 1e6):
            return number(value) if not _real(value) else f"{value:.0f}"
        return _round(value, digit)

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


def _floor(outcome: Mapping[str, Any]) -> float:
    """What is too small to print: below the last digit, or far below a bound without tolerance."""
    digit = _digit(outcome)
    if digit == 0.0 and all(map(_real, outcome["predicted"])):
        return 1e-4 * float(max(map(abs, outcome["predicted"])))
    return digit


def _control_text(comparison: Mapping[str, Any], control: Mapping[str, Any]) -> str:
    """What the control measured, to three digits and never below what is determined."""
    floor = _floor(control)

    def show(value: Any) -> str:
        small = _real(value) and abs(value) < floor
        return f"< {number(floor, 1)}" if small else number(value)

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
    _validate.instance(record, "record", dict)
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
    _validate.instance(record, "record", dict)
    e = html.escape
    kind = record["status"].replace(" ", "-")
    parts = [
        f'<div class="ib-claim ib-{kind}" id="claim-{e(record["id"])}">',
        f'<p class="ib-claim-title"><a href="#{e(record["id"])}">'
        f"<code>{e(record['id'])}</code></a> "
        f'<span class="ib-status">{e(headline(record))}</span></p>',
    ]
    if record["comparisons"]:
        # A column of signs needs no heading to be seen, but one to be heard.
        relation = '<span class="visually-hidden">relation</span>'
        heads = ("quantity", "measured", relation, "predicted", "error", "tolerance", "n")
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
