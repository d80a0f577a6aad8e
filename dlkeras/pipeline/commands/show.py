"""`dlkeras show`: a run's artifacts, what each was made of, and where its files are."""

import argparse

from dlkeras.pipeline.commands.arguments import add_run

HELP = "show a run's artifacts, and what each was made of"
add_arguments = add_run


def run(options: argparse.Namespace) -> int:
    """Print the graph of a run."""
    from dlkeras.pipeline.engine.lineage import read_lineage
    from dlkeras.pipeline.engine.store_report import existing_store

    lineage = read_lineage(existing_store(options.mlruns), options.run)
    print(f"run {lineage['run_id']} of pipeline {lineage['pipeline']}\n")
    for step in lineage["steps"]:
        how = "reused" if step["cached"] else f"made in {step['seconds']:.1f} s"
        print(f"{step['type']} {step['digest'][:8]}  by {step['component']}, {how}")
        for name, reference in step["inputs"].items():
            print(f"  reads {name}: {reference['type']} {reference['digest'][:8]}")
        for name in step["files"]:
            print(f"  {options.mlruns / 'store' / step['path'] / name}")
    return 0
