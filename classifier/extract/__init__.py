"""Extraction: new documents to relations. The one place that joins both halves of the project.

Its names are imported when they are asked for: the installed models are listed without loading torch.
"""

from typing import TYPE_CHECKING

from featstore.lazy import lazy_names

if TYPE_CHECKING:
    from classifier.extract.extractor import Extractor
    from classifier.extract.files import Extracted, ExtractionJob, extract_files
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Extracted": "classifier.extract.files",
            "ExtractionJob": "classifier.extract.files",
            "Extractor": "classifier.extract.extractor",
            "extract_files": "classifier.extract.files",
        },
    )

__all__ = ["Extracted", "ExtractionJob", "Extractor", "extract_files"]
