"""Writes the .npy fixtures of src/npy with NumPy: python scripts/reference/npy.py"""

from pathlib import Path

import numpy as np

folder = Path(__file__).parents[2] / "tests" / "fixtures" / "npy"
folder.mkdir(parents=True, exist_ok=True)
i, j, k = np.indices((2, 3, 4))
values = (100 * i + 10 * j + k).astype("<i8")

np.save(folder / "c_order.npy", values)
np.save(folder / "fortran_order.npy", np.asfortranarray(values.astype("<f4")))
np.save(folder / "scalar.npy", np.float64(-0.25))
np.save(folder / "structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8", (2,))]))
with open(folder / "version_2.npy", "wb") as file:
    np.lib.format.write_array(file, values.astype("<f8"), version=(2, 0))
