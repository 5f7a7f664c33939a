"""What is proposed next: families, samplers, the allocation between families, objectives."""
