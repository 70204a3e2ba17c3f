"""Fixtures for the autoencoder's parity tests: tiny random networks of diffusers, saved by diffusers itself.

    python scripts/reference/vae.py models/tests/fixtures/vae

`a` and `b` hold a network (config.json and weights) and taps.safetensors: an input, noise, the output of every stage; `a`
also gradients.safetensors, the gradients of a loss. `ldm.ckpt` is a training checkpoint with the keys of the
latent-diffusion code, made of the weights of the network in `ldm` by undoing what diffusers' own converter does: the
converter is run on it and must give them back. Needs torch and diffusers; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes diffusers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from safetensors.torch import save_file

# Three resolutions, channels that change and that stay, more than one latent channel, an input that is not square.
A = dict(
    in_channels=1,
    out_channels=1,
    down_block_types=("DownEncoderBlock2D",) * 3,
    up_block_types=("UpDecoderBlock2D",) * 3,
    block_out_channels=(4, 4, 8),
    layers_per_block=1,
    latent_channels=2,
    norm_num_groups=2,
    sample_size=[16, 24],
    scaling_factor=0.5,
)

# Attention in the blocks, none in the middle of one, no convolutions around the latents.
B = dict(
    in_channels=2,
    out_channels=3,
    down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
    up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    block_out_channels=(4, 8),
    layers_per_block=2,
    latent_channels=1,
    norm_num_groups=2,
    sample_size=8,
    use_quant_conv=False,
    use_post_quant_conv=False,
    mid_block_add_attention=False,
)

# What a published YAML file can say: ch 4, ch_mult [1, 1, 2, 2], num_res_blocks 1, z_channels 1.
LDM = dict(
    in_channels=1,
    out_channels=1,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(4, 4, 8, 8),
    layers_per_block=1,
    latent_channels=1,
    norm_num_groups=2,
    sample_size=16,
)

OLD_KEYS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
LDM_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def network(config, seed):
    torch.manual_seed(seed)
    vae = AutoencoderKL(**config)
    with torch.no_grad():
        for parameter in vae.parameters():
            # Norms start at 1 and 0, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return vae.eval()


def run(vae, config, seed):
    """The taps of one forward pass, by the name of the stage."""
    taps = {}

    def tap(name):
        def hook(_module, _inputs, output):
            taps[name] = output.detach().clone().contiguous()

        return hook

    stages = {"encoder": vae.encoder, "encoder.mid_block": vae.encoder.mid_block}
    stages |= {"decoder": vae.decoder, "decoder.mid_block": vae.decoder.mid_block}
    stages |= {f"encoder.down_blocks.{i}": block for i, block in enumerate(vae.encoder.down_blocks)}
    stages |= {f"decoder.up_blocks.{i}": block for i, block in enumerate(vae.decoder.up_blocks)}
    handles = [module.register_forward_hook(tap(name)) for name, module in stages.items()]
    size = config["sample_size"]
    height, width = size if isinstance(size, list) else (size, size)
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(2, config["in_channels"], height, width, generator=generator)
    posterior = vae.encode(sample).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator)
    latents = posterior.mean + posterior.std * noise
    output = vae.decode(latents).sample
    for handle in handles:
        handle.remove()
    kl = posterior.kl()
    taps |= dict(sample=sample, noise=noise, mean=posterior.mean, logvar=posterior.logvar, latents=latents, kl=kl)
    taps["output"] = output
    return {name: value.detach().contiguous() for name, value in taps.items()}, output, kl


def latent_diffusion_name(name, levels):
    """The name that the latent-diffusion code gives a tensor of diffusers."""
    if name.startswith(("quant_conv", "post_quant_conv")):
        return name
    half, name = name.split(".", 1)
    if name.startswith("conv_norm_out"):
        name = name.removeprefix("conv_")
    elif name.startswith("mid_block.attentions.0."):
        layer, kind = name.removeprefix("mid_block.attentions.0.").rsplit(".", 1)
        name = f"mid.attn_1.{LDM_ATTENTION[layer]}.{kind}"
    elif name.startswith("mid_block.resnets."):
        index, rest = name.removeprefix("mid_block.resnets.").split(".", 1)
        name = f"mid.block_{int(index) + 1}.{rest}"
    elif "_blocks." in name:
        side, level, part, rest = name.split(".", 3)
        side = side.removesuffix("_blocks")
        level = levels - 1 - int(level) if side == "up" else level
        part, rest = {
            "resnets": ("block", rest),
            "downsamplers": ("downsample", rest.removeprefix("0.")),
            "upsamplers": ("upsample", rest.removeprefix("0.")),
        }[part]
        name = f"{side}.{level}.{part}.{rest.replace('conv_shortcut', 'nin_shortcut')}"
    return f"{half}.{name}"


def latent_diffusion_checkpoint(vae):
    """A checkpoint as the published training saves it."""
    levels = len(vae.config.block_out_channels)
    weights = {}
    for name, value in vae.state_dict().items():
        # Attention is made of 1×1 convolutions there.
        projection = "attentions" in name and value.dim() == 2
        weights[latent_diffusion_name(name, levels)] = value[:, :, None, None] if projection else value
    back = convert_ldm_vae_checkpoint(weights, vae.config)
    assert back.keys() == vae.state_dict().keys()
    assert all(torch.equal(value, back[name]) for name, value in vae.state_dict().items())
    weights["loss.logvar"] = torch.zeros(())
    weights["loss.discriminator.main.0.weight"] = torch.zeros(2, 1, 4, 4)
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 4.5e-6, "params": [0]}]}
    return {
        "epoch": 1,
        "global_step": 3,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": weights,
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer, optimizer],
        "lr_schedulers": [],
    }


def main(folder):
    vae = network(A, 1)
    taps, output, kl = run(vae, A, 2)
    target = torch.randn(output.shape, generator=torch.Generator().manual_seed(3))
    (torch.nn.functional.l1_loss(output, target) + 1e-2 * kl.mean()).backward()
    vae.save_pretrained(folder / "a")
    save_file(taps | {"target": target}, folder / "a" / "taps.safetensors")
    gradients = {name: parameter.grad.contiguous() for name, parameter in vae.named_parameters()}
    save_file(gradients, folder / "a" / "gradients.safetensors")

    vae = network(B, 4)
    taps, _, _ = run(vae, B, 5)
    vae.save_pretrained(folder / "b", safe_serialization=False)
    # As diffusers wrote attention until version 0.12.
    weights = {}
    for name, value in vae.state_dict().items():
        if "attentions." in name:
            for new, old in OLD_KEYS.items():
                name = name.replace(f".{new}.", f".{old}.")
        weights[name] = value
    torch.save(weights, folder / "b" / "diffusion_pytorch_model.bin")
    save_file(taps, folder / "b" / "taps.safetensors")

    vae = network(LDM, 6)
    taps, _, _ = run(vae, LDM, 7)
    (folder / "ldm").mkdir(exist_ok=True)
    torch.save(latent_diffusion_checkpoint(vae), folder / "ldm" / "model.ckpt")
    save_file(taps, folder / "ldm" / "taps.safetensors")

    for name in ("a", "b"):
        path = folder / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text())) + "\n")
    for file in folder.glob("*/*"):
        file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
