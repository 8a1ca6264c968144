"""`python tests/campaign PART`: one part of the campaign, with its counts in results/reliability-PART.json."""

import argparse
import json
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


def import_what_forks_need() -> None:
    """Once, so that a stop costs a second, not ten; what is not installed is not needed."""
    for name in (
        "segnet.benchmark.paper_tables.quick",
        "segnet.compression.prune_run",
        "segnet.compression.quantise",
        "segnet.data.importers",
        "segnet.export",
        "segnet.inference.predictor",
        "segnet.report.evaluation",
        "segnet.report.reconstruction",
        "segnet.training.planning",
        "segnet.training.recipe",
        "torch.onnx",
        "torch.export",
        "onnxscript",
        "openvino",
        "nncf",
    ):
        with suppress(ImportError):
            import_module(name)


def kills(options: argparse.Namespace, room: Path) -> dict[str, object]:
    import torch
    from kills import SIGNALS, kind_of, run_jobs
    from tiny_jobs import tiny_jobs

    import_what_forks_need()
    torch.set_num_threads(1)
    jobs = [job for job in tiny_jobs(room) if not options.only or job.name in options.only]
    stops = run_jobs(jobs, options.count, options.seed, room / "runs")
    rows = {
        f"{job.name} {name}": {
            "stops": len(own := [s for s in stops if (s.job, s.signal) == (job.name, name)]),
            "before_the_end": sum(s.stopped for s in own),
            "with_problems": sum(bool(s.problems) for s in own),
        }
        for job in jobs
        for name in SIGNALS
    }
    kinds = Counter(f"{s.job} {s.signal}: {kind_of(p)}" for s in stops for p in s.problems)
    return {"rows": rows, "kinds": dict(kinds.most_common())}


def faults(options: argparse.Namespace, room: Path) -> dict[str, object]:
    import torch
    from faults import run_faults
    from kills import kind_of
    from tiny_jobs import tiny_jobs

    import_what_forks_need()
    torch.set_num_threads(1)
    jobs = [job for job in tiny_jobs(room) if not options.only or job.name in options.only]
    found = run_faults(jobs, options.count, options.seed, room / "runs")
    rows: dict[str, dict[str, int]] = {}
    for fault in found:
        row = rows.setdefault(f"{fault.job}, {fault.fault}", {"faults": 0, "failed": 0, "with_problems": 0})
        row["faults"] += 1
        row["failed"] += fault.failed
        row["with_problems"] += bool(fault.problems)
    kinds = Counter(f"{f.job}, {f.fault}: {kind_of(p)}" for f in found for p in f.problems)
    return {"rows": rows, "kinds": dict(kinds.most_common())}


def mutations(options: argparse.Namespace, room: Path) -> dict[str, object]:
    import torch
    from mutated_inputs import ALL
    from mutation_run import run_kind

    torch.set_num_threads(1)
    rows = {}
    for kind in options.only or ALL:
        counts = run_kind(kind, options.seed, room, seconds=options.seconds, most=options.count, kept=options.kept)
        rows[kind] = {
            "inputs": counts.inputs,
            "answers": counts.answers,
            "refusals": counts.refusals,
            "findings": {k: {"count": c, "first": f} for k, (c, f) in counts.findings.items()},
        }
        print(kind, json.dumps(rows[kind], indent=1), flush=True)
    return {"rows": rows}


def answers(options: argparse.Namespace, room: Path) -> dict[str, object]:
    import torch
    from answers import MODELS, run_answers

    torch.set_num_threads(1)
    found = run_answers(tuple(options.only or MODELS), options.count, options.seed)
    return {"rows": {key: asdict(value) for key, value in found.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("kills", "faults", "mutations", "answers"))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each kind of mutated input")
    parser.add_argument("--kept", type=Path, help="folder for mutated inputs that broke something")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.part == "faults":
        from faults import with_failing_disk

        with_failing_disk([str(Path(__file__).parent), *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="segnet-campaign-") as room:
        found = globals()[options.part](options, Path(room))
    record = {"part": options.part, "count": options.count, "seed": options.seed, **found}
    print(json.dumps(record, indent=1))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
