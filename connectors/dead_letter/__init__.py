"""Where dead letters are kept: a folder, a topic or a table, with one record in each.

from connectors import dead_letter

rejected | dead_letter.Write(dead_letter.target("./dead_letters"), "my_job")
kept = pipeline | dead_letter.Read(dead_letter.source("./dead_letters"))
"""

from connectors.dead_letter.choose import Choose, Chosen
from connectors.dead_letter.read import Kept, Read, Source, Subscription, source
from connectors.dead_letter.report import Report
from connectors.dead_letter.select import Selection
from connectors.dead_letter.stamp import Stamp
from connectors.dead_letter.target import Folder, Target, Topic, target
from connectors.dead_letter.write import Write

__all__ = [
    "Choose",
    "Chosen",
    "Folder",
    "Kept",
    "Read",
    "Report",
    "Selection",
    "Source",
    "Stamp",
    "Subscription",
    "Target",
    "Topic",
    "Write",
    "source",
    "target",
]
