"""Variant benchmarks: measured effects of sequence variants that trials are scored on."""
