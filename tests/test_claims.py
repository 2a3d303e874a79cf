"""Claims hold, fail and refuse as they should; every relation can be failed."""

import json
import math
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from ibcore import comparisons, reports
from ibcore.claims import Claim, ClaimError, not_checked
from ibcore.comparisons import resolution

ID = "slug-thm1"


def exact_instance() -> Claim:
    return Claim(ID, grade="exact instance")


def test_a_complete_claim_reports_words_numbers_and_record() -> None:
    claim = exact_instance()
    claim.equal("slope", measured=[1.0001, 2.0], predicted=[1.0, 2.0], rtol=1e-3)
    claim.control("wrong constant", predicted=[1.1, 2.2])
    report = claim.report()
    record = report.record
    assert record["status"] == "corroborated"
    assert record["comparisons"][0]["instances"] == 2
    assert record["comparisons"][0]["error"] == pytest.approx(1e-4)
    assert record["comparisons"][0]["controls"][0]["bites"] is True
    assert json.loads(json.dumps(record)) == record
    assert "corroborated on 2 instances" in repr(report)
    data, metadata = report._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html"}
    assert metadata == {"ibcore": {"claim": record}}
    assert f'id="claim-{ID}"' in data["text/html"]


RIGHT_AND_WRONG = [
    ("equal", {"measured": 1.0, "predicted": 1.0, "atol": 1e-9}, {"measured": 1.1}),
    ("equal", {"measured": 1.0, "predicted": 1.0, "rtol": 1e-9}, {"predicted": 1.01}),
    ("at_most", {"measured": [1.0, 2.0], "predicted": 3.0}, {"predicted": 0.5}),
    ("at_least", {"measured": [1.0, 2.0], "predicted": 0.5}, {"predicted": 3.0}),
    ("limit", {"measured": [2.0, 1.5, 1.0], "predicted": 1.0, "atol": 1e-3}, {"predicted": 2.0}),
    ("exact", {"measured": [3, 4], "predicted": [3, 4]}, {"measured": [2, 5]}),
    ("exact", {"measured": True, "predicted": True}, {"measured": False}),
    ("exact", {"measured": "red", "predicted": "red"}, {"measured": "blue"}),
    ("qualitative", {"holds": True}, {"holds": False}),
    (
        "rate",
        {
            "log_x": np.arange(10.0),
            "log_y": -2 * np.arange(10.0) + 1,
            "predicted": -2,
            "atol": 1e-3,
        },
        {"predicted": -2.02},
    ),
]


@pytest.mark.parametrize(("relation", "right", "wrong"), RIGHT_AND_WRONG)
def test_every_relation_holds_fails_and_is_controlled(relation, right, wrong) -> None:
    claim = exact_instance()
    getattr(claim, relation)("quantity", **right)
    claim.control("something broken", **wrong)
    assert claim.report().record["comparisons"][0]["controls"]
    with pytest.raises(ClaimError, match=f"{ID}: 'quantity' does not hold"):
        getattr(exact_instance(), relation)("quantity", **{**right, **wrong})


@pytest.mark.parametrize(("relation", "right", "wrong"), RIGHT_AND_WRONG)
def test_a_contradicted_claim_is_the_mirror_image(relation, right, wrong) -> None:
    claim = Claim(ID, grade="exact instance", contradicted="the constant is off")
    getattr(claim, relation)("quantity", **{**right, **wrong})
    claim.control("the right one", **{k: right[k] for k in wrong})
    record = claim.report().record
    assert record["status"] == "contradicted"
    assert "holds as it must" in reports.as_text(record)
    with pytest.raises(ClaimError, match="holds, though the claim is contradicted"):
        getattr(claim, relation)("quantity", **right)


def test_a_control_that_does_not_bite_is_refused() -> None:
    claim = exact_instance()
    claim.equal("x", measured=1.0, predicted=1.0, atol=0.1)
    with pytest.raises(ClaimError, match="does not bite"):
        claim.control("too gentle", measured=1.05)


def test_a_control_must_bite_on_every_instance() -> None:
    claim = exact_instance()
    claim.equal("x", measured=[1.0, 1.0], predicted=1.0, atol=0.1)
    with pytest.raises(ClaimError, match="does not bite"):
        claim.control("one lucky instance", measured=[5.0, 1.05])


