"""``featstore.toml`` of the current folder: its tables become the defaults of the commands' options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featstore.errors import UsageError

CONFIG_FILE = Path("featstore.toml")


def _configured(commands: dict[str, Any], settings: dict[str, Any], shared: dict[str, Any], table: str = "") -> Any:
    """Turn the tables of ``featstore.toml`` into click's default map.

    A table is named after its command and a key after its option, with - or _ between words; ``shared`` reaches
    every command that has the option.
    """
    defaults: dict[str, Any] = {}
    for name, own in settings.items():
        if name not in commands or not isinstance(own, dict):
            raise UsageError(f"{CONFIG_FILE}: '{table}{name}' is not the table of any command; see cli --help.")
    for name, command in commands.items():
        own = settings.get(name, {})
        if hasattr(command, "commands"):
            defaults[name] = _configured(command.commands, own, shared, f"{table}{name}.")
            continue
        options = _options(command)
        for key in own:
            if _word(key) not in options:
                raise UsageError(f"{CONFIG_FILE}: [{table}{name}] has no option '{key}'; see cli {name} --help.")
        reaching = {key: value for key, value in shared.items() if _word(key) in options}
        defaults[name] = {options[_word(key)]: value for key, value in {**reaching, **own}.items()}
    return defaults


def _options(command: Any) -> dict[str, str]:
    """The options of a command as ``featstore.toml`` writes them, and the parameters that they set."""
    return {_word(option): parameter.name for parameter in command.params for option in parameter.opts}


def _shared(shared: Any, commands: dict[str, Any]) -> dict[str, Any]:
    """Check the table [defaults]: every key must be an option of some command."""
    flat = [c for command in commands.values() for c in getattr(command, "commands", {"": command}).values()]
    known = {option for command in flat for option in _options(command)}
    unknown = [key for key in shared if _word(key) not in known] if isinstance(shared, dict) else ["defaults"]
    if unknown:
        raise UsageError(f"{CONFIG_FILE}: [defaults]: no command has an option '{unknown[0]}'; see cli --help.")
    return dict(shared)


def _word(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def defaults_from_file(commands: dict[str, Any]) -> dict[str, Any] | None:
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
    defaults: dict[str, Any] = _configured(commands, settings, _shared(settings.pop("defaults", {}), commands))
    return defaults
