"""What a campaign's folder holds, read back: records of trials, predictions, what they cost."""
