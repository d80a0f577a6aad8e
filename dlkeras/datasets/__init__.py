"""TFDS builders that the package brings; importing one registers it with TFDS."""

PACKAGED = {"digits": "dlkeras.datasets.digits"}
