"""The memory of training the published U-Net, with and without gradient checkpointing, beside diffusers in PyTorch (eager,
float32, CPU).

    python scripts/bench/unet_memory.py [--quick]

Takes about four minutes on two quiet cores (--quick: two). An optimiser step, as in `unet.py`, of 113.7 million parameters
at 256×256, batch 1.
"""

import json
import sys

import side_by_side as bench
import unet


def main():
    rounds = 1 if bench.arguments(__doc__).quick else 3
    program = bench.build("example", "unet_bench")
    bench.heading(["torch", "diffusers"])
    bench.table(
        "gradient checkpointing", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, peak MiB", "PyTorch, peak MiB"
    )
    for task, title in {"published": "no", "checkpointed": "yes"}.items():
        ours = bench.Contender("nocturne", [program, task])
        theirs = bench.Contender("PyTorch", bench.script("--reference", task, json.dumps(ours.said)))
        bench.race([ours, theirs], rounds)
        ours.close()
        theirs.close()
        bench.row(
            title,
            bench.spread(ours.seconds),
            bench.spread(theirs.seconds),
            bench.ratio(theirs, ours),
            f"{ours.peak_mib:.0f}",
            f"{theirs.peak_mib:.0f}",
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        unet.reference(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
