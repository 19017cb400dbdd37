"""What is sent to Dask: two plain values, and the name of this function.

The scheduler imports this module too, so it brings nothing along that computes.
"""

from functools import cache
from importlib import import_module
from typing import Any

from ..contract.errors import LandslideError
from ..core.access import restrict_drivers, restrict_network
from ..core.gdal_options import set_up_gdal


def compute_unit(folder: str, number: int) -> dict[str, Any]:
    """Compute a unit of a map in a worker of Dask, into the map's journal.

    Args:
        folder: the journal, with the order in it.
        number: of the unit.

    Returns:
        `worker`, its address; and `warnings`, what was warned of, or `refused`, the sentence that
        says why nothing was computed.
    """
    from distributed import get_worker

    worker = get_worker().address
    try:
        get_ready()
        from .unit_work import compute

        return {"worker": worker, "warnings": compute(folder, number)}
    except LandslideError as error:
        return {"worker": worker, "refused": str(error)}


@cache
def get_ready() -> None:
    """Set GDAL up as in the engine's own process, and import what computes, once."""
    set_up_gdal()
    restrict_drivers()
    restrict_network()
    import_module(".unit_work", __package__)
