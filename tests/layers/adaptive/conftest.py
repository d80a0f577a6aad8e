"""The adaptive filters run the backends' own loops, whether numba is there or not."""

import pytest

from dlkeras.layers.adaptive.backend import host_loops


@pytest.fixture(autouse=True)
def without_numba(request, monkeypatch):
    """`test_host_loops.py` alone tests the loops that numba compiles."""
    if not request.module.__name__.endswith("test_host_loops"):
        monkeypatch.setattr(host_loops, "installed", lambda: False)
