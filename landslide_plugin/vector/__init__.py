"""Vector layers: read, repaired, written."""
