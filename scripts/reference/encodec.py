"""Fixtures for EnCodec's parity tests: narrow random `EncodecModel`s of transformers, in its own layout, in that of Meta's
`encodec`, and in audiocraft's.

    python scripts/reference/encodec.py models/tests/fixtures/encodec

Three networks: causal with a convolution beside the residual blocks (24 kHz), normalised over time with two channels and
overlapping segments (48 kHz), neither of both with two residual blocks a stage (32 kHz). The waveforms are a formula that the
Rust test has, too. Needs torch and transformers; downloads nothing.
"""

import re
import sys
from pathlib import Path

import torch

torch.version.cuda = None
import numpy as np
from safetensors.torch import load_file, save_file
from transformers import EncodecConfig, EncodecModel

NARROW = dict(num_filters=4, hidden_size=8, upsampling_ratios=[5, 4], codebook_size=16)
NETWORKS = {
    "khz_24": dict(sampling_rate=2400, target_bandwidths=[0.96, 1.92]),
    "khz_48": dict(
        sampling_rate=1000, target_bandwidths=[0.4, 0.8], audio_channels=2, normalize=True, chunk_length_s=0.2, overlap=0.1,
        norm_type="time_group_norm", use_causal_conv=False,
    ),
    "khz_32": dict(
        sampling_rate=1000, target_bandwidths=[0.8], use_causal_conv=False, use_conv_shortcut=False, num_residual_layers=2,
    ),
}

# What `OmegaConf.to_yaml` makes of audiocraft's configuration, cut short.
XP_CFG = """\
device: cuda
solver: compression
sample_rate: 1000
channels: 1
encodec:
  autoencoder: seanet
  quantizer: rvq
  sample_rate: ${sample_rate}
  channels: ${channels}
  causal: false
  renormalize: false
seanet:
  dimension: 8
  channels: ${channels}
  causal: ${encodec.causal}
  n_filters: 4
  n_residual_layers: 2
  ratios:
  - 5
  - 4
  activation: ELU
  activation_params:
    alpha: 1.0
  norm: weight_norm
  norm_params: {}
  kernel_size: 7
  residual_kernel_size: 3
  last_kernel_size: 7
  dilation_base: 2
  pad_mode: reflect
  true_skip: true
  compress: 2
  lstm: 2
  disable_norm_outer_blocks: 0
  encoder: {}
  decoder:
    trim_right_ratio: 1.0
    final_activation: null
    final_activation_params: null
rvq:
  n_q: 4
  q_dropout: false
  bins: 16
  decay: 0.99
slurm:
  gpus: 8
"""


def network(settings):
    model = EncodecModel(EncodecConfig(**NARROW, **settings)).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith(".embed"):
            continue
        if "original0" in name or name.endswith("norm.weight"):
            tensor.copy_(1 + 0.3 * torch.randn_like(tensor))
        elif tensor.dim() > 1 and "embed" not in name:
            tensor.copy_(torch.randn_like(tensor) * (1.5 / tensor[0].numel() ** 0.5))
        elif "bias" in name:
            tensor.copy_(0.3 * torch.randn_like(tensor))
    return model


def waveform(batch, channels, length):
    item, channel, sample = np.ogrid[:batch, :channels, :length]
    values = 0.4 * np.sin(0.11 * sample * (1 + item) + channel) + 0.3 * np.cos(0.013 * sample * (2 + channel) + item)
    return torch.from_numpy(values.astype(np.float32))


def fill_codebooks(model, encodings):
    """Entries near what the codebooks will see: each is some vectors that the ones before it left, disturbed."""
    rest = encodings.transpose(1, 2).reshape(-1, encodings.shape[1])
    for layer in model.quantizer.layers:
        chosen = rest[torch.randint(len(rest), (layer.codebook.codebook_size,))]
        layer.codebook.embed.copy_(chosen + 0.2 * rest.std() * torch.randn_like(chosen))
        rest = rest - layer.codebook.decode(layer.codebook.quantize(rest))


def stages(part, name, signal):
    taps = {}
    for index, layer in enumerate(part.layers):
        signal = layer(signal)
        # The published activation is a layer of its own; what follows takes it along.
        if type(layer) is not torch.nn.ELU:
            taps[f"{name}.{index}"] = signal[:1]
    taps[name] = signal
    return taps


