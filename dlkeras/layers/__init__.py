"""Layers, each exact to its paper and the same on every Keras backend."""

from dlkeras.layers import aspect as aspect
from dlkeras.layers.adaptive.affine_projection import (
    AffineProjectionFilter as AffineProjectionFilter,
)
from dlkeras.layers.adaptive.blind import BlindEqualizer as BlindEqualizer
from dlkeras.layers.adaptive.filtered_x import FilteredXLMSFilter as FilteredXLMSFilter
from dlkeras.layers.adaptive.frequency_domain import (
    FrequencyDomainFilter as FrequencyDomainFilter,
)
from dlkeras.layers.adaptive.lms import LMSFilter as LMSFilter
from dlkeras.layers.adaptive.rls import RLSFilter as RLSFilter
from dlkeras.layers.auxiliary import AuxiliaryClassifier as AuxiliaryClassifier
from dlkeras.layers.batch_normalization import BatchNormalization as BatchNormalization
from dlkeras.layers.convolution import Conv2D as Conv2D
from dlkeras.layers.grouped import GroupedConv2D as GroupedConv2D
from dlkeras.layers.inception import InceptionModule as InceptionModule
from dlkeras.layers.lenet import LENET5_C3_TABLE as LENET5_C3_TABLE
from dlkeras.layers.lenet import PartiallyConnectedConv2D as PartiallyConnectedConv2D
from dlkeras.layers.lenet import Subsampling2D as Subsampling2D
from dlkeras.layers.lenet import scaled_tanh as scaled_tanh
from dlkeras.layers.normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from dlkeras.layers.rbf import RBFOutput as RBFOutput
from dlkeras.layers.rbf import digit_bitmaps as digit_bitmaps
from dlkeras.layers.residual import BottleneckBlock as BottleneckBlock
from dlkeras.layers.residual import ResidualBlock as ResidualBlock
