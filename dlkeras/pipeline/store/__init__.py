"""Files on disk: published whole or not at all, locked, and checked by digest."""
