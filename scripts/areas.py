"""A western part to train in, an eastern part to measure in."""

from pathlib import Path

import geopandas as gpd
import rasterio
from shapely import box


def split_area(raster: str | Path, fraction: float, out: Path) -> tuple[Path, Path]:
    """Write the western `fraction` of a raster's extent, and the rest, as polygon layers."""
    with rasterio.open(raster) as dataset:
        (left, bottom, right, top), crs = dataset.bounds, dataset.crs
    middle = left + fraction * (right - left)
    paths = out / "west.gpkg", out / "east.gpkg"
    for path, x0, x1 in zip(paths, (left, middle), (middle, right), strict=True):
        frame = gpd.GeoDataFrame(geometry=[box(x0, bottom, x1, top)], crs=crs)
        frame.to_file(path, dataset_options={"VERSION": "1.3"})
    return paths
