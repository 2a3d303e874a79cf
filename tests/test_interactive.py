"""Figures that can be turned: data rounded, knobs checked, a still picture of the first setting."""

import importlib.util
import struct
from pathlib import Path

import altair as alt
import matplotlib as mpl
import numpy as np
import pytest
import vl_convert

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


def test_ends_of_a_knob_belong_to_it() -> None:
    for start in (-1, 0.5, 2):
        slider = knob("a", -1, 2, 3, start=start).param.to_dict()
        assert (slider["value"], slider["bind"]["step"]) == (start, 3)
        assert (slider["bind"]["min"], slider["bind"]["max"]) == (-1, 2)
    for bad in ({"start": -1.001}, {"start": 2.001}, {"step": 3.001}, {"step": 0}, {"high": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))}.* (is|are) .*allowed"):
            knob(**{"label": "a", "low": -1, "high": 2, "step": 1, "start": 0} | bad)


def test_a_table_keeps_five_digits_where_nothing_is_said() -> None:
    (row,) = table(a=[1.23456789], b=np.array([7], np.uint8), c=[1e300]).to_dict()["values"]
    assert row == {"a": 1.2346, "b": 7, "c": 1e300}
    assert table(1, a=[1.6]).to_dict()["values"] == [{"a": 2.0}]
    with pytest.raises(ValueError, match="digits is 0"):
        table(0, a=[1.0])


def test_axes_of_the_plane_are_numbers() -> None:
    x, y = plane("a", "b", -1, 2)
    assert x.to_dict() == {
        "field": "x", "type": "quantitative", "title": "a", "scale": {"domain": [-1, 2]},
    }  # fmt: skip
    assert y.to_dict() == x.to_dict() | {"field": "y", "title": "b"}
    for call in (lambda: plane(1, "b", 0, 1), lambda: plane("a", 2, 0, 1)):
        with pytest.raises(ValueError, match=r"^[xy] is a int"):
            call()


def test_what_a_chart_is_drawn_with(eta: alt.Parameter) -> None:
    one = chart(x=[0.0], y=[0.0])
    spec = turnable(one, one, knobs=[eta]).spec
    assert spec["$schema"] == "https://vega.github.io/schema/vega-lite/v5.20.json"
    assert spec["config"]["range"]["category"][0].startswith("#")
    assert spec["resolve"] == {"scale": {"color": "independent"}}
    assert [p["bind"]["name"] for p in spec["params"]] == ["step size "]
    assert [c["height"] for c in spec["hconcat"]] == [270, 270]
    (tall,) = turnable(one, knobs=[eta], height=1).spec["hconcat"]
    assert tall["height"] == 1
    three = turnable(one, one, one, knobs=[eta]).spec["hconcat"]
    assert [c["width"] for c in three] == [158] * 3


def test_the_still_has_two_pixels_for_one_of_the_page(eta: alt.Parameter) -> None:
    figure = turnable(chart(x=[0.0, 1.0], y=[0.0, 1.0]), knobs=[eta], height=200)
    data, about = figure._repr_mimebundle_(include=None)
    (size,) = about.values()
    assert list(about) == ["image/png"]
    # the chart with its axes: 625 by 200 and room for labels and titles
    assert 640 < size["width"] < 720
    assert 215 < size["height"] < 280
    width, height = struct.unpack(">II", data["image/png"][16:24])
    assert (width // size["width"], height // size["height"]) == (2, 2)


def test_stills_are_drawn_with_the_fonts_of_matplotlib(monkeypatch) -> None:
    folders: list[str] = []
    monkeypatch.setattr(vl_convert, "register_font_directory", folders.append)
    spec = importlib.util.find_spec("ibcore.interactive")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    (folder,) = map(Path, folders)
    assert folder == Path(mpl.get_data_path()) / "fonts" / "ttf"
    assert (folder / "DejaVuSans.ttf").exists()
