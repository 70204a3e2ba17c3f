"""Fixtures for the training of BigVGAN: small random discriminators of the published implementation, and three steps of it.

    git clone https://github.com/NVIDIA/BigVGAN
    pip install nnAudio
    python scripts/reference/adversaries.py BigVGAN vocoder/tests/fixtures/adversaries

`v1` has the multi-period and the multi-resolution discriminator and the single-scale mel loss, its weight norm as a
parametrisation; `v2` the multi-period and the constant-Q discriminator and the multi-scale loss, its weight norm in the older
form and its file with an optimiser beside the weights. One of its scales lowers the rate before the transform.

taps.safetensors holds two recordings, what stands for a generator's, spectra and every layer's output of the first, and losses;
gradients.safetensors the gradients of the discriminators' loss (by parameter), and of the generator's (`made`).
course.safetensors of `v2` holds three batches, the losses of three optimiser steps as the published train.py takes them, and
the weights after them.
"""

import itertools
import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

SAMPLES, HOP = 1200, 8
GENERATOR = dict(
    num_mels=6, n_fft=64, win_size=64, hop_size=HOP, sampling_rate=8000, fmin=0, fmax=None, fmax_for_loss=3500, num_freq=33,
    resblock="1", upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], upsample_initial_channel=8,
    resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3]] * 2,
    activation="snakebeta", snake_logscale=True, use_tanh_at_final=False, use_bias_at_final=False,
)
TRAINING = dict(learning_rate=1e-3, adam_b1=0.8, adam_b2=0.99, lr_decay=0.5, segment_size=SAMPLES)
COMMON = GENERATOR | TRAINING | dict(mpd_reshapes=[2, 7], use_spectral_norm=False, discriminator_channel_mult=0.03125)
V1 = COMMON | dict(resolutions=[[64, 16, 40], [96, 24, 96], [32, 20, 24]], mrd_channel_mult=0.0625)
V2 = COMMON | dict(
    use_cqtd_instead_of_mrd=True, cqtd_filters=3, cqtd_max_filters=1024, cqtd_filters_scale=1, cqtd_dilations=[1, 2, 4],
    cqtd_hop_lengths=[64, 32], cqtd_n_octaves=[7, 3], cqtd_bins_per_octaves=[4, 6],
    # Far below the published 500, so that it does something.
    use_multiscale_melloss=True, lambda_melloss=15, clip_grad_norm=3,
)


def published(clone):
    """The modules of a clone, without its `utils`, which wants a plotting library for two small functions."""
    sys.path.insert(0, str(clone))
    utils = types.ModuleType("utils")
    utils.init_weights = lambda module: None
    utils.get_padding = lambda kernel, dilation=1: (kernel - 1) * dilation // 2
    sys.modules["utils"] = utils
    import bigvgan, discriminators, loss, meldataset

    return types.SimpleNamespace(bigvgan=bigvgan, discriminators=discriminators, loss=loss, meldataset=meldataset)


def judges(code, config):
    h = code.bigvgan.AttrDict(config)
    kind = "MultiScaleSubbandCQTDiscriminator" if config.get("use_cqtd_instead_of_mrd") else "MultiResolutionDiscriminator"
    mpd, mrd = code.discriminators.MultiPeriodDiscriminator(h), getattr(code.discriminators, kind)(h)
    with torch.no_grad():
        # Magnitudes other than those of the directions.
        for name, parameter in itertools.chain(mpd.named_parameters(), mrd.named_parameters()):
            if name.endswith("weight_g"):
                parameter.mul_(1 + torch.rand_like(parameter))
    return mpd, mrd


def mel(code, config, wave, fmax):
    names = ("n_fft", "num_mels", "sampling_rate", "hop_size", "win_size", "fmin")
    return code.meldataset.mel_spectrogram(wave.squeeze(1), *(config[name] for name in names), config[fmax])


def mel_loss(code, config, wave, made):
    if config.get("use_multiscale_melloss"):
        return code.loss.MultiScaleMelSpectrogramLoss(sampling_rate=config["sampling_rate"])(wave, made)
    return F.l1_loss(*(mel(code, config, each, "fmax_for_loss") for each in (wave, made)))


def losses(code, mpd, mrd, wave, made):
    """Of the discriminators, of the generator in turn, and of the features."""
    found = []
    for judge in (mpd, mrd):
        of_wave, of_made, features, of_features = judge(wave, made)
        found.append((
            code.loss.discriminator_loss(of_wave, of_made)[0],
            code.loss.generator_loss(of_made)[0],
            code.loss.feature_loss(features, of_features),
        ))
    return [sum(terms) for terms in zip(*found)]


def sound(generator, count):
    time = torch.arange(SAMPLES) / 8000
    wave = sum(
        (0.4 / n) * torch.sin(2 * torch.pi * n * (110 + 300 * torch.rand(count, 1, 1, generator=generator)) * time)
        for n in range(1, 5)
    )
    return wave + 0.02 * torch.randn(count, 1, SAMPLES, generator=generator)


