"""Inference: overlapping windows and blending, semantic prediction, instance detection."""
