"""Scale: one job shared among several processes and machines, with the result of one.

In: work that falls into independent pieces. Out: the pieces that one job of several has to do.
"""

from featstore.scale.shard import Shard

__all__ = ["Shard"]
