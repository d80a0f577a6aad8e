"""Parameters and multiply-adds of every network equal the published integers."""

import pytest
from published import built, operations, parameters

from dlkeras.architectures import summary_table

V1_5, V2 = {"version": "v1.5"}, {"version": "v2"}
BATCH = {"normalization": "batch"}
AUXILIARY = {"auxiliary": True}

# Parameters of ResNeXt-50 32x4d and Wide ResNet-50-2: torchvision's page of models
# (4.23 and 11.4 GFLOPS there); of ResNet-50-D and SE-ResNet-50: timm's results, whose
# 4.35 and 4.11 GMACs have 0.02 more for what is no product, as for its ResNet-50.
VARIANTS = [
    (
        "resnet50",
        {**V1_5, "groups": 32, "width_per_group": 4},
        25_028_904,
        4.23e9,
    ),
    ("resnet50", {**V1_5, "width_per_group": 128}, 68_883_240, 11.40e9),
    ("resnet50", {**V1_5, "stem": "deep", "shortcut": "D"}, 25_576_264, 4.33e9),
    ("resnet50", {**V1_5, "reduction_ratio": 16}, 28_088_024, 4.09e9),
]

# Convolutions, dense layers, biases, scales and shifts at the papers' inputs.
COUNTS = [
    ("lenet5", {"version": "1998"}, 60_000, 325_680),
    ("lenet5", {}, 61_706, 416_520),
    ("alexnet", {}, 60_965_224, 724_406_816),
    ("alexnet", {"version": "table"}, 62_378_344, 1_139_124_224),
    ("alexnet", {"version": "2014"}, 61_100_840, 714_188_480),
    ("googlenet", {}, 6_998_552, 1_582_671_872),
    ("googlenet", AUXILIARY, 13_378_280, 1_591_044_096),
    ("googlenet", BATCH, 7_005_832, 1_582_671_872),
    ("resnet18", {}, 11_689_512, 1_814_073_344),
    ("resnet34", {}, 21_797_672, 3_663_761_408),
    ("resnet50", {}, 25_557_032, 3_857_973_248),
    ("resnet101", {}, 44_549_160, 7_570_194_432),
    ("resnet152", {}, 60_192_808, 11_282_415_616),
    ("resnet50", V1_5, 25_557_032, 4_089_184_256),
    ("resnet101", V1_5, 44_549_160, 7_801_405_440),
    ("resnet152", V1_5, 60_192_808, 11_513_626_624),
    ("resnet50", V2, 25_549_352, 4_089_184_256),
    ("resnet101", V2, 44_541_480, 7_801_405_440),
    ("resnet152", V2, 60_185_128, 11_513_626_624),
    *VARIANTS,
    ("resnet20", {}, 269_722, 40_551_040),
    # Every further block of a stage adds 2 convolutions of 9 * 16 * 16 weights on
    # 32x32 pixels, or as many multiply-adds on fewer pixels with more filters.
    ("resnet32", {}, 464_154, 40_551_040 + 2 * 6 * 9 * 16 * 16 * 32 * 32),
    ("resnet44", {}, 658_586, 40_551_040 + 4 * 6 * 9 * 16 * 16 * 32 * 32),
    ("resnet56", {}, 853_018, 40_551_040 + 6 * 6 * 9 * 16 * 16 * 32 * 32),
    ("resnet110", {}, 1_727_962, 252_887_680),
]


@pytest.mark.parametrize(
    ("name", "options", "expected_parameters", "expected_operations"),
    COUNTS,
    ids=["-".join([row[0], *map(str, row[1].values())]) for row in COUNTS],
)
def test_parameters_and_multiply_adds_are_the_published_ones(
    name, options, expected_parameters, expected_operations
):
    model = built(name, **options)
    assert parameters(model) == expected_parameters
    if isinstance(expected_operations, float):  # as printed, in units of 10 ** 7
        assert round(operations(model), -7) == expected_operations
    else:
        assert operations(model) == expected_operations


def test_multiply_adds_of_images_of_unknown_size_are_unknown():
    model = built("resnet20", input_shape=(None, None, 3))
    assert summary_table(model).multiply_adds is None
