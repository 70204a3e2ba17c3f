"""Fixtures for the parity tests of MusicGen's melody models: tiny random networks of transformers.

    python scripts/reference/musicgen_melody.py models/tests/fixtures/musicgen_melody

`mono` and `stereo` are folders of the whole model, with taps.safetensors: two captions and a melody, what goes before the codes,
the outputs of every stage, and the codes that `MusicgenMelodyForConditionalGeneration.generate` makes greedily. `audiocraft` is the
language model of `mono` as audiocraft's export writes it. Needs torch and transformers; downloads nothing.
"""

import sys
from pathlib import Path

import torch

torch.version.cuda = None
from safetensors.torch import save_file
from transformers import EncodecConfig, MusicgenMelodyConfig, MusicgenMelodyForConditionalGeneration, T5Config
from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

from musicgen import DELAY, MASK, TOKENS, XP_CFG, audiocraft_names, both, decoded, layers, tapped

CLASSES = 12
# Thirty seconds at 8 kHz.
CHROMA_LENGTH = 59
KINDS = {
    "mono": dict(num_codebooks=4, audio_channels=1, num_hidden_layers=2, hidden_size=24, ffn_dim=40, num_attention_heads=2),
    "stereo": dict(num_codebooks=8, audio_channels=2, num_hidden_layers=1, hidden_size=24, ffn_dim=40, num_attention_heads=2),
}
IDS = torch.tensor([[5, 17, 90, 33, 8, 1], [60, 2, 1, 0, 0, 0]])


def xp_cfg():
    """audiocraft's `chroma2music` in place of `text2music`."""
    self_wav = """\
  self_wav:
    model: chroma_stem
    chroma_stem:
      sample_rate: ${sample_rate}
      n_chroma: 12
      radix2_exp: 14
      argmax: true
      match_len_on_eval: false
      eval_wavs: null
      n_eval_wavs: 100
      cache_path: null
"""
    changes = {
        "  num_layers: 1\n": "  num_layers: 2\n",
        "attribute_dropout: {}\n": "attribute_dropout:\n  args:\n    active_on_eval: false\n  text: {}\n  wav:\n    self_wav: 0.5\n",
        "  prepend: []\n  cross:\n  - description\n": "  prepend:\n  - self_wav\n  - description\n  cross: []\n",
        "conditioners:\n": "conditioners:\n" + self_wav,
    }
    text = XP_CFG
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def network(sizes):
    decoder = MusicgenMelodyDecoderConfig(vocab_size=TOKENS, pad_token_id=TOKENS, bos_token_id=TOKENS, dropout=0.0, **sizes)
    text = T5Config(vocab_size=140, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    audio = EncodecConfig(
        sampling_rate=8000, upsampling_ratios=[5, 4, 2], num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=TOKENS,
        target_bandwidths=[4.0], num_lstm_layers=1, use_causal_conv=False,
    )
    config = MusicgenMelodyConfig(
        text_encoder=text.to_dict(), audio_encoder=audio.to_dict(), decoder=decoder.to_dict(), num_chroma=CLASSES,
        chroma_length=CHROMA_LENGTH,
    )
    model = MusicgenMelodyForConditionalGeneration(config).eval()
    with torch.no_grad():
        parts = [model.decoder, model.enc_to_dec_proj, model.audio_enc_to_dec_proj]
        for parameter in (parameter for part in parts for parameter in part.parameters()):
            # Norms start at 1 and 0; small weights would make every score nearly the same.
            parameter.add_((0.2 if parameter.dim() == 1 else 0.15) * torch.randn_like(parameter))
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.copy_(torch.randn_like(layer.codebook.embed))
    options = model.generation_config
    options.decoder_start_token_id = options.pad_token_id = options.bos_token_id = TOKENS
    return model


def prefix(model, melody, items=2, mask=MASK):
    """What `MusicgenMelodyForConditionalGeneration.forward` gives the decoder before the codes."""
    codes = torch.full((items * model.decoder.num_codebooks, 1), TOKENS)
    return model(
        input_ids=IDS[:items], attention_mask=mask[:items], input_features=melody, decoder_input_ids=codes
    ).encoder_hidden_states


def stages(model, states):
    decoder = model.decoder
    codes = torch.randint(0, TOKENS + 1, (2, decoder.num_codebooks, 7))
    with tapped(layers(decoder.model.decoder)) as taps:
        logits = decoder(input_ids=codes.reshape(-1, 7), encoder_hidden_states=states, use_cache=False).logits
    # The scores of what is before the codes are of nothing.
    logits = logits.reshape(2, decoder.num_codebooks, -1, TOKENS)[:, :, -7:]
    return taps | {"codes": codes.float(), "logits": logits}


def generated(model, melody, frames, items=2, prompt=None, scale=3.0, ids=IDS, mask=MASK):
    """The codes of `frames` frames; `prompt` is `[batch, codebook, frame]`."""
    start = {}
    if prompt is not None:
        first = torch.full((items, model.decoder.num_codebooks, 1), TOKENS)
        start = {"decoder_input_ids": torch.cat([first, prompt], -1).reshape(-1, prompt.shape[-1] + 1)}
    if melody is not None:
        start["input_features"] = melody
    with decoded(model) as found:
        audio = model.generate(
            input_ids=ids[:items], attention_mask=mask[:items], do_sample=False, guidance_scale=scale,
            max_length=frames + DELAY + 1, **start,
        )
    return both(found), audio


def one_hot(classes):
    return torch.nn.functional.one_hot(classes, CLASSES).float()


def main(target):
    for seed, (kind, sizes) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        model = network(sizes)
        model.save_pretrained(target / kind)
        (target / kind / "generation_config.json").unlink(missing_ok=True)
        # One is repeated, one is cut.
        short, long = torch.randint(0, CLASSES, (2, 20)), torch.randint(0, CLASSES, (1, 64))
        prompt = torch.randint(0, TOKENS, (2, sizes["num_codebooks"], 5))
        states = prefix(model, one_hot(short))
        taps = {"ids": IDS, "mask": MASK, "short": short, "long": long, "prompt": prompt, "states": states}
        taps["states.no_melody"] = prefix(model, None)
        taps |= stages(model, states)
        # Thirty seconds of music at the published rate.
        taps["one"], _ = generated(model, one_hot(long), 1500 if kind == "mono" else 60, 1)
        taps["batch"], taps["audio"] = generated(model, one_hot(short), 60)
        taps["no_melody"], _ = generated(model, None, 60)
        # The second caption without what fills it up.
        taps["alone"], _ = generated(model, one_hot(short[1:]), 60, 1, ids=IDS[1:, :3], mask=MASK[1:, :3])
        taps["plain"], _ = generated(model, one_hot(short), 20, scale=1.0)
        taps["continued"], _ = generated(model, one_hot(short), 30, prompt=prompt)
        taps["audio"] = taps["audio"][..., :800]
        save_file({name: tensor.float().contiguous() for name, tensor in taps.items()}, target / kind / "taps.safetensors")
        if kind == "mono":
            parts = ("decoder.", "enc_to_dec_proj.", "audio_enc_to_dec_proj.")
            state = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(parts)}
            state = audiocraft_names({name: tensor for name, tensor in state.items() if "embed_positions" not in name})
            state["condition_provider.conditioners.self_wav.chroma.spec.window"] = torch.hann_window(2**14)
            (target / "audiocraft").mkdir(parents=True, exist_ok=True)
            package = {"best_state": state, "xp.cfg": xp_cfg(), "version": "1.3.0", "exported": True}
            torch.save(package, target / "audiocraft" / "state_dict.bin")


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
