"""Fixtures of the mel front end and of its inversion, by librosa and by BigVGAN's published formula in torch.

    python scripts/reference/mel.py vocoder/tests/mel/fixtures

Needs numpy, librosa, torch and safetensors. The signals are made by integer arithmetic and by single exactly rounded
operations, so that the test makes the same samples bit for bit and none need to be stored.
"""

import sys
import warnings

import librosa
import numpy as np
import torch
from safetensors.numpy import save_file

warnings.filterwarnings("ignore")

# name, x_res, y_res, sample rate, n_fft, hop, signals
PICTURES = [
    ("64_hop1024", 64, 64, 22050, 2048, 1024, ["notes", "noise", "sine", "sweep", "quiet", "short"]),
    ("256", 256, 256, 22050, 2048, 512, ["notes"]),
    ("1024x128_hop256", 1024, 128, 22050, 1024, 256, ["notes"]),
    ("44100", 96, 256, 44100, 2048, 512, ["notes", "sweep"]),
    ("nfft4096", 64, 256, 44100, 4096, 469, ["notes", "noise"]),
    ("nfft2000", 64, 128, 22050, 2000, 512, ["notes"]),
]

# BigVGAN's configurations: sampling rate, bands, n_fft, hop, fmax
LOG = {
    "bigvgan_v2_44khz_128band_512x": (44100, 128, 2048, 512, None),
    "bigvgan_v2_44khz_128band_256x": (44100, 128, 1024, 256, None),
    "bigvgan_v2_24khz_100band_256x": (24000, 100, 1024, 256, None),
    "bigvgan_v2_22khz_80band_256x": (22050, 80, 1024, 256, None),
    "bigvgan_v2_22khz_80band_fmax8k_256x": (22050, 80, 1024, 256, 8000),
    "bigvgan_24khz_100band": (24000, 100, 1024, 256, 12000),
    "bigvgan_22khz_80band": (22050, 80, 1024, 256, 8000),
    "bigvgan_base_24khz_100band": (24000, 100, 1024, 256, 12000),
    "bigvgan_base_22khz_80band": (22050, 80, 1024, 256, 8000),
}


def oscillator(step, length):
    """A wave near a sine: parabolas over a 32-bit phase. `step` may be one number or one a sample."""
    phase = np.cumsum(np.broadcast_to(np.asarray(step, dtype=np.uint64), length)).astype(np.uint32)
    turn = phase.view(np.int32).astype(np.float64) / 2147483648.0
    return 4.0 * turn * (1.0 - np.abs(turn))


def noise(length):
    """White noise: a counter, hashed."""
    value = np.arange(length, dtype=np.uint32) * np.uint32(2654435761)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = (value ^ (value >> np.uint32(shift))) * np.uint32(factor)
    value ^= value >> np.uint32(16)
    return value.view(np.int32).astype(np.float64) / 2147483648.0


def notes(length):
    """Decaying notes over a little noise: the first beats of a tune."""
    sound = 0.001 * noise(length)
    for index, step in enumerate([42949672, 54112000, 64424509, 85899345, 21474836, 171798691]):
        start = index * length // 8
        rest = length - start
        left = 1.0 - np.arange(rest, dtype=np.float64) / rest
        sound[start:] += 0.2 * (left * left) * oscillator(step, rest)
    return sound


