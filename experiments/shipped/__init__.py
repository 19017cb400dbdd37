"""The models that ship: their data, figures and cards."""
