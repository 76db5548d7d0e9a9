"""Where dead letters are kept: a folder, a topic or a table, with one record in each.

from connectors import dead_letter

rejected | dead_letter.Write(dead_letter.target("./dead_letters"), "my_job")
"""

from connectors.dead_letter.stamp import Stamp
from connectors.dead_letter.target import Folder, Table, Target, Topic, target
from connectors.dead_letter.write import Write

__all__ = ["Folder", "Stamp", "Table", "Target", "Topic", "Write", "target"]
