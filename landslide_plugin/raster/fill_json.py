"""Undeclared fill as JSON, for processes that read a raster which another one has searched."""

from base64 import b64decode, b64encode
from typing import Any

from rasterio.windows import Window

from .fill import Collar, Fill
from .pieces import PackedMask


def to_json(fill: Fill | None) -> dict[str, Any] | None:
    """Return fill as what JSON knows; None where there is none."""
    if not fill:
        return None
    return {
        "voids": [[band, list(counts.items())] for band, counts in fill.voids.items()],
        "limits": [[band, *limits] for band, limits in fill.limits.items()],
        "collars": [
            {
                "bands": collar.bands,
                "low": collar.low,
                "high": collar.high,
                "mask": _of_mask(collar.mask),
                "count": collar.count,
            }
            for collar in fill.collars
        ],
        "pixels": fill.pixels,
    }


def from_json(told: dict[str, Any] | None) -> Fill | None:
    """Return what `to_json` was given."""
    if told is None:
        return None
    return Fill(
        voids={band: dict(counts) for band, counts in told["voids"]},
        limits={band: (low, high, count) for band, low, high, count in told["limits"]},
        collars=[
            Collar(
                **{**collar, "bands": tuple(collar["bands"]), "mask": _to_mask(**collar["mask"])}
            )
            for collar in told["collars"]
        ],
        pixels=told["pixels"],
    )


def _of_mask(mask: PackedMask) -> dict[str, Any]:
    return {
        "window": [int(number) for number in mask.window.flatten()],
        "rows": mask.rows,
        "blocks": [b64encode(block).decode() for block in mask.blocks],
    }


def _to_mask(window: list[int], rows: int, blocks: list[str]) -> PackedMask:
    return PackedMask(Window(*window), rows, tuple(map(b64decode, blocks)))
