"""Fixtures for the U-Net's parity tests: tiny random networks of diffusers, saved by diffusers itself.

    python scripts/reference/unet.py models/tests/fixtures/unet

Each folder holds a network (config.json and weights) and taps.safetensors: the input, the timesteps, the output of every
stage; in `a`, gradients.safetensors holds the gradients of a loss. Needs torch and diffusers; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes diffusers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from diffusers import UNet2DModel
from safetensors.torch import save_file

# Every block type, attention at two resolutions, more than one head, an input that is not square.
A = dict(
    sample_size=[16, 24],
    in_channels=1,
    out_channels=1,
    block_out_channels=(8, 8, 16),
    layers_per_block=1,
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    attention_head_dim=4,
    norm_num_groups=4,
)

# Every option that changes the arithmetic, away from its default.
B = dict(
    sample_size=16,
    in_channels=3,
    out_channels=2,
    center_input_sample=True,
    freq_shift=1,
    flip_sin_to_cos=False,
    time_embedding_dim=24,
    block_out_channels=(8, 16),
    layers_per_block=2,
    down_block_types=("AttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "AttnUpBlock2D"),
    mid_block_scale_factor=1.5,
    downsample_padding=0,
    attention_head_dim=None,
    norm_num_groups=8,
    norm_eps=1e-3,
    resnet_time_scale_shift="scale_shift",
)

OLD_KEYS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def network(config, seed):
    torch.manual_seed(seed)
    unet = UNet2DModel(**config)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            # Norms start at 1 and 0, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return unet.eval()


def run(unet, config, seed):
    """The taps of one forward pass, by the name of the stage."""
    taps = {}

    def tap(name):
        def hook(_module, _inputs, output):
            taps[name] = (output[0] if isinstance(output, tuple) else output).detach().clone().contiguous()

        return hook

    stages = {"time_embedding": unet.time_embedding, "conv_in": unet.conv_in, "mid_block": unet.mid_block}
    stages |= {f"down_blocks.{i}": block for i, block in enumerate(unet.down_blocks)}
    stages |= {f"up_blocks.{i}": block for i, block in enumerate(unet.up_blocks)}
    handles = [module.register_forward_hook(tap(name)) for name, module in stages.items()]
    size = config["sample_size"]
    height, width = size if isinstance(size, list) else (size, size)
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(2, config["in_channels"], height, width, generator=generator)
    timesteps = torch.tensor([3, 977])
    output = unet(sample, timesteps).sample
    for handle in handles:
        handle.remove()
    return taps | {"sample": sample, "timesteps": timesteps.float(), "output": output.detach().contiguous()}, output


def main(folder):
    unet = network(A, 1)
    taps, output = run(unet, A, 2)
    target = torch.randn(output.shape, generator=torch.Generator().manual_seed(3))
    torch.nn.functional.mse_loss(output, target).backward()
    unet.save_pretrained(folder / "a")
    save_file(taps | {"target": target}, folder / "a" / "taps.safetensors")
    gradients = {name: parameter.grad.contiguous() for name, parameter in unet.named_parameters()}
    save_file(gradients, folder / "a" / "gradients.safetensors")

    unet = network(B, 4)
    taps, _ = run(unet, B, 5)
    (folder / "b").mkdir(parents=True, exist_ok=True)
    unet.save_pretrained(folder / "b", safe_serialization=False)
    # As diffusers wrote attention until version 0.12.
    weights = {}
    for name, value in unet.state_dict().items():
        if "attentions." in name:
            for new, old in OLD_KEYS.items():
                name = name.replace(f".{new}.", f".{old}.")
        weights[name] = value
    torch.save(weights, folder / "b" / "diffusion_pytorch_model.bin")
    save_file(taps, folder / "b" / "taps.safetensors")

    for name in ("a", "b"):
        path = folder / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text())) + "\n")
        for file in path.parent.iterdir():
            file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
