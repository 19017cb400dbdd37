"""Accuracy of a landslide map against a reference."""
