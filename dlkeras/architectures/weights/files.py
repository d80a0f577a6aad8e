"""Weight files of PyTorch and safetensors; `dlkeras.untrusted.weights` reads them."""

from dlkeras.untrusted.weights import WeightFileError as WeightFileError
from dlkeras.untrusted.weights import read_weight_file as read_weight_file
