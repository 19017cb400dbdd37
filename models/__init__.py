"""Networks (one file an architecture), their registry and the model file format."""
