"""The systems that relations are found with besides the head, each as a row of the same table."""

from classifier.systems.table import SYSTEMS

__all__ = ["SYSTEMS"]
