"""The report of a campaign, as HTML and Markdown."""
