"""Fixtures of diffusers' schedulers for models/tests/schedulers.rs.

    python scripts/reference/schedulers.py models/tests/fixtures

Writes schedulers.json (configurations, timesteps) and schedulers.safetensors (alpha bars, trajectories of a network
without weights, noisy samples, velocities, losses, guided outputs). Needs torch, numpy, safetensors, transformers and
diffusers (made with 0.42).
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
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from diffusers.schedulers import scheduling_ddim, scheduling_ddpm
from diffusers.training_utils import compute_snr
from safetensors.torch import save_file

SHAPE = (2, 1, 3, 5)
CLASSES = {
    "ddpm": DDPMScheduler,
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "heun": HeunDiscreteScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "dpm++sde": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "flow-euler": FlowMatchEulerDiscreteScheduler,
}
BETAS = {"trained_betas": [0.002 * (1 + i % 3) + 0.004 * i for i in range(20)], "num_train_timesteps": 20}
SPACINGS, PREDICTIONS = ("leading", "trailing", "linspace"), ("epsilon", "sample", "v_prediction")
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}


def network(sample, timestep):
    """A smooth function of both arguments. models/tests/schedulers.rs has the same."""
    return torch.sin(1.3 * sample + 0.01 * timestep) * 0.9 + 0.1 * sample


class Cases:
    """The sweep: each case is a sampler, the step it begins at, and a configuration: the fields that differ from the
    defaults of the sampler's class, or a whole one of another class."""

    def __init__(self):
        self.list = []

    def add(self, kind, steps=6, eta=0.0, begin=0, source=None, **config):
        if source is None:
            config = {"_class_name": CLASSES[kind].__name__, **config}
        else:
            config = json.loads(source(**config).to_json_string())
        self.list.append({"kind": kind, "steps": steps, "eta": eta, "begin": begin, "config": config})


def sweep():
    cases = Cases()
    ancestral = ("ddpm", "ddim")
    for kind, spacing, prediction, clip in itertools.product(ancestral, SPACINGS, PREDICTIONS, (True, False)):
        eta = {"leading": 0.5, "trailing": 0.0, "linspace": 1.0}[spacing] if kind == "ddim" else 0.0
        cases.add(kind, eta=eta, timestep_spacing=spacing, prediction_type=prediction, clip_sample=clip)
    for kind, prediction, spacing in itertools.product(ancestral, ("sample", "v_prediction"), ("trailing", "leading")):
        # At 1 the share of ε is 0 at the first step, and its root NaN where this machine rounds it below.
        for eta in (0.0, 0.5, 0.9) if kind == "ddim" else (0.0,):
            cases.add(kind, eta=eta, timestep_spacing=spacing, prediction_type=prediction, rescale_betas_zero_snr=True)
    for kind in ancestral:
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
        for spacing in SPACINGS:
            cases.add("ddpm", variance_type=variance, timestep_spacing=spacing)
    cases.add("ddpm", beta_schedule="sigmoid")
    for eta in (0.0, 0.5, 1.0):
        cases.add("ddim", eta=eta, set_alpha_to_one=False)
        cases.add("ddim", eta=eta, steps=50, clip_sample=False)
    sweep_sigmas(cases)
    sweep_flow(cases)
    sweep_classes(cases)
    return cases.list


