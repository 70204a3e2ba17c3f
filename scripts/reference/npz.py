"""Writes the `.npz` files that src/npy/npz.rs reads: statistics as fadtk packages them, stored and compressed."""

from pathlib import Path

import numpy

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "npy"

arrays = {"vggish.mu": numpy.array([0.5, -0.25]), "vggish.cov": numpy.array([[2.0, 1.0], [1.0, 3.0]])}
numpy.savez(FOLDER / "stored.npz", **arrays)
numpy.savez_compressed(FOLDER / "compressed.npz", **arrays)
