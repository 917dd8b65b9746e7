"""Small line charts as SVG text, drawn by matplotlib without touching its global state for longer than a call."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["COLOURS", "Line", "chart_style", "line_chart", "to_svg"]

#: Okabe and Ito's palette: told apart by colour-blind readers and in print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#666666")

_STYLE = MappingProxyType(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "evalsuite",
        "text.parse_math": False,  # names are the user's, and may have dollar signs in them
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#9aa0a6",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.grid": True,
        "grid.color": "#e3e6e8",
        "grid.linewidth": 0.6,
        "xtick.color": "#5f6368",
        "ytick.color": "#5f6368",
        "legend.frameon": False,
        "legend.fontsize": 8,
    }
)
_SMOOTH_FROM = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name in the legend (none when empty) and its points."""

    label: str
    x: Sequence[float]
    y: Sequence[float]

    @classmethod
    def of(cls, label: str, points: Iterable[tuple[float, float]]) -> Line:
        """Make a line of points; those that are no number are left out."""
        finite = [(x, y) for x, y in points if math.isfinite(y)]
        return cls(label, [x for x, _ in finite], [y for _, y in finite])


def chart_style() -> Any:
    """Return a context in which matplotlib draws in the house's style."""
    import matplotlib

    return matplotlib.rc_context(dict(_STYLE))


def line_chart(title: str, lines: Sequence[Line], *, share: bool = False) -> str:
    """Return an SVG of curves over steps. ``share`` fixes the axis to 0 – 1; long curves are also shown smoothed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with chart_style():
        figure = Figure(figsize=(4.2, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for line, colour in zip(lines, COLOURS * len(lines), strict=False):
            _draw(axes, line, colour)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.02)
        if share:
            axes.set_ylim(-0.02, 1.02)
        if any(line.label for line in lines):
            axes.legend()
        return to_svg(figure)


def to_svg(figure: Any) -> str:
    """Return a figure as an ``<svg>`` element for a page; equal figures give equal text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _draw(axes: Any, line: Line, colour: str) -> None:
    if len(line.x) < _SMOOTH_FROM:
        axes.plot(line.x, line.y, color=colour, linewidth=1.6, label=line.label or None, marker="o", markersize=2.4)
        return
    axes.plot(line.x, line.y, color=colour, linewidth=0.7, alpha=0.35)
    axes.plot(line.x, _smoothed(line.y), color=colour, linewidth=1.6, label=line.label or None)


def _smoothed(values: Sequence[float]) -> list[float]:
    """Return the running mean over about a twentieth of the curve, shorter at its ends."""
    reach = max(1, len(values) // 40)
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [math.fsum(window) / len(window) for window in windows]
