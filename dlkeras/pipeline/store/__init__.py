"""Bytes on disk: published whole, locked, compared with their digests."""
