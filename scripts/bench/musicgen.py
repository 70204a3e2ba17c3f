"""MusicGen's language model beside transformers in PyTorch (eager, float32, CPU): frames of music a second.

    python scripts/bench/musicgen.py [--quick] [--precision f32 int8 ...]

Both sides have the same random weights of the size of `facebook/musicgen-small`, in transformers' layout, one caption of twelve
tokens behind its projection, and guidance of 3: two streams. They take the best token always, and the codes that they make are
compared before anything is timed; nothing is decoded to audio. Ours is timed with its weights in float32, bfloat16, int8 and int4,
transformers' in float32; instead of the codes, of narrow weights the scores of the first step are compared: the root mean square of
what they differ from ours in float32, over that of those. Takes nine minutes and 2 GB of the temporary folder.
"""

import math
import sys
import tempfile
from pathlib import Path

import side_by_side as bench

PRECISIONS = ["f32", "bf16", "int8", "int4"]
# Five seconds of music.
FRAMES = 250
TOKENS = 12


def main():
    parser = bench.parser(__doc__)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="of our weights; f32 is always one")
    given = parser.parse_args()
    program = bench.build("example", "musicgen_bench")
    bench.heading(["torch", "transformers"])
    bench.table(
        "weights", "nocturne, s", "PyTorch, s", "times as fast", "nocturne, frames a second", "PyTorch, frames a second",
        "nocturne, peak MiB", "PyTorch, peak MiB", "error of the scores",
    )
    with tempfile.TemporaryDirectory() as folder:
        # Makes the files, and answers when they are there.
        theirs = bench.Contender("PyTorch", bench.script("--reference", folder))
        precisions = [name for name in PRECISIONS if name == "f32" or name in given.precision]
        ours = [bench.Contender(name, [program, folder, name]) for name in precisions]
        exact = ours[0].said
        assert exact["codes"] == theirs.said["codes"], "the two sides do not make the same"
        frames = FRAMES // 5 if given.quick else FRAMES
        bench.race([*ours, theirs], 1 if given.quick else 3, str(frames))
        for contender in (*ours, theirs):
            contender.close()
    for own in ours:
        times = bench.spread(own.seconds), bench.spread(theirs.seconds), bench.ratio(theirs, own)
        speeds = [f"{frames / side.median:.1f}" for side in (own, theirs)]
        error = math.dist(own.said["scores"], exact["scores"]) / math.hypot(*exact["scores"])
        bench.row(own.name, *times, *speeds, f"{own.peak_mib:.0f}", f"{theirs.peak_mib:.0f}", f"{error:.2g}")


def reference(folder):
    torch = bench.import_torch()
    from safetensors.torch import save_file
    from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config
    from transformers.modeling_outputs import BaseModelOutput
    from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig

    decoder = MusicgenDecoderConfig()
    # Small ones: neither captions nor audio are timed.
    text = T5Config(vocab_size=8, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    audio = EncodecConfig(
        sampling_rate=400, upsampling_ratios=[2, 2, 2], num_filters=2, hidden_size=4, codebook_dim=4,
        codebook_size=decoder.vocab_size, target_bandwidths=[2.2], num_lstm_layers=1, use_causal_conv=False,
    )
    torch.manual_seed(0)
    config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=audio.to_dict(), decoder=decoder.to_dict())
    model = MusicgenForConditionalGeneration(config).eval()
    options = model.generation_config
    options.decoder_start_token_id = options.pad_token_id = options.bos_token_id = decoder.vocab_size
    model.decoder.save_pretrained(folder)
    states = torch.randn(1, TOKENS, decoder.hidden_size)
    save_file({"states": states}, Path(folder) / "task.safetensors")
    model.enc_to_dec_proj = torch.nn.Identity()
    model.text_encoder.forward = lambda *_arguments, **_options: BaseModelOutput(last_hidden_state=states)
    found = []
    decode = model.audio_encoder.decode

    def listen(codes, *arguments, **options):
        found[:] = [codes]
        return decode(codes, *arguments, **options)

    model.audio_encoder.decode = listen
    ids = torch.ones(1, TOKENS, dtype=torch.long)

    @torch.inference_mode()
    def work(frames):
        model.generate(
            input_ids=ids, attention_mask=ids, do_sample=False, guidance_scale=3.0,
            max_length=int(frames) + decoder.num_codebooks,
        )

    work(10)
    bench.serve({"codes": found[0].flatten().tolist()}, work)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        reference(sys.argv[2])
    else:
        main()
