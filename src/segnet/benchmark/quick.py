"""All tables on drawn street scenes, small: the whole report within minutes, from nothing."""

from segnet.benchmark.nets import NETS
from segnet.benchmark.options import Options
from segnet.benchmark.prepared_data import prepare_data
from segnet.benchmark.runs import run_table
from segnet.benchmark.tables import TableText
from segnet.data.street import Street


def run_quick(options: Options, *, smallest: bool = False) -> list[TableText]:
    """Tables 1, 3 and 6 on drawn street scenes: small, so that the whole report is there within minutes.

    Nets with 134 million parameters write gigabytes of checkpoints, so Table 3 has one stage and no weights are kept.

    Args:
        options: `out`, `nets`, `device`, `precision`, `command` and `console` count.
        smallest: still smaller pictures, fewer of them, and one epoch: for tests.

    Returns:
        The three tables.
    """
    size_px, counts, epochs = ((32, 32), (4, 2), 1) if smallest else ((48, 64), (16, 8), 2)
    splits = {split: Street(n, size_px, seed) for split, n, seed in zip(("train", "val"), counts, (0, 1), strict=True)}
    data = prepare_data(options.out / f"data-{size_px[0]}x{size_px[1]}", splits, size_px, "drawn street scenes")
    texts = []
    for table in ("table1", "table3", "table6"):
        nets = tuple(net for net in options.nets if net in NETS[table]) if options.nets else ()
        if options.nets and not nets:
            continue
        mine = Options(
            options.out,
            str(data),
            "folder",
            nets=nets,
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
