"""How soon MusicGen is heard: five seconds of music written while it is made, and into a file.

    python scripts/bench/musicgen_stream.py

Random weights of the sizes of `facebook/musicgen-small`, T5 and codec too, in transformers' layout; one caption, guidance of 3, float32
and int8. Times are those that the command reports: without loading, which ends with the caption's encoding. Beside it transformers in PyTorch
(eager, float32) makes as much with the same files, its caption's encoding included; audio is there when all is made. Takes four minutes and 2.4 GB of the
temporary folder.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import side_by_side as bench

SECONDS = 5
TOKENIZER = Path(__file__).parents[2] / "models/tests/fixtures/t5/flan"


def main():
    bench.arguments(__doc__)
    program = bench.build("bin", "nocturne")
    bench.heading(["torch", "transformers"])
    bench.table("weights", "into", "to the first audio, s", "language model, s", "codec, s", "seconds of music", "peak MiB")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make(folder / "small")
        command = [program, "musicgen", "generate", "--model", folder / "small", "--prompt", "soft rain", "--duration", str(SECONDS)]
        for precision in ["f32", "int8"]:
            into = {"a stream": ["--stream", folder / "music.wav"], "a file": ["--strategy", "clip", "--output-dir", folder / precision]}
            for name, flags in into.items():
                flags = ["--precision", precision, "--device", "cpu", "--json", "--quiet", *flags]
                peak, said = bench.run_once([str(part) for part in [*command, *flags]])
                said = json.loads(said)
                first = said.get("seconds_to_first_audio")
                times = ["" if time is None else bench.number(time, 3) for time in (first, said["token_seconds"], said["decoding_seconds"])]
                bench.row(precision, name, *times, f"{said['seconds']:.1f}", f"{peak:.0f}")
            same = (folder / "music.wav").read_bytes() == (folder / precision / "000000.wav").read_bytes()
            assert same, "a stream is not what the file is"
        peak, said = bench.run_once(bench.script("--reference", folder / "small"))
        said = json.loads(said)
        bench.row("f32, transformers", "an array", bench.number(said["time"], 3), "", "", f"{said['seconds']:.1f}", f"{peak:.0f}")


def make(folder):
    torch = bench.import_torch()
    from safetensors.torch import save_file
    from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config
    from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig

    text = T5Config(vocab_size=32128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    audio = EncodecConfig(
        sampling_rate=32_000, upsampling_ratios=[8, 5, 4, 4], num_filters=64, codebook_size=2048, target_bandwidths=[2.2],
        use_causal_conv=False, use_conv_shortcut=False,
    )
    config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=audio.to_dict(), decoder=MusicgenDecoderConfig().to_dict())
    with torch.device("meta"):
        names = MusicgenForConditionalGeneration(config).state_dict()
    torch.manual_seed(0)

    def value(name, tensor):
        noise = torch.randn(tensor.shape)
        # Norms and the lengths of weights are near 1, codebooks of that size.
        near_one = "norm" in name and name.endswith("weight") or "original0" in name
        return 1 + 0.05 * noise if near_one else noise if "codebook.embed" in name else 0.03 * noise

    tied = lambda name: "embed_positions" in name or name == "text_encoder.encoder.embed_tokens.weight"
    weights = {name: value(name, tensor) for name, tensor in names.items() if tensor.is_floating_point() and not tied(name)}
    folder.mkdir()
    config.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors")
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, folder / name)


def reference(folder):
    torch = bench.import_torch()
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    model = MusicgenForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    options, decoder = model.generation_config, model.config.decoder
    options.decoder_start_token_id = options.pad_token_id = options.bos_token_id = decoder.vocab_size
    start = time.perf_counter()
    with torch.inference_mode():
        frames = SECONDS * model.config.audio_encoder.frame_rate
        told = tokenizer(["soft rain"], return_tensors="pt")
        audio = model.generate(**told, do_sample=True, top_k=250, guidance_scale=3.0, max_length=frames + decoder.num_codebooks)
    seconds = audio.shape[-1] / model.config.audio_encoder.sampling_rate
    print(json.dumps({"time": time.perf_counter() - start, "seconds": seconds}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2])
    else:
        main()
