"""Influencing factors: terrain, spectral indices, streams, distances, classes, and their stack."""
