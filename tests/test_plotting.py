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
