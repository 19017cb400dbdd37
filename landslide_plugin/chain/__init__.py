"""The whole chain in one call: from image and DEM to inventory."""
