"""The demo: a year of flights through the broker into a Parquet lake (``make demo``)."""
