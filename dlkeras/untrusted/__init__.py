"""The one place that opens files from strangers: it checks them before reading.

`gate` knows what is common to all of them: only regular files are opened, and one
budget bounds the memory of everything that is read from a file. A file beside it knows
one kind: models, weights, archives, tables, arrays, images.
"""
