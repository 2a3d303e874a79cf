"""The house style of figures: one look, and colours that mean the same thing on every page.

Theory is a dark line, measurement is blue points, a control is vermilion and dashed; the colours
are those of Okabe and Ito, which readers with any colour vision can tell apart. Figures have an
opaque white ground; the site inverts their lightness in the dark theme, hues kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from numpy.typing import ArrayLike

from ibcore import _validate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = [
    "CONTROL",
    "MEASURED",
    "OTHERS",
    "THEORY",
    "control",
    "curve",
    "decades",
    "measured",
    "panels",
    "separator",
    "theory",
    "use_style",
]

THEORY = "#000000"
MEASURED = "#0072B2"
CONTROL = "#D55E00"
#: For families of curves that are neither theory, measurement nor control.
OTHERS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")

#: Width of the text column in inches, at which fonts come out at the size of the text.
WIDTH = 7.2

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=[MEASURED, *OTHERS]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "savefig.facecolor": "white",
}


def use_style() -> None:
    """Apply the house style to all figures that follow, in notebooks at twice the resolution."""
    plt.rcParams.update(_STYLE)
    if "inline" in plt.get_backend():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")  # type: ignore[no-untyped-call]


def panels(columns: int = 1, *, rows: int = 1, height: float = 2.9) -> tuple[Figure, Any]:
    """Create a figure of the width of the text with a grid of axes.

    Parameters
    ----------
    columns, rows : int
        Size of the grid.
    height : float
        Height of a row in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes or ndarray of them
        A single one where the grid has a single cell.

    Raises
    ------
    ValueError
        A grid without cells or a height that is not positive.
    """
    columns = _validate.integer(columns, "columns", 1)
    rows, height = _validate.integer(rows, "rows", 1), _validate.positive(height, "height")
    return plt.subplots(rows, columns, figsize=(WIDTH, height * rows))


def _axes(ax: object) -> None:
    """Refuse what cannot be drawn in."""
    from matplotlib.axes import Axes

    _validate.instance(ax, "ax", Axes)


def _line(ax: Axes, x: ArrayLike, y: ArrayLike, style: dict[str, Any]) -> list[Line2D]:
    """Draw a line of real numbers, or of none; where one is NaN, matplotlib leaves a gap."""
    _axes(ax)
    for name, values in (("x", x), ("y", y)):
        _validate.real(values, name, empty=True)
    if len(np.atleast_1d(x)) != len(np.atleast_1d(y)):
        raise ValueError(
            f"x, y have the shapes {np.shape(x)} and {np.shape(y)}; allowed: the same length"
        )
    return ax.plot(x, y, **style)


def theory(ax: Axes, x: ArrayLike, y: ArrayLike, **style: Any) -> list[Line2D]:
    """Draw a prediction: a dark solid line above the points.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, y : array_like, shape (n,)
        A NaN leaves a gap.
    **style
        Passed to `Axes.plot`.

    Raises
    ------
    ValueError
        Not axes, not numbers, or lengths that differ.
    """
    return _line(ax, x, y, {"color": THEORY, "lw": 1.2, "zorder": 3, **style})


def measured(ax: Axes, x: ArrayLike, y: ArrayLike, **style: Any) -> list[Line2D]:
    """Draw measurements: blue points. Parameters as in `theory`."""
    return _line(ax, x, y, {"color": MEASURED, "marker": "o", "ls": "none", **style})


def curve(ax: Axes, x: ArrayLike, y: ArrayLike, **style: Any) -> list[Line2D]:
    """Draw a measured trajectory too dense for points: a blue line. Parameters as in `theory`."""
    return _line(ax, x, y, {"color": MEASURED, **style})


def control(ax: Axes, x: ArrayLike, y: ArrayLike, **style: Any) -> list[Line2D]:
    """Draw a control: vermilion and dashed. Parameters as in `theory`."""
    return _line(ax, x, y, {"color": CONTROL, "ls": "--", **style})


def separator(ax: Axes, w: Sequence[float] | np.ndarray, **style: Any) -> None:
    """Draw the line on which ``w @ x = 0`` through the plane.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    w : array_like, shape (2,)
        Normal of the line.
    **style
        Passed to `Axes.axline`.

    Raises
    ------
    ValueError
        `w` is not a finite, non-zero vector of the plane.
    """
    normal = _validate.vector(w, "w", 2)
    if not normal.any():
        raise ValueError(f"w: expected a finite, non-zero vector of shape (2,), got {w!r}")
    _axes(ax)
    ax.axline((0.0, 0.0), (-normal[1], normal[0]), **{"color": THEORY, "lw": 1.2, **style})


def decades(ax: Axes, ticks: Sequence[int]) -> None:
    """Label an axis of log10 t with powers of ten.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes whose abscissa is log10 t.
    ticks : sequence of int
        The exponents to label.
    """
    _axes(ax)
    _validate.sequence(ticks, "ticks", "integers")
    ax.set_xticks(list(ticks), [rf"$10^{{{k}}}$" for k in ticks])
