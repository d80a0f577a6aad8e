"""Networks from the literature, each built by one function, and their registry."""

from dlkeras.architectures.alexnet import alexnet as alexnet
from dlkeras.architectures.features import feature_extractor as feature_extractor
from dlkeras.architectures.googlenet import googlenet as googlenet
from dlkeras.architectures.lenet import lenet5 as lenet5
from dlkeras.architectures.map_loss import MaximumAPosteriori as MaximumAPosteriori
from dlkeras.architectures.presets import Preset as Preset
from dlkeras.architectures.presets import from_preset as from_preset
from dlkeras.architectures.presets import save_preset as save_preset
from dlkeras.architectures.registry import create as create
from dlkeras.architectures.registry import names as names
from dlkeras.architectures.registry import register as register
from dlkeras.architectures.resnet import resnet18 as resnet18
from dlkeras.architectures.resnet import resnet20 as resnet20
from dlkeras.architectures.resnet import resnet32 as resnet32
from dlkeras.architectures.resnet import resnet34 as resnet34
from dlkeras.architectures.resnet import resnet44 as resnet44
from dlkeras.architectures.resnet import resnet50 as resnet50
from dlkeras.architectures.resnet import resnet56 as resnet56
from dlkeras.architectures.resnet import resnet101 as resnet101
from dlkeras.architectures.resnet import resnet110 as resnet110
from dlkeras.architectures.resnet import resnet152 as resnet152
from dlkeras.architectures.summary import LayerSummary as LayerSummary
from dlkeras.architectures.summary import SummaryTable as SummaryTable
from dlkeras.architectures.summary import summary_table as summary_table
from dlkeras.architectures.weights.files import WeightFileError as WeightFileError
from dlkeras.architectures.weights.loading import load_weights_from as load_weights_from
from dlkeras.architectures.weights.shipped import pretrained_card as pretrained_card
from dlkeras.architectures.weights.shipped import (
    pretrained_names as pretrained_names,
)
