"""Compares the mp3 files that Nocturne writes with LAME's at the same bit rate.

    cargo build --release -p nocturne-vocoder --example convert
    python scripts/reference/mp3.py target/release/examples/convert [FILE ...]

Needs ffmpeg with libmp3lame on the path, and soundfile. Synthetic chords, chirps and noise, and the first 15 s of each
FILE, mono and stereo, go through both encoders (constant bit rate); ffmpeg decodes both. After alignment and with
the gain taken out (LAME lowers mono by 0.45 dB): the signal-to-noise ratio of the waveform, and the log-spectral
distance (root mean square difference of power spectra in dB, 2048-point Hann frames, floored 80 dB under the maximum).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 44100
SECONDS = 10


def ffmpeg(*arguments):
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def synthetic():
    t = np.arange(RATE * SECONDS) / RATE
    chord = sum(0.12 * np.sin(2 * np.pi * f * t + f) for f in [110, 164.8, 220, 277.2, 440, 554.4])
    chirp = 0.4 * np.sin(2 * np.pi * (50 * t + (8000 - 50) * t**2 / (2 * SECONDS)))
    noise = 0.1 * np.random.default_rng(0).standard_normal(t.size)
    for name, samples in [("chord", chord), ("chirp", chirp), ("noise", noise)]:
        other = np.roll(samples, 3000)
        yield name, np.stack([samples, other], axis=1)


def align(found, sent):
    """The part of `found` that belongs to `sent`, by the maximum of the cross-correlation within 3000 samples."""
    a, b = found[: 2**18, 0], sent[: 2**18, 0]
    size = 2**20
    cross = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)))
    delay = int(np.argmax(cross[:3000]))
    length = min(len(found) - delay, len(sent))
    return found[delay : delay + length], sent[:length], delay


def spectrum(samples):
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2048)[::1024]
    return np.abs(np.fft.rfft(frames * np.hanning(2048), axis=1)) ** 2


def distance(found, sent):
    a, b = spectrum(found[:, 0]), spectrum(sent[:, 0])
    floor = b.max() * 1e-8
    return float(np.sqrt(np.mean((10 * np.log10(np.maximum(a, floor) / np.maximum(b, floor))) ** 2)))


def bitrate(path):
    command = ["ffprobe", "-v", "error", "-show_entries", "format=bit_rate", "-of", "csv=p=0", str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    binary, *files = sys.argv[1:]
    clips = list(synthetic())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for file in files:
            ffmpeg("-i", file, "-t", "15", "-ac", "2", "-ar", RATE, folder / "clip.wav")
            clips.append((Path(file).name[:28], soundfile.read(folder / "clip.wav")[0]))
        print(f"{'clip':28} {'ch':>2} {'kbit/s':>6} {'encoder':7} {'gain dB':>7} {'SNR dB':>7} {'LSD dB':>7} {'delay':>5}")
        for name, samples in clips:
            for channels in [1, 2]:
                sent = samples.mean(axis=1, keepdims=True) if channels == 1 else samples
                soundfile.write(folder / "in.wav", sent, RATE, subtype="PCM_16")
                subprocess.run([binary, folder / "in.wav", folder / "ours.mp3"], check=True, capture_output=True)
                rate = bitrate(folder / "ours.mp3") // 1000
                ffmpeg("-i", folder / "in.wav", "-c:a", "libmp3lame", "-b:a", f"{rate}k", folder / "lame.mp3")
                for encoder in ["ours", "lame"]:
                    ffmpeg("-i", folder / f"{encoder}.mp3", "-c:a", "pcm_f32le", folder / "out.wav")
                    found, whole, delay = align(soundfile.read(folder / "out.wav", always_2d=True)[0], sent)
                    gain = np.sum(found * whole) / np.sum(whole**2)
                    found /= gain
                    snr = 10 * np.log10(np.sum(whole**2) / np.sum((found - whole) ** 2))
                    print(f"{name:28} {channels:2} {rate:6} {encoder:7} {20 * np.log10(gain):7.2f} {snr:7.2f} "
                          f"{distance(found, whole):7.3f} {delay:5}")


main()
