"""Answers from a campaign's trials. Needs neither torch nor a cluster; `nrtune.open_campaign` is where to begin."""
