"""Campaigns: what a search, a study and a replication train, checked before anything starts."""
