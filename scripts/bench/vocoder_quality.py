"""What vocoders make of the mels of recordings: how far their audio is from the recordings, and in what time.

    python scripts/bench/vocoder_quality.py VOCODER MUSIC

VOCODER is what `nocturne train vocoder` wrote, or a folder of BigVGAN's; MUSIC is a folder of recordings that it was not
trained on, of each of which some pieces of five seconds are taken. Both sides of the table are `nocturne vocode`, from the
same mels.

The multi-resolution STFT distance is that of Parallel WaveGAN, which BigVGAN's authors report. The log-spectral distance is
the root mean square over bins of the difference in decibels, averaged over frames (n_fft 2048, hop 512; nothing counts that is
more than 80 dB below the piece's loudest bin).
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import side_by_side as bench

SECONDS, PIECES = 5, 4
RESOLUTIONS = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
SOUNDS = {".flac", ".wav", ".mp3", ".ogg"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocoder", type=Path)
    parser.add_argument("music", type=Path)
    parser.add_argument("--n-iter", type=int, default=32, help="iterations of Griffin-Lim")
    given = parser.parse_args()
    program = bench.build("bin", "nocturne")
    bench.heading(["librosa", "torch"])
    config = json.loads((given.vocoder / "config.json").read_text())
    sides = {
        f"Griffin-Lim, {given.n_iter} iterations": ["--bigvgan-model", str(given.vocoder), "--n-iter", str(given.n_iter)],
        f"BigVGAN, {given.vocoder.name}": ["--vocoder", "bigvgan", "--checkpoint", str(given.vocoder)],
    }
    pieces = dict(cut(given.music, config["sampling_rate"], config["hop_size"]))
    bench.table("vocoder", "STFT distance", "log-spectral distance, dB", "s a second of audio", "pieces")
    with tempfile.TemporaryDirectory() as folder:
        mels = Path(folder) / "mels"
        write_mels(mels, pieces, config)
        for name, flags in sides.items():
            audio = Path(folder) / name
            command = [program, "vocode", "--input", mels, "--output-dir", audio, "--json", "--quiet", *flags]
            report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            measured = [distances(wave, read(audio / f"{piece}.wav")) for piece, wave in pieces.items()]
            stft, logarithmic = (sum(values) / len(values) for values in zip(*measured))
            took = report["vocode_seconds"] / report["seconds"]
            bench.row(name, f"{stft:.3f}", f"{logarithmic:.2f}", bench.number(took, 3), str(len(pieces)))


def cut(folder, rate, hop):
    """Pieces spread over each recording, brought to the peak that vocoders are trained at."""
    import librosa
    import numpy as np

    length = SECONDS * rate // hop * hop
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS):
        sound, _ = librosa.load(path, sr=rate, mono=True)
        for index in range(PIECES):
            start = (len(sound) - length) * (2 * index + 1) // (2 * PIECES)
            piece = sound[max(start, 0) :][:length]
            if len(piece) == length and (peak := np.abs(piece).max()) > 1e-3:
                yield f"{path.stem}-{index}", piece * (0.95 / peak)


def write_mels(folder, pieces, config):
    """As BigVGAN's `meldataset.mel_spectrogram` makes them."""
    import librosa
    import numpy as np

    n_fft, hop = config["n_fft"], config["hop_size"]
    bank = librosa.filters.mel(
        sr=config["sampling_rate"], n_fft=n_fft, n_mels=config["num_mels"], fmin=config["fmin"], fmax=config["fmax"]
    )
    folder.mkdir()
    for name, wave in pieces.items():
        padded = np.pad(wave, (n_fft - hop) // 2, mode="reflect")
        spectrum = librosa.stft(padded, n_fft=n_fft, hop_length=hop, center=False)
        magnitude = np.sqrt(np.abs(spectrum) ** 2 + 1e-9)
        np.save(folder / f"{name}.npy", np.log(np.maximum(bank @ magnitude, 1e-5)).astype(np.float32)[None])


def read(path):
    import librosa

    return librosa.load(path, sr=None, mono=True)[0]


def distances(recorded, made):
    import numpy as np

    torch = bench.import_torch()
    length = min(len(recorded), len(made))
    recorded, made = (torch.from_numpy(np.ascontiguousarray(sound[:length])) for sound in (recorded, made))

    def magnitude(sound, n_fft, hop, window):
        hann = torch.hann_window(window)
        return torch.stft(sound, n_fft, hop, window, hann, return_complex=True).abs()

    terms = []
    for resolution in RESOLUTIONS:
        a, b = (magnitude(sound, *resolution).clamp(min=1e-4) for sound in (recorded, made))
        terms.append(((a - b).norm() / a.norm() + (a.log() - b.log()).abs().mean()).item())
    a, b = (magnitude(sound, 2048, 512, 2048) for sound in (recorded, made))
    floor = a.max() * 1e-4
    decibels = 20 * (a.clamp(min=floor) / b.clamp(min=floor)).log10()
    return sum(terms) / len(terms), decibels.square().mean(0).sqrt().mean().item()


if __name__ == "__main__":
    main()
