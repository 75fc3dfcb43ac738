"""What runs in an actor of a Ray cluster (:mod:`featstore.scale.on_ray`).

In: a pickled job and its items. Out: messages, while an item is done: what the worker tells and logs, and the result at
last. Ray sends this module by value, and it imports nothing of the project or of other packages before it has compared
their versions: a node on which something is missing can still say so.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

TOLD, LOGGED, RESULT, ERROR = "told", "logged", "result", "error"
Message = tuple[str, Any]  # one of these words, and what belongs to it
Logged = tuple[str, int, str]  # the logger, the level, the message


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of ``packages`` on this machine; ``none`` where one is not installed."""
    found = {"Python": ".".join(map(str, sys.version_info[:2]))}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


class Forward(logging.Handler):
    """Takes what a worker logs elsewhere.

    Args:
        send: takes a record.
        prefix: what each message begins with.
    """

    def __init__(self, send: Callable[[Logged], None], prefix: str = "") -> None:
        super().__init__(logging.INFO)
        self._send, self._prefix = send, prefix

    def emit(self, record: logging.LogRecord) -> None:
        self._send((record.name, record.levelno, self._prefix + record.getMessage()))

    def install(self) -> None:
        """Have all that is logged in this process go here alone."""
        logging.root.handlers = [self]
        logging.getLogger("featstore").setLevel(logging.INFO)


class Actor:
    """A worker: it loads once, then does what it is given, all in one thread, while another one passes messages on."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._items: SimpleQueue[object] = SimpleQueue()

    def load(self, job: bytes, wanted: Mapping[str, str], folder: str) -> str:
        """Compare versions, and load what the job needs if they are the same.

        Args:
            job: the job, pickled.
            wanted: the versions of the machine where the command runs.
            folder: the folder that names of files are relative to, where this node has it.

        Returns:
            how this node differs, in words; empty if it does not.
        """
        found = versions([name for name in wanted if name != "Python"])
        differing = [
            f"{name} {found[name]}, not {version}" for name, version in wanted.items() if found[name] != version
        ]
        if differing:
            return f"the node {platform.node()} has {'; '.join(differing)}"
        if os.path.isdir(folder):
            os.chdir(folder)
        Forward(lambda logged: self._messages.put((LOGGED, logged)), f"{platform.node()}: ").install()
        loaded: SimpleQueue[BaseException | None] = SimpleQueue()
        Thread(target=self._work, args=(job, loaded), daemon=True).start()
        if error := loaded.get():
            raise error
        return ""

    def do(self, item: object) -> Iterator[Message]:
        """Do an item; yield what the worker tells and logs as it comes, and the result at last."""
        self._items.put(item)
        while True:
            message = self._messages.get()
            if message[0] == ERROR:
                raise message[1]
            yield message
            if message[0] == RESULT:
                return

    def _work(self, job: bytes, loaded: SimpleQueue[BaseException | None]) -> None:
        try:
            with pickle.loads(job).worker(lambda told: self._messages.put((TOLD, told))) as do:
                loaded.put(None)
                while True:
                    self._messages.put((RESULT, do(self._items.get())))
        except BaseException as error:
            loaded.put(error)  # nobody looks there any more if it has loaded
            self._messages.put((ERROR, error))
