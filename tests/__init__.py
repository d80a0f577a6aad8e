"""Tests of dlkeras; they mirror the package."""
