"""Trackers: one file each, its name is the registered name."""