def test_every_comparison_needs_its_own_control() -> None:
    claim = exact_instance()
    with pytest.raises(ClaimError, match="nothing was compared"):
        claim.report()
    claim.equal("x", measured=1.0, predicted=1.0, atol=0.1)
    claim.control("broken", measured=2.0)
    claim.equal("y", measured=1.0, predicted=1.0, atol=0.1)
    with pytest.raises(ClaimError, match="'y' has no control"):
        claim.report()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.equal("q", measured=[], predicted=1.0, atol=1.0), "measured: no instances"),
        (lambda c: c.equal("q", measured=math.nan, predicted=1.0, atol=1.0), "measured: .*finite"),
        (lambda c: c.equal("q", measured=1.0, predicted=math.inf, atol=1.0), "predicted: .*finite"),
        (lambda c: c.equal("q", measured="a", predicted=1.0, atol=1.0), "measured: .*real numbers"),
        (lambda c: c.equal("q", measured=1.0, predicted=1.0), "exactly one of rtol and atol"),
        (lambda c: c.equal("q", measured=1.0, predicted=1.0, atol=1, rtol=1), "exactly one"),
        (lambda c: c.equal("q", measured=1.0, predicted=1.0, atol=-1), "^atol is -1.0"),
        (lambda c: c.equal("q", measured=1.0, predicted=0.0, rtol=1e-3), "other than 0"),
        (
            lambda c: c.equal("q", measured=[1.0, 2.0], predicted=[1.0] * 3, atol=1),
            "does not match",
        ),
        (lambda c: c.equal("q", measured=np.ones(65), predicted=1.0, atol=1), "65 instances"),
        (lambda c: c.limit("q", measured=[1.0], predicted=1.0, atol=1), "two horizons"),
        (lambda c: c.exact("q", measured=1.5, predicted=1.5), "measured: an exact comparison"),
        (lambda c: c.exact("q", measured=[], predicted=[]), "measured: no instances"),
        (lambda c: c.qualitative("q", holds=[]), "holds: .*boolean"),
        (lambda c: c.qualitative("q", holds=1.0), "holds: .*boolean"),
        (
            lambda c: c.rate("q", log_x=[1.0, 2.0], log_y=[1.0, 2.0], predicted=1, atol=1),
            "log_x: .*6 points",
        ),
        (
            lambda c: c.rate("q", log_x=np.arange(9.0), log_y=np.ones(8), predicted=1, atol=1),
            "log_y: shape",
        ),
        (lambda c: c.control("q", measured=1.0), "no comparison yet"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(exact_instance())


def test_a_control_replaces_known_arguments_only() -> None:
    claim = exact_instance()
    claim.equal("x", measured=1.0, predicted=1.0, atol=0.1)
    with pytest.raises(ValueError, match="measurd"):
        claim.control("typo", measurd=2.0)
    with pytest.raises(ValueError, match="nothing"):
        claim.control("empty")
    with pytest.raises(ValueError, match="finite"):
        claim.control("a NaN fails for the wrong reason", measured=math.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "Bad Id", "grade": "exact instance"}, "id: 'Bad Id'"),
        ({"id": ID, "grade": "proved"}, "grade: 'proved'"),
        ({"id": ID, "grade": "finite horizon"}, "scope: "),
    ],
)
def test_a_claim_is_opened_properly(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        Claim(**arguments)


def test_not_checked_needs_an_id_and_a_reason() -> None:
    report = not_checked(ID, "it quantifies over all data sets")
    assert report.record["status"] == "not checked"
    assert "not checked: it quantifies" in repr(report)
    with pytest.raises(ValueError, match="because"):
        not_checked(ID, " ")
    with pytest.raises(ValueError, match="id"):
        not_checked("x", "reason")


def test_a_limit_must_approach() -> None:
    claim = exact_instance()
    with pytest.raises(ClaimError):
        claim.limit("moving away", measured=[1.0, 1.05], predicted=1.0, atol=0.1)


def test_a_bending_curve_is_no_rate() -> None:
    x = np.linspace(0, 10, 40)
    claim = exact_instance()
    slope = np.polyfit(x, x**1.3, 1)[0]
    with pytest.raises(ClaimError, match="half-width"):
        claim.rate("bent", log_x=x, log_y=x**1.3, predicted=slope, atol=1e-2)


@given(st.floats(-5, 5), st.floats(-3, 3))
def test_fit_rate_recovers_a_power_law(slope: float, offset: float) -> None:
    x = np.linspace(1, 7, 20)
    slopes, half_width = comparisons.fit_rate(x, [slope * x + offset, slope * x])
    assert slopes == pytest.approx([slope, slope], abs=1e-9)
    assert half_width < 1e-9
    own, _ = comparisons.fit_rate([x, 2 * x], [slope * x, slope * x])
    assert own == pytest.approx([slope, slope / 2], abs=1e-9)


@given(st.floats(1e-3, 1e3), st.floats(1e-6, 1e-1))
def test_a_perturbed_prediction_is_noticed(value: float, rtol: float) -> None:
    claim = exact_instance()
    claim.equal("x", measured=value, predicted=value, rtol=rtol)
    claim.control("twice the tolerance off", predicted=value * (1 + 2.5 * rtol))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (0.0, "0"),
        (1e-9, "1e-9"),
        (123.456, "123"),
        ("a", "a"),
    ],
)
def test_numbers_are_short(value, shown) -> None:
    assert reports.number(value) == shown


def test_rounding_noise_is_not_printed() -> None:
    """Two machines that differ below a hundredth of the tolerance print the same."""
    texts = []
    for noise in (3.1e-12, 4.7e-12, 0.0):
        claim = exact_instance()
        claim.equal("residual", measured=noise, predicted=0.0, atol=1e-9)
        claim.control("off", measured=0.5)
        texts.append(repr(claim.report()))
    assert texts[0] == texts[1] == texts[2]
    assert "< 1e-10" in texts[0]


def test_a_control_far_below_a_bound_is_not_printed_to_the_digit() -> None:
    texts = []
    for noise in (3.1e-12, 4.7e-12):
        claim = exact_instance()
        claim.at_least("distance", measured=0.02, predicted=1e-3)
        claim.control("no distance", measured=noise)
        texts.append(repr(claim.report()))
    assert texts[0] == texts[1]
    assert "no distance: < 1e-7" in texts[0]


