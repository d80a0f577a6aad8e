"""Commands to try data and a network before you train."""
