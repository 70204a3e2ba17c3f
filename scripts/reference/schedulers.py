"""Fixtures of diffusers' DDPMScheduler and DDIMScheduler for models/tests/schedulers.rs.

    python scripts/reference/schedulers.py models/tests/fixtures

Writes schedulers.json (configurations, timesteps) and schedulers.safetensors (alpha bars, trajectories of a network
without weights, noisy samples, velocities and losses). Needs torch, numpy, safetensors and diffusers (made with 0.42).
"""

import itertools
import json
import pathlib
import sys

import numpy as np
import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes diffusers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddim, scheduling_ddpm
from safetensors.torch import save_file

SHAPE = (2, 1, 3, 5)
CLASSES = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}
BETAS = {"trained_betas": [0.002 * (1 + i % 3) + 0.004 * i for i in range(20)], "num_train_timesteps": 20}


def network(sample, timestep):
    """A smooth function of both arguments. models/tests/schedulers.rs has the same."""
    return torch.sin(1.3 * sample + 0.01 * timestep) * 0.9 + 0.1 * sample


class Cases:
    """The sweep: each case is a scheduler, what differs from its defaults, steps and eta."""

    def __init__(self):
        self.list = []

    def add(self, kind, steps=6, eta=0.0, **config):
        self.list.append({"kind": kind, "steps": steps, "eta": eta, "config": config})


