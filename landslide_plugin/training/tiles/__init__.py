"""Tiles as the network sees them: cut, turned, lit."""