def test_headlines_use_the_words_of_the_book() -> None:
    bound = exact_instance()
    bound.at_most("gap", measured=0.25, predicted=1.0)
    bound.control("bound / 10", predicted=0.1)
    assert "bound respected on 1 instance (slack 0.75)" in repr(bound.report())
    rate = exact_instance()
    rate.rate("gap", log_x=np.arange(9.0), log_y=-np.arange(9.0), predicted=-1, atol=1e-2)
    rate.control("square", predicted=-2)
    assert "rate fitted on 1 instance (-1" in repr(rate.report())


def test_many_instances_are_shown_as_a_range() -> None:
    claim = exact_instance()
    claim.at_most("gap", measured=[0.1, 0.2, 0.3, 0.4], predicted=1.0)
    claim.control("bound / 100", predicted=0.01)
    assert "0.1 … 0.4" in repr(claim.report())


def test_html_escapes_what_authors_write() -> None:
    claim = Claim(ID, grade="analogue", scope="d < 5 & N > 3")
    claim.qualitative("a < b", holds=True)
    claim.control("<script>", holds=False)
    text = claim.report()._repr_mimebundle_()[0]["text/html"]
    assert "<script>" not in text
    assert "d &lt; 5 &amp; N &gt; 3" in text


# --- resolution ---------------------------------------------------------------------------------


def test_resolution_of_an_equality_is_its_tolerance_and_its_error() -> None:
    found = resolution("equal", measured=[1.001], predicted=[1.0], rtol=0.01)
    assert found == pytest.approx(1.001 / 0.99 - 1, rel=1e-3)
    found = resolution("equal", measured=[2.0], predicted=[2.0], atol=0.1)
    assert found == pytest.approx(0.05, rel=1e-3)


def test_the_sharpest_instance_decides() -> None:
    found = resolution("equal", measured=[1.0, 100.0], predicted=[1.0, 100.0], atol=0.1)
    assert found == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("relation", "measured"), [("at most", 0.8), ("at least", 1.2)])
def test_resolution_of_a_bound_is_its_slack(relation: Any, measured: float) -> None:
    found = resolution(relation, measured=[measured], predicted=[1.0])
    assert found == pytest.approx(0.2, rel=1e-3)
    found = resolution(relation, measured=[measured - 2], predicted=[-1.0])
    assert found == pytest.approx(0.2, rel=1e-3)


def test_resolution_of_a_rate_and_of_a_limit() -> None:
    log_x = np.linspace(0, 5, 20)
    found = resolution("rate", log_x=log_x, log_y=-2 * log_x, predicted=-2, rtol=0.01)
    assert found == pytest.approx(1 / 0.99 - 1, rel=1e-3)
    found = resolution("limit", measured=[2.0, 1.0], predicted=1.0, rtol=0.01)
    assert found == pytest.approx(1 / 0.99 - 1, rel=1e-3)


def test_resolution_of_words_integers_and_blunt_comparisons() -> None:
    assert resolution("qualitative", holds=True) is None
    assert resolution("exact", measured=[3], predicted=[3]) == 0.0
    assert resolution("equal", measured=[0.0], predicted=[0.0], atol=1e-8) is None
    assert resolution("equal", measured=[1.0], predicted=[1.0], atol=5.0) == 1.0
    assert resolution("equal", measured=[1.0], predicted=[1.0], atol=0.0) == 0.0
    with pytest.raises(ValueError, match="expected a comparison that holds"):
        resolution("equal", measured=[2.0], predicted=[1.0], atol=0.1)


def test_a_record_says_what_a_claim_could_miss() -> None:
    claim = Claim("a-b", grade="exact instance")
    claim.equal("a zero", measured=[1e-9], predicted=0, atol=1e-8)
    claim.control("broken", measured=[1e-2])
    claim.equal("one", measured=[1.0], predicted=1, rtol=0.01)
    claim.control("broken", measured=[2.0])
    claim.at_most("a bound", measured=[0.5], predicted=1)
    claim.control("broken", measured=[2.0])
    claim.exact("three", measured=3, predicted=3)
    claim.control("broken", measured=2)
    claim.qualitative("is so", holds=True)
    claim.control("broken", holds=False)
    claim.limit("towards zero", measured=[0.9, 1e-3], predicted=0, atol=0.01)
    claim.control("away from it", measured=[1e-4, 2e-3])
    comparisons = claim.report().record["comparisons"]
    assert comparisons[0]["resolution"] == pytest.approx(1e-6)
    assert [reports.resolution(c) for c in comparisons] == [
        "0.0001 % of a control", "1 %", "50 % slack", "nothing", "no number",
        "100 % or more of a control",
    ]  # fmt: skip


def test_a_contradicted_claim_has_no_resolution() -> None:
    claim = Claim("a-b", grade="exact instance", contradicted="it is not so")
    claim.equal("one", measured=[2.0], predicted=1, rtol=0.01)
    claim.control("mended", measured=[1.0])
    assert claim.report().record["comparisons"][0]["resolution"] is None


def test_a_failure_says_where_by_how_much_and_what_was_allowed() -> None:
    with pytest.raises(ClaimError) as failure:
        exact_instance().equal("q", measured=[1.0, 1.5], predicted=[1.0, 1.2], rtol=0.1)
    assert str(failure.value) == (
        f"{ID}: 'q' does not hold. Instance 2 of 2: measured 1.5, predicted 1.2, relative error "
        "0.25, tolerance 0.1"
    )
    with pytest.raises(ClaimError, match=r", half-width of the interval \d"):
        exact_instance().rate(
            "q", log_x=np.arange(8.0), log_y=np.arange(8.0) ** 2, predicted=7.0, atol=0.1
        )


