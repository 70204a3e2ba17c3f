"""Mel extraction and Griffin-Lim beside librosa and torchaudio, alternating in one run on two threads each.

    cargo build --release -p nocturne-vocoder --example mel_bench
    python scripts/bench/mel.py target/release/examples/mel_bench

Needs numpy, librosa, torch and torchaudio. Clips are 5.94 s at 22050 Hz, pictures 256x256, n_fft 2048, hop 512. What is
timed is the arithmetic from decoded float32 arrays: to 8-bit pictures, and back. Every contender warms up first.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

THREADS = "2"
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = THREADS
warnings.filterwarnings("ignore")

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchaudio  # noqa: E402

torch.set_num_threads(int(THREADS))
SAMPLE_RATE, N_FFT, HOP, BANDS, SLICE = 22050, 2048, 512, 256, 256 * 512 - 1


def clips(count):
    """Chords of decaying sines over pink-like noise, each clip its own."""
    random = np.random.default_rng(0)
    time_axis = np.arange(SLICE) / SAMPLE_RATE
    out = np.empty((count, SLICE), dtype=np.float32)
    for clip in out:
        sound = np.cumsum(random.standard_normal(SLICE)) * 1e-4
        for _ in range(12):
            pitch, start = 55 * 2 ** (random.integers(0, 60) / 12), random.uniform(0, 5)
            since = np.maximum(time_axis - start, 0)
            sound += 0.1 * np.sin(2 * np.pi * pitch * since) * np.exp(-2 * since) * (time_axis >= start)
        clip[:] = sound
    return out


class Ours:
    def __init__(self, program, task, sounds):
        self.file = tempfile.NamedTemporaryFile(suffix=".f32")
        self.file.write(sounds.tobytes())
        self.file.flush()
        self.process = subprocess.Popen(
            [program, task, self.file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]


def timed(function):
    def run():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run


def picture(power):
    level = librosa.power_to_db(power, ref=np.max, top_db=80)
    return (((level + 80) * 255 / 80).clip(0, 255) + 0.5).astype(np.uint8)


def librosa_mels(sounds):
    for sound in sounds:
        picture(librosa.feature.melspectrogram(y=sound, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=BANDS))


def torchaudio_mels(sounds, batch):
    mel = torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, N_FFT, hop_length=HOP, n_mels=BANDS, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )

    @torch.inference_mode()
    def run():
        for part in torch.from_numpy(sounds).split(batch):
            power = mel(part)
            level = 10 * torch.log10(power.clamp(min=1e-10))
            level -= level.amax(dim=(1, 2), keepdim=True)
            (((level + 80) * 255 / 80).clip(0, 255) + 0.5).to(torch.uint8)

    return run


def librosa_griffin_lim(magnitudes):
    for magnitude in magnitudes:
        librosa.griffinlim(magnitude, n_iter=32, hop_length=HOP, n_fft=N_FFT)


def torchaudio_griffin_lim(magnitudes):
    transform = torchaudio.transforms.GriffinLim(N_FFT, 32, hop_length=HOP, power=1.0, momentum=0.99)

    @torch.inference_mode()
    def run():
        for magnitude in magnitudes:
            transform(torch.from_numpy(magnitude))

    return run


def librosa_mel_to_audio(powers):
    for power in powers:
        librosa.feature.inverse.mel_to_audio(power, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_iter=32)


def race(title, contenders, rounds):
    """Alternates the contenders; the first is ours."""
    for run in contenders.values():
        run()
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            seconds[name].append(run())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ours = next(iter(medians.values()))
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.3f}-{max(seconds[name]):.3f}"
        print(f"| {title} | {name} | {median:.4f} | {spread} | {median / ours:.1f} |", flush=True)


def main(program):
    print(f"librosa {librosa.__version__}, torchaudio {torchaudio.__version__}, {THREADS} threads\n")
    print("| task | system | median s | range s | times ours |\n|---|---|---|---|---|")
    sounds = clips(100)
    race(
        "mel, 100 clips",
        {
            "nocturne": Ours(program, "mel", sounds),
            "librosa": timed(lambda: librosa_mels(sounds)),
            "torchaudio, clip by clip": timed(torchaudio_mels(sounds, 1)),
            "torchaudio, batches of 10": timed(torchaudio_mels(sounds, 10)),
        },
        7,
    )
    few = sounds[:4]
    magnitudes = [np.abs(librosa.stft(sound, n_fft=N_FFT, hop_length=HOP)) for sound in few]
    race(
        "Griffin-Lim, 32 iterations, 4 clips",
        {
            "nocturne": Ours(program, "griffin-lim", few),
            "librosa": timed(lambda: librosa_griffin_lim(magnitudes)),
            "torchaudio": timed(torchaudio_griffin_lim(magnitudes)),
        },
        5,
    )
    powers = [
        librosa.feature.melspectrogram(y=sound, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=BANDS)
        for sound in few
    ]
    race(
        "mel to audio, 4 clips",
        {
            "nocturne": Ours(program, "mel-to-audio", few),
            "librosa": timed(lambda: librosa_mel_to_audio(powers)),
        },
        3,
    )


if __name__ == "__main__":
    main(sys.argv[1])
