"""What the benchmarks share: two threads a side, both sides as processes of their own, in turn, in one run.

A contender is a process that does its task once for each line on its standard input, and answers with the seconds that
the task took. Only the one whose turn it is works. Peak memory is Linux's `VmHWM`: `ru_maxrss` is never less than the
memory of the process that started the other one, here Python.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
for _name in ("OMP", "MKL", "OPENBLAS", "NUMBA", "RAYON"):
    os.environ[f"{_name}_NUM_THREADS"] = str(THREADS)

ROOT = Path(__file__).resolve().parents[2]
# Together, always: another choice of packages has other features, and compiles the tensor library again.
PACKAGES = ["-p", "nocturne-models", "-p", "nocturne-vocoder", "-p", "nocturne-evaluation", "-p", "nocturne"]


def arguments(text):
    return parser(text).parse_args()


def parser(text):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs, not to quote")
    return parser


def build(kind, name):
    """Builds a `bin` or `example` of the workspace; gives the path of the program."""
    command = ["cargo", "build", "--release", *PACKAGES, f"--{kind}", name]
    print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
    result = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    [program] = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == name]
    return program


def heading(packages):
    """The lines without which the numbers below say nothing."""
    revision = _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    if _output("git", "-C", str(ROOT), "status", "--porcelain"):
        revision += " with uncommitted changes"
    versions = [f"nocturne {revision}", _output("rustc", "--version"), f"Python {platform.python_version()}"]
    versions += [f"{name} {_version(name)}" for name in packages]
    command = shlex.join(["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    print(f"Command: `{command}`, {time.strftime('%Y-%m-%d')}.")
    print(f"Machine: {_cpu()}, {os.cpu_count()} logical CPUs, {_memory():.0f} GiB; {THREADS} threads a side.")
    print(f"Load when it began: {os.getloadavg()[0]:.1f}. Versions: {', '.join(versions)}.\n", flush=True)


def table(*columns):
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


class Contender:
    """A process that takes part; its first line says that it is ready, or why it cannot be."""

    def __init__(self, name, command):
        self.name, self.seconds, self.peak_mib = name, [], None
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self._answer()

    def run(self, line=""):
        print(line, file=self._process.stdin, flush=True)
        return self._answer()["seconds"]

    def close(self):
        """Reads the process's peak memory and ends it."""
        self.peak_mib = peak_mib(self._process)
        self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended early with status {self._process.wait()}")
        return json.loads(line)

    @property
    def median(self):
        return statistics.median(self.seconds)


def race(contenders, rounds, line="", divide=1, warm_up=1):
    """Lets all do the task in turn, `rounds` times; fills their `seconds`, divided by `divide`."""
    for contender in contenders:
        contender.seconds = []
        for _ in range(warm_up):
            contender.run(line)
    for _ in range(rounds):
        for contender in contenders:
            # Threads of the one before spin before they sleep: OpenBLAS's for 2^26 ticks, some 30 ms.
            time.sleep(0.1)
            contender.seconds.append(contender.run(line) / divide)


def spread(values, unit=1.0, digits=3):
    """`median (least – most)`."""
    median, least, most = (number(unit * value, digits) for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} – {most})"


def number(value, digits):
    """So many significant digits, without an exponent."""
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(value)))}f}"


def ratio(reference, ours):
    """How many times as fast ours is: of the medians, and the range over rounds."""
    rounds = [theirs / own for theirs, own in zip(reference.seconds, ours.seconds)]
    return f"**{reference.median / ours.median:.2f}** ({min(rounds):.2f} – {max(rounds):.2f})"


def script(*arguments):
    """The command that runs this script with other arguments: the reference's side, in a process of its own."""
    return [sys.executable, os.path.abspath(sys.argv[0]), *map(str, arguments)]


def run_once(command):
    """Runs a command to its end; gives its peak memory in MiB, and what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        process, peak = subprocess.Popen(command, stdout=printed), 0.0
        while process.poll() is None:
            peak = max(peak, peak_mib(process))
            time.sleep(0.002)
        if process.returncode != 0:
            sys.exit(f"{shlex.join(command)} ended with status {process.returncode}")
        printed.seek(0)
        return peak, printed.read()


def peak_mib(process):
    """The most memory that a running process has had resident so far; 0 where there is no /proc."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def import_torch():
    """PyTorch, set to our number of threads."""
    import torch

    # torchaudio refuses to load beside a PyTorch that was built for another CUDA, and takes transformers and diffusers
    # with it. On the CPU that is no matter.
    torch.version.cuda = None
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    return torch


def serve(said, work):
    """The reference's side of a [`Contender`]: `work(line)` is what is timed."""
    print(json.dumps(said), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        work(line.strip())
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"{command[0]} unknown"


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
    widest = next((name for name in ("avx512f", "avx2") if name in fields.get("flags", "").split()), "no AVX2")
    return f"{fields.get('model name', platform.machine())} ({widest})"


def _memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