@pytest.mark.parametrize("relation", ["equal", "limit", "rate"])
def test_relative_tolerances_are_relative(relation: str) -> None:
    """Off by one in a thousand: within 1 %, whatever the unit of the quantity."""
    steps = np.arange(8.0)
    for unit in (1e-6, 1.0, 1e6):
        slope = {"log_x": steps, "log_y": 1.001 * unit * steps}
        path = {"measured": np.array([3.0, 2.0, 1.001]) * unit}
        given = {"equal": {"measured": 1.001 * unit}, "limit": path, "rate": slope}[relation]
        claim = exact_instance()
        getattr(claim, relation)("q", **given, predicted=unit, rtol=0.01)
        assert claim.comparisons[0].outcome.error == pytest.approx(0.001)
        with pytest.raises(ClaimError):
            getattr(claim, relation)("q", **given, predicted=unit, rtol=0.0005)


@pytest.mark.parametrize(
    ("relation", "status"),
    [
        ("at_most", "bound respected"),
        ("at_least", "bound respected"),
        ("rate", "rate fitted"),
        ("equal", "corroborated"),
        ("limit", "corroborated"),
        ("exact", "corroborated"),
        ("qualitative", "corroborated"),
    ],
)
def test_the_status_is_that_of_the_relation(relation: str, status: str) -> None:
    right, wrong = next((r, w) for name, r, w in RIGHT_AND_WRONG if name == relation)
    claim = exact_instance()
    getattr(claim, relation)("q", **right)
    claim.control("broken", **wrong)
    assert claim.report().record["status"] == status


def test_numbers_may_drift_by_a_tenth_of_the_tolerance_or_by_rounding() -> None:
    claim = exact_instance()
    claim.equal("relative", measured=[100.0, -400.0], predicted=[100.0, -400.0], rtol=0.01)
    claim.equal("absolute", measured=1.0, predicted=1.0, atol=0.01)
    claim.at_most("no tolerance", measured=-50.0, predicted=2.0)
    claim.equal("given", measured=1.0, predicted=1.0, atol=0.01, drift=0.5)
    assert [c.drift for c in claim.comparisons] == pytest.approx([0.4, 1e-3, 5e-5, 0.5])


def test_unknown_arguments_of_a_control_are_listed_in_order() -> None:
    claim = exact_instance()
    claim.equal("q", measured=1.0, predicted=1.0, atol=0.1)
    unknown = dict.fromkeys("fedcba", 1.0)
    with pytest.raises(ValueError, match=r"got \['a', 'b', 'c', 'd', 'e', 'f'\]"):
        claim.control("broken", **unknown)


def test_words_of_a_qualitative_comparison_and_its_errors() -> None:
    plain = comparisons.evaluate("qualitative", holds=[True, False])
    assert (plain.predicted, plain.measured) == (("yes", "yes"), ("yes", "no"))
    assert plain.errors == (0.0, 1.0)
    worded = comparisons.evaluate("qualitative", holds=True, measured="red", predicted="warm")
    assert (worded.predicted, worded.measured) == (("warm",), ("red",))
    exact = comparisons.evaluate("exact", measured=[3, 4], predicted=[3, 5])
    assert (exact.errors, exact.holds, exact.tolerance) == ((0.0, 1.0), (True, False), 0.0)


@pytest.mark.parametrize("name", ["measured", "predicted"])
def test_an_exact_comparison_of_floats_names_them(name: str) -> None:
    given = {"measured": 1, "predicted": 1} | {name: 1.5}
    with pytest.raises(ValueError, match=f"{name}: an exact comparison takes .* float64"):
        comparisons.evaluate("exact", **given)


def test_one_nonzero_prediction_can_be_scaled() -> None:
    """Zeros among the predictions stay zero when all are multiplied; the others move."""
    found = resolution("equal", measured=[0.0, 1.0], predicted=[0.0, 1.0], atol=0.01)
    assert found == pytest.approx(0.01, rel=1e-3)


def test_each_path_starts_from_its_own_first_horizon() -> None:
    paths = [[2.0, 3.0, 1.1], [1.0, 0.0, 1.1]]  # the second ends further away than it began
    outcome = comparisons.evaluate("limit", measured=paths, predicted=1.0, atol=0.2)
    assert outcome.holds == (True, False)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bend_either_way_widens_the_interval(sign: int) -> None:
    x = np.arange(8.0)
    bent = np.concatenate([x[:4], x[3] + 2 * (x[4:] - 3)])
    _, width = comparisons.fit_rate(x, sign * bent)
    assert width >= 0.5  # half the difference between the slopes 1 and 2
    _, straight = comparisons.fit_rate(x, sign * x)
    assert straight < 1e-12


