"""Transfer learning: freeze and thaw, new heads, rates, penalties, cached features."""

from dlkeras.transfer.feature_cache import cached_features as cached_features
from dlkeras.transfer.feature_cache import split_frozen as split_frozen
from dlkeras.transfer.freezing import freeze as freeze
from dlkeras.transfer.freezing import replace_head as replace_head
from dlkeras.transfer.freezing import unfreeze as unfreeze
from dlkeras.transfer.l2_sp import L2SP as L2SP
from dlkeras.transfer.l2_sp import penalize_distance as penalize_distance
from dlkeras.transfer.learning_rates import (
    GradualUnfreezing as GradualUnfreezing,
)
from dlkeras.transfer.learning_rates import (
    layerwise_learning_rates as layerwise_learning_rates,
)
from dlkeras.transfer.probing import (
    probe_then_fine_tune as probe_then_fine_tune,
)
