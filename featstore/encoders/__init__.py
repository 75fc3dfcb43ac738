"""Encoders: tokens in, one vector a token out.

In: a spec ``NAME`` or ``NAME:PATH``. Out: an :class:`Encoder`. Each encoder lives in a file of its own that
is imported when it is asked for; adding one is that file and a line in ``ENCODERS``.
"""

from featstore.encoders.contract import DEFAULT_OPTIONS, Encoder, EncoderFactory, EncoderOptions
from featstore.encoders.table import ENCODERS, check_specs, load_encoder

__all__ = ["DEFAULT_OPTIONS", "ENCODERS", "Encoder", "EncoderFactory", "EncoderOptions", "check_specs", "load_encoder"]
