"""What a claim shows, letter by letter."""

# ruff: noqa: E501

from __future__ import annotations

import pytest

from ibcore import reports

BOUND = {
    "quantity": "x < 1", "relation": "at most", "predicted": [1.0], "measured": [0.25],
    "error": -0.75, "tolerance": 0.0, "unit": "absolute", "interval": None, "instances": 1,
    "controls": [{"broken": "a & b", "predicted": [0.1], "measured": [0.25], "unit": "absolute",
                  "tolerance": 0.0}],
}  # fmt: skip
RATE = {
    "quantity": "decay", "relation": "rate", "predicted": [-0.5], "measured": [-0.5004],
    "error": 4e-4, "tolerance": 0.02, "unit": "absolute", "interval": 0.0123, "instances": 1,
    "controls": [
        {"broken": "p", "predicted": [-0.5], "measured": [-2.0], "unit": "absolute",
         "tolerance": 0.02},
        {"broken": "q", "predicted": [-1.0], "measured": [-0.5004], "unit": "absolute",
         "tolerance": 0.02},
    ],
}  # fmt: skip
HOLDS = {"id": "s-thm1", "status": "bound respected", "because": "", "grade": "analogue",
         "scope": "d > 2", "comparisons": [BOUND, RATE]}  # fmt: skip
CONTRADICTED = {"id": "s-thm2", "status": "contradicted", "because": "it is <off>",
                "grade": "exact instance", "scope": "", "comparisons": [RATE]}  # fmt: skip
SKIPPED = {"id": "s-thm3", "status": "not checked", "because": "no & data", "comparisons": []}

HEAD = """\
<table class="ib-table"><thead><tr>
<th scope="col">quantity</th>
<th scope="col">measured</th>
<th scope="col"><span class="visually-hidden">relation</span></th>
<th scope="col">predicted</th>
<th scope="col">error</th>
<th scope="col">tolerance</th>
<th scope="col">n</th>
</tr></thead><tbody>
"""
DECAY = """\
<tr><th scope="row">decay</th>
<td>-0.500 ± 0.01</td>
<td>≈</td>
<td>-0.500</td>
<td>&lt; 0.002</td>
<td>0.02</td>
<td>1</td>
</tr>
"""

SHOWN = {
    "HOLDS": (
        """\
s-thm1: bound respected on 2 instances (slack 0.75)
  x < 1: measured 0.25 ≤ predicted 1; error slack 0.75, tolerance 0, n = 1
    control, a & b: 0.25 against 0.1, fails as it must
  decay: measured -0.500 ± 0.01 ≈ predicted -0.500; error < 0.002, tolerance 0.02, n = 1
    control, p: -2, fails as it must
    control, q: -0.5 against -1, fails as it must
  grade: analogue; not covered: d > 2""",
        """\
<div class="ib-claim ib-bound-respected" id="claim-s-thm1">
<p class="ib-claim-title"><a href="#s-thm1"><code>s-thm1</code></a> <span class="ib-status">bound respected on 2 instances (slack 0.75)</span></p>
"""
        + HEAD
        + """\
<tr><th scope="row">x &lt; 1</th>
<td>0.25</td>
<td>≤</td>
<td>1</td>
<td>slack 0.75</td>
<td>0</td>
<td>1</td>
</tr>
<tr class="ib-control"><th scope="row">control: a &amp; b</th><td>0.25 against 0.1</td><td colspan="5">fails, as it must</td></tr>
"""
        + DECAY
        + """\
<tr class="ib-control"><th scope="row">control: p</th><td>-2</td><td colspan="5">fails, as it must</td></tr>
<tr class="ib-control"><th scope="row">control: q</th><td>-0.5 against -1</td><td colspan="5">fails, as it must</td></tr>
</tbody></table>
<p class="ib-scope">Grade: analogue. Not covered: d &gt; 2.</p>
</div>""",
    ),
    "CONTRADICTED": (
        """\
s-thm2: contradicted: it is <off>
  decay: measured -0.500 ± 0.01 ≈ predicted -0.500; error < 0.002, tolerance 0.02, n = 1
    control, p: -2, holds as it must
    control, q: -0.5 against -1, holds as it must
  grade: exact instance""",
        """\
<div class="ib-claim ib-contradicted" id="claim-s-thm2">
<p class="ib-claim-title"><a href="#s-thm2"><code>s-thm2</code></a> <span class="ib-status">contradicted: it is &lt;off&gt;</span></p>
"""
        + HEAD
        + """\
"""
        + DECAY
        + """\
<tr class="ib-control"><th scope="row">control: p</th><td>-2</td><td colspan="5">holds, as it must</td></tr>
<tr class="ib-control"><th scope="row">control: q</th><td>-0.5 against -1</td><td colspan="5">holds, as it must</td></tr>
</tbody></table>
<p class="ib-scope">Grade: exact instance.</p>
</div>""",
    ),
    "SKIPPED": (
        """\
s-thm3: not checked: no & data""",
        """\
<div class="ib-claim ib-not-checked" id="claim-s-thm3">
<p class="ib-claim-title"><a href="#s-thm3"><code>s-thm3</code></a> <span class="ib-status">not checked: no &amp; data</span></p>
</div>""",
    ),
}


