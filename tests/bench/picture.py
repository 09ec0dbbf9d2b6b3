# SPDX-License-Identifier: MIT
"""The picture: each start is a dot, on one scale for all programs; below, the burst over time."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .figures import Figure

LEFT, WIDTH, ROW, TOP = 250, 620, 26, 34
BURST = 220
TITLE = "Starts in milliseconds; each run is a dot, the bar is the median"
STYLE = (
    "text{font:13px sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}"
    ".axis{stroke:#d0d7de}.dot{fill:#0969da;fill-opacity:.35}.middle{stroke:#cf222e;stroke-width:2}"
    ".launched{fill:none;stroke:#0969da;stroke-width:2}.served{fill:none;stroke:#1a7f37;"
    "stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#8d96a0}.axis{stroke:#30363d}"
    ".dot{fill:#4493f8}}"
)


def draw(found: list[Figure], machine: dict[str, str]) -> str:
    """Draw the figures in milliseconds that begin with a fork."""
    rows = [one for one in found if one.unit == "ms" and "fork to" in one.name]
    values = [value for row in rows for value in row.values if value > 0] or [1.0]
    low, high = floor(log10(min(values))), ceil(log10(max(values)) + 1e-9)
    starts = TOP + ROW * len(rows) + 44
    curves = [one for one in found if one.name.endswith(", each job")]
    height = starts + (BURST if curves else 0)

    def x(value: float) -> float:
        return LEFT + WIDTH * (log10(value) - low) / max(1, high - low)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 90} {height}">',
        f"<style>{STYLE}</style>",
        f'<text x="10" y="20">{TITLE}</text>',
    ]
    for power in range(low, high + 1):
        at = x(10.0**power)
        lines.append(
            f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{starts - 34}"/>'
        )
        lines.append(
            f'<text class="small" x="{at:.1f}" y="{starts - 20}" text-anchor="middle">'
            f"{10.0**power:g}</text>"
        )
    for number, row in enumerate(rows):
        lines += strip(row, x, TOP + ROW * number + ROW // 2)
    if curves:
        lines += over_time(curves, starts + 24)
    said = ", ".join(f"{name}: {value}" for name, value in machine.items())
    lines.append(f'<text class="small" x="10" y="{height - 4}">{escape(said)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def strip(row: Figure, x: Callable[[float], float], y: int) -> list[str]:
    """Draw one row."""
    middle = median(row.values)
    at = x(middle)
    return [
        f'<text x="10" y="{y + 5}">{escape(row.name)}</text>',
        *(f'<circle class="dot" cx="{x(value):.1f}" cy="{y}" r="4"/>' for value in row.values),
        f'<line class="middle" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 9}" y2="{y + 9}"/>',
        f'<text class="small" x="{x(max(row.values)) + 10:.1f}" y="{y + 4}">{middle:.2f}</text>',
    ]


def over_time(curves: list[Figure], top: int) -> list[str]:
    """Draw how many jobs were launched and served, second by second."""
    last = max(max(curve.values) for curve in curves)
    jobs = max(len(curve.values) for curve in curves)
    bottom = top + BURST - 70

    def point(seconds: float, number: int) -> str:
        return f"{LEFT + WIDTH * seconds / last:.1f},{bottom - (bottom - top) * number / jobs:.1f}"

    lines = [f'<text x="10" y="{top - 4}">{jobs} jobs at once: launched and served</text>']
    lines.append(
        f'<line class="axis" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{bottom}" y2="{bottom}"/>'
    )
    for number, curve in enumerate(curves):
        what = curve.name.removeprefix("burst: ").removesuffix(", each job")
        points = " ".join(point(at, count + 1) for count, at in enumerate(sorted(curve.values)))
        lines.append(f'<polyline class="{what}" points="{point(0, 0)} {points}"/>')
        y = top + 24 + 20 * number
        lines.append(f'<polyline class="{what}" points="10,{y - 4} 30,{y - 4}"/>')
        last_at = f"{max(curve.values):.0f} s"
        lines.append(f'<text x="38" y="{y}">{what}: the last after {last_at}</text>')
    lines.append(
        f'<text class="small" x="{LEFT + WIDTH}" y="{bottom + 14}" text-anchor="end">'
        f"{last:.0f} s</text>"
    )
    return lines
