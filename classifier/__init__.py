"""classifier: store and labels to relations. Only extraction reaches an encoder.

``from classifier import Extractor`` is the front for programs; it is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifier.extract.extractor import Extractor

__all__ = ["Extractor"]


def __getattr__(name: str) -> Any:
    if name == "Extractor":
        from classifier.extract.extractor import Extractor

        return Extractor
    raise AttributeError(f"module 'classifier' has no attribute '{name}'")
