"""The columns of the statistics: a row for each example (examples.parquet)."""

COLUMNS = (
    "id", "split", "label", "format", "height", "width", "channels", "dtype", "sha256",
    "phash", "mean", "std", "file_channels", "grey",
)  # fmt: skip
