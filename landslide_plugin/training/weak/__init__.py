"""Training from image labels: which images hold a landslide, not where."""