def taps(code, config, mpd, mrd, wave, made):
    found = {"wave": wave, "made": made}
    for name, judge in (("mpd", mpd), ("mrd", mrd)):
        for index, discriminator in enumerate(judge.discriminators):
            place = f"{name}.{index}"
            verdict, features = discriminator(wave[:1])
            found[f"{place}.verdict"] = verdict
            found |= {f"{place}.features.{layer}": feature for layer, feature in enumerate(features)}
            if hasattr(discriminator, "spectrogram"):
                found[f"{place}.spectrum"] = discriminator.spectrogram(wave[:1])
            if hasattr(discriminator, "cqt_transform"):
                found[f"{place}.spectrum"] = discriminator.cqt_transform(discriminator.resample(wave[:1]))
    of_judges, fooling, matching = losses(code, mpd, mrd, wave, made)
    of_mel = mel_loss(code, config, wave, made)
    return found | dict(discriminator_loss=of_judges, fooling=fooling, matching=matching, mel_loss=of_mel)


def gradients(code, config, mpd, mrd, wave, made):
    losses(code, mpd, mrd, wave, made)[0].backward()
    found = {f"mpd.{name}": parameter.grad.clone() for name, parameter in mpd.named_parameters()}
    found |= {f"mrd.{name}": parameter.grad.clone() for name, parameter in mrd.named_parameters()}
    made = made.clone().requires_grad_()
    _, fooling, matching = losses(code, mpd, mrd, wave, made)
    (fooling + matching + config.get("lambda_melloss", 45) * mel_loss(code, config, wave, made)).backward()
    return found | {"made": made.grad}


def course(code, config, generator, mpd, mrd, batches):
    """Steps as train.py takes them; what it changes are the three networks."""
    adam = lambda parameters: torch.optim.AdamW(
        parameters, config["learning_rate"], betas=[config["adam_b1"], config["adam_b2"]]
    )
    optim_g, optim_d = adam(generator.parameters()), adam(itertools.chain(mrd.parameters(), mpd.parameters()))
    decay = [torch.optim.lr_scheduler.ExponentialLR(each, gamma=config["lr_decay"]) for each in (optim_g, optim_d)]
    clip = lambda network: torch.nn.utils.clip_grad_norm_(network.parameters(), config["clip_grad_norm"])
    found = []
    for wave in batches:
        made = generator(mel(code, config, wave, "fmax"))
        optim_d.zero_grad()
        of_judges = losses(code, mpd, mrd, wave, made.detach())[0]
        of_judges.backward()
        norms = [clip(mpd), clip(mrd)]
        optim_d.step()
        optim_g.zero_grad()
        _, fooling, matching = losses(code, mpd, mrd, wave, made)
        of_mel = mel_loss(code, config, wave, made)
        (fooling + matching + config["lambda_melloss"] * of_mel).backward()
        norms.append(clip(generator))
        optim_g.step()
        found.append(torch.stack([of_mel, fooling, matching, of_judges, *norms]).detach())
        for schedule in decay:
            schedule.step()
    return optim_g, torch.stack(found)


def parametrised(weights):
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {".".join(names.get(part, part) for part in name.split(".")): value for name, value in weights.items()}


def copied(network):
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def save(tensors, path):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)


def main(clone, folder):
    code = published(clone)
    for name, config in (("v1", V1), ("v2", V2)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps(config) + "\n")
        torch.manual_seed(5)
        mpd, mrd = judges(code, config)
        source = torch.Generator().manual_seed(6)
        wave, made = sound(source, 2), sound(source, 2)
        with torch.no_grad():
            save(taps(code, config, mpd, mrd, wave, made), place / "taps.safetensors")
        save(gradients(code, config, mpd, mrd, wave, made), place / "gradients.safetensors")
        file = {"mpd": copied(mpd), "mrd": copied(mrd)}
        if name == "v1":
            file = {part: parametrised(weights) for part, weights in file.items()} | {"optim_g": {}, "optim_d": {}}
        else:
            generator = code.bigvgan.BigVGAN(code.bigvgan.AttrDict(config))
            torch.save({"generator": copied(generator)}, place / "bigvgan_generator.pt")
            batches = torch.stack([sound(source, 2) for _ in range(3)])
            optimizer, measured = course(code, config, generator, mpd, mrd, batches)
            file |= {"optim_g": optimizer.state_dict(), "optim_d": {}}
            after = {"batches": batches, "measured": measured}
            for part, network in (("generator", generator), ("mpd", mpd), ("mrd", mrd)):
                after |= {f"{part}.{key}": value for key, value in network.named_parameters()}
            save(after, place / "course.safetensors")
        torch.save(file | {"steps": 3, "epoch": 0}, place / "bigvgan_discriminator_optimizer.pt")
        for path in place.iterdir():
            path.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
