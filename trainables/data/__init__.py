"""Data: lentiMPRA measurements and saturation mutagenesis variants, one byte a base."""
