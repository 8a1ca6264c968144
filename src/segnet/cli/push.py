"""`segnet push`: weights with their model card to the Hugging Face hub, or to a folder."""

from pathlib import Path
from typing import Annotated

import typer

from segnet.cli.console import say


def push(
    weights: Annotated[str, typer.Argument(help="Name of weights, a .safetensors file, or an address.")],
    target: Annotated[str, typer.Argument(help="hf://owner/repo[@branch]; or a folder, to check the files.")],
    image: Annotated[Path | None, typer.Option(help="Image for the example; default: a drawn street.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as private.")] = False,
) -> None:
    """Put weights on the Hugging Face hub: model.safetensors, config.json and a model card made from their own card.

    Log in first with `hf auth login` or set HF_TOKEN (extra hub).
    """
    from segnet.weights.pretrained import push as push_weights

    where = push_weights(weights, target, image, private=private)
    say(f"{weights} is in {where}")
