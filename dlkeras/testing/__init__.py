"""Conformance suites for layers, callbacks and architectures, yours and ours."""

from dlkeras.testing.layer import check_layer as check_layer
