"""MLflow's registry of models: how one gets in, and how it is found."""
