"""Fixtures for VGGish's parity tests: torchvggish's layers in PyTorch, narrow and random, and its log-mel.

    python scripts/reference/vggish.py models/tests/fixtures/vggish evaluation/tests/fixtures/vggish

Written from the list of the published file's tensors and layers, and from the description of the published front end
(periodic Hann window of 400 in a transform of 512, magnitudes, HTK mel of 125 to 7500 Hz with triangles in mel, log of
what is 0.01 above). The log-mel is in float64, as published. Needs torch and numpy; downloads nothing.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

CHANNELS = [4, 6, 8, 10]
WIDTHS = [24, 20, 12]


def network():
    layers, channels = [], 1
    for width, count in zip(CHANNELS, [1, 1, 2, 2]):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    embeddings, width = [], 6 * 4 * channels
    for output in WIDTHS:
        embeddings += [nn.Linear(width, output), nn.ReLU()]
        width = output
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    model.embeddings = nn.Sequential(*embeddings)
    with torch.no_grad():
        for parameter in model.parameters():
            # He's, so that the last stages are not all but constant.
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter)
            else:
                nn.init.normal_(parameter, std=0.2)
    return model


def run(model, examples):
    taps, hidden, stage = {"examples": examples}, examples, 0
    for layer in model.features:
        hidden = layer(hidden)
        if isinstance(layer, nn.MaxPool2d):
            taps[f"stages.{stage}"] = hidden
            stage += 1
    hidden = hidden.transpose(1, 3).transpose(1, 2).flatten(1)
    for layer in model.embeddings[:-1]:
        hidden = layer(hidden)
    taps["output"] = hidden
    return taps


def postprocess(vectors, matrix, means):
    whitened = torch.mm(matrix, vectors.T - means).T
    return torch.round((torch.clamp(whitened, -2.0, 2.0) + 2.0) * (255.0 / 4.0))


def log_mel(samples):
    """`[frame, 64]`"""
    window = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    spectrum = np.abs(np.fft.rfft(frames * window, 512))
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)
    bins = mel(np.linspace(0.0, 8000.0, 257))
    edges = np.linspace(mel(125.0), mel(7500.0), 66)
    matrix = np.empty((257, 64))
    for band in range(64):
        lower, centre, upper = edges[band : band + 3]
        matrix[:, band] = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    matrix[0] = 0.0
    return np.log(spectrum @ matrix + 0.01)


def sound(seconds):
    """A tone that rises and a low one at 16 kHz, which the Rust test makes again. Its highest and lowest samples differ."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    sweep = np.sin(2 * np.pi * (200 * time + 900 * time**2)) + 0.3 * np.sin(2 * np.pi * 60 * time)
    return (0.3 * sweep - 0.05).astype(np.float32)


def main(models, evaluation):
    torch.manual_seed(1)
    models.mkdir(parents=True, exist_ok=True)
    evaluation.mkdir(parents=True, exist_ok=True)
    model = network()
    torch.save(model.state_dict(), models / "vggish.pth")
    taps = run(model, torch.randn(2, 1, 96, 64))
    taps["last"] = model.embeddings[-1](taps["output"])
    pca = {"pca_eigen_vectors": torch.randn(WIDTHS[-1], WIDTHS[-1]), "pca_means": torch.randn(WIDTHS[-1], 1)}
    torch.save(pca, models / "pca.pth")
    taps["whitened"] = postprocess(taps["output"], *pca.values())
    save_file({name: tap.contiguous() for name, tap in taps.items()}, models / "taps.safetensors")

    samples = sound(1.6)
    mel = log_mel(samples.astype(np.float64))
    examples = mel[: len(mel) // 96 * 96].reshape(-1, 96, 64)
    # As TensorFlow's original: the highest sample becomes 1; a window of a second every half second.
    loud = samples.astype(np.float64) / max(0.1 / 32768, samples.max())
    starts = range(0, len(samples) - 16_000 + 1, 8_000)
    google = np.stack([log_mel(loud[start : start + 16_000])[:96] for start in starts])
    as_tensor = lambda array: torch.from_numpy(array.astype(np.float32)).contiguous()
    save_file({"torchvggish": as_tensor(examples), "google": as_tensor(google)}, evaluation / "log_mel.safetensors")


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
