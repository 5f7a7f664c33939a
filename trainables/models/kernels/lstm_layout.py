"""How the LSTM's kernels divide their work."""

UNITS = 64
"""Hidden units a program of the kernels: as many programs as there are blocks of them need one another at each step."""
