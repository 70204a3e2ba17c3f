"""Samples with Python's diffusers, for comparison with `nocturne generate --noise`.

    generate.py read FOLDER       opens FOLDER/model, which nocturne wrote
    generate.py write FOLDER      saves a small random AudioDiffusionPipeline as FOLDER/model
    generate.py write-old FOLDER  the same as older versions did: a pickle of the weights, DDPM's scheduler

All write FOLDER/noise.npy and FOLDER/expected.npy, float32 [N, 1, mel, frame]: what five steps of DDIM without noise
make of it.
"""

import sys
from pathlib import Path

import numpy as np
import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes diffusers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from diffusers import AudioDiffusionPipeline, DDIMScheduler, DDPMScheduler, Mel, UNet2DModel

ITEMS, STEPS = 2, 5


def sample(unet, scheduler, noise):
    scheduler = DDIMScheduler.from_config(scheduler.config)
    scheduler.set_timesteps(STEPS)
    state = torch.from_numpy(noise)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            state = scheduler.step(unet(state, timestep).sample, timestep, state, eta=0.0).prev_sample
    return state.numpy()


def read(folder):
    pipeline = AudioDiffusionPipeline.from_pretrained(folder / "model")
    mel = Mel.from_pretrained(folder / "model" / "mel")
    assert (mel.y_res, mel.x_res) == tuple(pipeline.unet.config.sample_size), mel
    assert mel.hop_length == 256 and mel.n_fft == 512, mel
    return pipeline


def write(folder, old):
    torch.manual_seed(1)
    unet = UNet2DModel(
        sample_size=(16, 24),
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=8,
    )
    scheduler = DDPMScheduler() if old else DDIMScheduler(beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing")
    mel = Mel(x_res=24, y_res=16, n_fft=512, hop_length=256)
    pipeline = AudioDiffusionPipeline(vqvae=None, unet=unet.eval(), mel=mel, scheduler=scheduler)
    pipeline.save_pretrained(folder / "model", safe_serialization=not old)
    return pipeline


def main():
    command, folder = sys.argv[1], Path(sys.argv[2])
    pipeline = read(folder) if command == "read" else write(folder, old=command == "write-old")
    height, width = pipeline.mel.y_res, pipeline.mel.x_res
    noise = np.random.default_rng(3).standard_normal((ITEMS, 1, height, width), dtype=np.float32)
    np.save(folder / "noise.npy", noise)
    np.save(folder / "expected.npy", sample(pipeline.unet.eval(), pipeline.scheduler, noise))


if __name__ == "__main__":
    main()
