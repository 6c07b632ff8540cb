"""Bar and line charts as SVG, with the spread of each value; nothing but text is needed to draw or to show them."""

import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from perf.suite.spread import Spread
from perf.suite.spread import digits

WIDTH: Final = 760
MARGIN: Final = 16
LABEL_WIDTH: Final = 130
VALUE_WIDTH: Final = 150
ROW: Final = 19
BAR: Final = 12
TITLE: Final = 30
PANEL_TITLE: Final = 24
PLOT_HEIGHT: Final = 240
LEGEND_ROW: Final = 18
LABEL_ROOM: Final = 48
OURS: Final = "#0b7a55"
THEIRS: Final = "#9aa7b4"
INK: Final = "#1f2933"
FAINT: Final = "#d5dbe1"
LINES: Final = ("#0b7a55", "#c2571a", "#3a6ea5", "#7d4f9e")
CUT_OFF: Final = 3.0  # a bar this many times longer than the median one would make the others unreadable


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: Spread
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one scale below one title."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Series:
    label: str
    points: Sequence[tuple[float, Spread]]


def bar_chart(title: str, panels: Sequence[Panel]) -> str:
    parts, y = [_text(MARGIN, 20, title, size=15, weight="bold")], float(TITLE)
    for panel in panels:
        parts.extend(_panel(panel, y))
        y += PANEL_TITLE + ROW * len(panel.bars) + MARGIN / 2
    return _document(parts, y + MARGIN)


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series]) -> str:
    top, left = TITLE + MARGIN + LEGEND_ROW * len(series), MARGIN + 56
    width, bottom = WIDTH - left - 2 * MARGIN, top + PLOT_HEIGHT
    positions = sorted({x for line in series for x, _ in line.points})
    furthest = positions[-1] or 1.0
    highest = max(value.high for line in series for _, value in line.points) * 1.05 or 1.0

    def across(x: float) -> float:
        return left + width * x / furthest

    def down(y: float) -> float:
        return bottom - PLOT_HEIGHT * y / highest

    parts = [_text(MARGIN, 20, title, size=15, weight="bold"), _text(MARGIN, top - 8, y_label, size=11)]
    for step in range(5):
        mark = highest * step / 4
        parts.append(_line(left, down(mark), left + width, down(mark), FAINT))
        parts.append(_text(left - 6, down(mark) + 4, digits(mark), anchor="end", size=11))
    parts += [_text(across(x), bottom + 16, f"{x:,.0f}", anchor="middle", size=11) for x in _apart(positions, across)]
    parts.append(_text(left + width, bottom + 34, x_label, anchor="end", size=11))
    for number, line in enumerate(series):
        colour = LINES[number % len(LINES)]
        path = " ".join(f"{across(x):.1f},{down(value.median):.1f}" for x, value in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, value in line.points:
            parts.append(_line(across(x), down(value.low), across(x), down(value.high), colour))
            parts.append(f'<circle cx="{across(x):.1f}" cy="{down(value.median):.1f}" r="3" fill="{colour}"/>')
        y = TITLE + LEGEND_ROW * (number + 0.5)
        parts.append(_line(MARGIN, y - 4, MARGIN + 20, y - 4, colour, 3))
        parts.append(_text(MARGIN + 26, y, line.label, size=12))
    return _document(parts, bottom + 34 + MARGIN)


def _apart(positions: Sequence[float], across: Callable[[float], float]) -> Iterator[float]:
    """Those whose labels have room beside each other, the last among them."""
    limit = math.inf
    for x in reversed(positions):
        if across(x) <= limit:
            yield x
            limit = across(x) - LABEL_ROOM


def _panel(panel: Panel, y: float) -> Iterator[str]:
    left, room = MARGIN + LABEL_WIDTH, WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH
    scale = _scale([bar.value for bar in panel.bars])
    yield _text(MARGIN, y + 16, panel.title, size=13, weight="bold")
    for row, bar in enumerate(panel.bars):
        top = y + PANEL_TITLE + ROW * row
        middle, value = top + BAR / 2, bar.value
        length, low, high = (room * min(1.0, x / scale) for x in (value.median, value.low, value.high))
        weight = "bold" if bar.ours else "normal"
        yield _text(left - 8, top + BAR - 2, bar.label, anchor="end", weight=weight)
        yield (
            f'<rect x="{left}" y="{top:.1f}" width="{length:.1f}" height="{BAR}" '
            f'fill="{OURS if bar.ours else THEIRS}"/>'
        )
        yield _line(left + low, middle, left + high, middle, INK)
        beyond = " (cut off)" if value.median > scale else ""
        yield _text(left + max(length, high) + 6, top + BAR - 2, f"{value}{beyond}", size=11, weight=weight)


def _scale(values: Sequence[Spread]) -> float:
    """What the longest bar stands for."""
    ordered = sorted(value.median for value in values)
    middle = ordered[len(ordered) // 2]
    shown = [value.high for value in values if value.median <= CUT_OFF * middle]
    return max(shown, default=middle) or 1.0


def _document(parts: Sequence[str], height: float) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
