"""Mel extraction and the way back, beside librosa and torchaudio.

    python scripts/bench/mel.py [--quick]

Takes about three minutes on two quiet cores (--quick: one). Clips are 5.94 s at 22050 Hz, pictures 256×256, n_fft 2048, hop
512. What is timed is the arithmetic from decoded float32 arrays: to 8-bit pictures, and back.
"""

import os
import sys
import tempfile
import warnings

import side_by_side as bench

SAMPLE_RATE, N_FFT, HOP, BANDS, SLICE, ITERATIONS = 22050, 2048, 512, 256, 256 * 512 - 1, 32
CLIPS, FEW, FEWER = 100, 4, 2

# Task: its title, the clips it is done for, the rounds, the references.
TASKS = {
    "mel": (f"mel, {CLIPS} clips", CLIPS, 15, ["librosa", "torchaudio", "torchaudio-batch"]),
    "griffin-lim": (f"Griffin-Lim, {ITERATIONS} iterations, {FEW} clips", FEW, 9, ["librosa", "torchaudio"]),
    "mel-to-audio": (f"mel to audio, {FEWER} clips", FEWER, 3, ["librosa"]),
}
TITLES = {"torchaudio": "torchaudio, clip by clip", "torchaudio-batch": "torchaudio, batches of 10"}


def main():
    quick = bench.arguments(__doc__).quick
    program = bench.build("example", "mel_bench")
    bench.heading(["librosa", "torch", "torchaudio"])
    bench.table("task", "nocturne, s", "reference", "its time, s", "times as fast", "nocturne, peak MiB", "its peak MiB")
    for task, (title, clips, rounds, systems) in TASKS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "clips.f32")
            bench.run_once(bench.script("--write-clips", file, clips))
            ours = bench.Contender("nocturne", [program, task, file])
            commands = {TITLES.get(name, name): bench.script("--reference", name, task, file) for name in systems}
            theirs = [bench.Contender(name, command) for name, command in commands.items()]
            for absent in [side for side in theirs if "unavailable" in side.said]:
                bench.row(title, "", absent.name, "not measured", absent.said["unavailable"], "", "")
            present = [side for side in theirs if "unavailable" not in side.said]
            bench.race([ours, *present], max(1, rounds // 5) if quick else rounds)
            for side in [ours, *theirs]:
                side.close()
            for side in present:
                bench.row(
                    title,
                    bench.spread(ours.seconds),
                    side.name,
                    bench.spread(side.seconds),
                    bench.ratio(side, ours),
                    f"{ours.peak_mib:.0f}",
                    f"{side.peak_mib:.0f}",
                )


def write_clips(file, count):
    """Chords of decaying sines over brown noise, each clip its own."""
    import numpy as np

    random = np.random.default_rng(0)
    time_axis = np.arange(SLICE) / SAMPLE_RATE
    clips = np.empty((count, SLICE), dtype=np.float32)
    for clip in clips:
        sound = np.cumsum(random.standard_normal(SLICE)) * 1e-4
        for _ in range(12):
            pitch, start = 55 * 2 ** (random.integers(0, 60) / 12), random.uniform(0, 5)
            since = np.maximum(time_axis - start, 0)
            sound += 0.1 * np.sin(2 * np.pi * pitch * since) * np.exp(-2 * since) * (time_axis >= start)
        clip[:] = sound
    clips.tofile(file)


def reference(system, task, file):
    import numpy as np

    warnings.filterwarnings("ignore")
    sounds = np.fromfile(file, dtype=np.float32).reshape(-1, SLICE)
    if system == "librosa":
        bench.serve({}, librosa_work(task, sounds))
        return
    try:
        torch = bench.import_torch()
        import torchaudio
    except (ImportError, OSError, RuntimeError) as error:
        bench.serve({"unavailable": f"{type(error).__name__}: {error}".splitlines()[0]}, None)
        return
    bench.serve({}, torchaudio_work(torch, torchaudio.transforms, task, sounds, 10 if system == "torchaudio-batch" else 1))


def librosa_work(task, sounds):
    import librosa
    import numpy as np

    mel = {"sr": SAMPLE_RATE, "n_fft": N_FFT, "hop_length": HOP}

    def picture(sound):
        power = librosa.feature.melspectrogram(y=sound, n_mels=BANDS, **mel)
        level = librosa.power_to_db(power, ref=np.max, top_db=80)
        return (((level + 80) * 255 / 80).clip(0, 255) + 0.5).astype(np.uint8)

    if task == "mel":
        return lambda _: [picture(sound) for sound in sounds]
    if task == "griffin-lim":
        magnitudes = [np.abs(librosa.stft(sound, n_fft=N_FFT, hop_length=HOP)) for sound in sounds]
        settings = {"n_iter": ITERATIONS, "hop_length": HOP, "n_fft": N_FFT}
        return lambda _: [librosa.griffinlim(magnitude, **settings) for magnitude in magnitudes]
    pictures = [picture(sound) for sound in sounds]

    def audio(pixels):
        power = librosa.db_to_power(pixels.astype(np.float32) * 80 / 255 - 80)
        return librosa.feature.inverse.mel_to_audio(power, n_iter=ITERATIONS, **mel)

    return lambda _: [audio(pixels) for pixels in pictures]


def torchaudio_work(torch, transforms, task, sounds, batch):
    import torch

    torch.set_num_threads(bench.THREADS)
    sounds = torch.from_numpy(sounds)
    if task == "mel":
        transform = transforms.MelSpectrogram(
            SAMPLE_RATE, N_FFT, hop_length=HOP, n_mels=BANDS, norm="slaney", mel_scale="slaney", pad_mode="constant"
        )

        @torch.inference_mode()
        def work(_):
            for part in sounds.split(batch):
                level = 10 * torch.log10(transform(part).clamp(min=1e-10))
                level -= level.amax(dim=(1, 2), keepdim=True)
                (((level + 80) * 255 / 80).clip(0, 255) + 0.5).to(torch.uint8)

        return work
    spectrogram = transforms.Spectrogram(N_FFT, hop_length=HOP, power=1.0, pad_mode="constant")
    transform = transforms.GriffinLim(N_FFT, ITERATIONS, hop_length=HOP, power=1.0, momentum=0.99)
    magnitudes = [spectrogram(sound) for sound in sounds]

    @torch.inference_mode()
    def work(_):
        for magnitude in magnitudes:
            transform(magnitude)

    return work


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--write-clips", file, count]:
            write_clips(file, int(count))
        case ["--reference", system, task, file]:
            reference(system, task, file)
        case _:
            main()
