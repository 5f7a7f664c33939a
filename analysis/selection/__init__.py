"""Which trials win: use cases, and the Pareto front of several objectives."""
