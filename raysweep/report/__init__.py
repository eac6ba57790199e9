"""Reports of a sweep: its data, figures and pages, from the store or from MLflow."""
