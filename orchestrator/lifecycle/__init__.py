"""What becomes of a trial: its messages, its states, early stopping, faults, other attempts."""
