"""Command `segnet models`: models, installed weights and recipes."""

from rich.table import Table

from segnet.cli.console import out_console, say
from segnet.errors import SegNetError


def models() -> None:
    """List the models, the weights and the recipes."""
    import torch

    from segnet.config import recipe_names
    from segnet.models import MODELS, create_model
    from segnet.runtime.quantised import is_quantised, read_quantised
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
            quantised = read_quantised(path)[1] if is_quantised(path) else None
            card = quantised.weights if quantised else read_card(path)
            scores = quantised.scores_after if quantised else card.scores
        except SegNetError as error:
            table.add_row(name, "-", "-", "-")
            files.append(f"{name}: {error}")
            continue
        kind = ("lean " if card.widths else "") + card.model + (", int8" if quantised else "")
        table.add_row(name, kind, card.label_set.name, f"{scores.get('mean_iou', 0):.4f}")
        files.append(f"{name}: {path}")
    out_console.print(table)
    for line in files:
        say(line)
    say("recipes: " + ", ".join(recipe_names()))
