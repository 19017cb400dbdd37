"""Trains networks on a folder of samples."""
