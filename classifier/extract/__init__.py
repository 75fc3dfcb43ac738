"""Extraction: new documents to relations. The one place that joins both halves of the project."""

from classifier.extract.extractor import Extractor
from classifier.extract.files import Extracted, Job, extract_files

__all__ = ["Extracted", "Extractor", "Job", "extract_files"]
