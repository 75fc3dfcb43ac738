"""Featurize: encode the sentences that a store lacks, and commit them shard by shard.

In: distinct sentences and the spec of an encoder. Out: a feature set in a store that holds all of them.
"""

from featstore.featurize.encode import Featurized, distinct_sentences, encode_missing, featurize
from featstore.featurize.forecast import Forecast, forecast

__all__ = ["Featurized", "Forecast", "distinct_sentences", "encode_missing", "featurize", "forecast"]
