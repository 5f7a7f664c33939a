"""Orchestration: the command line, campaigns, Ray Tune, Optuna and MLflow."""
