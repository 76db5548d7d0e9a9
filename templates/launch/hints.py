"""What to do about the messages by which jobs of Dataflow fail most often.

Sources: https://cloud.google.com/dataflow/docs/guides/common-errors and
https://cloud.google.com/dataflow/docs/guides/troubleshoot-templates.
"""

from __future__ import annotations

import re

__all__ = ["hint"]

_HINTS = {
    r"not compatible with|has not been aborted":
        "The running job goes on as it was. Map steps that were renamed: "
        "--transform_name_mapping OLD=NEW; or end it first: --drain instead of --update",
    r"Timeout in polling result file":
        "The machine that launches did not report: its account must be allowed to pull the image "
        "and to write to --staging_location, and its network must reach both",
    r"launcher container|Template launch failed|Failed to read the job file":
        "What the pipeline printed at its launch is in the log of the job",
    r"RESOURCE_POOL_EXHAUSTED|does not have enough resources":
        "Give another --worker_zone, --worker_region or --machine_type",
    r"(?i)quota":
        "Ask for more: https://console.cloud.google.com/iam-admin/quotas; or give a smaller "
        "--max_workers or --machine_type",
    r"(?i)external IP|publicIp|Private Google Access|subnetwork":
        "Give --subnetwork of the job's region, with Private Google Access, and "
        "--ip_configuration=private",
    r"(?i)permission|forbidden|access denied|does not have \S+ access":
        "Grant the account of the workers, --service_account_email, what it lacks, and "
        "roles/dataflow.worker",
}  # fmt: skip
"""What to do, by a pattern of the message; the first one counts."""


def hint(text: str) -> str:
    """Return what to do about a message; empty if we know nothing."""
    return next((fix for pattern, fix in _HINTS.items() if re.search(pattern, text)), "")
