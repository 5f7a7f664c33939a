"""Ray: the one Ray Tune run of a campaign, its workers, and what each of them gets."""

import os

# Set before Ray is imported: no reports of usage, no loggers beside ours, trials stay in the driver's folder, and
# Ctrl-C comes to us.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
os.environ["TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S"] = "0"
os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "10000"  # the searcher says how many; else workers start one by one
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # its banner ignores verbose=0