@pytest.mark.parametrize(
    ("record", "name"),
    [(HOLDS, "HOLDS"), (CONTRADICTED, "CONTRADICTED"), (SKIPPED, "SKIPPED")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_shown_letter_by_letter(record, name) -> None:
    text, html = SHOWN[name]
    assert reports.as_text(record) == text
    assert reports.as_html(record) == html
    report = reports.Report(record)
    assert repr(report) == text
    assert report._repr_mimebundle_() == (
        {"text/plain": text, "text/html": html},
        {"ibcore": {"claim": record}},
    )


def test_the_first_comparison_makes_the_headline() -> None:
    fitted = {**HOLDS, "status": "rate fitted", "comparisons": [RATE, BOUND]}
    assert reports.headline(fitted) == ("rate fitted on 2 instances (-0.500 ± 0.01 against -0.500)")
    many = {**BOUND, "instances": 3, "error": -2e-7}
    assert reports.headline({**HOLDS, "comparisons": [many, RATE]}) == (
        "bound respected on 4 instances (slack 2e-7)"
    )
    for count, words in ((1, "1 instance"), (2, "2 instances")):
        plain = {**HOLDS, "status": "corroborated", "comparisons": [{**RATE, "instances": count}]}
        assert reports.headline(plain) == f"corroborated on {words}"


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, ("-0.500 ± 0.01", "≈", "-0.500", "< 0.002", "0.02")),
        ({"interval": 1e-9}, ("-0.500 ± 0.001", "≈", "-0.500", "< 0.002", "0.02")),
        ({"interval": None, "error": 0.0123}, ("-0.500", "≈", "-0.500", "0.012", "0.02")),
        ({"relation": "equal", "unit": "relative", "interval": None, "predicted": [-3.0, 0.5],
          "measured": [-3.0, 0.51]},
         ("-3.000, 0.510", "=", "-3, 0.500", "< 0.002", "0.02 rel.")),
        ({"relation": "at most", "interval": None, "error": -0.00123, "tolerance": 0.5},
         ("-0.50", "≤", "-0.50", "slack 0.0012", "0.5")),
        ({"relation": "at least", "interval": None, "error": 0.0, "tolerance": 0.0},
         ("-0.5", "≥", "-0.5", "0", "0")),
        ({"relation": "exact", "interval": None, "predicted": [2, 3], "measured": [2, 3],
          "tolerance": 0.0}, ("2, 3", "≡", "2, 3", "none", "0")),
        ({"relation": "qualitative", "interval": None, "predicted": ["yes"], "measured": [True],
          "tolerance": 0.0}, ("yes", "", "yes", "none", "0")),
        ({"relation": "limit", "interval": None, "predicted": [1e6, -1e6, 123456.0],
          "measured": [1e6, -1e6, 123456.0], "tolerance": 1.0},
         ("1000000, -1000000, 123456.0", "→", "1000000, -1000000, 123456", "< 0.1", "1")),
        ({"interval": None, "predicted": [0.0], "measured": [1e-9], "error": 1e-9},
         ("< 0.001", "≈", "0", "< 0.002", "0.02")),
    ],
)  # fmt: skip
def test_a_comparison_in_words_and_digits(changed, shown) -> None:
    names = ("measured", "sign", "predicted", "error", "tolerance")
    assert reports.summary(RATE | changed) == dict(zip(names, shown, strict=True))