def signal(name, length):
    if name == "notes":
        sound = notes(length)
    elif name == "noise":
        sound = 0.25 * noise(length)
    elif name == "sine":
        sound = 0.5 * oscillator(85704562, length)
    elif name == "sweep":
        sound = 0.5 * oscillator(np.arange(length, dtype=np.uint64) * 16384, length)
    elif name == "quiet":
        sound = 0.0078125 * notes(length)
    elif name == "short":
        sound = notes(length // 3)
        sound = np.concatenate([sound, np.zeros(length - len(sound))])
    return sound.astype(np.float32)


def picture(samples, sample_rate, n_fft, hop, n_mels, top_db=80):
    power = librosa.feature.melspectrogram(y=samples, sr=sample_rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels)
    level = librosa.power_to_db(power, ref=np.max, top_db=top_db)
    return ((level + top_db) * 255 / top_db).clip(0, 255) + 0.5, power.max()


def log_mel(samples, sampling_rate, n_mels, n_fft, hop, fmax):
    bank = torch.from_numpy(librosa.filters.mel(sr=sampling_rate, n_fft=n_fft, n_mels=n_mels, fmin=0, fmax=fmax))
    wave = torch.from_numpy(samples)[None, None]
    wave = torch.nn.functional.pad(wave, ((n_fft - hop) // 2,) * 2, mode="reflect")[0]
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(wave, n_fft, hop, n_fft, window, center=False, onesided=True, return_complex=True)
    magnitude = torch.sqrt(torch.view_as_real(spectrum).pow(2).sum(-1) + 1e-9)
    return torch.log(torch.clamp(bank @ magnitude, min=1e-5))[0].numpy()


def convergence(magnitude, sound, n_fft, hop):
    rebuilt = np.abs(librosa.stft(sound, n_fft=n_fft, hop_length=hop))
    return np.linalg.norm(magnitude - rebuilt) / np.linalg.norm(magnitude)


def pictures():
    out = {}
    for name, x_res, y_res, sample_rate, n_fft, hop, kinds in PICTURES:
        out[f"{name}.config"] = np.array([x_res, y_res, sample_rate, n_fft, hop], dtype=np.int64)
        for kind in kinds:
            pixels, level = picture(signal(kind, x_res * hop - 1), sample_rate, n_fft, hop, y_res)
            assert pixels.shape == (y_res, x_res)
            out[f"{name}.{kind}.pixels"] = pixels.astype(np.uint8)
            out[f"{name}.{kind}.level"] = np.array([level], dtype=np.float32)
    return out


def logs():
    return {
        name: log_mel(signal("notes", 12 * hop + 7), sampling_rate, n_mels, n_fft, hop, fmax)
        for name, (sampling_rate, n_mels, n_fft, hop, fmax) in LOG.items()
    }


def nnls():
    """Mels disturbed by noise, so that no spectrum has them, and the squared error librosa reaches in each frame."""
    out = {}
    for n_fft, n_mels in ((512, 40), (2048, 256)):
        bank = librosa.filters.mel(sr=22050, n_fft=n_fft, n_mels=n_mels)
        spectrum = np.abs(librosa.stft(signal("notes", 11 * 512), n_fft=n_fft, hop_length=512)) ** 2
        mel = bank @ spectrum
        disturbed = mel.copy()
        disturbed[::3] *= 1 + 0.5 * noise(mel[::3].size).reshape(mel[::3].shape).astype(np.float32)
        for kind, target in (("exact", mel), ("disturbed", disturbed)):
            solution = librosa.util.nnls(bank, target)
            out[f"{n_mels}.{kind}.mel"] = target
            out[f"{n_mels}.{kind}.error"] = np.sum((bank @ solution - target).astype(np.float64) ** 2, axis=0)
    return {name: value.astype(np.float32) for name, value in out.items()}


def griffin_lim():
    out = {}
    n_fft, hop = 512, 128
    out["magnitude"] = np.abs(librosa.stft(signal("notes", 39 * hop), n_fft=n_fft, hop_length=hop))
    for iterations in (0, 1, 4, 32):
        out[f"zero.{iterations}"] = librosa.griffinlim(
            out["magnitude"], n_iter=iterations, hop_length=hop, n_fft=n_fft, init=None
        )
    n_fft, hop, seeds = 1024, 256, 32
    for kind in ("notes", "noise"):
        magnitude = np.abs(librosa.stft(signal(kind, 120 * hop), n_fft=n_fft, hop_length=hop))
        for iterations in (8, 32):
            reached = [
                convergence(
                    magnitude,
                    librosa.griffinlim(magnitude, n_iter=iterations, hop_length=hop, n_fft=n_fft, random_state=seed),
                    n_fft,
                    hop,
                )
                for seed in range(seeds)
            ]
            out[f"convergence.{kind}.{iterations}"] = np.array(reached, dtype=np.float32)
            print(kind, iterations, np.mean(reached), "+-", np.std(reached) / np.sqrt(seeds))
    return out


def main(folder):
    for name, make in (("picture", pictures), ("log", logs), ("nnls", nnls), ("griffin_lim", griffin_lim)):
        tensors = {key: np.ascontiguousarray(value) for key, value in make().items()}
        save_file(tensors, f"{folder}/mel_{name}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
