"""The fields of the configurations that change no output."""

# Beam writes the same bytes.
HOW_TO_PREPARE = {"beam_python", "beam_options"}
# What of the configurations no trial and no training depends on.
NOT_TRIED = {
    "keep_checkpoints",
    "save_freq",
    "early_stopping_patience",
    "monitor",
    "gradient_frequency",
    "activation_frequency",
    "on_finding",
    "distribution",
    "sharding",
}
NOT_OF_A_TRIAL = {"max_trials", "algorithm", "space", "workers", "deadline", "factor"}
