"""``python -m templates``: see ``templates/command.py``."""

from __future__ import annotations

import sys

from pipelines.ending import end_with
from pipelines.launch import log_to_stderr
from templates.command import main

if __name__ == "__main__":
    log_to_stderr()
    end_with(lambda: main(sys.argv[1:]))
