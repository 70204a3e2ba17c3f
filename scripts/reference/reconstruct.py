"""A mel through an autoencoder that `nocturne train vae` wrote, by Python's diffusers.

    reconstruct.py FOLDER    opens FOLDER/vae, writes what it makes of FOLDER/mel.npy as FOLDER/expected.npy
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

# See generate.py.
torch.version.cuda = None
from diffusers import AutoencoderKL

folder = Path(sys.argv[1])
vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
written = json.loads((folder / "vae" / "config.json").read_text())["scaling_factor"]
assert vae.config.scaling_factor == written != 0.18215, vae.config.scaling_factor
with torch.no_grad():
    latents = vae.encode(torch.from_numpy(np.load(folder / "mel.npy"))).latent_dist.mode()
    np.save(folder / "expected.npy", vae.decode(latents).sample.numpy())
