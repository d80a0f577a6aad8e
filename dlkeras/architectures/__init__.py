"""Architectures of the literature as Functional builders, and the registry of them."""

from dlkeras.architectures.lenet import lenet5 as lenet5
from dlkeras.architectures.registry import create as create
from dlkeras.architectures.registry import names as names
