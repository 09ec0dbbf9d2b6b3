# SPDX-License-Identifier: MIT
"""The picture of the starts: each run is a dot, on one scale for all programs."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .figures import Figure

LEFT, WIDTH, ROW, TOP = 250, 620, 26, 34
TITLE = "Starts in milliseconds; each run is a dot, the bar is the median"
STYLE = (
    "text{font:13px sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}"
    ".axis{stroke:#d0d7de}.dot{fill:#0969da;fill-opacity:.35}.middle{stroke:#cf222e;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#8d96a0}.axis{stroke:#30363d}"
    ".dot{fill:#4493f8}}"
)


def draw(found: list[Figure], machine: dict[str, str]) -> str:
    """Draw the figures in milliseconds that begin with a fork."""
    rows = [one for one in found if one.unit == "ms" and "fork to" in one.name]
    values = [value for row in rows for value in row.values if value > 0] or [1.0]
    low, high = floor(log10(min(values))), ceil(log10(max(values)) + 1e-9)
    height = TOP + ROW * len(rows) + 44

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
            f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{height - 34}"/>'
        )
        lines.append(
            f'<text class="small" x="{at:.1f}" y="{height - 20}" text-anchor="middle">'
            f"{10.0**power:g}</text>"
        )
    for number, row in enumerate(rows):
        lines += strip(row, x, TOP + ROW * number + ROW // 2)
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
