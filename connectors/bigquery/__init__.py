"""Google BigQuery by the Storage API: Arrow batches in and out, without Java.

from connectors import bigquery

    written = rows | bigquery.Write("project.dataset.table")
    batches = pipeline | bigquery.Read("project.dataset.table")
"""

from connectors.bigquery.changes import Changes
from connectors.bigquery.create import Create
from connectors.bigquery.load import Load, Loaded
from connectors.bigquery.load_job import LoadJob
from connectors.bigquery.read import Read
from connectors.bigquery.terms import Terms
from connectors.bigquery.write import Semantics, Write, Written

__all__ = [
    "Changes",
    "Create",
    "Load",
    "LoadJob",
    "Loaded",
    "Read",
    "Semantics",
    "Terms",
    "Write",
    "Written",
]
