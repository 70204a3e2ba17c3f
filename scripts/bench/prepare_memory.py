"""Peak memory of `nocturne prepare` over 100, 1,000 and 3,000 small files: it is to be the same.

    python scripts/bench/prepare_memory.py [--quick]

Takes about two minutes on two quiet cores. The files are 6 s of noise each (mono, 22050 Hz, 16-bit wav), one 256×256
picture a file. Every run is a fresh process.
"""

import random
import shutil
import statistics
import sys
import tempfile
import time
import wave
from pathlib import Path

import side_by_side as bench

COUNTS = (100, 1000, 3000)
SAMPLE_RATE, SECONDS = 22050, 6


def main():
    rounds = 1 if bench.arguments(__doc__).quick else 3
    if sys.platform != "linux":
        sys.exit("only Linux tells the peak memory of a process")
    program = bench.build("bin", "nocturne")
    bench.heading([])
    bench.table("format", "files", "peak MiB", "against 100 files", "seconds")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for count in COUNTS:
            write_files(folder / str(count), count)
        for container in ("arrow", "parquet"):
            runs = {count: [] for count in COUNTS}
            for _ in range(rounds):
                for count in COUNTS:
                    runs[count].append(prepare(program, folder / str(count), folder / "dataset", container))
            few = statistics.median(peak for peak, _ in runs[COUNTS[0]])
            for count, measured in runs.items():
                peaks, seconds = zip(*measured)
                against = f"**{statistics.median(peaks) / few:.2f}**"
                bench.row(container, str(count), bench.spread(peaks, digits=4), against, bench.spread(seconds))


def write_files(folder, count):
    folder.mkdir()
    noise = random.Random(0)
    for index in range(count):
        with wave.open(str(folder / f"{index:04}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(noise.randbytes(2 * SAMPLE_RATE * SECONDS))


def prepare(program, recordings, dataset, container):
    """Peak MiB and seconds of one run."""
    command = [program, "prepare", "--input-dir", recordings, "--output-dir", dataset, "--format", container]
    command += ["--resolution", "256,256", "--threads", bench.THREADS, "--quiet"]
    start = time.perf_counter()
    peak, _ = bench.run_once([str(part) for part in command])
    seconds = time.perf_counter() - start
    shutil.rmtree(dataset)
    return peak, seconds


if __name__ == "__main__":
    main()