def sweep():
    cases = Cases()
    spacings, predictions = ("leading", "trailing", "linspace"), ("epsilon", "sample", "v_prediction")
    for kind, spacing, prediction, clip in itertools.product(CLASSES, spacings, predictions, (True, False)):
        eta = {"leading": 0.5, "trailing": 0.0, "linspace": 1.0}[spacing] if kind == "ddim" else 0.0
        cases.add(kind, eta=eta, timestep_spacing=spacing, prediction_type=prediction, clip_sample=clip)
    for kind, prediction, spacing in itertools.product(CLASSES, ("sample", "v_prediction"), ("trailing", "leading")):
        for eta in (0.0, 0.5, 1.0) if kind == "ddim" else (0.0,):
            cases.add(kind, eta=eta, timestep_spacing=spacing, prediction_type=prediction, rescale_betas_zero_snr=True)
    for kind in CLASSES:
        cases.add(kind, clip_sample_range=0.6)
        cases.add(kind, thresholding=True)
        cases.add(kind, thresholding=True, dynamic_thresholding_ratio=0.7, sample_max_value=1.5)
        cases.add(kind, thresholding=True, dynamic_thresholding_ratio=1.0, sample_max_value=9.0, clip_sample=False)
        cases.add(kind, steps=7, timestep_spacing="trailing")
        cases.add(kind, steps=7, steps_offset=1)
        cases.add(kind, steps=1, timestep_spacing="linspace")
        cases.add(kind, steps=40, num_train_timesteps=40, beta_end=0.2)
        cases.add(kind, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
        cases.add(kind, beta_schedule="squaredcos_cap_v2")
        cases.add(kind, beta_schedule="squaredcos_cap_v2", rescale_betas_zero_snr=True, prediction_type="v_prediction")
        cases.add(kind, steps=10, **BETAS)
    for variance in ("fixed_small_log", "fixed_large"):
        for spacing in spacings:
            cases.add("ddpm", variance_type=variance, timestep_spacing=spacing)
    cases.add("ddpm", beta_schedule="sigmoid")
    for eta in (0.0, 0.5, 1.0):
        cases.add("ddim", eta=eta, set_alpha_to_one=False)
        cases.add("ddim", eta=eta, steps=50, clip_sample=False)
    return cases.list


def trajectory(case, scheduler, start, noises):
    """The state after each step, with stored noise in place of drawn noise."""
    stored = {"step": 0}

    def feed(shape, **_):
        assert tuple(shape) == SHAPE
        return noises[stored["step"]]

    scheduling_ddim.randn_tensor = scheduling_ddpm.randn_tensor = feed
    scheduler.set_timesteps(case["steps"])
    state, states = start, []
    for index, timestep in enumerate(scheduler.timesteps):
        stored["step"] = index
        output = network(state, timestep)
        options = {"eta": case["eta"]} if case["kind"] == "ddim" else {}
        state = scheduler.step(output, timestep, state, **options).prev_sample
        assert state.isfinite().all(), case
        states.append(state)
    # Long trajectories would fill the file: their first and last states tell as much.
    return torch.stack(states if len(states) <= 10 else states[:4] + states[-4:])


def checksum(timesteps):
    return sum((index + 1) * int(timestep) for index, timestep in enumerate(timesteps))


def all_timesteps():
    """Every number of steps of a few schedules, as one checksum each."""
    rows = []
    for count, spacing, offset in itertools.product((1000, 37), ("leading", "trailing", "linspace"), (0, 1)):
        scheduler = DDPMScheduler(num_train_timesteps=count, timestep_spacing=spacing, steps_offset=offset)
        sums = []
        for steps in range(1, count + 1):
            scheduler.set_timesteps(steps)
            timesteps = scheduler.timesteps.tolist()
            # `trailing` sometimes rounds to one more timestep, -1, which no schedule has.
            assert len(timesteps) == steps or (len(timesteps) == steps + 1 and timesteps[-1] == -1)
            timesteps = timesteps[:steps]
            sums.append(checksum(timesteps) if timesteps[0] < count else None)
        rows.append({"num_train_timesteps": count, "timestep_spacing": spacing, "steps_offset": offset, "sums": sums})
    return rows


def losses(prediction, samples, noise, timesteps, tensors):
    scheduler = DDPMScheduler(prediction_type=prediction)
    noisy = scheduler.add_noise(samples, noise, timesteps)
    velocity = scheduler.get_velocity(samples, noise, timesteps)
    target = {"epsilon": noise, "sample": samples, "v_prediction": velocity}[prediction]
    output = network(noisy, timesteps.view(-1, 1, 1, 1))
    tensors[f"loss.{prediction}"] = ((output - target) ** 2).mean(dim=(1, 2, 3))
    tensors["loss.noisy"], tensors["loss.velocity"] = noisy, velocity


def main(folder):
    generator = torch.Generator().manual_seed(20)
    start = torch.randn(SHAPE, generator=generator)
    noises = torch.randn((50, *SHAPE), generator=generator)
    tensors = {"start": start, "noises": noises}
    cases = sweep()
    for index, case in enumerate(cases):
        scheduler = CLASSES[case["kind"]](**case["config"])
        states = trajectory(case, scheduler, start, noises)
        tensors[f"states.{index}"] = states
        case["timesteps"] = scheduler.timesteps.tolist()
        case["published"] = json.loads(scheduler.to_json_string())
        del case["config"]
        keys = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps", "rescale_betas_zero_snr")
        case["alphas_cumprod"] = "alphas_cumprod." + "-".join(str(scheduler.config[key]) for key in keys)
        tensors[case["alphas_cumprod"]] = scheduler.alphas_cumprod
    samples, noise = torch.rand((3, *SHAPE[1:]), generator=generator) * 2 - 1, noises[:2].reshape(-1)[: 3 * 15]
    timesteps = torch.tensor([0, 437, 999])
    tensors["loss.samples"], tensors["loss.noise"] = samples, noise.reshape(samples.shape).clone()
    for prediction in ("epsilon", "sample", "v_prediction"):
        losses(prediction, samples, tensors["loss.noise"], timesteps, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "schedulers.safetensors")
    text = json.dumps({"cases": cases, "timesteps": all_timesteps()}, separators=(",", ":"))
    (folder / "schedulers.json").write_text(text.replace('{"kind"', '\n{"kind"') + "\n")
    print(len(cases), "cases with numpy", np.__version__, "and torch", torch.__version__)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
