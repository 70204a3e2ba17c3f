"""Fixtures for BigVGAN's parity tests: small random generators of the published implementation.

    git clone https://github.com/NVIDIA/BigVGAN
    python scripts/reference/bigvgan.py BigVGAN vocoder/tests/fixtures/bigvgan

`a` is like the second version (two convolutions a layer, snakebeta, logarithms, clipped), `b` has every option the other way.
Their weights are in every layout that is about: `a` with weight norm as published (pickle) and folded (safetensors), `b`
with weight norm as a parametrisation (pickle). taps.safetensors holds a mel and the output of every stage; longer.safetensors
and short.safetensors mels of other lengths and their samples.

    python scripts/reference/bigvgan.py BigVGAN --full FOLDER
    cargo run --release -p nocturne-models -p nocturne-vocoder -p nocturne --example vocoder_bench -- compare FOLDER

The first writes a full-size generator of random weights (bigvgan_v2_22khz_80band_256x, 112 million parameters), a mel and its
samples in PyTorch; the second prints the signal-to-error ratio of ours.
"""

import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

MEL = dict(num_mels=6, n_fft=64, win_size=64, sampling_rate=8000, fmin=0, fmax=None, num_freq=33)
A = MEL | dict(
    resblock="1", upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], upsample_initial_channel=16, hop_size=8,
    resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3,
    activation="snakebeta", snake_logscale=True, use_tanh_at_final=False, use_bias_at_final=False,
)
# Channels that do not halve evenly, an odd rate, lists of other lengths; the last two fields are true where absent.
B = MEL | dict(
    resblock="2", upsample_rates=[3, 2, 1], upsample_kernel_sizes=[5, 2, 3], upsample_initial_channel=22, hop_size=6,
    resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 2], [3, 1, 4]],
    activation="snake", snake_logscale=False, fmax=3500,
)


def published(clone):
    """The module `bigvgan` of a clone, without its `utils`, which wants a plotting library for two small functions."""
    sys.path.insert(0, str(clone))
    utils = types.ModuleType("utils")
    utils.init_weights = lambda module: None
    utils.get_padding = lambda kernel, dilation=1: (kernel - 1) * dilation // 2
    sys.modules["utils"] = utils
    import bigvgan

    return bigvgan


def generator(bigvgan, config, seed):
    torch.manual_seed(seed)
    network = bigvgan.BigVGAN(bigvgan.AttrDict(config)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # Activations start alike, which would hide a mistake in them; magnitudes as the directions have them.
            if name.endswith((".alpha", ".beta")):
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif name.endswith("weight_g"):
                parameter.mul_(0.8 + 0.8 * torch.rand_like(parameter))
    return network


@torch.inference_mode()
def taps(network, mel):
    taps = {"mel": mel, "embedding": network.conv_pre(mel)}
    hidden = taps["embedding"]
    blocks = network.num_kernels
    for stage, [up] in enumerate(network.ups):
        longer = taps[f"ups.{stage}"] = up(hidden)
        outputs = [block(longer) for block in network.resblocks[stage * blocks :][:blocks]]
        for index, output in enumerate(outputs):
            taps[f"resblocks.{stage * blocks + index}"] = output
        taps[f"activations.{stage}"] = network.resblocks[stage * blocks].activations[0](longer)
        hidden = taps[f"stages.{stage}"] = sum(outputs) / blocks
    taps["samples"] = network(mel)
    return taps


def mels(config, frames, seed, clips=2):
    noise = torch.randn(clips, config["num_mels"], frames, generator=torch.Generator().manual_seed(seed))
    return 2.5 * noise - 4.5


def parametrised(weights):
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {".".join(names.get(part, part) for part in name.split(".")): value for name, value in weights.items()}


def save(tensors, path):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)


def write(bigvgan, folder):
    for name, config, seed in (("a", A, 1), ("b", B, 10)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps(config) + "\n")
        network = generator(bigvgan, config, seed)
        weights = network.state_dict() if name == "a" else parametrised(network.state_dict())
        torch.save({"generator": weights}, place / "bigvgan_generator.pt")
        save(taps(network, mels(config, 12, seed + 1)), place / "taps.safetensors")
        for kind, frames in (("longer", 150), ("short", 1)):
            mel = mels(config, frames, seed + 2)
            with torch.inference_mode():
                save({"mel": mel, "samples": network(mel)}, place / f"{kind}.safetensors")
        if name == "a":
            network.remove_weight_norm()
            save(network.state_dict(), place / "folded.safetensors")


def write_full(bigvgan, clone, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((clone / "configs/bigvgan_v2_22khz_80band_256x.json").read_text())
    (folder / "config.json").write_text(json.dumps(config) + "\n")
    network = generator(bigvgan, config, 1)
    torch.save({"generator": network.state_dict()}, folder / "bigvgan_generator.pt")
    mel = mels(config, 100, 2, clips=1)
    with torch.inference_mode():
        save({"mel": mel, "samples": network(mel)}, folder / "expected.safetensors")
        samples = network(mel)
        # In double precision: what of the difference is ours.
        save({"samples": network.double()(mel.double()).float()}, folder / "double.safetensors")
    print(f"{sum(p.numel() for p in network.parameters())} numbers; samples of {samples.std():.3f} RMS")


def main(clone, *place):
    bigvgan = published(clone)
    if place[0] == "--full":
        write_full(bigvgan, clone, Path(place[1]))
    else:
        write(bigvgan, Path(place[0]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
