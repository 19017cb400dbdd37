"""What predict and detect begin with: the stack, and its fit to the model."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...models.model_card import ModelCard
from ..core.progress import Progress
from ..raster import Source
from ..raster.grid import require_north_up
from ..raster.heights import require_metres
from ..raster.undeclared import mark_fill
from .sizes import check_resolution
from .windows import Reader


@contextmanager
def open_stack(
    path: str, card: ModelCard, progress: Progress, fill: str = "keep"
) -> Iterator[Source]:
    """Open the stack, and warn where its pixels are of another size than the model's.

    Args:
        path: the stack.
        card: the model's.
        progress: where to warn.
        fill: see `mark_fill`.
    """
    with Source.open(path, what="stack", need_crs=False) as source:
        if source.grid.crs is None:
            progress.warning(f"{path} has no CRS: lengths and areas are counted in pixels.")
        else:
            require_north_up(source.grid.transform, path)
            require_metres(source)
            check_resolution(source.grid, card, progress)
        mark_fill([source], fill, progress, bands=[b for b in source.bands if b in card.bands])
        yield source


def warn_if_far(reader: Reader, progress: Progress) -> None:
    """Warn of bands whose values lie far from those that the model was trained on."""
    far = reader.far_bands()
    if far:
        named = ", ".join(f"{band} ({mean:+.0f})" for band, mean in far.items())
        progress.warning(
            "The stack lies far from what the model was trained on, in standard deviations: "
            f"{named}; check the units and the order of the bands, the result may be poor."
        )
