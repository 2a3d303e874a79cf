"""The house style: colours by meaning, no work left to the chapter."""

import importlib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from ibcore import plotting


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_colours_follow_meaning() -> None:
    plotting.use_style()
    figure, ax = plotting.panels()
    x = np.arange(3.0)
    drawn = {
        draw.__name__: draw(ax, x, x)[0]
        for draw in (plotting.theory, plotting.measured, plotting.control, plotting.curve)
    }
    assert to_hex(drawn["theory"].get_color()).upper() == plotting.THEORY
    assert to_hex(drawn["measured"].get_color()).upper() == plotting.MEASURED
    assert to_hex(drawn["control"].get_color()).upper() == plotting.CONTROL
    assert drawn["measured"].get_linestyle() == "None"
    assert drawn["control"].get_linestyle() == "--"
    assert figure.get_size_inches()[0] == pytest.approx(plotting.WIDTH)


def test_style_can_be_overridden_in_place() -> None:
    _, ax = plotting.panels()
    assert plotting.theory(ax, [0], [0], color="red")[0].get_color() == "red"


def test_inline_figures_come_at_twice_the_resolution(monkeypatch) -> None:
    formats = []
    importlib.import_module("matplotlib_inline.backend_inline")
    monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "inline")
    monkeypatch.setattr(
        "matplotlib_inline.backend_inline.set_matplotlib_formats", lambda *f: formats.extend(f)
    )
    plotting.use_style()
    assert formats == ["retina"]


def test_a_separator_is_orthogonal_to_its_normal() -> None:
    _, ax = plotting.panels()
    plotting.separator(ax, [1.0, 2.0])
    (line,) = ax.lines
    (x0, y0), (x1, y1) = line.get_xy1(), line.get_xy2()
    assert (x1 - x0) + 2 * (y1 - y0) == pytest.approx(0)


def test_decades_are_labelled() -> None:
    _, ax = plotting.panels()
    plotting.decades(ax, [0, 100])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["$10^{0}$", "$10^{100}$"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.panels(0), "^columns is 0"),
        (lambda: plotting.panels(height=0), "height"),
        (lambda: plotting.separator(None, [1.0, 2.0, 3.0]), "^w"),
        (lambda: plotting.separator(None, [0.0, 0.0]), "^w"),
        (lambda: plotting.separator(None, [np.nan, 1.0]), "^w"),
    ],
)
def test_bad_input_is_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_line_without_points_is_drawn() -> None:
    _, ax = plotting.panels()
    (line,) = plotting.control(ax, [], [], label="none diverged")
    assert line.get_xdata().size == 0


def test_the_colours_are_those_of_okabe_and_ito() -> None:
    palette = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"}
    used = [plotting.THEORY, plotting.MEASURED, plotting.CONTROL, *plotting.OTHERS]
    assert set(used) == palette
    assert (plotting.THEORY, plotting.MEASURED, plotting.CONTROL) == (
        "#000000", "#0072B2", "#D55E00"
    )  # fmt: skip
    plotting.use_style()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == [plotting.MEASURED, *plotting.OTHERS]


def test_a_prediction_is_a_line_above_the_points() -> None:
    _, ax = plotting.panels()
    x = [0.0, 1.0, 2.0]
    (line,), (points,) = plotting.theory(ax, x, x), plotting.measured(ax, x, x)
    assert (line.get_linestyle(), line.get_linewidth(), line.get_marker()) == ("-", 1.2, "None")
    assert points.get_marker() == "o"
    assert line.get_zorder() == points.get_zorder() + 1
    (trajectory,), (broken,) = plotting.curve(ax, x, x), plotting.control(ax, x, x)
    assert (trajectory.get_linestyle(), trajectory.get_marker()) == ("-", "None")
    assert (broken.get_linestyle(), broken.get_marker()) == ("--", "None")
    for draw, options in (
        (plotting.theory, {"lw": 4.0, "zorder": 9.0}), (plotting.control, {"ls": ":"}),
        (plotting.measured, {"marker": "s", "color": "red"}), (plotting.curve, {"color": "red"}),
    ):  # fmt: skip
        (drawn,) = draw(ax, x, x, **options)
        given = {"lw": drawn.get_linewidth(), "zorder": drawn.get_zorder(),
                 "ls": drawn.get_linestyle(), "marker": drawn.get_marker(),
                 "color": drawn.get_color()}  # fmt: skip
        assert given | options == given


def test_a_separator_goes_through_the_origin() -> None:
    _, ax = plotting.panels()
    plotting.separator(ax, [3.0, -2.0])
    plotting.separator(ax, [0.0, 1.0], color="red", lw=3.0)
    first, second = ax.lines
    assert (first.get_xy1(), first.get_xy2()) == ((0.0, 0.0), (2.0, 3.0))
    assert (to_hex(first.get_color()), first.get_linewidth()) == (plotting.THEORY, 1.2)
    assert (second.get_color(), second.get_linewidth()) == ("red", 3.0)


def test_a_grid_has_the_width_of_the_text_and_rows_of_one_height() -> None:
    figure, ax = plotting.panels()
    assert figure.get_size_inches().tolist() == [7.2, 2.9]
    assert ax.get_xlabel() == ""
    figure, axes = plotting.panels(3, rows=2, height=2.0)
    assert figure.get_size_inches().tolist() == [7.2, 4.0]
    assert axes.shape == (2, 3)
    for bad, name in (({"rows": 0}, "rows"), ({"columns": 0}, "columns"), ({"height": 0}, "hei")):
        with pytest.raises(ValueError, match=f"^{name}"):
            plotting.panels(**bad)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [1.0], r"^x, y have the shapes \(2,\) and \(1,\); allowed: the same length$"),
        (["a"], [1.0], "^x "),
        ([1.0], ["a"], "^y "),
    ],
)
def test_lines_that_cannot_be_drawn(x, y, message) -> None:
    _, ax = plotting.panels()
    for draw in (plotting.theory, plotting.measured, plotting.control, plotting.curve):
        with pytest.raises(ValueError, match=message):
            draw(ax, x, y)
        with pytest.raises(ValueError, match=r"^ax is a "):
            draw(None, [1.0], [1.0])
    for call in (lambda: plotting.separator(1, [1.0, 2.0]), lambda: plotting.decades("a", [1])):
        with pytest.raises(ValueError, match=r"^ax is a "):
            call()
    with pytest.raises(ValueError, match=r"^ticks "):
        plotting.decades(ax, 3)


def test_gaps_and_single_points_are_drawn() -> None:
    _, ax = plotting.panels()
    (line,) = plotting.theory(ax, [0.0, 1.0, 2.0], [0.0, np.nan, 2.0])
    assert np.isnan(line.get_ydata()[1])
    (point,) = plotting.measured(ax, 1.0, 2.0)
    assert list(point.get_xdata()) == [1.0]
    plotting.decades(ax, (0, 3))
    assert ax.get_xticks().tolist() == [0, 3]


def test_other_backends_keep_their_resolution(monkeypatch) -> None:
    importlib.import_module("matplotlib_inline.backend_inline")
    monkeypatch.setattr(
        "matplotlib_inline.backend_inline.set_matplotlib_formats", lambda *_: pytest.fail("asked")
    )
    plotting.use_style()
