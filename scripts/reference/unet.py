"""Fixtures for the U-Net's parity tests: tiny random networks of diffusers, saved by diffusers itself.

    python scripts/reference/unet.py models/tests/fixtures/unet

Each folder holds a network (config.json and weights) and taps.safetensors: the input, the timesteps, the output of every
stage; but for `b`, gradients.safetensors holds the gradients of a loss. Needs torch and diffusers; downloads nothing.
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

# The other blocks.
OTHERS = {
    # A picture beside the states; widths as small as attention allows, in which its own count of groups shows.
    "skip": dict(
        sample_size=4,
        block_out_channels=(32, 16),
        layers_per_block=1,
        down_block_types=("AttnSkipDownBlock2D", "SkipDownBlock2D"),
        mid_block_type=None,
        up_block_types=("SkipUpBlock2D", "AttnSkipUpBlock2D"),
        attention_head_dim=8,
        norm_num_groups=None,
        center_input_sample=True,
        time_embedding_dim=4,
    ),
    # Residual blocks that change the size, by themselves and beside attention.
    "resnet": dict(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(4, 8, 8),
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D", "UpBlock2D"),
        downsample_type="resnet",
        upsample_type="resnet",
        attention_head_dim=2,
        add_attention=False,
        norm_num_groups=2,
        act_fn="gelu",
    ),
    # Attention to the sample, there being nothing else.
    "k": dict(
        sample_size=4,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32,),
        layers_per_block=2,
        down_block_types=("KDownBlock2D",),
        mid_block_type=None,
        up_block_types=("KCrossAttnUpBlock2D",),
        attention_head_dim=8,
        time_embedding_dim=4,
    ),
}

OLD_KEYS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def network(config, seed, half=False):
    torch.manual_seed(seed)
    unet = UNet2DModel(**config)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            # Norms start at 1 and 0, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            if half:
                parameter.copy_(parameter.half())
    return unet.eval()


def run(unet, config, seed):
    """The taps of one forward pass, by the name of the stage."""
    taps = {}

    def tap(name):
        def hook(_module, _inputs, output):
            taps[name] = (output[0] if isinstance(output, tuple) else output).detach().clone().contiguous()

        return hook

    stages = {"time_embedding": unet.time_embedding, "conv_in": unet.conv_in}
    if unet.mid_block is not None:
        stages["mid_block"] = unet.mid_block
    stages |= {f"down_blocks.{i}": block for i, block in enumerate(unet.down_blocks)}
    stages |= {f"up_blocks.{i}": block for i, block in enumerate(unet.up_blocks)}
    handles = [module.register_forward_hook(tap(name)) for name, module in stages.items()]
    size = config["sample_size"]
    height, width = size if isinstance(size, list) else (size, size)
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(2, unet.config.in_channels, height, width, generator=generator)
    timesteps = torch.tensor([3, 977])
    output = unet(sample, timesteps).sample
    for handle in handles:
        handle.remove()
    return taps | {"sample": sample, "timesteps": timesteps.float(), "output": output.detach().contiguous()}, output


def main(folder):
    for seed, (name, config) in enumerate({"a": A, **OTHERS}.items()):
        # Small files: the weights of the other blocks are rounded to half precision.
        half = name in OTHERS
        unet = network(config, 10 * seed + 1, half)
        taps, output = run(unet, config, 10 * seed + 2)
        target = torch.randn(output.shape, generator=torch.Generator().manual_seed(10 * seed + 3))
        torch.nn.functional.mse_loss(output, target).backward()
        # Of large kernels the first output says enough; the norm of a context that there is not has no gradient.
        first = lambda gradient: (gradient[:1] if half and gradient.numel() > 500 else gradient).clone()
        parameters = unet.named_parameters()
        gradients = {key: first(parameter.grad) for key, parameter in parameters if parameter.grad is not None}
        # Halves the gradients too, of which these are copies.
        (unet.half() if half else unet).save_pretrained(folder / name)
        save_file(taps | {"target": target}, folder / name / "taps.safetensors")
        save_file(gradients, folder / name / "gradients.safetensors")

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

    for name in ("a", "b", *OTHERS):
        path = folder / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text())) + "\n")
        for file in path.parent.iterdir():
            file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
