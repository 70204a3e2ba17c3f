"""Fixtures for reading saved tensors: one, or a list of them, as torch.save and pickle.dump write them.

    python scripts/reference/saved_tensors.py tests/fixtures/saved_tensors

Each file's tensors are in expected.safetensors as <file>.<index>. Needs torch and numpy.
"""

import pickle
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    mel = torch.randn(1, 4, 7)
    cases = {
        "one.pt": mel,
        "list.pt": [mel, mel.half(), torch.randn(9, 8)[1:5, 2:7], mel[0].T],
        "tuple.pt": (mel.double(), mel.bfloat16()),
    }
    for name, value in cases.items():
        torch.save(value, folder / name)
    cases["dumped.p"] = [mel, torch.randn(3)]
    (folder / "dumped.p").write_bytes(pickle.dumps(cases["dumped.p"]))
    cases["array.p"] = mel
    (folder / "array.p").write_bytes(pickle.dumps(mel.numpy()))
    expected = {}
    for name, value in cases.items():
        for index, tensor in enumerate([value] if torch.is_tensor(value) else value):
            expected[f"{name}.{index}"] = tensor.float().contiguous().clone()
    save_file(expected, folder / "expected.safetensors")
    # Mels for BigVGAN, in natural logarithms: one, and a list whose first is the same.
    mel = (2 * torch.randn(1, 80, 4) - 6).clamp(-11.5129, 2.1)
    torch.save(mel, folder / "mel.pt")
    torch.save([mel, mel[:, :, :1]], folder / "mels.pt")
    # What is refused.
    torch.save({"mel": mel}, folder / "dictionary.pt")
    torch.save(torch.arange(4), folder / "whole_numbers.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
