"""A synthetic demo area: terrain, geology, image and landslides, generated from a seed."""
