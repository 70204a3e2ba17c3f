"""Fréchet distances, FAD-inf and per-song FAD beside fadtk's own calculation.

    pip install --no-deps fadtk && pip install scipy
    python scripts/bench/frechet.py [--quick] [--only frechet|infinity|songs]

Takes six minutes on two quiet cores, nearly all of it fadtk's. fadtk's `calc_frechet_distance` is taken out of its installed
`fad.py` as it stands there, without the models that importing the package would load; the loops of FAD-inf and of songs are
written after its `score_inf` and `score_individual`. Its per-song time is that of 5 songs, times 100: each song takes the same.

Vectors are normal, and their variances along random axes are 1, 1/2, 1/3, … (`even`) or the third powers of those (`steep`,
nearer to what networks make).
"""

import argparse
import ast
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy

import side_by_side as bench

DIMENSIONS = (128, 512, 1024, 2048)
SPECTRA = {"even": 1, "steep": 3}
# Of FAD-inf and songs; a song is ten seconds of an embedding that has one vector a second.
DIMENSION, VECTORS, SONGS, ROWS = 512, 5000, 500, 10
THEIR_SONGS = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds and no 2048: to see that it runs, not to quote")
    parser.add_argument("--only", choices=["frechet", "infinity", "songs"])
    arguments = parser.parse_args()
    program = bench.build("example", "frechet_bench")
    bench.heading(["fadtk", "numpy", "scipy"])
    bench.table("task", "nocturne, s", "fadtk, s", "times as fast")
    if arguments.only in (None, "frechet"):
        for dimension in DIMENSIONS[:3] if arguments.quick else DIMENSIONS:
            for spectrum in SPECTRA:
                # A round of 2048 takes fadtk half a minute.
                rounds = 1 if arguments.quick or dimension > 1024 else 5
                with Pair(program, "frechet", dimension, spectrum, 3 * dimension) as pair:
                    pair.race(f"Fréchet, {dimension}, {spectrum}", rounds, warm_up=int(dimension <= 1024))
    for spectrum in SPECTRA:
        if arguments.only in (None, "infinity"):
            with Pair(program, "infinity", DIMENSION, spectrum, VECTORS) as pair:
                pair.race(f"FAD-inf, 25 points, {DIMENSION}, {VECTORS} vectors, {spectrum}", 1 if arguments.quick else 3, warm_up=0)
        if arguments.only in (None, "songs"):
            with Pair(program, "songs", DIMENSION, spectrum, SONGS * ROWS) as pair:
                pair.songs(f"per-song FAD, {SONGS} songs of {ROWS} vectors, {DIMENSION}, {spectrum}")


class Pair:
    """Both sides of a task, over the same two files of vectors."""

    def __init__(self, program, task, dimension, spectrum, count):
        self._folder = tempfile.TemporaryDirectory()
        files = []
        for seed, name in enumerate(("reference", "generated")):
            files.append(str(Path(self._folder.name, f"{name}.npy")))
            numpy.save(files[-1], vectors(seed, count, dimension, SPECTRA[spectrum]))
        sides = [task, *files, str(ROWS)]
        self.ours = bench.Contender("nocturne", [program, *sides])
        self.theirs = bench.Contender("fadtk", bench.script("--reference", *sides))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ours.close()
        self.theirs.close()
        self._folder.cleanup()

    def race(self, title, rounds, warm_up):
        bench.race([self.ours, self.theirs], rounds, warm_up=warm_up)
        self._row(title)

    def songs(self, title):
        self.ours.run(SONGS)
        self.ours.seconds = [self.ours.run(SONGS) for _ in range(3)]
        self.theirs.seconds = [self.theirs.run(THEIR_SONGS) * SONGS / THEIR_SONGS for _ in range(3)]
        self._row(title)

    def _row(self, title):
        ratio = bench.ratio(self.theirs, self.ours)
        bench.row(title, bench.spread(self.ours.seconds), bench.spread(self.theirs.seconds), ratio)


def vectors(seed, count, dimension, power):
    random = numpy.random.default_rng(seed)
    deviations = numpy.arange(1, dimension + 1) ** (-power / 2)
    # The same axes for both sets.
    axes = numpy.linalg.qr(numpy.random.default_rng(9).standard_normal((dimension, dimension)))[0]
    return ((random.standard_normal((count, dimension)) * deviations) @ axes + 0.1 * seed).astype(numpy.float32)


def reference(task, *files_and_rows):
    *files, rows = files_and_rows
    first, second = (numpy.load(file).astype(float) for file in files)
    distance = fadtk()
    baseline = first.mean(axis=0), numpy.cov(first, rowvar=False)
    other = second.mean(axis=0), numpy.cov(second, rowvar=False)

    def infinity(_):
        points = []
        for size in numpy.linspace(500, len(second), 25).astype(int):
            drawn = second[numpy.random.choice(len(second), size=size, replace=True)]
            points.append([size, distance(*baseline, drawn.mean(axis=0), numpy.cov(drawn, rowvar=False))])
        points = numpy.array(points)
        numpy.polyfit(1 / points[:, 0], points[:, 1], 1)

    def songs(line):
        for song in range(int(line)):
            own = second[song * int(rows) : (song + 1) * int(rows)]
            distance(*baseline, own.mean(axis=0), numpy.cov(own, rowvar=False))

    tasks = {"frechet": lambda _: distance(*baseline, *other), "infinity": infinity, "songs": songs}
    bench.serve({}, tasks[task])


def fadtk():
    """fadtk's `calc_frechet_distance`, word for word."""
    package = importlib.util.find_spec("fadtk")
    if package is None:
        sys.exit("fadtk is not installed: pip install --no-deps fadtk")
    text = Path(package.submodule_search_locations[0], "fad.py").read_text()
    kept = [node for node in ast.parse(text).body if getattr(node, "name", None) == "calc_frechet_distance"]
    from scipy import linalg

    class Log:
        info = warning = staticmethod(lambda message: None)

    names = {"np": numpy, "linalg": linalg, "scisqrt": numpy.lib.scimath.sqrt, "log": Log}
    exec(compile(ast.Module(kept, []), "fad.py", "exec"), names)
    return names["calc_frechet_distance"]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(*sys.argv[2:])
    else:
        main()
