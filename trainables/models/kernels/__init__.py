"""Fast ways to compute what networks spend their time on."""
