"""MLflow's database: made whole, waited for, found again after a move."""
