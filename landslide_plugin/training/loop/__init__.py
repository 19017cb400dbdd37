"""The training itself: network, loss, steps, checkpoints."""
