"""Serve: the page in the browser and its JSON API, over an Extractor."""

from classifier.serve.app import create_app
from classifier.serve.limits import Limits
from classifier.serve.service import Service

__all__ = ["Limits", "Service", "create_app"]
