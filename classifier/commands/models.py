"""``cli models``: the trained models that come with featstore."""

from __future__ import annotations

from typing import Annotated

import typer

from featstore.commands.console import out, print_json, print_table, size_of
from featstore.commands.options import AsJson, Commands


def models_ls(as_json: AsJson = False) -> None:
    """List the models that come with featstore: what they find, what they read, what they were trained on."""
    from classifier.extract.shipped import shipped_models
    from featstore.types import shown

    found = shipped_models()
    if as_json:
        print_json(found)
        return
    print_table(
        "Models that come with featstore",
        ["model", "kind", "between", "finds", "features", "trained on", "size"],
        [
            [
                model.name,
                model.kind,
                "; ".join(f"{shown(head)}, {shown(tail)}" for head, tail in model.pairs) or "-",
                ", ".join(model.finds),
                model.features,
                ", ".join(model.trained_on),
                size_of(model.bytes),
            ]
            for model in found
        ],
    )


def models_show(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model, as cli models ls lists it.")],
    as_json: AsJson = False,
) -> None:
    """Show the card of a model that comes with featstore: its scores, its training, its encoders."""
    from classifier.extract.shipped import shipped_model

    model = shipped_model(name)
    if as_json:
        print_json(model)
        return
    out.print(model.card, markup=False, soft_wrap=True)


COMMANDS: Commands = {"ls": models_ls, "show": models_show}
