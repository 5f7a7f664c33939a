"""One trial: its configuration, the training loop, checkpoints."""
