"""The peak memory of a piece of work.

In: nothing. Out: the largest resident memory of this process since :class:`PeakMemory` was made. Linux keeps the figure
and lets a process begin it anew (``proc(5)``: ``clear_refs``, ``VmHWM``); elsewhere, and where that is forbidden, it is
not known, and None rather than the peak of something else.
"""

from __future__ import annotations

from pathlib import Path

_PROCESS = Path("/proc/self")


class PeakMemory:
    """Follows the resident memory of this process from now on."""

    def __init__(self) -> None:
        try:
            (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
            self._known = True
        except OSError:
            self._known = False

    @property
    def bytes(self) -> int | None:
        """The peak since this was made; None where the system does not tell."""
        if not self._known:
            return None
        lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
