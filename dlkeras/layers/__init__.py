"""Layers that follow their papers exactly, and compute the same on every backend.

Adaptive filters, with products a sample for L taps:

| Filter | Paper | Products | Take it when |
|---|---|---|---|
| LMSFilter | Widrow and Hoff 1960 | 2 L | the input is white, its power known |
| LMSFilter, "nlms" | Nagumo and Noda 1967 | 2 L | the first to try |
| AffineProjectionFilter | Ozeki and Umeda 1984 | (K² + 2 K) L + K³ | it is coloured |
| RLSFilter | Haykin, table 10.1 | 5 L² | it is coloured, and time is short |
| FrequencyDomainFilter | Soo and Pang 1990 | FFTs | thousands of taps |
| FilteredXLMSFilter | Burgess 1981 | 3 L + paths | a loudspeaker is in the loop |
| BlindEqualizer | Godard 1980 | 2 L | there is no training sequence |
| VolterraFilter | Koh and Powers 1985 | 1.5 L² | the system adds products |
| KernelLMSFilter | Chen et al. 2012 | L a centre | all that is known is smooth |

The page "Adaptive filters: which one" of the documentation has all variants.
"""

from dlkeras.layers import aspect as aspect
from dlkeras.layers.adaptive.filters.affine_projection import (
    AffineProjectionFilter as AffineProjectionFilter,
)
from dlkeras.layers.adaptive.filters.blind import BlindEqualizer as BlindEqualizer
from dlkeras.layers.adaptive.filters.filtered_x import (
    FilteredXLMSFilter as FilteredXLMSFilter,
)
from dlkeras.layers.adaptive.filters.frequency_domain import (
    FrequencyDomainFilter as FrequencyDomainFilter,
)
from dlkeras.layers.adaptive.filters.kernel_lms import (
    KernelLMSFilter as KernelLMSFilter,
)
from dlkeras.layers.adaptive.filters.lms import LMSFilter as LMSFilter
from dlkeras.layers.adaptive.filters.rls import RLSFilter as RLSFilter
from dlkeras.layers.adaptive.filters.volterra import VolterraFilter as VolterraFilter
from dlkeras.layers.batch_normalization import BatchNormalization as BatchNormalization
from dlkeras.layers.blocks.auxiliary import AuxiliaryClassifier as AuxiliaryClassifier
from dlkeras.layers.blocks.inception import InceptionModule as InceptionModule
from dlkeras.layers.blocks.residual import BottleneckBlock as BottleneckBlock
from dlkeras.layers.blocks.residual import ResidualBlock as ResidualBlock
from dlkeras.layers.convolution import Conv2D as Conv2D
from dlkeras.layers.grouped import GroupedConv2D as GroupedConv2D
from dlkeras.layers.lenet import LENET5_C3_TABLE as LENET5_C3_TABLE
from dlkeras.layers.lenet import PartiallyConnectedConv2D as PartiallyConnectedConv2D
from dlkeras.layers.lenet import Subsampling2D as Subsampling2D
from dlkeras.layers.lenet import scaled_tanh as scaled_tanh
from dlkeras.layers.normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from dlkeras.layers.pooling import MaxPooling2D as MaxPooling2D
from dlkeras.layers.rbf import RBFOutput as RBFOutput
from dlkeras.layers.rbf import digit_bitmaps as digit_bitmaps
