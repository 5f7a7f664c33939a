"""Where trials are read from: a campaign's folder, MLflow, Parquet, the published table."""
