"""Fixtures for the parity tests of PANNs' Cnn14: its layers in PyTorch, narrow and random, and its log-mels.

    python scripts/reference/panns.py models/tests/fixtures/panns evaluation/tests/fixtures/panns

Written from the list of the published file's tensors and layers; the front end is librosa's, whose results the published
tables of sines and filters in the file reproduce. Needs torch and librosa; downloads nothing.
"""

import sys
from pathlib import Path

import librosa
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

CHANNELS = [4, 6, 8, 10, 12, 14]
DIM, CLASSES = 10, 7
# Name, rate, window, hop, highest frequency.
FRONT_ENDS = [("16k", 16_000, 512, 160, 8_000), ("32k", 32_000, 1024, 320, 14_000)]


def block(channels_in, channels_out):
    layers = nn.Module()
    layers.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    layers.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
    layers.bn1 = nn.BatchNorm2d(channels_out)
    layers.bn2 = nn.BatchNorm2d(channels_out)
    return layers


def network():
    model = nn.Module()
    model.bn0 = nn.BatchNorm2d(64)
    for index, (channels_in, channels_out) in enumerate(zip([1, *CHANNELS], CHANNELS), start=1):
        setattr(model, f"conv_block{index}", block(channels_in, channels_out))
    model.fc1 = nn.Linear(CHANNELS[-1], DIM)
    model.fc_audioset = nn.Linear(DIM, CLASSES)
    for name, tensor in model.state_dict().items():
        # Normalisation starts at 0 and 1, which would hide a mistake in it.
        if "bn" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor) * 0.5)
    model.bn0.running_mean -= 40.0
    model.bn0.running_var += 300.0
    return model.eval()


def run(model, mel):
    taps = {"mel": mel}
    hidden = model.bn0(mel.transpose(1, 3)).transpose(1, 3)
    for index in range(1, 7):
        layers = getattr(model, f"conv_block{index}")
        hidden = F.relu(layers.bn1(layers.conv1(hidden)))
        hidden = F.relu(layers.bn2(layers.conv2(hidden)))
        if index < 6:
            hidden = F.avg_pool2d(hidden, 2)
        taps[f"blocks.{index - 1}"] = hidden
    hidden = hidden.mean(dim=3)
    hidden = hidden.max(dim=2).values + hidden.mean(dim=2)
    taps["embedding"] = F.relu(model.fc1(hidden))
    taps["logits"] = model.fc_audioset(taps["embedding"])
    return taps


def sound(rate, seconds):
    """A tone that rises and a low one, which the Rust test makes again."""
    time = np.arange(int(rate * seconds)) / rate
    sweep = np.sin(2 * np.pi * (200 * time + 900 * time**2)) + 0.3 * np.sin(2 * np.pi * 60 * time)
    return (0.3 * sweep - 0.05).astype(np.float32)


def log_mel(rate, window, hop, highest):
    power = librosa.feature.melspectrogram(
        y=sound(rate, 0.8), sr=rate, n_fft=window, hop_length=hop, pad_mode="reflect", n_mels=64, fmin=50, fmax=highest
    )
    return 10.0 * np.log10(np.maximum(power, 1e-10))


def main(models, evaluation):
    torch.manual_seed(1)
    models.mkdir(parents=True, exist_ok=True)
    evaluation.mkdir(parents=True, exist_ok=True)
    model = network()
    # As the training saves it, with tables of the front end, here cut short.
    tables = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(2, 1, 2),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(2, 1, 2),
        "logmel_extractor.melW": torch.zeros(2, 64),
    }
    published = {"iteration": 600_000, "model": tables | model.state_dict(), "sampler": {"pointers_of_classes": [3, 4]}}
    torch.save(published, models / "cnn14.pth")
    # Of a length that does not halve evenly.
    taps = run(model, torch.randn(2, 1, 70, 64) * 20 - 40)
    save_file({name: tap.contiguous() for name, tap in taps.items()}, models / "taps.safetensors")
    mels = {name: torch.from_numpy(log_mel(*settings).T.copy()).float() for name, *settings in FRONT_ENDS}
    save_file(mels, evaluation / "log_mel.safetensors")


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
