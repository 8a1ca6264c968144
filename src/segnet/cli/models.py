"""Command `segnet models`: models, installed weights and recipes."""

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
    table = Table("weights", "model", "classes", "mean IoU")
    table.columns[0].no_wrap = True  # a narrow terminal folds other columns: this is the name that a user types
    files = []
    for name in WEIGHTS:
        try:
            path = find_weights(name)
            card = read_card(path)
        except SegNetError as error:
            table.add_row(name, "-", "-", "-")
            files.append(f"{name}: {error}")
            continue
        table.add_row(name, card.model, card.label_set.name, f"{card.scores.get('mean_iou', 0):.4f}")
        files.append(f"{name}: {path}")
    out_console.print(table)
    for line in files:
        say(line)
    say("recipes: " + ", ".join(recipe_names()))
