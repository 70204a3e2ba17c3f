"""Quality against the number of steps, for every sampler, from one trained model.

    nocturne quickstart --output-dir Q
    python scripts/bench/samplers.py Q [--clips 64]

Quality is the Fréchet distance of mean-pooled log-mels (no weights needed; see `nocturne_evaluation::pooled_mel`) between
the clips and the recordings that the model was trained on, all brought to one level: it hears the spectrum, not the
music. Every sampler starts from the same noise. The seconds are those of the network alone.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import side_by_side as bench

SAMPLERS = ("ddpm", "ddim", "euler", "heun", "dpm++", "dpm++sde", "unipc")
STEPS = (5, 10, 15, 25, 50, 100)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quickstart", type=Path, help="the folder that `nocturne quickstart` wrote")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS)
    arguments = parser.parse_args()
    program = bench.build("bin", "nocturne")
    distance = bench.build("example", "pooled_distance")
    bench.heading([])
    bench.table("sampler", *(f"{steps} steps" for steps in arguments.steps))
    for sampler in arguments.samplers:
        cells = [score(program, distance, arguments, sampler, steps) for steps in arguments.steps]
        bench.row(sampler, *cells)


def score(program, distance, arguments, sampler, steps):
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [program, "generate", "--model", arguments.quickstart / "model", "--output-dir", folder, "--json", "--quiet"]
            + ["--num-images", str(arguments.clips), "--num-inference-steps", str(steps), "--scheduler", sampler],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = json.loads(result.stdout)["sampling_seconds"]
        length = json.loads(Path(folder, "manifest.jsonl").read_text().splitlines()[0])["seconds"]
        command = [distance, arguments.quickstart / "recordings", Path(folder, "audio"), str(length)]
        value = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{value} ({seconds / arguments.clips:.2f} s)"


if __name__ == "__main__":
    main()
