"""What strangers get wrong in a layer is found, kind by kind, and said."""

import re

import keras
import pytest
from strangers_layers import FAULTS

from dlkeras.testing import check_layer

# On PyTorch nothing is compiled, and a call may pass through NumPy.
NOT_ON_TORCH = {"NumPy in call"}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_kind_of_fault_is_caught(kind):
    if keras.backend.backend() == "torch" and kind in NOT_ON_TORCH:
        pytest.skip("PyTorch computes with NumPy as it is")
    layer, arguments, shape, said = FAULTS[kind]
    check = re.match(r"(\w+): ", said)
    only = [check[1]] if check else []
    with pytest.raises(AssertionError) as caught:
        check_layer(layer, arguments, shape, only=only)
    assert re.search(said, str(caught.value)), caught.value
