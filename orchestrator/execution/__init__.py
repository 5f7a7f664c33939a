"""Ray: the one Ray Tune run of a campaign, its workers, and what each of them gets."""
