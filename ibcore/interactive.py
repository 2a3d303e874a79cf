"""Figures that a reader can turn: Vega-Lite charts whose sliders work without a kernel.

What a slider chooses among is computed beforehand, or written as an expression that the browser
evaluates. A chart carries a still picture of itself, at the values that its sliders start from, for
print and for readers who cannot turn it.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from typing import Any

import altair as alt
import matplotlib as mpl
import numpy as np
import vl_convert
from numpy.typing import ArrayLike

from ibcore.plotting import OTHERS

__all__ = ["MIME", "VEGA_LITE", "Turnable", "knob", "plane", "table", "turnable"]

#: The version of Vega-Lite that draws the charts: the newest that JupyterLab brings along.
VEGA_LITE = "5.20"
#: The media type under which Jupyter knows the charts.
MIME = "application/vnd.vegalite.v5+json"

#: Pixels of the still picture for one of the page.
_SCALE = 2
#: Width of the text column in pixels, and what the labels of an axis take of it.
_WIDTH, _LABELS = 700, 75

_CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, sans-serif",  # as in the other figures
    "axis": {
        "domainColor": "black",
        "gridOpacity": 0.6,
        "labelFontSize": 12,
        "tickColor": "black",
        "titleFontSize": 13,
        "titleFontWeight": "normal",
    },
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "range": {"category": list(OTHERS)},
    "title": {"anchor": "start", "fontSize": 13, "fontWeight": "normal"},
    "view": {"stroke": None},
}


# Still pictures are drawn with the fonts that matplotlib carries, the same on every machine.
vl_convert.register_font_directory(mpl.get_data_path() + "/fonts/ttf")


def knob(label: str, low: float, high: float, step: float, start: float) -> alt.Parameter:
    """A number that the reader chooses with a slider.

    Parameters
    ----------
    label : str
        What stands before the slider.
    low, high : float
        Ends of the slider.
    step : float
        What one press of an arrow key adds.
    start : float
        The value at first, and in the still picture.

    Raises
    ------
    ValueError
        An empty label, ends in the wrong order, a step that is not positive, or a start outside.

    Examples
    --------
    >>> knob("step size", 0, 1, 0.1, start=0.5).param.value
    0.5
    """
    if not label.strip():
        raise ValueError(f"label: expected words, got {label!r}")
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"low, high: expected finite low < high, got {low} and {high}")
    if not 0 < step <= high - low:
        raise ValueError(f"step: expected at most {high - low} and positive, got {step}")
    if not low <= start <= high:
        raise ValueError(f"start: expected a value from {low} to {high}, got {start}")
    slider = alt.binding_range(min=low, max=high, step=step, name=f"{label} ")
    return alt.param(value=start, bind=slider)


def table(digits: int = 5, **columns: ArrayLike) -> alt.InlineData:
    """Columns of equal length as data of a chart, rounded: a picture needs no more.

    Parameters
    ----------
    digits : int
        Significant digits that are kept of numbers that are not whole.
    **columns : array_like, shape (n,)
        Finite numbers, or strings.

    Raises
    ------
    ValueError
        No digits, no columns, columns that are not vectors of one length, or values that are
        neither finite numbers nor strings.
    """
    if digits < 1:
        raise ValueError(f"digits: expected at least 1, got {digits}")
    if not columns:
        raise ValueError("columns: expected at least one")
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shape = (next(iter(arrays.values())).size,)
    for name, values in arrays.items():
        if values.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {values.shape}")
        if values.dtype.kind not in "biufU" or (
            values.dtype.kind == "f" and not np.isfinite(values).all()
        ):
            raise ValueError(f"{name}: expected finite numbers or strings, got {values!r}")
    written = {
        name: [float(f"{v:.{digits}g}") for v in values]
        if values.dtype.kind == "f"
        else values.tolist()
        for name, values in arrays.items()
    }
    rows = [dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True)]
    return alt.InlineData(values=rows)


def plane(x: str, y: str, low: float, high: float) -> tuple[alt.X, alt.Y]:
    """Axes of a picture of the plane, for columns x and y.

    Parameters
    ----------
    x, y : str
        Titles of the axes.
    low, high : float
        Ends of both axes.

    Raises
    ------
    ValueError
        Ends in the wrong order.
    """
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"low, high: expected finite low < high, got {low} and {high}")
    scale = alt.Scale(domain=[low, high])
    return alt.X("x:Q", title=x, scale=scale), alt.Y("y:Q", title=y, scale=scale)


class Turnable:
    """A chart in the house style, shown with a still picture of itself.

    Parameters
    ----------
    chart : altair.TopLevelMixin
        A chart, layered or concatenated too.

    Raises
    ------
    ValueError
        The chart has nothing to turn.
    """

    def __init__(self, chart: alt.TopLevelMixin) -> None:
        self.spec: dict[str, Any] = copy.deepcopy(chart.to_dict())
        if not any("bind" in parameter for parameter in self.spec.get("params", [])):
            raise ValueError("chart: expected a parameter with a binding, such as a knob")
        self.spec["config"] = _CONFIG
        self.spec["$schema"] = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE}.json"

    def still(self) -> bytes:
        """The picture of the chart before anybody turned it, as PNG."""
        return bytes(vl_convert.vegalite_to_png(self.spec, vl_version=VEGA_LITE, scale=_SCALE))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        png = self.still()
        # The size stands behind the signature and the head of the first chunk, big endian.
        width, height = (side // _SCALE for side in struct.unpack(">II", png[16:24]))
        data = {MIME: self.spec, "image/png": png, "text/plain": "A figure that can be turned"}
        return data, {"image/png": {"width": width, "height": height}}


def turnable(
    *charts: alt.Chart | alt.LayerChart, knobs: Sequence[alt.Parameter], height: int = 270
) -> Turnable:
    """Charts side by side over the width of the text, with their knobs.

    Parameters
    ----------
    *charts : altair.Chart or altair.LayerChart
        At least one, from left to right. Each has colours of its own.
    knobs : sequence of altair.Parameter
        What the reader can turn, at least one.
    height : int
        Height of the charts in pixels, without their axes.

    Raises
    ------
    ValueError
        No charts, no knobs, or a height that is not positive.
    """
    if not charts:
        raise ValueError("charts: expected at least one")
    if not height > 0:
        raise ValueError(f"height: expected a positive number of pixels, got {height}")
    width = _WIDTH // len(charts) - _LABELS
    sized = [chart.properties(width=width, height=height) for chart in charts]
    return Turnable(alt.hconcat(*sized).resolve_scale(color="independent").add_params(*knobs))
