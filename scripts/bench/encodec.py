"""EnCodec beside transformers in PyTorch (eager, float32, CPU): thirty seconds to codes, and thirty seconds of codes to samples.

    python scripts/bench/encodec.py [--quick] [--only khz_32]

Both sides have the same random weights of published sizes, in transformers' layout, and the same waveform and codes of noise.
What they make of the first second of the codes is compared before anything is timed.
"""

import sys
import tempfile
from pathlib import Path

import side_by_side as bench

SECONDS = 30
# The networks that see a whole waveform at once.
NETWORKS = {
    "khz_32": dict(num_filters=64, upsampling_ratios=[8, 5, 4, 4], target_bandwidths=[2.2], sampling_rate=32_000,
                   codebook_size=2048, use_causal_conv=False, use_conv_shortcut=False),
    "khz_24": dict(),
}


def main():
    parser = bench.parser(__doc__)
    parser.add_argument("--only", choices=list(NETWORKS), help="one of the networks")
    given = parser.parse_args()
    program = bench.build("example", "encodec_bench")
    bench.heading(["torch", "transformers"])
    bench.table("network", "way", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, peak MiB", "PyTorch, peak MiB")
    for name in [given.only] if given.only else NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            # Makes the files, and answers when they are there.
            theirs = bench.Contender("PyTorch", bench.script("--reference", name, folder))
            ours = bench.Contender("nocturne", [program, folder])
            largest = max(abs(value) for value in theirs.said["samples"])
            difference = max(abs(a - b) for a, b in zip(ours.said["samples"], theirs.said["samples"], strict=True))
            print(f"largest difference {difference / largest:.1e} of the largest sample", file=sys.stderr)
            assert difference < 1e-4 * largest, "the two sides do not make the same"
            rows = []
            for way in ["encode", "decode"]:
                bench.race([ours, theirs], 1 if given.quick else 5, way)
                times = bench.spread(ours.seconds), bench.spread(theirs.seconds), bench.ratio(theirs, ours)
                rows.append((way, *times))
            ours.close()
            theirs.close()
        for row in rows:
            bench.row(f"{name}, {SECONDS} s", *row, f"{ours.peak_mib:.0f}", f"{theirs.peak_mib:.0f}")


def reference(name, folder):
    torch = bench.import_torch()
    from safetensors.torch import save_file
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig(**NETWORKS[name])).eval()
    config = model.config
    books, frames = config.num_quantizers, SECONDS * config.frame_rate
    with torch.no_grad():
        for layer in model.quantizer.layers:
            layer.codebook.embed.normal_()
    model.save_pretrained(folder)
    samples = 0.1 * torch.randn(1, 1, SECONDS * config.sampling_rate)
    codes = torch.randint(config.codebook_size, (1, books, frames))
    save_file({"samples": samples, "codes": codes.float()}, Path(folder) / "task.safetensors")

    @torch.inference_mode()
    def decode(codes):
        return model.decode(codes[None], [None])[0]

    @torch.inference_mode()
    def work(way):
        if way == "encode":
            model.encode(samples, bandwidth=config.target_bandwidths[-1])
        else:
            decode(codes)

    bench.serve({"samples": decode(codes[..., : config.frame_rate]).flatten().tolist()}, work)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2], sys.argv[3])
    else:
        main()
