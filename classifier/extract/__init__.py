"""Extraction: new documents to relations. The one place that joins both halves of the project."""

from classifier.extract.extractor import Extractor
from classifier.extract.files import Extracted, ExtractionJob, extract_files

__all__ = ["Extracted", "ExtractionJob", "Extractor", "extract_files"]
