"""Pages, pictures and tables that people read."""
