"""MLflow: runs, models, pages, the registry. It shows what the campaign's folder holds."""
