"""Predictions of trained models for sequences and variants."""
