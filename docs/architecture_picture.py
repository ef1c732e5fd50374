"""The picture of the architecture, drawn from `layers` and from the imports that the files have: ``make figures``."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

from layers import LAYERS, SLICER, SPOKEN_OF, arrows, layer_of, library_files

PICTURE = Path(__file__).parent / "figures" / "architecture.svg"

_WIDTH, _HEIGHT, _LINE, _GAP = 640, 42, 17, 22
_LEFT, _TOP, _MARGIN = 12, 12, 250
_COLOURS = (
    "#546e7a", "#1e88e5", "#00897b", "#7cb342", "#c0a000", "#fb8c00", "#e53935", "#8e24aa",
    "#5e35b1", "#6d4c41", "#37474f", "#00838f", "#2e7d32", "#ad1457", "#4527a0", "#5d4037",
)  # fmt: skip


def _rows() -> list[tuple[str, str, str]]:
    """Name, purpose and files of every box, from the top down."""
    boxes = [(SLICER, "panel, jobs, scene, comparison; starts the command line as a process", "SRDynamicMRISlicer/")]
    for layer, purpose in reversed(LAYERS.items()):
        files = [file for file in library_files() if layer_of(file) == layer and file.name != "__init__.py"]
        names = [
            file.stem if layer != SPOKEN_OF and len(file.parts) < 3 else file.with_suffix("").as_posix()
            for file in files
        ]
        boxes.append((layer, purpose, ", ".join(names)))
    return boxes


def drawing() -> str:
    """The picture as SVG: a box for every layer, and an arrow from each to every one that it imports.

    Arrows down are on the right, those against the direction on the left and dashed.
    """
    left, y = _LEFT + 60, _TOP
    place: dict[str, int] = {}
    middle: dict[str, float] = {}
    boxes = []
    for number, (name, purpose, files) in enumerate(_rows()):
        text = textwrap.wrap(files, 82)
        height, colour = _HEIGHT + _LINE * len(text), _COLOURS[number]
        place[name], middle[name] = number, y + height / 2
        boxes += [
            f'<rect x="{left}" y="{y}" width="{_WIDTH}" height="{height}" rx="6" fill="{colour}" fill-opacity="0.10" '
            f'stroke="{colour}"/>',
            f'<text x="{left + 12}" y="{y + 24}"><tspan font-weight="bold">{escape(name)}</tspan>'
            f'<tspan dx="10" fill="#555">{escape(purpose)}</tspan></text>',
        ]
        boxes += [
            f'<text x="{left + 12}" y="{y + 45 + _LINE * line}" font-size="12" font-family="monospace">'
            f"{escape(words)}</text>"
            for line, words in enumerate(text)
        ]
        y += height + _GAP
    width, height = left + _WIDTH + _MARGIN, y - _GAP + _TOP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        "<title>Layers of SRDynamicMRI; an arrow leads from a layer to one that it imports</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
        '<path d="M0,0 L9,4 L0,8 z" fill="context-stroke"/></marker></defs>',
        *boxes,
    ]
    for first, second in sorted(arrows(), key=lambda pair: (place[pair[0]], place[pair[1]])):
        lines.append(_arrow(first, second, place, middle, left))
    return "\n".join([*lines, "</svg>", ""])


def _arrow(first: str, second: str, place: dict[str, int], middle: dict[str, float], left: int) -> str:
    """Arc from the first layer's box to the second's, wider the further they are apart."""
    steps = place[second] - place[first]
    outgoing, incoming = middle[first] + 4 + 2.0 * abs(steps), middle[second] - 4 - 2.0 * abs(steps)
    side, direction, dashes = (left + _WIDTH, 1, "") if steps > 0 else (left, -1, ' stroke-dasharray="5 4"')
    if steps < 0:
        outgoing, incoming = middle[first] - 6, middle[second] + 6
    reach = side + direction * (28 + 24 * abs(steps))
    return (
        f'<path data-arrow="{escape(first)}|{escape(second)}" '
        f'd="M{side},{outgoing:g} C{reach},{outgoing:g} {reach},{incoming:g} {side + direction * 2},{incoming:g}" '
        f'fill="none" stroke="{_COLOURS[place[first]]}" stroke-width="1.4"{dashes} marker-end="url(#head)"/>'
    )


def drawn_arrows(svg: str) -> set[tuple[str, str]]:
    """Pairs of layers that a picture joins with an arrow."""
    return {(first, second) for first, second in re.findall(r'data-arrow="([^"|]+)\|([^"]+)"', svg)}


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
