"""A fixture of music that goes on from a recording, made with transformers.

    python scripts/reference/musicgen_continue.py models/tests/fixtures

Takes the model of `musicgen/whole`, as `musicgen.py` made it, and the tokenizer of `t5/flan`, and writes
`musicgen/whole/continued.safetensors`: a recording, the caption's tokens, and the codes that
`MusicgenForConditionalGeneration.generate` makes of both, greedily, with guidance; those of the recording are the first. Needs torch,
transformers and tokenizers; downloads nothing.
"""

import sys
from pathlib import Path

import torch

# See musicgen.py.
torch.version.cuda = None
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import MusicgenForConditionalGeneration

from musicgen import DELAY, decoded

CAPTION = "A soft piano melody over warm strings."
FRAMES = 120


def main():
    fixtures = Path(sys.argv[1])
    folder = fixtures / "musicgen/whole"
    model = MusicgenForConditionalGeneration.from_pretrained(folder).eval()
    tokens = model.decoder.config.vocab_size
    options = model.generation_config
    options.decoder_start_token_id = options.pad_token_id = options.bos_token_id = tokens
    # 55 frames, the last of which is not whole.
    time = torch.arange(2190) / 8000
    recording = 0.4 * torch.sin(2 * torch.pi * 220 * time) + 0.2 * torch.sin(2 * torch.pi * 1830 * time + 60 * time**2)
    ids = torch.tensor([Tokenizer.from_file(str(fixtures / "t5/flan/tokenizer.json")).encode(CAPTION).ids])
    with torch.no_grad(), decoded(model) as found:
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), input_values=recording[None, None], do_sample=False,
            guidance_scale=3.0, max_length=FRAMES + DELAY + 1,
        )
        known = model.audio_encoder.encode(recording[None, None]).audio_codes[0, 0]
    codes = found[0][0]
    assert codes.shape[1] == FRAMES and torch.equal(codes[:, : known.shape[1]], known), (codes.shape, known.shape)
    save_file(
        {"samples": recording, "ids": ids.float(), "codes": codes.float().contiguous()}, folder / "continued.safetensors"
    )


if __name__ == "__main__":
    main()
