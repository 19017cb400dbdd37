"""The landslide inventory: polygons from rasters, and their attributes."""
