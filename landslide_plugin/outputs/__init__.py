"""Outputs that are whole or not there, and whose they are while a run writes them."""
