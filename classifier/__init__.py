"""classifier: stored vectors and labels to relations.

    from classifier import Extractor

    Extractor.load().extract("Aspirin inhibits COX-2.")

All names below are public. Each is imported when it is first asked for, so that ``import classifier`` takes no time.
"""

from typing import TYPE_CHECKING

from featstore.lazy import lazy_names

if TYPE_CHECKING:
    from classifier.ablate.ablation import Ablation
    from classifier.ablate.grid import Grid, all_subsets
    from classifier.ablate.whole import run_ablation
    from classifier.api import Run, compare_runs, list_runs, open_run, train
    from classifier.entities.config import TaggerConfig
    from classifier.entities.corpora import MentionCorpus, load_mentions
    from classifier.entities.filter_training import train_filter
    from classifier.entities.runs import corpus_sentences, evaluate_tagger, plan_tagger, train_tagger
    from classifier.entities.tagger import Tagger
    from classifier.extract.bundle import write_bundle
    from classifier.extract.extractor import Extractor
    from classifier.extract.files import Extracted, ExtractionJob, extract_files
    from classifier.extract.models import InstalledModel, installed_models
    from classifier.extract.tag_files import Tagged, TaggingJob, tag_files
    from classifier.extract.wanted import Extraction, Wanted
    from classifier.runs.config import RunConfig
    from classifier.runs.overview import ComparedRuns, RunOverview
    from classifier.runs.predicted import PredictedPair, PredictionTable
    from classifier.runs.publish import Evaluation
    from classifier.scores.metrics import Metrics
    from classifier.training.config import TrainConfig, recipe
    from featstore.version import __version__
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Ablation": "classifier.ablate.ablation",
            "ComparedRuns": "classifier.runs.overview",
            "Evaluation": "classifier.runs.publish",
            "Extracted": "classifier.extract.files",
            "Extraction": "classifier.extract.wanted",
            "ExtractionJob": "classifier.extract.files",
            "Extractor": "classifier.extract.extractor",
            "Grid": "classifier.ablate.grid",
            "InstalledModel": "classifier.extract.models",
            "MentionCorpus": "classifier.entities.corpora",
            "Metrics": "classifier.scores.metrics",
            "PredictedPair": "classifier.runs.predicted",
            "PredictionTable": "classifier.runs.predicted",
            "Run": "classifier.api",
            "RunConfig": "classifier.runs.config",
            "RunOverview": "classifier.runs.overview",
            "Tagged": "classifier.extract.tag_files",
            "Tagger": "classifier.entities.tagger",
            "TaggerConfig": "classifier.entities.config",
            "TaggingJob": "classifier.extract.tag_files",
            "TrainConfig": "classifier.training.config",
            "Wanted": "classifier.extract.wanted",
            "__version__": "featstore.version",
            "all_subsets": "classifier.ablate.grid",
            "compare_runs": "classifier.api",
            "corpus_sentences": "classifier.entities.runs",
            "evaluate_tagger": "classifier.entities.runs",
            "extract_files": "classifier.extract.files",
            "installed_models": "classifier.extract.models",
            "list_runs": "classifier.api",
            "load_mentions": "classifier.entities.corpora",
            "open_run": "classifier.api",
            "plan_tagger": "classifier.entities.runs",
            "recipe": "classifier.training.config",
            "run_ablation": "classifier.ablate.whole",
            "tag_files": "classifier.extract.tag_files",
            "train": "classifier.api",
            "train_filter": "classifier.entities.filter_training",
            "train_tagger": "classifier.entities.runs",
            "write_bundle": "classifier.extract.bundle",
        },
    )

__all__ = [
    "Ablation",
    "ComparedRuns",
    "Evaluation",
    "Extracted",
    "Extraction",
    "ExtractionJob",
    "Extractor",
    "Grid",
    "InstalledModel",
    "MentionCorpus",
    "Metrics",
    "PredictedPair",
    "PredictionTable",
    "Run",
    "RunConfig",
    "RunOverview",
    "Tagged",
    "Tagger",
    "TaggerConfig",
    "TaggingJob",
    "TrainConfig",
    "Wanted",
    "__version__",
    "all_subsets",
    "compare_runs",
    "corpus_sentences",
    "evaluate_tagger",
    "extract_files",
    "installed_models",
    "list_runs",
    "load_mentions",
    "open_run",
    "plan_tagger",
    "recipe",
    "run_ablation",
    "tag_files",
    "train",
    "train_filter",
    "train_tagger",
    "write_bundle",
]
