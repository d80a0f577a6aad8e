"""What the policy asks of a configuration: the strength of each augmentation."""

from typing import Literal, Protocol


class AugmentationSettings(Protocol):
    """As the pipeline's `TransformConfig` has them; a strength of 0 is off."""

    height: int
    width: int
    scale: float
    offset: float
    augment: bool
    shift: float
    rotation: float
    zoom: float
    fill_mode: Literal["constant", "nearest", "reflect"]
    horizontal_flip: bool
    vertical_flip: bool
    crop_padding: int
    min_crop_area: float
    elastic: float
    elastic_sigma: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    auto_contrast: float
    noise: float
    erasing: float
    cutout: float
    rand_augment: int
    rand_augment_magnitude: float
    mixup: float
    cutmix: float
