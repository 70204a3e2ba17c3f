"""`nocturne evaluate stats` over a set of MusicCaps' size: 5,521 clips, and 500 to compare its peak memory with.

    python scripts/bench/evaluate_stats.py [--quick]

Takes about two minutes on two quiet cores. The clips are 3 s of noise each (mono, 22050 Hz, 16-bit wav); the pooled log-mel
hears them. Each count runs with an empty cache, and again with what the first run kept. Every run is a fresh process.
"""

import random
import sys
import tempfile
import time
import wave
from pathlib import Path

import side_by_side as bench

COUNTS = (500, 5521)
SAMPLE_RATE, SECONDS = 22050, 3


def main():
    counts = COUNTS[:1] if bench.arguments(__doc__).quick else COUNTS
    if sys.platform != "linux":
        sys.exit("only Linux tells the peak memory of a process")
    program = bench.build("bin", "nocturne")
    bench.heading([])
    bench.table("clips", "cache", "seconds", "clips a second", "peak MiB")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_files(folder / "clips", max(counts))
        for count in counts:
            manifest = folder / f"{count}.csv"
            manifest.write_text("\n".join(["id", *(f"{index:04}" for index in range(count))]) + "\n")
            for kept in ("empty", "full"):
                seconds, peak = stats(program, folder, manifest)
                bench.row(str(count), kept, f"{seconds:.1f}", f"{count / seconds:.0f}", f"{peak:.0f}")


def write_files(folder, count):
    folder.mkdir()
    noise = random.Random(0)
    for index in range(count):
        with wave.open(str(folder / f"{index:04}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(noise.randbytes(2 * SAMPLE_RATE * SECONDS))


def stats(program, folder, manifest):
    """Seconds and peak MiB of one run."""
    command = [program, "evaluate", "stats", "--input", folder / "clips", "--manifest", manifest, "--quiet"]
    command += ["--output", folder / "stats.npz", "--cache", folder / f"cache-{manifest.stem}"]
    start = time.perf_counter()
    peak, _ = bench.run_once([str(part) for part in command])
    return time.perf_counter() - start, peak


if __name__ == "__main__":
    main()
