"""A campaign's folder and settings: what is written, by whom, and what may be deleted."""
