"""Labelled image patches for training: cut from stacks, or imported from public data sets."""
