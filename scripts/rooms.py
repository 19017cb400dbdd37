"""Draws the rooms and what each imports: `python -m scripts.rooms` writes docs/rooms.svg.

It tells how many rooms, floors and arrows there are, and which arrows go up. Drawn are only the
arrows that no way over other rooms stands for: what a room may know is all that can be reached.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "landslide_plugin"
PICTURE = ROOT / "docs" / "rooms.svg"

FLOORS = (
    {"contract"},
    {"core", "request.py"},
    {"outputs"},
    {"answer.py", "setup", "vector"},
    {"engine_lookup.py", "models"},
    {"engine_process.py", "raster"},
    {"inventory", "processing_algorithms", "reports", "samples"},
    {"evaluation", "factors", "inference", "provider.py"},
    {"chain", "demo", "gui.py", "training"},
    {"plugin.py"},
)
"""Rooms from the ground up: folders, and the files that stand alone. Imports only go down."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

FILES = {room for room in FLOOR if room.endswith(".py")}
QGIS = {"processing_algorithms", *FILES} - {"answer.py", "request.py"}
BOTH = {"contract", "core", "outputs", "setup"}
COLOURS = {"QGIS's Python": "#dbe9f6", "both": "#ece5f5", "the engine's Python": "#e3f1df"}
WIDTH, HIGH, ROW, BOX = 900, 34, 84, 118
"""Pixels of the picture's width, of a box's height, from floor to floor, and of a box's width."""


def room_of(file: Path) -> str:
    """Return the room that a file of the project stands in."""
    inside = file.relative_to(ENGINE if file.is_relative_to(ENGINE) else ROOT)
    return inside.parts[0]


def sources() -> list[Path]:
    """Return the files of all rooms."""
    folders = (ENGINE, ROOT / "models", ROOT / "processing_algorithms")
    return [file for folder in folders for file in sorted(folder.rglob("*.py"))]


def imports(file: Path) -> Iterator[tuple[int, Path | str]]:
    """Yield each import's line, and the file of this project or the package that is imported."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package, *inside = names = (node.module or "").split(".")
            if not node.level and package != "landslide_mapper":
                yield node.lineno, package
                continue
            base = file.parents[node.level - 1].joinpath(*names)
            if not node.level:
                base = ROOT.joinpath(*inside)
            for alias in node.names:
                files = (base / f"{alias.name}.py", base.with_suffix(".py"), base / "__init__.py")
                yield node.lineno, next(path for path in files if path.is_file())


def arrows() -> dict[str, set[str]]:
    """Return each room and the rooms that it imports from."""
    drawn: dict[str, set[str]] = {room: set() for room in FLOOR}
    for file in sources():
        if (room := room_of(file)) in FLOOR:
            others = {room_of(path) for _, path in imports(file) if isinstance(path, Path)}
            drawn[room] |= (others & set(FLOOR)) - {room}
    return drawn


def reached(room: str, below: Mapping[str, set[str]]) -> set[str]:
    """Return the rooms that can be reached from one by going down."""
    return below[room] | {far for near in below[room] for far in reached(near, below)}


def picture(below: Mapping[str, set[str]]) -> str:
    """Return the drawing, as SVG.

    Args:
        below: what `arrows` returns; none goes up.
    """
    at = _positions(below)
    height = ROW * len(FLOORS) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<g fill="none" stroke="#999" stroke-width="1.2">',
    ]
    for room, others in sorted(below.items()):
        for other in sorted(others):
            if not any(other in reached(near, below) for near in others):
                lines.append(_arrow(at[room], at[other]))
    lines.append("</g>")
    lines += [_box(room, *at[room]) for room in sorted(at, key=lambda room: at[room][::-1])]
    for number, (title, colour) in enumerate(COLOURS.items()):
        left = 20 + 150 * number
        lines.append(
            f'<rect x="{left}" y="{height - 26}" width="14" height="14" fill="{colour}" '
            f'stroke="#777"/><text x="{left + 20}" y="{height - 14}" text-anchor="start">'
            f"{title}</text>"
        )
    return "\n".join([*lines, "</svg>", ""])


def _positions(below: Mapping[str, set[str]]) -> dict[str, tuple[float, float]]:
    """Return each box's middle; a room stands near the middle of those that it is tied to."""
    tied = {
        room: below[room] | {other for other, others in below.items() if room in others}
        for room in below
    }
    order = [sorted(rooms) for rooms in FLOORS]
    for _ in range(8):
        x = {room: middle for row in order for room, middle in zip(row, _spread(row), strict=True)}
        order = [
            sorted(row, key=lambda room: sum(x[tie] for tie in tied[room]) / len(tied[room]))
            for row in order
        ]
    return {
        room: (left, ROW * (len(order) - number) - 50)
        for number, row in enumerate(order)
        for room, left in zip(row, _spread(row), strict=True)
    }


def _spread(row: list[str]) -> list[float]:
    return [WIDTH * (number + 0.5) / len(row) for number in range(len(row))]


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    top, foot = y + HIGH / 2, to_y - HIGH / 2
    bend = (foot - top) / 2
    aside = BOX if to_y - y > ROW and abs(to_x - x) < BOX else 0  # past the box between
    return (
        f'<path d="M{x:.0f} {top:.0f}C{x + aside:.0f} {top + bend:.0f} '
        f'{to_x + aside:.0f} {foot - bend:.0f} {to_x:.0f} {foot:.0f}"/>'
    )


def _box(room: str, x: float, y: float) -> str:
    sides = {"QGIS's Python": QGIS, "both": BOTH}
    side = next((name for name, rooms in sides.items() if room in rooms), "the engine's Python")
    width = max(BOX, 7.6 * len(room))
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{width:.0f}" height="{HIGH}" '
        f'rx="4" fill="{COLOURS[side]}" stroke="#777"/>'
        f'<text id="{room}" x="{x:.0f}" y="{y + 5:.0f}">{room}</text>'
    )


def main() -> int:
    """Write the picture and tell the numbers."""
    below = arrows()
    up = [
        f"{room} imports {other}"
        for room, others in below.items()
        for other in others
        if FLOOR[other] >= FLOOR[room]
    ]
    count = sum(map(len, below.values()))
    print(f"{len(FLOOR)} rooms on {len(FLOORS)} floors, {count} arrows, {len(up)} of them up.")
    if up:
        print("\n".join(up))
        return 1
    PICTURE.write_text(picture(below), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