def a_claim_of_everything() -> Claim:
    """One comparison of each relation, and of each way to show it."""
    c = Claim(ID, grade="analogue", scope="d < 5")
    c.equal(
        "an equality",
        measured=[1.00004, 2.0, 3.0, 4.0001],
        predicted=[1.0, 2.0, 3.0, 4.0],
        rtol=1e-3,
    )
    c.control("another constant", predicted=[1.1, 2.2, 3.3, 4.4])
    c.equal("zero", measured=2e-12, predicted=0.0, atol=1e-9)
    c.control("moved", measured=1e-3)
    c.at_most("an upper bound", measured=[0.25, 1.5e-7], predicted=1.0)
    c.control("a tenth", predicted=1e-8)
    c.at_least("a lower bound", measured=3.0, predicted=2.0, atol=0.5)
    c.control("less", measured=1.25)
    x = np.arange(9.0)
    c.rate("a rate", log_x=x, log_y=-0.5 * x + 1e-3 * x * (x - 8), predicted=-0.5, atol=0.02)
    c.control("a square", predicted=-2)
    c.limit("a limit", measured=[2.0, 1.5, 1.001], predicted=1.0, rtol=0.01)
    c.control("elsewhere", predicted=1.5)
    c.exact("a count", measured=[3, 12345678], predicted=[3, 12345678])
    c.control("one more", measured=[4, 12345679])
    c.qualitative("a word", holds=True, measured="rich", predicted="rich")
    c.control("lazy", holds=False, measured="lazy")
    return c


SHOWN = f"""\
{ID}: corroborated on 13 instances
  an equality: measured 1.0000 … 4.0001 = predicted 1 … 4; error < 0.0001, tolerance 0.001 rel., n = 4
    control, another constant: 1 … 4 against 1.1 … 4.4, fails as it must
  zero: measured < 1e-10 = predicted 0; error < 1e-10, tolerance 1e-9, n = 1
    control, moved: 0.001, fails as it must
  an upper bound: measured 0.25, 1.5e-7 ≤ predicted 1; error slack 0.75, tolerance 0, n = 2
    control, a tenth: 0.25, 1.5e-7 against 1e-8, fails as it must
  a lower bound: measured 3.00 ≥ predicted 2; error slack 1, tolerance 0.5, n = 1
    control, less: 1.25, fails as it must
  a rate: measured -0.500 ± 0.005 ≈ predicted -0.500; error < 0.002, tolerance 0.02, n = 1
    control, a square: -0.5 against -2, fails as it must
  a limit: measured 1.001 → predicted 1; error < 0.001, tolerance 0.01 rel., n = 1
    control, elsewhere: 1 against 1.5, fails as it must
  a count: measured 3, 12345678 ≡ predicted 3, 12345678; error none, tolerance 0, n = 2
    control, one more: 4, 12345679, fails as it must
  a word: measured rich  predicted rich; error none, tolerance 0, n = 1
    control, lazy: lazy, fails as it must
  grade: analogue; not covered: d < 5"""  # noqa: E501


def test_what_a_reader_sees_of_every_relation() -> None:
    assert repr(a_claim_of_everything().report()) == SHOWN


def test_the_page_shows_what_the_terminal_shows() -> None:
    data = a_claim_of_everything().report()._repr_mimebundle_()[0]
    page = BeautifulSoup(data["text/html"], "html.parser")
    assert page.div["class"] == ["ib-claim", "ib-corroborated"]
    assert page.div["id"] == f"claim-{ID}"
    assert page.find(class_="ib-claim-title").a["href"] == f"#{ID}"
    assert page.find(class_="ib-claim-title").text == f"{ID} corroborated on 13 instances"
    assert page.find(class_="ib-scope").text == "Grade: analogue. Not covered: d < 5."
    assert [th.text for th in page.table.thead("th")] == [
        "quantity", "measured", "relation", "predicted", "error", "tolerance", "n",
    ]  # fmt: skip
    stray = [t for t in page.table.find_all(string=str.strip) if not t.find_parent(["th", "td"])]
    assert not stray
    lines = [f"{ID}: corroborated on 13 instances"]
    for row in page.table.tbody("tr"):
        head, *cells = (cell.text for cell in row(["th", "td"]))
        if row.get("class") == ["ib-control"]:
            measured, verdict = cells
            assert head.startswith("control: ")
            broken, verdict = head.removeprefix("control: "), verdict.replace(",", "")
            lines.append(f"    control, {broken}: {measured}, {verdict}")
        else:
            measured, sign, predicted, error, tolerance, n = cells
            lines.append(
                f"  {head}: measured {measured} {sign} predicted {predicted}; error {error}, "
                f"tolerance {tolerance}, n = {n}"
            )
    lines.append("  grade: analogue; not covered: d < 5")
    assert "\n".join(lines) == SHOWN


def test_digits_shown_follow_the_size_of_what_is_predicted() -> None:
    claim = exact_instance()
    claim.equal("q", measured=1234.5678, predicted=1234.0, rtol=1e-3)
    claim.control("moved", measured=1300.0)
    assert "measured 1234.6 = predicted 1234;" in repr(claim.report())


def test_errors_far_below_a_tolerance_of_many_digits_are_rounded() -> None:
    claim = exact_instance()
    claim.equal("q", measured=1.0, predicted=1.0, atol=0.12345)
    claim.control("moved", measured=2.0)
    assert "error < 0.012, tolerance 0.123," in repr(claim.report())


def test_a_contradicted_claim_and_one_that_is_not_checked_look_so() -> None:
    claim = Claim(ID, grade="exact instance", contradicted="off by 2")
    claim.equal("q", measured=2.0, predicted=1.0, atol=0.1)
    claim.control("twice", predicted=2.0)
    shown = BeautifulSoup(reports.as_html(claim.report().record), "html.parser")
    assert shown.div["class"] == ["ib-claim", "ib-contradicted"]
    assert shown.find(class_="ib-control")("td")[-1].text == "holds, as it must"
    assert shown.find(class_="ib-scope").text == "Grade: exact instance."
    skipped = BeautifulSoup(reports.as_html(not_checked(ID, "no data").record), "html.parser")
    assert skipped.div["class"] == ["ib-claim", "ib-not-checked"]
    assert skipped.find(class_="ib-status").text == "not checked: no data"
    assert skipped.table is None
    assert skipped.find(class_="ib-scope") is None