@pytest.mark.parametrize(
    ("value", "digit", "shown"),
    [
        (-0.5, 1e-3, "-0.500"), (-9.87e-4, 1e-5, "-0.00099"), (-1234567.0, 10.0, "-1.23457e6"),
        (1.23456, 0.02, "1.23"), (-1e-4, 1e-3, "< 0.001"), (0.25, 1.0, "< 1"), (2.5, 1.0, "2"),
        (1.5, 1e-10, "1.5000000000"), (1e6 - 1, 1.0, "999999"), (1e-3, 1e-3, "0.001"),
    ],
)  # fmt: skip
def test_digits_of_either_sign(value: float, digit: float, shown: str) -> None:
    assert reports._round(value, digit) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1234.5, 3, "1.23e3"), (1e-12, 1, "1e-12"), (-2.5e100, 2, "-2.5e100"), (0.0, 3, "0"),
     (1.0, 3, "1"), (12, 1, "12"), ("word", 1, "word"), (True, 1, "yes"), (False, 1, "no"),
     (0.00012345, 4, "0.0001234")],
)  # fmt: skip
def test_single_numbers(value: object, digits: int, shown: str) -> None:
    assert reports.number(value, digits) == shown


@pytest.mark.parametrize(
    ("relation", "predicted", "value", "words"),
    [
        ("equal", [1.0], None, "no number"),
        ("exact", [1], 0.0, "nothing"),
        ("equal", [1.0, 0.0], 0.01234, "1.2 %"),
        ("equal", [1.0], 1.0, "100 % or more"),
        ("equal", [1.0], 0.999, "1e2 %"),
        ("at most", [1.0], 0.5, "50 % slack"),
        ("at least", [1.0], 1.5, "100 % or more slack"),
        ("at most", [0.0], 0.5, "50 % of a control"),
    ],
)
def test_what_could_be_missed(relation, predicted, value, words) -> None:
    comparison = {"relation": relation, "predicted": predicted, "resolution": value}
    assert reports.resolution(comparison) == words


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, "3.14"),
        ({"measured": [-3.14159]}, "-3.14"),
        ({"measured": [1e-3]}, "< 0.01"),
        ({"measured": [-1e-3]}, "< 0.01"),
        ({"measured": [0.01]}, "0.01"),
        ({"measured": [0]}, "0"),
        ({"tolerance": 0.0, "predicted": [2.0, 3.0], "measured": [2e-4]},
         "< 0.0003 against 2, 3"),
        ({"tolerance": 0.0, "predicted": [2], "measured": [2e-4]}, "0.0002"),
        ({"tolerance": 0.0, "predicted": [2.0, 3], "measured": [2e-4]}, "0.0002 against 2, 3"),
        ({"predicted": [2.5, 1e-9]}, "3.14 against 2.5, 1e-9"),
    ],
)  # fmt: skip
def test_what_a_control_shows(changed, shown) -> None:
    equal = {"relation": "equal", "predicted": [2.0], "unit": "absolute", "tolerance": 0.1}
    control = {**equal, "measured": [3.14159], **changed}
    assert reports._control_text(equal, control) == shown
    for relation in ("exact", "qualitative"):  # what is predicted is the same words again
        text = reports._control_text({**equal, "relation": relation}, control)
        assert text == shown.split(" against")[0]


@pytest.mark.parametrize(
    "call",
    [reports.Report, reports.headline, reports.summary, reports.resolution, reports.as_text,
     reports.as_html],
)  # fmt: skip
def test_only_records_are_shown(call) -> None:
    with pytest.raises(ValueError, match=r"^(record|comparison) is a list; allowed"):
        call([HOLDS])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-12345678.0, "-1.2346e7"), (12345678.0, "1.2346e7"), (1e6, "1e6"), (-1.5e6, "-1.5e6"),
        (999999.0, "999999"), (-999999.0, "-999999"), (1234567.5, "1.235e6"), (12345678, "12345678"),
    ],
)  # fmt: skip
def test_large_predictions_keep_the_digits_that_matter(value: float, shown: str) -> None:
    comparison = RATE | {"predicted": [value], "tolerance": 1e4}
    assert reports.summary(comparison)["predicted"] == shown
