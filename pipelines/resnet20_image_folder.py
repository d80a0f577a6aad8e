"""ResNet-20 on a folder of photographs, CLASS/*.jpg or train|test/CLASS/*.jpg.

    python pipelines/resnet20_image_folder.py --example-gen.image-folder FOLDER
    python pipelines/resnet20_image_folder.py --example-gen.image-folder photos.tar.xz

The augmentation is that of He et al. (2015) on CIFAR-10: 4 pixels of padding, a crop of
32x32, half of the images mirrored. On 10,000 photographs of CIFAR-10's ten classes (a
sixth of its training images, as JPEG) it has reached 0.721 test accuracy with seed 0.
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
    name="resnet20_image_folder",
    example_gen=ExampleGenConfig(
        image_folder=Path("photos"), validation_fraction=0.1, on_error="quarantine"
    ),
    transform=TransformConfig(
        height=32,
        width=32,
        scale=1 / 64,  # raw pixels to -2 to 2: photographs have a deviation of about 64
        offset=-2.0,
        shift=0.0,
        rotation=0.0,
        zoom=0.0,
        crop_padding=4,
        horizontal_flip=True,
    ),
    tuner=TunerConfig(enabled=False),
    trainer=TrainerConfig(
        architecture="resnet20", epochs=15, batch_size=64, learning_rate=3e-3
    ),
    evaluator=EvaluatorConfig(min_accuracy=0.68),
)

if __name__ == "__main__":
    raise SystemExit(main(CONFIG))
