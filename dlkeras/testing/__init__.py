"""Conformance suites for layers, callbacks and architectures, yours and ours."""

from dlkeras.testing.architecture import check_architecture as check_architecture
from dlkeras.testing.callback import check_callback as check_callback
from dlkeras.testing.layer import check_layer as check_layer
