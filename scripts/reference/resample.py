"""Compares Nocturne's resampler with soxr HQ, in quality and in speed.

    cargo build --release -p nocturne-vocoder --example resample
    python scripts/reference/resample.py target/release/examples/resample [FILE ...]

Needs librosa, soxr, soundfile. Each FILE (and a synthetic chirp and white noise) is decoded and mixed to mono by
Nocturne, resampled by both to each rate, and turned into a mel spectrogram in dB below its maximum (2048-point FFT,
hop 512, 128 bands up to half the rate, 80 dB range, as `librosa.power_to_db`). The largest and the mean difference
are printed, for all bands and for those below 0.9 of Nyquist, where soxr HQ starts to roll off; at the end the worst
of the files, the worst of the synthetic sounds, and the speeds (the best of several runs of each sound, summed).

soxr gets the sound between two seconds of silence: without, its first two samples to 48 kHz lack part of the filter,
and its last is often missing (`librosa.resample` fills up with a zero); the clicks would be compared with the sound.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import librosa
import numpy as np
import soundfile
import soxr

PAIRS = [22050, 16000, 24000, 44100, 48000]
RUNS = 7


def mel_db(samples, rate):
    power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=np.max, top_db=80)


def synthetic(folder):
    rate = 44100
    t = np.arange(rate * 10) / rate
    chirp = 0.5 * np.sin(2 * np.pi * (20 * t + (22000 - 20) * t**2 / 20))
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate * 10)
    for name, samples in [("chirp", chirp), ("noise", noise)]:
        soundfile.write(folder / f"{name}.wav", samples.astype(np.float32), rate, subtype="FLOAT")
        yield folder / f"{name}.wav"


def best_of_soxr(mono, rate, target):
    best = np.inf
    for _ in range(RUNS):
        start = perf_counter()
        soxr.resample(mono, rate, target, quality="HQ")
        best = min(best, perf_counter() - start)
    return best


def main():
    binary, *files = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        out = folder / "out.wav"
        worst = {}
        times = {}
        made = list(synthetic(folder))
        for file in [*made, *map(Path, files)]:
            info = soundfile.info(str(file))
            subprocess.run([binary, file, folder / "mono.wav", str(info.samplerate)], check=True, capture_output=True)
            mono, rate = soundfile.read(folder / "mono.wav", dtype="float32")
            between = np.pad(mono, rate)
            for target in PAIRS:
                if target == rate:
                    continue
                command = [binary, file, out, str(target), str(RUNS)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                ours, _ = soundfile.read(out, dtype="float32")
                length = int(np.ceil(len(mono) * (target / rate)))
                assert len(ours) == length, (file, target, len(ours), length)
                theirs = soxr.resample(between, rate, target, quality="HQ")[target : target + length]
                spent = times.setdefault((rate, target), np.zeros(3))
                found = json.loads(run.stdout)["resample_seconds"]
                spent += (len(mono) / rate, found, best_of_soxr(mono, rate, target))
                difference = np.abs(mel_db(ours, target) - mel_db(theirs, target))
                centres = librosa.mel_frequencies(n_mels=130, fmax=target / 2)[1:-1]
                below = centres < 0.9 * min(rate, target) / 2
                row = (difference.max(), difference[below].max(), difference.mean())
                key = (file in made, rate, target)
                worst[key] = np.maximum(worst.get(key, np.zeros(3)), row)
                print(f"{file.name[:40]:40} {rate:6}→{target:<6} max {row[0]:.4f} dB, below 0.9 Nyquist "
                      f"{row[1]:.4f} dB, mean {row[2]:.6f} dB")
        print()
        for (is_made, rate, target), row in sorted(worst.items()):
            print(f"{'synthetic' if is_made else 'files':9} {rate:6}→{target:<6} worst: max {row[0]:.4f}, "
                  f"below 0.9 Nyquist {row[1]:.4f}, mean {row[2]:.6f} dB")
        for (rate, target), (sound, ours, theirs) in sorted(times.items()):
            print(f"{rate:6}→{target:<6} {sound / ours:.0f} times real time, soxr HQ {sound / theirs:.0f}: "
                  f"{theirs / ours:.2f}×")


main()
