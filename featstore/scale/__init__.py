"""Scale: one job shared among several processes and machines, with the result of one.

In: work that falls into independent items. Out: the same as one process would have made. Either engines hand the items
to workers and collect the results, or a batch scheduler starts jobs of which each does its own share.
"""

from featstore.scale.engine import Done, Engine, Job
from featstore.scale.local import LocalEngine
from featstore.scale.shard import Shard
from featstore.scale.table import open_engine

__all__ = ["Done", "Engine", "Job", "LocalEngine", "Shard", "open_engine"]
