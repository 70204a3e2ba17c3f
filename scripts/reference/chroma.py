"""Fixtures for the parity tests of chromas: those of transformers' MusicGen-melody.

    python scripts/reference/chroma.py vocoder/tests/fixtures/chroma

chroma.safetensors: for short transforms at 8 kHz the filters, a sound with its chromas and their strongest classes, the same of a
sound shorter than a transform; for the published transforms some of the filters, and the chromas of a sound that the test makes by
itself. Needs torch, torchaudio and transformers; downloads nothing.
"""

import sys
from pathlib import Path

import numpy as np
import torch

torch.version.cuda = None
from safetensors.torch import save_file
from transformers import MusicgenMelodyFeatureExtractor


def chromas(extractor, samples):
    """What the extractor finds the strongest class of."""
    samples = torch.as_tensor(samples)[None]
    missing = max(extractor.n_fft - samples.shape[-1], 0)
    samples = torch.nn.functional.pad(samples, (missing // 2, missing - missing // 2))
    raw = torch.einsum("cf,bft->btc", extractor.chroma_filters, extractor.spectrogram(samples))
    return torch.nn.functional.normalize(raw, p=float("inf"), dim=-1, eps=1e-6)[0]


def glide(samples, rate):
    """Two voices that glide, one up and one down."""
    time = np.arange(samples, dtype=np.float64) / rate
    up, down = 2 * np.pi * (220 * time + 90 * time**2), 2 * np.pi * (1500 * time - 200 * time**2)
    return (0.6 * np.sin(up) + 0.3 * np.sin(down)).astype(np.float32)


def main(folder):
    found = {}

    def keep(name, extractor, samples):
        chroma = chromas(extractor, samples)
        one_hot = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt").input_features[0]
        assert torch.equal(one_hot.argmax(-1), chroma.argmax(-1)) and (one_hot.sum(-1) == 1).all()
        found[f"{name}.chroma"] = chroma
        found[f"{name}.strongest"] = one_hot.argmax(-1).float()

    small = MusicgenMelodyFeatureExtractor(sampling_rate=8000, n_fft=512, hop_length=128)
    found["small.filters"] = small.chroma_filters
    generator = np.random.default_rng(0)
    noisy = (glide(4_001, 8_000) + 0.2 * generator.standard_normal(4_001)).astype(np.float32)
    for name, samples in [("small", noisy), ("short", noisy[:301])]:
        found[f"{name}.samples"] = torch.as_tensor(samples)
        keep(name, small, samples)
    published = MusicgenMelodyFeatureExtractor()
    found["published.filters"] = published.chroma_filters[:, ::61]
    keep("published", published, glide(50_000, 32_000))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / "chroma.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
