"""Tables of strangers: CSV, Parquet, Excel's workbooks, JSON lines."""
