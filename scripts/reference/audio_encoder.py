"""Fixtures for the audio encoder's parity test: the published encoder's layers in PyTorch, of small sizes and random.

    python scripts/reference/audio_encoder.py models/tests/fixtures/audio_encoder

Written from the list of the published file's tensors and layers. Needs librosa, soundfile and torch; downloads nothing.
"""

import json
import sys
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from safetensors.torch import save_file
from torch import nn

SIZES = dict(x_res=44, y_res=24, conv_channels=[4, 8, 6], dense_features=20, embedding_features=10)
EPSILON = 1e-3


def block(channels_in, channels_out):
    """Names as the published tensors'; the order of the fields is that of the layers."""
    layers = nn.Module()
    layers.sep_conv = nn.Module()
    layers.sep_conv.depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
    layers.sep_conv.pointwise = nn.Conv2d(channels_in, channels_out, 1)
    layers.batch_norm = nn.BatchNorm2d(channels_out, eps=EPSILON)
    return layers


def encoder(x_res, y_res, conv_channels, dense_features, embedding_features):
    network = nn.Module()
    inputs = [1, *conv_channels[:-1]]
    network.conv_blocks = nn.ModuleList([block(*sizes) for sizes in zip(inputs, conv_channels)])
    halvings = 2 ** len(conv_channels)
    network.dense_block = nn.Module()
    flattened = (x_res // halvings) * (y_res // halvings) * conv_channels[-1]
    network.dense_block.dense = nn.Linear(flattened, dense_features)
    network.dense_block.batch_norm = nn.BatchNorm1d(dense_features, eps=EPSILON)
    network.embedding = nn.Linear(dense_features, embedding_features)
    return network


def run(network, pictures):
    taps = {"pictures": pictures}
    leaky = nn.LeakyReLU(0.2)
    hidden = pictures
    for index, layers in enumerate(network.conv_blocks):
        hidden = layers.sep_conv.pointwise(layers.sep_conv.depthwise(hidden))
        hidden = nn.functional.max_pool2d(layers.batch_norm(leaky(hidden)), 2)
        taps[f"conv_blocks.{index}"] = hidden
    # Channels innermost.
    hidden = hidden.movedim(1, -1).flatten(1)
    hidden = network.dense_block.batch_norm(leaky(network.dense_block.dense(hidden)))
    taps["dense_block"] = hidden
    taps["output"] = network.embedding(hidden)
    return {name: tap.contiguous() for name, tap in taps.items()}


def pictures(file, x_res, y_res, **_):
    """As diffusers' Mel makes them at its default rate, hop and transform: one for every slice, 0 to 1."""
    hop, top_db = 512, 80
    samples, rate = librosa.load(file, sr=22050, mono=True)
    size = x_res * hop - 1
    slices = [samples[start : start + size] for start in range(0, len(samples) - size + 1, size)]
    mels = [librosa.feature.melspectrogram(y=s, sr=rate, n_fft=2048, hop_length=hop, n_mels=y_res) for s in slices]
    decibels = np.stack([librosa.power_to_db(mel, ref=np.max, top_db=top_db) for mel in mels])
    pixels = (((decibels + top_db) * 255 / top_db).clip(0, 255) + 0.5).astype(np.uint8)
    return torch.tensor(pixels / 255, dtype=torch.float32)[:, None]


def recording(folder, network):
    """Two slices that differ, silence for a third, and a rest that is dropped; the encoding is the mean of the three."""
    rate, size = 22050, SIZES["x_res"] * 512 - 1
    time = np.arange(3 * size + 999) / rate
    sound = 0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time) * (1 + np.sin(9 * time)) / 2
    sound[2 * size :] = 0
    file = folder / "recording.wav"
    soundfile.write(file, sound, rate, subtype="PCM_U8")
    encoding = run(network, pictures(file, **SIZES))["output"].mean(0, keepdim=True)
    save_file({"recording": encoding}, folder / "encoding.safetensors")


def main(folder):
    torch.manual_seed(1)
    network = encoder(**SIZES)
    for name, tensor in network.state_dict().items():
        # Normalisation starts at 0 and 1, which would hide a mistake in it; some scales are negative.
        if "batch_norm" in name and tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor))
    network.eval()
    folder.mkdir(parents=True, exist_ok=True)
    config = {"_class_name": "AudioEncoder", "_diffusers_version": "0.16.1"} | SIZES
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    torch.save(network.state_dict(), folder / "diffusion_pytorch_model.bin")
    save_file(run(network, torch.rand(3, 1, SIZES["y_res"], SIZES["x_res"])), folder / "taps.safetensors")
    recording(folder, network)
    published = encoder(216, 96, [32, 64, 128], 1024, 100)
    print("numbers of the published sizes:", sum(t.numel() for n, t in published.state_dict().items() if "tracked" not in n))


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
