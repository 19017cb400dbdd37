"""The models that ship: their data, training, figures and cards."""
