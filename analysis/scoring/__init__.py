"""Predictions of any model in files, scored as trials are."""