def sweep_sigmas(cases):
    solvers, multistep = ("euler", "heun", "dpm++", "dpm++sde", "unipc"), ("dpm++", "dpm++sde", "unipc")
    for kind, spacing, (prediction, *lengths) in itertools.product(
        solvers, SPACINGS, (("epsilon", 3, 10, 25), ("v_prediction", 3, 10), ("sample", 10))
    ):
        for steps in lengths:
            cases.add(kind, steps=steps, timestep_spacing=spacing, prediction_type=prediction)
    for kind in solvers:
        for steps, spacing in ((3, "linspace"), (10, "leading"), (25, "trailing")):
            cases.add(kind, steps=steps, timestep_spacing=spacing, use_karras_sigmas=True)
        cases.add(kind, steps=1)
        cases.add(kind, steps=7, timestep_spacing="leading", steps_offset=1)
        cases.add(kind, steps=10, begin=4)
        cases.add(kind, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
        cases.add(kind, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
        cases.add(kind, beta_schedule="squaredcos_cap_v2", prediction_type="sample", use_karras_sigmas=True)
        cases.add(kind, **BETAS)
    for kind, prediction, spacing in itertools.product(
        ("euler", *multistep), ("sample", "v_prediction"), ("trailing", "leading")
    ):
        for steps in (3, 10):
            config = {"timestep_spacing": spacing, "prediction_type": prediction, "rescale_betas_zero_snr": True}
            cases.add(kind, steps=steps, **config)
    for kind in ("euler", *multistep):
        cases.add(kind, final_sigmas_type="sigma_min")
        cases.add(kind, steps=20, final_sigmas_type="sigma_min")
    for kind in multistep:
        cases.add(kind, solver_order=1)
        # Without noise at the end UniPC needs the lower order: NaN otherwise.
        end = "sigma_min" if kind == "unipc" else "zero"
        cases.add(kind, lower_order_final=False, final_sigmas_type=end)
        cases.add(kind, steps=20, use_karras_sigmas=True, final_sigmas_type="sigma_min")
        cases.add(kind, thresholding=True, dynamic_thresholding_ratio=0.7, sample_max_value=1.5)
    for kind in ("dpm++", "dpm++sde"):
        cases.add(kind, steps=20, euler_at_final=True, final_sigmas_type="sigma_min")
        for spacing in SPACINGS:
            cosine = {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -4.0, "timestep_spacing": spacing}
            cases.add(kind, steps=10, **cosine)
    cases.add("heun", clip_sample=True, clip_sample_range=0.6)


def sweep_flow(cases):
    for steps, shift in itertools.product((1, 3, 10, 25), (1.0, 3.0)):
        cases.add("flow-euler", steps=steps, shift=shift)
        for kind in ("dpm++", "dpm++sde", "unipc"):
            cases.add(kind, steps=steps, flow_shift=shift, **FLOW)
    cases.add("flow-euler", steps=10, begin=3, num_train_timesteps=400, shift=0.5)


def sweep_classes(cases):
    """A file of one class, sampled by another (`from_config`)."""
    for kind in list(CLASSES)[:-1]:
        cases.add(kind, source=DDPMScheduler)
        cases.add(kind, source=DDIMScheduler, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
        cases.add(kind, source=EulerDiscreteScheduler, use_karras_sigmas=True, timestep_spacing="trailing")
        if kind in ("ddpm", "heun"):
            cases.add(kind, source=HeunDiscreteScheduler, clip_sample=True)
        cases.add(kind, source=UniPCMultistepScheduler, final_sigmas_type="sigma_min", prediction_type="sample")
        if kind != "heun":
            zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
            cases.add(kind, source=DDPMScheduler, **zero)


def trajectory(case, scheduler, start, noises):
    """The state after each step, as signal·x₀ + noise·ε, with stored noise in place of drawn noise."""
    kind, steps, begin = case["kind"], case["steps"], case["begin"]
    euler, heun = kind in ("euler", "heun"), kind == "heun"
    stored = {"step": 0}

    def feed(shape, **_):
        assert tuple(shape) == SHAPE
        return noises[stored["step"]]

    scheduling_ddim.randn_tensor = scheduling_ddpm.randn_tensor = feed
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps
    # Two calls a step, but one for the last.
    first = 2 * begin if heun else begin
    if kind not in ("ddpm", "ddim"):
        # Otherwise the first step is looked for by its timestep, which rounding may have given to two.
        scheduler.set_begin_index(first)
    # Euler and Heun keep the state divided by its signal.
    scale = (lambda index: (scheduler.sigmas[index] ** 2 + 1) ** 0.5) if euler else lambda _: 1.0
    state = start * (scheduler.init_noise_sigma if euler and begin == 0 else scale(first))
    states = []
    for index, timestep in list(enumerate(timesteps))[first:]:
        stored["step"] = index
        options = {"eta": case["eta"]} if kind == "ddim" else {}
        if kind == "dpm++sde":
            options = {"variance_noise": noises[index]}
        output = network(scheduler.scale_model_input(state, timestep) if kind != "flow-euler" else state, timestep)
        state = scheduler.step(output, timestep, state, **options).prev_sample
        assert state.isfinite().all(), case
        if not heun or index % 2 == 1 or index == len(timesteps) - 1:
            states.append(state / scale(index + 1))
    case["timesteps"] = (timesteps[::2] if heun else timesteps).tolist()
    # Long trajectories would fill the file: their first and last states tell as much.
    return torch.stack(states if len(states) <= 4 else states[:2] + states[-2:])


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
    loss = ((output - target) ** 2).mean(dim=(1, 2, 3))
    tensors[f"loss.{prediction}"] = loss
    tensors["loss.noisy"], tensors["loss.velocity"] = noisy, velocity
    # As diffusers' examples weight it; on x₀ itself as the paper does.
    snr = compute_snr(scheduler, timesteps)
    divisor = {"epsilon": snr, "sample": 1.0, "v_prediction": snr + 1}[prediction]
    tensors[f"loss.{prediction}.min_snr"] = loss * torch.clamp(snr, max=5.0) / divisor


def flow_losses(samples, noise, tensors):
    scheduler = FlowMatchEulerDiscreteScheduler()
    timesteps = scheduler.timesteps[torch.tensor([0, 500, 999])]
    noisy = scheduler.scale_noise(samples, timesteps, noise)
    output = network(noisy, timesteps.view(-1, 1, 1, 1))
    tensors["loss.flow.timesteps"], tensors["loss.flow.noisy"] = timesteps, noisy
    tensors["loss.flow"] = ((output - (noise - samples)) ** 2).mean(dim=(1, 2, 3))


def guidance(start, noises, tensors):
    conditional, negative = network(start, 1), network(noises[0], 2)
    guided = negative + 5.0 * (conditional - negative)
    tensors["guidance.conditional"], tensors["guidance.negative"], tensors["guidance.0"] = conditional, negative, guided
    for rescale in (0.7, 1.0):
        tensors[f"guidance.{rescale}"] = rescale_noise_cfg(guided, conditional, guidance_rescale=rescale)


def main(folder):
    generator = torch.Generator().manual_seed(20)
    start = torch.randn(SHAPE, generator=generator)
    noises = torch.randn((50, *SHAPE), generator=generator)
    tensors = {"start": start, "noises": noises}
    cases, published = sweep(), []
    for index, case in enumerate(cases):
        cls, config = CLASSES[case["kind"]], case["config"]
        own = config["_class_name"] == cls.__name__
        more = {"algorithm_type": "sde-dpmsolver++"} if case["kind"] == "dpm++sde" else {}
        scheduler = cls.from_config(config, **more)
        tensors[f"states.{index}"] = trajectory(case, scheduler, start, noises)
        if case["kind"] in ("ddpm", "ddim") and own:
            keys = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps", "rescale_betas_zero_snr")
            case["alphas_cumprod"] = "alphas_cumprod." + "-".join(str(scheduler.config[key]) for key in keys)
            tensors[case["alphas_cumprod"]] = scheduler.alphas_cumprod
        if index % 20 == 0 or case["kind"] == "flow-euler":
            published.append(json.loads(scheduler.to_json_string()))
    samples, noise = torch.rand((3, *SHAPE[1:]), generator=generator) * 2 - 1, noises[:2].reshape(-1)[: 3 * 15]
    timesteps = torch.tensor([0, 437, 999])
    tensors["loss.samples"], tensors["loss.noise"] = samples, noise.reshape(samples.shape).clone()
    for prediction in PREDICTIONS:
        losses(prediction, samples, tensors["loss.noise"], timesteps, tensors)
    flow_losses(samples, tensors["loss.noise"], tensors)
    guidance(start, noises, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "schedulers.safetensors")
    contents = {"cases": cases, "published": published, "timesteps": all_timesteps()}
    # Infinity is no JSON; `text` reads it as Python writes it.
    text = json.dumps(contents, separators=(",", ":")).replace("-Infinity", "null")
    (folder / "schedulers.json").write_text(text.replace('{"kind"', '\n{"kind"') + "\n")
    print(len(cases), "cases with numpy", np.__version__, "and torch", torch.__version__)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
