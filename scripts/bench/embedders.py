"""Embedders beside PyTorch (eager, float32, CPU), from samples to vectors: VGGish, CLAP's audio branch, EnCodec's encoder and
MERT, of published sizes.

    python scripts/bench/embedders.py [--quick] [--only NAME]

Takes about four minutes on two quiet cores. Both sides have the same random weights, in the published files' layout, and
hear the same noise of ten seconds (VGGish of sixty, EnCodec and MERT of thirty), at the network's own rate: nothing is resampled. What they make of it is
compared before anything is timed. The reference's front ends are NumPy's and librosa's, its windows go through the network
eight at a time.
"""

import sys
import tempfile
from pathlib import Path

import side_by_side as bench

BATCH = 8
# Seconds of sound, its rate; of CLAP the width of the first stage and the blocks of each.
TASKS = {
    "vggish": (60, 16_000, lambda *given: vggish(*given)),
    "clap-laion-audio": (10, 48_000, lambda *given: clap(*given, 96, [2, 2, 6, 2])),
    "clap-laion-music": (10, 48_000, lambda *given: clap(*given, 128, [2, 2, 12, 2])),
    "encodec-emb": (30, 24_000, lambda *given: encodec(*given)),
    "MERT-v1-95M": (30, 24_000, lambda *given: mert(*given)),
}


def main():
    parser = bench.parser(__doc__)
    parser.add_argument("--only", choices=list(TASKS), help="one of the embedders")
    given = parser.parse_args()
    rounds = 2 if given.quick else 7
    program = bench.build("example", "embedder_bench")
    bench.heading(["torch", "transformers", "librosa"])
    bench.table("embedder", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, peak MiB", "PyTorch, peak MiB")
    for name in [given.only] if given.only else TASKS:
        seconds = TASKS[name][0]
        with tempfile.TemporaryDirectory() as folder:
            # Makes the files, and answers when they are there.
            theirs = bench.Contender("PyTorch", bench.script("--reference", name, folder))
            ours = bench.Contender("nocturne", [program, name, theirs.said["weights"], theirs.said["audio"]])
            agree(ours.said, theirs.said)
            bench.race([ours, theirs], rounds)
            ours.close()
            theirs.close()
        count = ours.said["shape"][0]
        bench.row(
            f"{name}, {seconds} s of sound, {count} vectors",
            bench.spread(ours.seconds),
            bench.spread(theirs.seconds),
            bench.ratio(theirs, ours),
            f"{ours.peak_mib:.0f}",
            f"{theirs.peak_mib:.0f}",
        )


def agree(ours, theirs):
    assert ours["shape"] == theirs["shape"], (ours["shape"], theirs["shape"])
    largest = max(abs(value) for value in theirs["values"])
    difference = max(abs(a - b) for a, b in zip(ours["values"], theirs["values"]))
    print(f"largest difference {difference / largest:.1e} of the largest value", file=sys.stderr)
    assert difference < 1e-3 * largest, "the two sides do not hear the same"


def reference(name, folder):
    torch = bench.import_torch()
    import numpy as np

    seconds, rate, make = TASKS[name]
    noise = np.random.default_rng(0).normal(size=seconds * rate) * 0.1
    samples = np.round(noise.clip(-1, 1) * 32767).astype(np.int16)
    audio = Path(folder) / "noise.wav"
    write_wav(audio, samples, rate)
    samples = samples.astype(np.float32) / 32768
    weights, heard, network = make(torch, folder)

    @torch.inference_mode()
    def work(_):
        parts = [network(part) for part in torch.from_numpy(heard(samples)).split(BATCH)]
        return torch.cat(parts)

    vectors = work("")
    said = {"weights": str(weights), "audio": str(audio), "shape": list(vectors.shape), "values": vectors.flatten().tolist()}
    bench.serve(said, work)


def vggish(torch, folder):
    import numpy as np
    from torch import nn

    layers, channels = [], 1
    for width, count in [(64, 1), (128, 1), (256, 2), (512, 2)]:
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    sizes = [(12288, 4096), (4096, 4096), (4096, 128)]
    model.embeddings = nn.Sequential(*[layer for size in sizes for layer in (nn.Linear(*size), nn.ReLU())])
    weights = Path(folder) / "vggish-10086976.pth"
    torch.save(model.state_dict(), weights)
    linear = model.embeddings[:-1]

    window = (0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))).astype(np.float32)
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)
    bins, edges = mel(np.linspace(0.0, 8000.0, 257))[:, None], np.linspace(mel(125.0), mel(7500.0), 66)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    matrix = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    matrix[0] = 0.0
    matrix = matrix.astype(np.float32)

    def mels(samples):
        frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
        log_mel = np.log(np.abs(np.fft.rfft(frames * window, 512)).astype(np.float32) @ matrix + np.float32(0.01))
        return log_mel[: len(log_mel) // 96 * 96].reshape(-1, 1, 96, 64)

    def network(examples):
        return linear(model.features(examples).permute(0, 2, 3, 1).flatten(1))

    return weights, mels, network


def clap(torch, folder, width, depths):
    import librosa
    import numpy as np
    from transformers import ClapConfig, ClapModel

    text = dict(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    audio = dict(patch_embeds_hidden_size=width, hidden_size=8 * width, depths=depths)
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio)).eval()
    model.save_pretrained(folder)

    def mels(samples):
        samples = (np.clip(samples, -1, 1) * 32767).astype(np.int16).astype(np.float32) / 32767
        parts = []
        for start in range(0, len(samples), 48_000):
            part = samples[start : start + 480_000]
            power = librosa.feature.melspectrogram(
                y=np.pad(part, (0, 480_000 - len(part))), sr=48_000, n_fft=1024, hop_length=480, pad_mode="reflect",
                n_mels=64, fmin=50, fmax=14_000,
            )
            parts.append(10 * np.log10(np.maximum(power, 1e-10)).T[None])
        return np.stack(parts).astype(np.float32)

    def network(mel):
        vectors = model.audio_projection(model.audio_model(input_features=mel).pooler_output)
        return vectors / vectors.norm(dim=-1, keepdim=True)

    return Path(folder), mels, network


def encodec(torch, folder):
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig()).eval()
    model.save_pretrained(folder)
    return Path(folder), lambda samples: samples[None, None], lambda samples: model.encoder(samples)[0].T


def mert(torch, folder):
    import json

    import numpy as np
    from transformers import HubertConfig, HubertModel

    model = HubertModel(HubertConfig()).eval()
    model.save_pretrained(folder)
    settings = {"do_normalize": True, "sampling_rate": 24_000}
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(settings))
    normalised = lambda samples: ((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))[None]
    return Path(folder), normalised, lambda samples: model(samples).last_hidden_state[0]


def write_wav(path, samples, rate):
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2], sys.argv[3])
    else:
        main()
