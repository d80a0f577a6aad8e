"""What each step's output depends on, and what not: a change makes it anew.

First the fields of the configurations that change no output, then the modules.
"""

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

FIGURE_CODE = ("visualization",)
EXAMPLE_CODE = (
    "pipeline.example_digest",
    "pipeline.example_reading",
    "pipeline.image_decoding",
    "untrusted.images",
)
SOURCE_CODE = (
    "pipeline.example_gen",
    "pipeline.example_shards",
    "pipeline.sources",
    "pipeline.errors",  # the reasons why files are no examples
    "untrusted.archives",
    "untrusted.arrays",
    "untrusted.tables",
    "untrusted.tar_stream",
    "untrusted.zips",
    "datasets",
    *EXAMPLE_CODE,
)
SCHEMA_CODE = ("pipeline.image_schema", "pipeline.schema_metadata")
STATISTICS_CODE = (
    "pipeline.statistics_gen",
    "pipeline.statistics_page",
    "pipeline.near_duplicates",
    *EXAMPLE_CODE,
    *FIGURE_CODE,
)
TRAINING_CODE = (
    "pipeline.augmentation",
    "pipeline.input_pipeline",
    "pipeline.resizing",
    "pipeline.network",
    "pipeline.soft_labels",
    *EXAMPLE_CODE,
    "pipeline.transfer_source",
    "architectures",
    "layers",
    "transfer_learning",
)
TUNER_CODE = (
    "pipeline.tuner",
    "pipeline.trials",
    "pipeline.search_spaces",
    *TRAINING_CODE,
)
TRAINER_CODE = (
    "pipeline.trainer",
    "pipeline.distribution",
    "pipeline.jax_training",
    "pipeline.batch_feeding",
    "pipeline.file_sharding",
    "pipeline.multi_worker_fit",
    "pipeline.train_state",
    "pipeline.monitoring",
    "callbacks",
    "pipeline.search_spaces",
    *TRAINING_CODE,
    *FIGURE_CODE,
)
EVALUATION_CODE = (
    "pipeline.evaluator",
    *EXAMPLE_CODE,
    "pipeline.input_pipeline",
    "pipeline.resizing",
    "pipeline.cost_of_answers",
    "pipeline.robustness",
    "pipeline.slices",
    "pipeline.uncertainty",
)
TRANSFORM_CODE = (
    "pipeline.transform",
    "pipeline.augmentation",
    "pipeline.input_pipeline",
    "pipeline.resizing",
    *EXAMPLE_CODE,
    *FIGURE_CODE,
)
