"""Fixtures for reading pickled encodings: dictionaries {audio_file: tensor} as the published scripts write them, and others
that people have, with every protocol.

    python scripts/reference/encodings.py tests/fixtures/encodings

expected.safetensors holds what is in each of them. Needs torch and numpy.
"""

import pickle
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file


def tensors():
    torch.manual_seed(1)
    shared = torch.randn(1, 6)
    return OrderedDict(
        {
            "music/soft rain.wav": torch.randn(1, 6),
            "music/Glück.mp3": shared,
            "more/again.wav": shared,
            "vector": torch.randn(6),
            "longer": torch.randn(3, 6),
            "batch": torch.randn(1, 2, 6),
            "view": torch.randn(5, 8)[1:4, 2:],
            "transposed": torch.randn(6, 2).T,
            "half": torch.randn(1, 6).half(),
            "brain": torch.randn(1, 6).bfloat16(),
            "double": torch.randn(1, 6).double(),
        }
    )


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    all_tensors = tensors()
    for protocol in [2, 3, 4, 5]:
        (folder / f"torch-{protocol}.p").write_bytes(pickle.dumps(dict(all_tensors), protocol=protocol))
    (folder / "ordered.p").write_bytes(pickle.dumps(all_tensors))
    torch.save(dict(all_tensors), folder / "saved.pt")
    torch.save(dict(all_tensors), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    # NumPy has no bfloat16.
    arrays = {name: tensor.numpy() for name, tensor in all_tensors.items() if name != "brain"}
    arrays["transposed"] = np.asfortranarray(arrays["transposed"])
    for protocol in [2, 3, 4, 5]:
        (folder / f"numpy-{protocol}.p").write_bytes(pickle.dumps(arrays, protocol=protocol))
    tokens = {name: tensor.float().reshape(-1, 6).contiguous().clone() for name, tensor in all_tensors.items()}
    save_file(tokens, folder / "expected.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
