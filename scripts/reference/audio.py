"""Encodes a short synthetic sound in every format that Nocturne reads, with the samples that the reference decoders give.

    python scripts/reference/audio.py

Needs ffmpeg, and opusenc and opusdec of opus-tools, on the path. The sound is a stereo chirp (left 100 Hz to 8 kHz,
right 3 kHz to 200 Hz) of 0.3 s. The expected samples are 16-bit flac: <name>.expected.flac beside <name>.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

OUT = Path(__file__).resolve().parents[2] / "vocoder/tests/fixtures/audio"
SECONDS = 0.3


def chirp(start, end, rate):
    t = np.arange(int(SECONDS * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * (start * t + (end - start) * t**2 / (2 * SECONDS)))


def sound(rate, channels=2):
    ends = [(100, 8000), (3000, 200), (500, 600), (1000, 900), (2000, 2500), (60, 90)]
    return np.stack([chirp(*ends[c], rate) for c in range(channels)], axis=1)


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def ffmpeg(*arguments):
    run("ffmpeg", "-v", "error", "-y", *arguments)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for rate, channels in [(44100, 2), (48000, 2), (48000, 6)]:
            soundfile.write(folder / f"{rate}-{channels}.wav", sound(rate, channels), rate, subtype="PCM_16")
        stereo = folder / "44100-2.wav"
        exact = ["-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1"]
        for name, options in {
            "lame.mp3": ["-c:a", "libmp3lame", "-b:a", "96k"],
            "vorbis.ogg": ["-c:a", "libvorbis", "-q:a", "3"],
            "aac.m4a": ["-c:a", "aac", "-b:a", "96k"],
            "alac.m4a": ["-c:a", "alac"],
            "pcm.aiff": ["-c:a", "pcm_s16be"],
            "float.aiff": ["-c:a", "pcm_f32be", "-f", "aiff"],
            "native.flac": ["-c:a", "flac"],
            "pcm24.wav": ["-c:a", "pcm_s24le"],
            "layer2.mp2": ["-c:a", "mp2", "-b:a", "128k"],
        }.items():
            ffmpeg("-i", stereo, *exact, *options, OUT / name)
            if name == "vorbis.ogg":  # ffmpeg drops its first 128 samples; libsndfile decodes with libvorbis
                samples, rate = soundfile.read(OUT / name)
                soundfile.write(OUT / f"{name}.expected.flac", samples, rate, subtype="PCM_16")
                continue
            ffmpeg("-i", OUT / name, *exact, "-sample_fmt", "s16", OUT / f"{name}.expected.flac")
        for name, source, options in [
            ("stereo.opus", "48000-2.wav", ["--bitrate", "64"]),
            ("surround.opus", "48000-6.wav", ["--bitrate", "160"]),
        ]:
            run("opusenc", "--quiet", "--serial", "1", *options, folder / source, folder / name)
            # Pages of 50 ms, so that a truncated file has whole pages before the cut.
            ffmpeg("-i", folder / name, *exact, "-c:a", "copy", "-page_duration", "50000", OUT / name)
            run("opusdec", "--quiet", "--float", "--no-dither", "--rate", "48000", OUT / name, folder / "opus.wav")
            samples, rate = soundfile.read(folder / "opus.wav")
            soundfile.write(OUT / f"{name}.expected.flac", samples, rate, subtype="PCM_16")


main()