@pytest.mark.parametrize(
    ("relation", "given", "words"),
    [
        ("equal", {"measured": 1.0, "predicted": 1.0, "rtol": 0.01}, "1 %"),
        ("equal", {"measured": 1.0, "predicted": 1.0, "atol": 5.0}, "100 % or more"),
        ("at most", {"measured": 1.0, "predicted": 1.25}, "20 % slack"),
        ("exact", {"measured": 2, "predicted": 2}, "nothing"),
        ("qualitative", {"holds": True}, "no number"),
    ],
)
def test_resolution_in_words(relation: Any, given: dict[str, Any], words: str) -> None:
    outcome = comparisons.evaluate(relation, **given)
    record = {
        "relation": relation,
        "predicted": list(outcome.predicted),
        "resolution": resolution(relation, **given),
    }
    assert reports.resolution(record) == words


def test_resolution_of_a_predicted_zero_is_told_in_controls() -> None:
    claim = exact_instance()
    claim.equal("q", measured=0.0, predicted=0.0, atol=0.02)
    claim.control("moved", measured=1.0)
    (comparison,) = claim.report().record["comparisons"]
    assert reports.resolution(comparison) == "2 % of a control"


@pytest.mark.parametrize(
    ("value", "digit", "shown"),
    [
        (1234.5678, 0.0, "1.23e3"),
        (1234.5678, 0.01, "1234.57"),
        (1234.5678, 1.0, "1235"),
        (1234.5678, 10.0, "1.23e3"),
        (0.0, 1e-3, "< 0.001"),
        (9.9e-4, 1e-3, "< 0.001"),
        (-1e-3, 1e-3, "-0.001"),
        (1e-3, 1e-4, "0.0010"),
        (9.87e-4, 1e-5, "0.00099"),
        (999999.0, 0.1, "999999.0"),
        (1e6, 0.1, "1000000"),
        (1234567.0, 0.1, "1234567"),
        (0.5, 1e-10, "0.5000000000"),
        (0.5, 1e-11, "0.5"),
        (1 / 3, 1e-11, "0.33333333333"),
        (1 / 3, 1e-14, "0.333333333333"),
    ],
)
def test_values_down_to_what_is_worth_printing(value: float, digit: float, shown: str) -> None:
    assert reports._round(value, digit) == shown


@pytest.mark.parametrize(
    ("unit", "predicted", "tolerance", "digit"),
    [
        ("absolute", [200.0], 0.02, 1e-3),
        ("absolute", [200.0], 0.0, 0.0),
        ("relative", [-200.0, 3.0], 0.02, 0.1),
        ("relative", [0.0], 0.02, 0.0),
    ],
)
def test_the_last_digit_is_two_below_the_tolerance(
    unit: str, predicted: list[float], tolerance: float, digit: float
) -> None:
    comparison = {"unit": unit, "predicted": predicted, "tolerance": tolerance}
    assert reports._digit(comparison) == pytest.approx(digit)
    suffix = " rel." if unit == "relative" else ""
    assert reports._allowed(comparison) == (f"0.02{suffix}" if tolerance else "0")


@pytest.mark.parametrize(
    ("relation", "error", "tolerance", "words"),
    [
        ("equal", 0.12345, 0.5, "0.12"),
        ("equal", 0.05, 0.5, "0.05"),
        ("equal", 0.049, 0.5, "< 0.05"),
        ("equal", 0.0, 0.12345, "< 0.012"),
        ("at most", -0.12345, 0.5, "slack 0.12"),
        ("at least", -0.5, 0.0, "slack 0.5"),
        ("at least", 0.0, 0.0, "0"),
        ("exact", 0.0, 0.0, "none"),
        ("qualitative", 0.0, 0.0, "none"),
    ],
)
def test_errors_in_words(relation: str, error: float, tolerance: float, words: str) -> None:
    comparison = {"relation": relation, "error": error, "tolerance": tolerance}
    assert reports._error(comparison) == words


def test_up_to_three_values_are_listed() -> None:
    assert reports._span([3.0, 1.0, 2.0], reports.number) == "3, 1, 2"
    assert reports._span([3.0, 1.0, 2.0, 4.0], reports.number) == "1 … 4"
    assert reports._span([3.0, 3.0, 2.0, 4.0], reports.number) == "3, 2, 4"
    assert reports._span(["b", "a", "b", "c", "d"], reports.number) == "b, a, c, d"
    assert reports._span([True, False], reports.number) == "yes, no"


def test_what_a_control_measured() -> None:
    equal = {"relation": "equal", "predicted": [2.0], "unit": "absolute", "tolerance": 0.1}
    control = {**equal, "measured": [3.14159, 1e-9]}
    assert reports._control_text(equal, control) == "3.14, < 0.01"
    moved = {**control, "predicted": [2.5, 2.0]}
    assert reports._control_text(equal, moved) == "3.14, < 0.01 against 2.5, 2"
    loose = {**equal, "tolerance": 0.0, "measured": [1e-3, 1e-5]}
    assert reports._control_text(equal, loose) == "0.001, < 0.0002"
    counts = {"relation": "exact", "predicted": [2], "unit": "absolute", "tolerance": 0.0}
    assert reports._control_text(counts, {**counts, "predicted": [3], "measured": [4]}) == "4"


