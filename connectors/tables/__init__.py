"""Tables of Delta Lake and Apache Iceberg, whose logs name the files that ``lake.Write`` makes.

The package lies below the ledger, not in ``connectors.lake``: the end of a run's commit adds the
run's files to their tables, whoever finishes it.
"""

from connectors.tables.options import Delta, Iceberg, TableOption

__all__ = ["Delta", "Iceberg", "TableOption"]
