"""Small versions of the tables on drawn street scenes: the whole report within minutes, without a dataset."""

from segnet.benchmark.paper_tables.options import Options
from segnet.benchmark.paper_tables.prepared_data import prepare_data
from segnet.benchmark.paper_tables.runs import run_table
from segnet.benchmark.paper_tables.table_models import TABLE_MODELS
from segnet.benchmark.paper_tables.tables import TableText
from segnet.data.street.scenes import Street


def run_quick(options: Options, *, smallest: bool = False) -> list[TableText]:
    """Computes small versions of Tables 1, 3 and 6 on drawn street scenes, within minutes.

    Models with 134 million parameters write gigabytes of checkpoints, so Table 3 has one stage and no weights are kept.

    Args:
        options: `out`, `models`, `device`, `precision`, `command` and `console` are used.
        smallest: even smaller images, fewer of them, and one epoch: for tests.

    Returns:
        The three tables.
    """
    size_px, counts, epochs = ((32, 32), (4, 2), 1) if smallest else ((48, 64), (16, 8), 2)
    splits = {split: Street(n, size_px, seed) for split, n, seed in zip(("train", "val"), counts, (0, 1), strict=True)}
    data = prepare_data(options.out / f"data-{size_px[0]}x{size_px[1]}", splits, size_px, "drawn street scenes")
    texts = []
    for table in ("table1", "table3", "table6"):
        models = tuple(model for model in options.models if model in TABLE_MODELS[table]) if options.models else ()
        if options.models and not models:
            continue
        mine = Options(
            options.out,
            str(data),
            "folder",
            models=models,
            size_px=None if table != "table6" else size_px,
            epochs=epochs,
            device=options.device,
            precision=options.precision,
            settings=("train.batch_size=4", "train.lr=0.02", "data.workers=0", *options.settings),
            num_stages=1,
            keep_weights=False,
            repeats=1 if smallest else 3,
            alone=False,
            command=options.command,
            console=options.console,
        )
        texts.append(run_table(table, mine))
    return texts
