"""Which factors tell landslides from other ground."""