def test_headlines_count_instances() -> None:
    comparison = {"instances": 1, "relation": "equal"}
    record = {"status": "corroborated", "comparisons": [comparison]}
    assert reports.headline(record) == "corroborated on 1 instance"
    record["comparisons"] = [comparison, comparison]
    assert reports.headline(record) == "corroborated on 2 instances"


def test_a_slope_needs_six_points() -> None:
    x = np.arange(6.0)
    assert comparisons.fit_rate(x, 2 * x)[0] == pytest.approx(2)
    with pytest.raises(ValueError, match="6"):
        comparisons.fit_rate(x[:5], x[:5])


@pytest.mark.parametrize(
    ("largest", "found"), [(2.0, 1.0), (1.5, 1.0), (0.9991, 1.0), (0.5, 0.5), (1e-5, 1e-5), (0, 0)]
)
def test_what_passes_is_looked_for_up_to_one(largest: float, found: float) -> None:
    last = comparisons._last_passing(lambda change: change <= largest)
    assert last == pytest.approx(found, rel=1e-3)


# --- records, key by key ------------------------------------------------------------------------


def test_the_record_of_a_claim() -> None:
    claim = Claim(ID, grade="finite horizon", scope=" d < 5 ", seeds=(3, 4), dtype="float32")
    claim.equal("an equality", measured=[1.0, 2.0], predicted=[1.0, 2.0], rtol=0.01)
    claim.control("moved", predicted=[2.0, 4.0])
    claim.exact("a count", measured=3, predicted=3)
    claim.control("one more", measured=4)
    claim.control("two more", measured=5)
    record = claim.report().record
    first, second = record.pop("comparisons")
    assert record == {
        "id": ID, "status": "corroborated", "because": "", "grade": "finite horizon",
        "scope": "d < 5", "seeds": [3, 4], "dtype": "float32",
    }  # fmt: skip
    assert first.pop("resolution") == pytest.approx(1 / 0.99 - 1, rel=1e-3)
    moved = {"predicted": [2.0, 4.0], "measured": [1.0, 2.0], "error": 0.5, "tolerance": 0.01,
             "unit": "relative", "interval": None, "instances": 2}  # fmt: skip
    assert first == {
        "quantity": "an equality", "relation": "equal", "drift": 0.002, **moved,
        "predicted": [1.0, 2.0], "error": 0.0,
        "controls": [{"broken": "moved", "bites": True, **moved}],
    }  # fmt: skip
    count = {"predicted": [3], "measured": [3], "error": 0.0, "tolerance": 0.0,
             "unit": "absolute", "interval": None, "instances": 1}  # fmt: skip
    broken = {"bites": True, **count, "error": 1.0}
    assert second == {
        "quantity": "a count", "relation": "exact", "drift": 0.0, "resolution": 0.0, **count,
        "controls": [
            {**broken, "broken": "one more", "measured": [4]},
            {**broken, "broken": "two more", "measured": [5]},
        ],
    }  # fmt: skip


def test_what_a_claim_is_where_nothing_is_said() -> None:
    claim = exact_instance()
    claim.qualitative("is so", holds=True)
    claim.control("broken", holds=False)
    record = claim.report().record
    assert (record["scope"], record["because"], record["seeds"]) == ("", "", [])
    assert (record["dtype"], record["grade"]) == ("float64", "exact instance")
    (comparison,) = record["comparisons"]
    assert (comparison["measured"], comparison["predicted"]) == (["yes"], ["yes"])
    assert (comparison["resolution"], comparison["drift"]) == (None, 0.0)
    assert not_checked(ID, " no data ").record == {
        "id": ID, "status": "not checked", "because": "no data", "comparisons": [],
    }  # fmt: skip
    contradicted = Claim(ID, grade="exact instance", contradicted=" off ")
    assert contradicted.contradiction == "off"


@pytest.mark.parametrize("relation", ["at_most", "at_least"])
def test_a_bound_allows_what_it_is_told_to(relation: str) -> None:
    wrong = 1.5 if relation == "at_most" else 0.5
    claim = exact_instance()
    getattr(claim, relation)("q", measured=wrong, predicted=1.0, atol=0.5, drift=0.25)
    assert claim.comparisons[0].drift == 0.25
    with pytest.raises(ClaimError, match=r"tolerance 0$"):
        getattr(claim, relation)("q", measured=wrong, predicted=1.0)
    with pytest.raises(ValueError, match=r"^drift is -1"):
        getattr(claim, relation)("q", measured=1.0, predicted=1.0, drift=-1.0)
    assert len(claim.comparisons) == 1


