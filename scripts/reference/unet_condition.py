"""Fixtures for the conditional U-Net's parity tests: tiny random networks of diffusers, saved by diffusers itself.

    python scripts/reference/unet_condition.py models/tests/fixtures/unet_condition

Each folder holds a network (config.json and weights), taps.safetensors (the inputs and the output of every stage) and
gradients.safetensors (those of a loss, of every parameter and of the condition). Needs torch and diffusers; downloads
nothing.
"""

import json
import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes diffusers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

SMALL = dict(in_channels=1, out_channels=1, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2)

CONFIGS = {
    # As the published conditional networks of mels are made: cross-attention below the largest resolution.
    "cross": SMALL
    | dict(
        sample_size=[8, 12],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=6,
    ),
    # Every option that changes the arithmetic of cross-attention blocks, away from its default; odd sizes.
    "options": SMALL
    | dict(
        sample_size=[9, 7],
        in_channels=3,
        out_channels=2,
        center_input_sample=True,
        freq_shift=1,
        flip_sin_to_cos=False,
        time_embedding_dim=12,
        time_embedding_act_fn="mish",
        time_cond_proj_dim=5,
        block_out_channels=(4, 4, 8),
        layers_per_block=[1, 2, 1],
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
        mid_block_scale_factor=1.5,
        attention_head_dim=[2, 1, 4],
        cross_attention_dim=[6, 6, 6],
        transformer_layers_per_block=[1, 1, 2],
        use_linear_projection=True,
        upcast_attention=True,
        norm_eps=1e-3,
        resnet_time_scale_shift="scale_shift",
        conv_in_kernel=5,
        conv_out_kernel=1,
    ),
    # Self-attention blocks, whose `attention_head_dim` is what it says; blocks without self-attention.
    "self": SMALL
    | dict(
        sample_size=8,
        down_block_types=("AttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("AttnUpBlock2D", "CrossAttnUpBlock2D"),
        only_cross_attention=[False, True],
        mid_block_only_cross_attention=True,
        attention_head_dim=[2, 4],
        cross_attention_dim=6,
        encoder_hid_dim=5,
        downsample_padding=0,
    ),
    "simple": SMALL
    | dict(
        sample_size=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=6,
        resnet_skip_time_act=True,
        resnet_out_scale_factor=1.25,
        time_embedding_act_fn="gelu",
    ),
    # The two kinds of block that change their size by residual blocks, exchanged, and a middle without attention.
    "mixed": SMALL
    | dict(
        sample_size=8,
        down_block_types=("SimpleCrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"),
        only_cross_attention=True,
        attention_head_dim=2,
        cross_attention_dim=6,
        resnet_time_scale_shift="scale_shift",
    ),
    "no_middle": SMALL
    | dict(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type=None,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=6,
    ),
    "normed": SMALL
    | dict(
        sample_size=8,
        block_out_channels=(4, 6),
        down_block_types=("SimpleCrossAttnDownBlock2D", "ResnetDownsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=32,
        cross_attention_norm="group_norm",
        act_fn="mish",
        timestep_post_act="relu",
    ),
    # The smallest resolution of the published network with K blocks (stabilityai/sd-x2-latent-upscaler), with its options:
    # all widths are one, and there are no skips.
    "k": SMALL
    | dict(
        sample_size=4,
        block_out_channels=(32,),
        down_block_types=("KCrossAttnDownBlock2D",),
        mid_block_type=None,
        up_block_types=("KCrossAttnUpBlock2D",),
        attention_head_dim=8,
        cross_attention_dim=6,
        norm_num_groups=None,
        act_fn="gelu",
        time_embedding_type="fourier",
        time_embedding_dim=32,
        time_cond_proj_dim=5,
        timestep_post_act="silu",
        conv_in_kernel=1,
        conv_out_kernel=1,
    ),
    # Steps to other widths, which K blocks take on the way up at their end; two groups of a normalisation.
    "k_steps": SMALL
    | dict(
        sample_size=8,
        block_out_channels=(32, 34, 36),
        down_block_types=("KCrossAttnDownBlock2D", "KDownBlock2D", "KDownBlock2D"),
        mid_block_type=None,
        up_block_types=("KCrossAttnUpBlock2D", "KUpBlock2D", "KCrossAttnUpBlock2D"),
        attention_head_dim=[2, 1, 4],
        cross_attention_dim=6,
        norm_num_groups=2,
        time_embedding_dim=4,
    ),
}

# Networks whose blocks need many channels: their weights are rounded and saved in half precision.
LARGE = ("k", "k_steps")

# Where there is only cross-attention, diffusers hides no token from the first attention of a transformer, and cannot add
# the mask to the scores of a "simple" block.
UNMASKED = ("self", "mixed")

OLD_KEYS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def network(config, seed, large):
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(**config)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            # Norms start at 1 and 0, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            if large:
                parameter.copy_(parameter.half())
    return unet.eval()


def run(name, unet, seed):
    """The taps of one forward pass, by the name of the stage, and the gradients of a loss."""
    taps = {}

    def tap(stage):
        def hook(_module, _inputs, output):
            taps[stage] = (output[0] if isinstance(output, tuple) else output).detach().clone().contiguous()

        return hook

    stages = {"conv_in": unet.conv_in}
    if unet.mid_block is not None:
        stages["mid_block"] = unet.mid_block
    stages |= {f"down_blocks.{i}": block for i, block in enumerate(unet.down_blocks)}
    stages |= {f"up_blocks.{i}": block for i, block in enumerate(unet.up_blocks)}
    handles = [module.register_forward_hook(tap(stage)) for stage, module in stages.items()]
    config = unet.config
    size = config.sample_size
    height, width = size if isinstance(size, list) else (size, size)
    generator = torch.Generator().manual_seed(seed)
    inputs = {"sample": torch.randn(2, config.in_channels, height, width, generator=generator)}
    inputs["timesteps"] = torch.tensor([3, 977])
    width = config.cross_attention_dim
    width = width[0] if isinstance(width, list) else width
    inputs["encodings"] = torch.randn(2, 5, config.encoder_hid_dim or width, generator=generator, requires_grad=True)
    if name not in UNMASKED:
        inputs["mask"] = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    if config.time_cond_proj_dim is not None:
        inputs["timestep_cond"] = torch.randn(2, config.time_cond_proj_dim, generator=generator)
    output = unet(
        inputs["sample"],
        inputs["timesteps"],
        inputs["encodings"],
        timestep_cond=inputs.get("timestep_cond"),
        encoder_attention_mask=inputs.get("mask"),
    ).sample
    for handle in handles:
        handle.remove()
    inputs["target"] = torch.randn(output.shape, generator=generator)
    torch.nn.functional.mse_loss(output, inputs["target"]).backward()
    # Of large kernels the first output says enough; the drawn frequencies of timesteps are not trained.
    first = lambda gradient: gradient[:1].clone() if name in LARGE and gradient.numel() > 500 else gradient
    parameters = unet.named_parameters()
    gradients = {key: first(parameter.grad) for key, parameter in parameters if parameter.grad is not None}
    gradients["encodings"] = inputs["encodings"].grad
    taps |= inputs | {"output": output}
    return ({name: value.detach().float().contiguous() for name, value in group.items()} for group in (taps, gradients))


def main(folder):
    for seed, (name, config) in enumerate(CONFIGS.items()):
        unet = network(config, seed, name in LARGE)
        taps, gradients = run(name, unet, 10 + seed)
        path = folder / name
        (unet.half() if name in LARGE else unet).save_pretrained(path)
        if name == "self":
            # As diffusers wrote attention until version 0.12.
            weights = {}
            for key, value in unet.state_dict().items():
                for block in ("down_blocks.0.", "up_blocks.0."):
                    if key.startswith(block + "attentions."):
                        for new, old in OLD_KEYS.items():
                            key = key.replace(f".{new}.", f".{old}.")
                weights[key] = value.contiguous()
            save_file(weights, path / "diffusion_pytorch_model.safetensors")
        save_file(taps, path / "taps.safetensors")
        save_file(gradients, path / "gradients.safetensors")
        text = path / "config.json"
        text.write_text(json.dumps(json.loads(text.read_text())) + "\n")
        for file in path.iterdir():
            file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
