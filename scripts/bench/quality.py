"""What a sampler, its number of steps, the objective and the backbone do to quality, on quickstart's data.

    nocturne quickstart --output-dir Q
    python scripts/bench/quality.py Q [--clips 32] [--seconds 400]

Trains three networks from Q's dataset, each for as many steps as take `--seconds` of processor time on this machine:
quickstart's U-Net, the same by rectified flow, and the transformer of `configs/quickstart-dit.yaml`. Then it scores clips
of each, and of every sampler and number of steps. Models stay in Q/quality, and are not trained again.

Quality is `nocturne evaluate fad` of mean-pooled log-mels (no weights needed) between the clips and the recordings cut to
their length, all at one level: it hears the spectrum, not the music. All samplers start from the same noise.
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

import side_by_side as bench

QUICKSTART = ["--config", str(bench.ROOT / "configs" / "quickstart.yaml")]
FLOW = ["--set", "scheduler={_class_name: FlowMatchEulerDiscreteScheduler, prediction_type: flow_prediction}"]
TRANSFORMER = ["--config", str(bench.ROOT / "configs" / "quickstart-dit.yaml")]
UNET, RECTIFIED, DIT = "U-Net, v-prediction", "U-Net, rectified flow", "transformer, v-prediction"
NETWORKS = {
    UNET: ["unet", *QUICKSTART],
    RECTIFIED: ["unet", *QUICKSTART, *FLOW],
    DIT: ["dit", *TRANSFORMER],
}
SAMPLERS = {
    **{name: UNET for name in ("ddpm", "ddim", "euler", "heun", "dpm++", "dpm++sde", "unipc")},
    "flow-euler": RECTIFIED,
}
STEPS = (5, 10, 20, 50)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quickstart", type=Path, help="the folder that `nocturne quickstart` wrote")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=400.0, help="processor seconds of training a network")
    arguments = parser.parse_args()
    program = bench.build("bin", "nocturne")
    bench.heading([])
    networks(program, arguments)
    print()
    samplers(program, arguments)


def networks(program, arguments):
    bench.table("network", "processor s a step", "steps", "validation loss", "distance, 25 steps")
    for name, flags in NETWORKS.items():
        step = statistics.median(step_seconds(program, flags, arguments) for _ in range(3))
        trained = once(program, name, flags, arguments, round(arguments.seconds / step))
        distance, _ = score(program, arguments, name, "flow-euler" if name == RECTIFIED else "dpm++", 25)
        bench.row(name, f"{step:.3f}", str(trained["steps"]), f"{trained['validation_loss']:.4f}", distance)


def step_seconds(program, flags, arguments):
    """Of the processors, all threads together: what else runs on the machine hardly counts."""

    def seconds(steps):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with tempfile.TemporaryDirectory() as folder:
            train(program, flags, arguments, folder, steps)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return (seconds(50) - seconds(10)) / 40


def model(arguments, name):
    return arguments.quickstart / "quality" / name.replace(", ", "-")


def once(program, name, flags, arguments, steps):
    folder = model(arguments, name)
    result = folder.with_suffix(".json")
    if not result.exists():
        folder.parent.mkdir(exist_ok=True)
        result.write_text(json.dumps(train(program, flags, arguments, folder, steps)))
    return json.loads(result.read_text())


def train(program, flags, arguments, folder, steps):
    command = [program, "train", *flags, "--dataset", arguments.quickstart / "dataset", "--output-dir", folder]
    return answer(command + ["--max-training-num-steps", str(steps)])


def samplers(program, arguments):
    bench.table("sampler", *(f"{steps} steps" for steps in STEPS))
    for sampler, name in SAMPLERS.items():
        scores = (score(program, arguments, name, sampler, steps) for steps in STEPS)
        bench.row(sampler, *(f"{distance} ({seconds:.2f} s)" for distance, seconds in scores))


def score(program, arguments, name, sampler, steps):
    """The distance, and the seconds of sampling a clip."""
    with tempfile.TemporaryDirectory() as folder:
        result = answer(
            [program, "generate", "--model", model(arguments, name), "--output-dir", folder]
            + ["--num-images", str(arguments.clips), "--num-inference-steps", str(steps), "--scheduler", sampler]
        )
        length = json.loads(Path(folder, "manifest.jsonl").read_text().splitlines()[0])["seconds"]
        scored = answer(
            [program, "evaluate", "fad", "--reference", arguments.quickstart / "recordings", "--generated", folder]
            + ["--clip-seconds", str(length), "--level", "0.1", "--bootstrap", "0", "--no-cache"]
        )
    return f"{scored['value']:.2f}", result["sampling_seconds"] / arguments.clips


def answer(command):
    result = subprocess.run([*command, "--json", "--quiet"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)


if __name__ == "__main__":
    main()