@pytest.mark.parametrize("relation", ["rate", "limit"])
def test_the_drift_of_a_rate_and_of_a_limit(relation: str) -> None:
    right = next(right for name, right, _ in RIGHT_AND_WRONG if name == relation)
    claim = exact_instance()
    getattr(claim, relation)("q", **right, drift=0.125)
    getattr(claim, relation)("q", **right)
    assert [c.drift for c in claim.comparisons] == pytest.approx([0.125, 1e-4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Claim("a", grade="analogue", scope="s"), r"^id: 'a' is no label; allowed: one li"),
        (lambda: Claim("A-b", grade="analogue", scope="s"), r"^id: 'A-b' is no label"),
        (lambda: Claim("a-b-", grade="analogue", scope="s"), r"^id: 'a-b-' is no label"),
        (lambda: Claim(3, grade="analogue", scope="s"), r"^id is a int"),
        (lambda: Claim(ID, grade="true"), r"^grade: 'true' is not one of exact instance, fin"),
        (lambda: Claim(ID, grade="analogue"), r"^scope: a claim of grade 'analogue' says in"),
        (lambda: Claim(ID, grade="special case", scope=" "), r"^scope: a claim of grade 'special"),
        (lambda: Claim(ID, grade="analogue", scope=3), r"^scope is a int"),
        (lambda: Claim(ID, grade="exact instance", contradicted=3), r"^contradicted is a int"),
        (lambda: Claim(ID, grade="exact instance", dtype=3), r"^dtype is a int"),
        (lambda: Claim(ID, grade="exact instance", seeds=3), r"^seeds "),
        (lambda: Claim(ID, grade="exact instance", seeds=[-1]), r"^seeds is -1"),
        (lambda: Claim(ID, grade="exact instance", seeds=[0.5]), r"^seeds is 0.5"),
        (lambda: exact_instance().equal(3, measured=1, predicted=1, atol=1), r"^quantity is a int"),
        (lambda: exact_instance().qualitative("q", holds=True, measured=1), r"^measured is a int"),
        (lambda: exact_instance().qualitative("q", holds=True, predicted=1), r"^predicted is a i"),
        (lambda: exact_instance().control(3), r"^broken is a int"),
        (lambda: exact_instance().control("b"), r"^control: there is no comparison yet; a control"),
        (lambda: not_checked(ID, 3), r"^because is a int"),
        (lambda: not_checked(ID, " "), r"^because: say why the result is not checked$"),
        (lambda: not_checked("Bad", "why"), r"^id: 'Bad' is no label"),
    ],
)  # fmt: skip
def test_bad_words_are_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
    assert Claim("a-b", grade="exact instance", seeds=[0]).seeds == (0,)


def test_words_of_a_refusal() -> None:
    claim = exact_instance()
    claim.equal("q", measured=[1.0, 1.0], predicted=1.0, atol=0.25)
    with pytest.raises(ValueError, match=r"^control: replace some of measured, predicted, rtol, a"):
        claim.control("nothing")
    with pytest.raises(ClaimError) as failure:
        claim.control("gentle", measured=[1.125, 9.0])
    assert str(failure.value) == (
        f"{ID}: the control 'gentle' does not bite: 'q' still holds (error 8, tolerance 0.25)"
    )
    contradicted = Claim(ID, grade="exact instance", contradicted="off")
    contradicted.equal("q", measured=2.0, predicted=1.0, atol=0.25)
    with pytest.raises(ClaimError) as failure:
        contradicted.control("worse", measured=3.0)
    assert str(failure.value) == (
        f"{ID}: the control 'worse' does not bite: 'q' fails (error 2, tolerance 0.25)"
    )
    with pytest.raises(ClaimError, match=f"^{ID}: 'r' holds, though the claim is contradicted$"):
        contradicted.exact("r", measured=1, predicted=1)
    # one instance that fails is enough to contradict
    contradicted.exact("s", measured=[1, 2], predicted=[1, 1])
    with pytest.raises(ClaimError) as failure:
        claim.exact("s", measured=[1, 2, 3], predicted=[1, 2, 4])
    assert str(failure.value) == (
        f"{ID}: 's' does not hold. Instance 3 of 3: measured 3, predicted 4, absolute error 1, "
        "tolerance 0"
    )
    with pytest.raises(ClaimError) as failure:
        claim.rate("r", log_x=np.arange(6.0), log_y=2 * np.arange(6.0), predicted=3, atol=0.5)
    assert str(failure.value).startswith(f"{ID}: 'r' does not hold. Instance 1 of 1: measured ")
    assert ", tolerance 0.5, half-width of the interval " in str(failure.value)
    with pytest.raises(ClaimError, match=f"^{ID}: nothing was compared$"):
        exact_instance().report()
    with pytest.raises(ClaimError, match=f"^{ID}: 'q' has no control; break an assumption and "):
        claim.report()


@pytest.mark.parametrize(
    ("measured", "found"), [(1.0, 0.02), (0.04, 0.5), (0.0200001, 1.0), (-0.5, 0.04)]
)
def test_what_is_missed_of_a_predicted_zero_is_told_by_the_smallest_control(
    measured: float, found: float
) -> None:
    claim = exact_instance()
    claim.equal("q", measured=0.0, predicted=0.0, atol=0.02)
    claim.control("far", measured=7.0)
    claim.control("near", measured=measured)
    (comparison,) = claim.report().record["comparisons"]
    assert comparison["resolution"] == pytest.approx(found, rel=1e-4)


def test_a_claim_that_is_contradicted_on_some_instances_has_no_resolution() -> None:
    claim = Claim(ID, grade="exact instance", contradicted="off")
    claim.equal("q", measured=[1.0, 2.0], predicted=[1.0, 1.0], rtol=0.1)
    claim.control("mended", predicted=[1.0, 2.0])
    (comparison,) = claim.report().record["comparisons"]
    assert comparison["resolution"] is None
