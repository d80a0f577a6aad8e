"""The main job: LeNet-5 on real handwritten digits, from raw images to the registry.

    python pipelines/lenet5_digits.py
    python pipelines/lenet5_digits.py --trainer.epochs 5 --no-tuner
    python pipelines/lenet5_digits.py --help

Copy this file to start a pipeline of your own.
"""

from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransformConfig,
    TunerConfig,
    main,
)

CONFIG = PipelineConfig(
    name="lenet5_digits",
    example_gen=ExampleGenConfig(dataset="digits"),
    transform=TransformConfig(height=32, width=32, shift=0.08, rotation=12, zoom=0.12),
    tuner=TunerConfig(max_trials=3, epochs=2),
    trainer=TrainerConfig(architecture="lenet5", epochs=40, batch_size=32),
    evaluator=EvaluatorConfig(min_accuracy=0.96),
)

if __name__ == "__main__":
    raise SystemExit(main(CONFIG))
