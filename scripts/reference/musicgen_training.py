"""The state of a training of audiocraft's, for the tests of what reads it: `half.bin` of the fixtures of `musicgen.py`, with the
settings as the objects of OmegaConf that a training pickles, and what else such a file has.

    python scripts/reference/musicgen_training.py models/tests/fixtures/musicgen/audiocraft

Needs torch and omegaconf; downloads nothing.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import torch
from omegaconf import OmegaConf


def main():
    folder = Path(sys.argv[1])
    package = torch.load(folder / "half.bin", weights_only=True)
    settings = OmegaConf.create(package["xp.cfg"])
    # Of a run: settings that no network has, absent sections, and values that refer to others.
    settings = OmegaConf.merge(settings, OmegaConf.create({
        "compression_model_checkpoint": "//pretrained/owner/codec",
        "continue_from": None,
        "dataset": {"batch_size": 192, "train": {"num_samples": 500_000, "shuffle": True}},
        "optim": {"lr": 1e-05, "adam": {"betas": [0.9, 0.95], "eps": 1e-08}},
        "schedule": {"cosine": {"warmup": 8, "lr_min_ratio": 0.0}},
        "slurm": None,
        "sample_rate_of_all": "${sample_rate}",
    }))
    settings.transformer_lm.card = "${cards}"
    settings.cards = 32
    network = OrderedDict(package["best_state"]["model"])
    first = next(iter(network))
    moments = {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros_like(network[first])}}
    state = {
        "best_state": {"model": network},
        "fsdp_best_state": {},
        "model": OrderedDict((name, torch.zeros_like(tensor)) for name, tensor in list(network.items())[:2]),
        "ema": {"state": {"model": {first: torch.ones_like(network[first])}}},
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-5, "betas": (0.9, 0.95), "params": [0]}]},
        "history": [{"train": {"ce": 2.5}}],
        "xp.cfg": settings,
        "xp.sig": "0123abcd",
    }
    torch.save(state, folder / "checkpoint.th")


main()
