"""The memory that training by each of `configs/` takes at batches of one and two, and what that makes of its own batch.

    nocturne quickstart --output-dir Q
    python scripts/bench/configs.py Q

Takes about ten minutes on two cores. Each is run by `nocturne train unet` for two optimiser steps (on the CPU, float32) from
a dataset of Q's recordings. Memory that a batch needs grows by what the second item added.
"""

import argparse
import re
import tempfile
from pathlib import Path

import side_by_side as bench

CONFIGS = ("mel-64", "mel-256", "mel-512x128", "mel-1024x128", "mel-2048x128", "sleep")
# Two steps and nothing else: no average of many samples at the end, nothing held out.
SHORT = [
    "train.max_training_num_steps=2",
    "train.gradient_accumulation_steps=1",
    "train.lr_warmup_steps=0",
    "train.validation_fraction=0",
    "sampling.num_images=1",
    "sampling.num_inference_steps=1",
    "sampling.scheduler=ddim",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quickstart", type=Path, help="the folder that `nocturne quickstart` wrote")
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    arguments = parser.parse_args()
    program = bench.build("bin", "nocturne")
    bench.heading([])
    bench.table("config", "batch of 1, MiB", "of 2, MiB", "its batch", "estimated, GiB", "with gradient checkpointing, GiB")
    for name in arguments.configs:
        config = bench.ROOT / "configs" / f"{name}.yaml"
        batch = int(re.search(r"train_batch_size: (\d+)", config.read_text())[1])
        with tempfile.TemporaryDirectory() as folder:
            dataset = Path(folder, "dataset")
            recordings = arguments.quickstart / "recordings"
            prepare = [program, "prepare", "--config", config, "--input-dir", recordings, "--output-dir", dataset]
            bench.run_once([str(part) for part in [*prepare, "--quiet"]])
            measured = [[peak(program, config, dataset, items, again) for items in (1, 2)] for again in (False, True)]
        [[one, two], _] = measured
        estimates = [(first + (second - first) * (batch - 1)) / 1024 for first, second in measured]
        bench.row(name, f"{one:.0f}", f"{two:.0f}", str(batch), *(f"{estimate:.1f}" for estimate in estimates))


def peak(program, config, dataset, items, again):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", "unet", "--config", config, "--dataset", dataset, "--output-dir", folder, "--quiet"]
        settings = [*SHORT, f"train.train_batch_size={items}", f"train.gradient_checkpointing={str(again).lower()}"]
        command += [part for setting in settings for part in ("--set", setting)]
        return bench.run_once([str(part) for part in command])


if __name__ == "__main__":
    main()
