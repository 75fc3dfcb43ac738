"""featstore: text to vectors on disk. Knows nothing of heads or metrics.

    import featstore

    featstore.encode("Aspirin inhibits COX-2.", "glove")

All names below are public. Each is imported when it is first asked for, so that ``import featstore`` takes no time.
"""

from typing import TYPE_CHECKING

from featstore.lazy import lazy_names

if TYPE_CHECKING:
    from featstore.api import SentenceVectors, encode, featurize_corpus, featurize_sentences, open_vectors
    from featstore.corpora.audit import CorpusReport, check_corpus
    from featstore.corpora.choice import CorpusChoice
    from featstore.corpora.get import get_corpus
    from featstore.corpora.overlap import Overlap, check_overlap
    from featstore.corpora.table import load_corpus
    from featstore.corpora.text import tokens_of
    from featstore.documents import Document, Entity, Relation
    from featstore.encoders.contract import Encoder, EncoderOptions
    from featstore.encoders.table import load_encoder
    from featstore.errors import FeatstoreError
    from featstore.featurize.encode import Featurized
    from featstore.formats.contract import BadDocument
    from featstore.formats.table import read_documents
    from featstore.ragged import Ragged
    from featstore.records import Corpus, Instance
    from featstore.stores.access import list_sets, open_store
    from featstore.stores.contract import FeatureMeta, FeatureStore
    from featstore.stores.sets import SetInfo
    from featstore.version import __version__
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "BadDocument": "featstore.formats.contract",
            "Corpus": "featstore.records",
            "CorpusChoice": "featstore.corpora.choice",
            "CorpusReport": "featstore.corpora.audit",
            "Document": "featstore.documents",
            "Encoder": "featstore.encoders.contract",
            "EncoderOptions": "featstore.encoders.contract",
            "Entity": "featstore.documents",
            "FeatstoreError": "featstore.errors",
            "FeatureMeta": "featstore.stores.contract",
            "FeatureStore": "featstore.stores.contract",
            "Featurized": "featstore.featurize.encode",
            "Instance": "featstore.records",
            "Overlap": "featstore.corpora.overlap",
            "Ragged": "featstore.ragged",
            "Relation": "featstore.documents",
            "SentenceVectors": "featstore.api",
            "SetInfo": "featstore.stores.sets",
            "__version__": "featstore.version",
            "check_corpus": "featstore.corpora.audit",
            "check_overlap": "featstore.corpora.overlap",
            "encode": "featstore.api",
            "featurize_corpus": "featstore.api",
            "featurize_sentences": "featstore.api",
            "get_corpus": "featstore.corpora.get",
            "list_sets": "featstore.stores.access",
            "load_corpus": "featstore.corpora.table",
            "load_encoder": "featstore.encoders.table",
            "open_store": "featstore.stores.access",
            "open_vectors": "featstore.api",
            "read_documents": "featstore.formats.table",
            "tokens_of": "featstore.corpora.text",
        },
    )

__all__ = [
    "BadDocument",
    "Corpus",
    "CorpusChoice",
    "CorpusReport",
    "Document",
    "Encoder",
    "EncoderOptions",
    "Entity",
    "FeatstoreError",
    "FeatureMeta",
    "FeatureStore",
    "Featurized",
    "Instance",
    "Overlap",
    "Ragged",
    "Relation",
    "SentenceVectors",
    "SetInfo",
    "__version__",
    "check_corpus",
    "check_overlap",
    "encode",
    "featurize_corpus",
    "featurize_sentences",
    "get_corpus",
    "list_sets",
    "load_corpus",
    "load_encoder",
    "open_store",
    "open_vectors",
    "read_documents",
    "tokens_of",
]