def meta(state):
    """The same tensors by the names of Meta's modules."""
    renamed = {}
    for name, tensor in state.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        # A residual block's convolutions are one deeper than its layers.
        up = re.match(r"decoder\.layers\.\d+\.(conv|norm)\.", name) and tensor_of_up(state, name)
        kind = "convtr" if up else "conv"
        name = re.sub(r"\.conv\.", f".{kind}.{kind}.", name)
        name = re.sub(r"\.norm\.", f".{kind}.norm.", name)
        name = name.replace("encoder.layers.", "encoder.model.").replace("decoder.layers.", "decoder.model.")
        name = name.replace("quantizer.layers.", "quantizer.vq.layers.").replace(".codebook.", "._codebook.")
        renamed[name] = tensor.clone()
    return renamed


def tensor_of_up(state, name):
    """Whether a layer of the decoder is one that lengthens: its weights are [in, in / 2, tap]."""
    layer = re.match(r"decoder\.layers\.\d+\.", name)[0]
    [weight] = [value for key, value in state.items() if key.startswith(layer + "conv.") and value.dim() == 3 and value.shape[2] > 1]
    return weight.shape[0] == 2 * weight.shape[1]


def main(folder):
    for name, settings in NETWORKS.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        model = network(settings)
        channels = model.config.audio_channels
        samples = waveform(2, channels, 173)
        first = model.encoder(samples)
        fill_codebooks(model, first)
        taps = stages(model.encoder, "encoder", samples)
        codes = model.quantizer.encode(first)
        quantized = model.quantizer.decode(codes)
        taps |= {"codes": codes.transpose(0, 1).float(), "quantized": quantized}
        taps |= stages(model.decoder, "decoder", quantized)
        # The whole way, in segments where the network has such, at both bandwidths.
        longer = waveform(1, channels, 455)
        for index, bandwidth in enumerate(model.config.target_bandwidths):
            encoded = model.encode(longer, bandwidth=bandwidth)
            taps[f"whole.codes.{index}"] = encoded.audio_codes[:, 0].float()
            if settings.get("normalize"):
                taps[f"whole.scales.{index}"] = torch.stack(list(encoded.audio_scales))[:, 0]
            pad = encoded.last_frame_pad_length
            taps[f"whole.{index}"] = model.decode(encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=pad)[0]
        print(name, "codes", [len(codes[book].unique()) for book in range(len(codes))], "of 16")
        # Shorter than what a convolution sees beyond its ends.
        taps["short"] = model.encoder(samples[:1, :, :3])

        state = {key: value.contiguous() for key, value in model.state_dict().items()}
        model.save_pretrained(target)
        if name == "khz_32":
            # The layout of the files that are on the hub.
            old = load_file(target / "model.safetensors")
            old = {key.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): value for key, value in old.items()}
            save_file(old, target / "model.safetensors", metadata={"format": "pt"})
            package = {"best_state": meta(state), "xp.cfg": XP_CFG, "version": "1.0.0", "exported": True}
            torch.save(package, folder / "compression_state_dict.bin")
        else:
            torch.save(meta(state), folder / f"encodec_{name[4:]}khz.th")
        save_file({key: value.clone(memory_format=torch.contiguous_format) for key, value in taps.items()}, folder / f"{name}.safetensors")
    pointer = {"pretrained": "facebook/encodec_32khz", "exported": True, "version": "1.0.0"}
    torch.save(pointer, folder / "pointer.bin")
    khz_48 = NETWORKS["khz_48"] | dict(sampling_rate=48_000, target_bandwidths=[3.0, 6.0, 12.0, 24.0], chunk_length_s=1.0, overlap=0.01)
    for settings in [{}, khz_48, dict(num_filters=64, upsampling_ratios=[8, 5, 4, 4], target_bandwidths=[2.2], sampling_rate=32_000,
                              codebook_size=2048, use_causal_conv=False, use_conv_shortcut=False)]:
        with torch.device("meta"):
            published = EncodecModel(EncodecConfig(**settings))
        weights = sum(parameter.numel() for name, parameter in published.named_parameters() if "original0" not in name)
        print("parameters without magnitudes", weights, "codebooks", len(published.quantizer.layers))


if __name__ == "__main__":
    torch.manual_seed(3)
    with torch.no_grad():
        main(Path(sys.argv[1]))
