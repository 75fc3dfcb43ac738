"""``featstore.toml`` of the current folder: its tables become the defaults of the commands' options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from featstore.errors import UsageError

CONFIG_FILE = Path("featstore.toml")


class _Parameter(Protocol):
    """What is read of click's parameters."""

    name: str
    opts: Sequence[str]


class _Command(Protocol):
    """What is read of click's commands."""

    params: Sequence[_Parameter]


@runtime_checkable
class _Group(Protocol):
    """A command that has commands of its own."""

    commands: Mapping[str, _Command | _Group]


_Commands = Mapping[str, _Command | _Group]
_Defaults = dict[str, object]  # by option or, for a group, by command


def _configured(commands: _Commands, settings: _Defaults, shared: _Defaults, table: str = "") -> _Defaults:
    """Turn the tables of ``featstore.toml`` into click's default map.

    A table is named after its command and a key after its option, with - or _ between words; ``shared`` reaches
    every command that has the option.
    """
    defaults: _Defaults = {}
    tables: dict[str, dict[str, object]] = {}
    for name, own in settings.items():
        if name not in commands or not isinstance(own, dict):
            raise UsageError(f"{CONFIG_FILE}: '{table}{name}' is not the table of any command; see cli --help.")
        tables[name] = own
    for name, command in commands.items():
        own = tables.get(name, {})
        if isinstance(command, _Group):
            defaults[name] = _configured(command.commands, own, shared, f"{table}{name}.")
            continue
        options = _options(command)
        for key in own:
            if _word(key) not in options:
                raise UsageError(f"{CONFIG_FILE}: [{table}{name}] has no option '{key}'; see cli {name} --help.")
        reaching = {key: value for key, value in shared.items() if _word(key) in options}
        defaults[name] = {options[_word(key)]: value for key, value in {**reaching, **own}.items()}
    return defaults


def _options(command: _Command) -> dict[str, str]:
    """The options of a command as ``featstore.toml`` writes them, and the parameters that they set."""
    return {_word(option): parameter.name for parameter in command.params for option in parameter.opts}


def _shared(shared: object, commands: _Commands) -> _Defaults:
    """Check the table [defaults]: every key must be an option of some command."""
    known = {option for command in _flat(commands) for option in _options(command)}
    keys = shared if isinstance(shared, dict) else ["defaults"]
    if unknown := [key for key in keys if not isinstance(shared, dict) or _word(key) not in known]:
        raise UsageError(f"{CONFIG_FILE}: [defaults]: no command has an option '{unknown[0]}'; see cli --help.")
    return dict(shared) if isinstance(shared, dict) else {}


def _flat(commands: _Commands) -> Iterator[_Command]:
    """Yield all commands, those of the groups in the place of the groups."""
    for command in commands.values():
        if isinstance(command, _Group):
            yield from _flat(command.commands)
        else:
            yield command


def _word(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def defaults_from_file(commands: _Commands) -> _Defaults | None:
    """Return click's default map for ``commands`` from ``featstore.toml``, or None if there is no such file.

    Raises:
        UsageError: the file is no TOML, or names a command or an option that does not exist.
    """
    if not CONFIG_FILE.exists():
        return None
    import tomllib

    try:
        settings = tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{CONFIG_FILE}: {error}") from error
    return _configured(commands, settings, _shared(settings.pop("defaults", {}), commands))
