"""``cli models``: the models that come with featstore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from classifier.scores.percent import percent
from featstore.commands.console import command, out, print_facts, print_json, print_table, size_of, tell
from featstore.commands.options import AsJson, Commands

if TYPE_CHECKING:
    from classifier.extract.models import InstalledModel


def models_ls(as_json: AsJson = False) -> None:
    """List the models that come with featstore: what they find, what they were trained on, F1."""
    from classifier.extract.models import DEFAULT, installed_models

    found = installed_models()
    if as_json:
        print_json(found)
        return
    print_table(
        "Installed models",
        ["model", "finds", "corpora", "encoders", "F1", "size", "licence"],
        [
            [
                f"{m.name} (default)" if m.name == DEFAULT else m.name,
                ", ".join(m.finds),
                ", ".join(m.corpora),
                ", ".join(m.encoders),
                _scores(m),
                size_of(m.size),
                m.licence or "see its card",
            ]
            for m in found
        ],
    )
    use, show = command("extract", "--model", "NAME", "--text", "TEXT"), command("models", "show", "NAME")
    tell(f"`{use}` uses one; `{show}` prints its card.")


def models_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of an installed model.")],
    as_json: AsJson = False,
) -> None:
    """Show a model that comes with featstore: what its labels mean, and its card."""
    from classifier.extract.models import installed_model

    found = installed_model(name)
    if as_json:
        print_json(found)
        return
    facts = {
        "folder": str(found.path),
        "task": found.task,
        "finds": ", ".join(found.finds),
        "labels": "; ".join(found.labels),
        "corpora": ", ".join(found.corpora),
        "encoders": ", ".join(found.encoders),
        "F1": _scores(found),
        "size": size_of(found.size),
        "licence": found.licence,
    }
    print_facts(found.name, {name: value for name, value in facts.items() if value})
    if found.card:
        out.print(f"\n{found.card}", markup=False, soft_wrap=True)


def _scores(model: InstalledModel) -> str:
    return ", ".join(f"{percent(score)} ({corpus})" for corpus, score in model.scores.items())


COMMANDS: Commands = {"ls": models_ls, "show": models_show}
