"""Figures that can be turned: data rounded, knobs checked, a still picture of the first setting."""

import struct

import altair as alt
import numpy as np
import pytest

from ibcore.interactive import MIME, VEGA_LITE, Turnable, knob, plane, table, turnable


def chart(**columns) -> alt.Chart:
    return alt.Chart(table(**columns)).mark_point().encode(x="x:Q", y="y:Q")


@pytest.fixture
def eta() -> alt.Parameter:
    return knob("step size", 0, 2, 0.5, start=1)


def test_a_knob_is_a_named_slider(eta: alt.Parameter) -> None:
    assert eta.param.to_dict()["value"] == 1
    assert eta.param.to_dict()["bind"] == {
        "input": "range", "max": 2, "min": 0, "name": "step size ", "step": 0.5,
    }  # fmt: skip


def test_a_table_keeps_significant_digits_and_whole_numbers() -> None:
    data = table(3, a=[1.23456, 1.23456e-9], n=[123456, 7], name=["one", "two"])
    assert data.to_dict()["values"] == [
        {"a": 1.23, "n": 123456, "name": "one"},
        {"a": 1.23e-9, "n": 7, "name": "two"},
    ]


def test_axes_of_the_plane_share_their_ends() -> None:
    x, y = plane("a", "b", -1, 2)
    assert (x.to_dict()["title"], y.to_dict()["title"]) == ("a", "b")
    assert x.to_dict()["scale"] == y.to_dict()["scale"] == {"domain": [-1, 2]}


def test_the_bundle_has_the_chart_and_its_still(eta: alt.Parameter) -> None:
    figure = turnable(chart(x=[0.0, 1.0], y=[0.0, 1.0]), knobs=[eta])
    data, about = figure._repr_mimebundle_()
    assert set(data) == {MIME, "image/png", "text/plain"}
    assert data["text/plain"] == "A figure that can be turned"
    assert MIME == "application/vnd.vegalite.v5+json"
    assert data[MIME]["config"]["background"] == "white"
    assert f"/v{VEGA_LITE}" in data[MIME]["$schema"]
    width, height = struct.unpack(">II", data["image/png"][16:24])
    assert data["image/png"].startswith(b"\x89PNG")
    assert about["image/png"] == {"width": width // 2, "height": height // 2}


def test_the_still_shows_the_start_of_the_knob_and_is_the_same_again() -> None:
    def at(start: float) -> bytes:
        eta = knob("step size", 0, 2, 1, start=start)
        points = chart(x=[0.0, 1.0, 2.0], y=[0.0, 1.0, 2.0]).transform_filter(alt.datum.x <= eta)
        return turnable(points, knobs=[eta]).still()

    assert at(0) == at(0)
    assert at(0) != at(2)


def test_charts_stand_side_by_side_in_one_width(eta: alt.Parameter) -> None:
    one = chart(x=[0.0], y=[0.0])
    alone = turnable(one, knobs=[eta]).spec["hconcat"]
    pair = turnable(one, one, knobs=[eta], height=100).spec["hconcat"]
    assert [c["width"] for c in alone] == [625]
    assert [(c["width"], c["height"]) for c in pair] == [(275, 100)] * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: knob(" ", 0, 1, 0.1, start=0), "label is ' '; allowed: words"),
        (lambda: knob("a", 1, 0, 0.1, start=0), "low, high are 1 and 0; allowed: low < high"),
        (lambda: knob("a", 0, 1, 2, start=0), "step is 2; allowed: positive numbers up to 1"),
        (lambda: knob("a", 0, 1, 0.1, start=2), "start is 2; allowed: a number from 0 to 1"),
        (lambda: table(), "columns are none; allowed: at least one"),
        (lambda: table(x=[1.0, np.nan]), "x has "),
        (lambda: table(x=[1.0], y=[1.0, 2.0]), r"y has shape \(2,\); allowed: shape \(1,\)"),
        (lambda: table(x=[[1.0]]), r"x has shape \(1, 1\)"),
        (lambda: table(x=1.0), r"x has shape \(\)"),
        (lambda: table(x=[1.0], y=[None]), "y has entries of type object"),
        (lambda: plane("a", "b", 1, 1), "low, high are 1 and 1"),
        (lambda: turnable(knobs=[knob("a", 0, 1, 1, start=0)]), "charts are none; allowed"),
        (lambda: turnable("a", knobs=[knob("a", 0, 1, 1, start=0)]), "charts is a str; allowed"),
        (lambda: turnable(chart(x=[0.0], y=[0.0]), knobs=[]), "knobs are none; allowed"),
        (lambda: turnable(chart(x=[0.0], y=[0.0]), knobs=[1]), "knobs is a int; allowed"),
        (lambda: Turnable(chart(x=[0.0], y=[0.0])), "chart has nothing to turn; allowed"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
