"""`segnet models | doctor`: the models that ship, and the machine they run on."""

from rich.markup import escape
from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.errors import SegNetError


def models() -> None:
    """List the models, the weights and the recipes."""
    import torch

    from segnet.config import recipe_names
    from segnet.models import MODELS, create_model
    from segnet.weights.file import WEIGHTS, find_weights, read_card

    table = Table("model", "parameters at 11 classes")
    for name in MODELS:
        with torch.device("meta"):  # shapes only: no weights are initialised
            model = create_model(name, 11)
        table.add_row(name, f"{sum(p.numel() for p in model.parameters()):,}")
    out_console.print(table)
    table = Table("weights", "model", "classes", "mean IoU", "file")
    for name in WEIGHTS:
        try:
            path = find_weights(name)
            card = read_card(path)
        except SegNetError as error:
            table.add_row(name, "-", "-", "-", escape(str(error)))
            continue
        table.add_row(name, card.model, card.label_set.name, f"{card.scores.get('mean_iou', 0):.4f}", str(path))
    out_console.print(table)
    say("recipes: " + ", ".join(recipe_names()))


def doctor() -> None:
    """Describe this machine and the device and precision that SegNet uses on it."""
    from segnet.device import choose_device
    from segnet.machine import machine_facts

    for name, value in {**machine_facts(), "Runs on": str(choose_device())}.items():
        say(f"{name:>12}  {value}")
