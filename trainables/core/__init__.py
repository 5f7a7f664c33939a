"""What every room of this package stands on: errors, files, randomness, registries."""
