"""Fixtures for the parity tests of MusicGen's language model: tiny random networks of transformers.

    python scripts/reference/musicgen.py models/tests/fixtures/musicgen

`mono` and `stereo` are folders as transformers saves a decoder, with taps.safetensors: the outputs of every stage for codes and a
padded batch of conditions, and the gradients of the loss; generated.safetensors: what `MusicgenForConditionalGeneration.generate`
makes greedily, with guidance, from a prompt and from none. Needs torch and transformers; downloads nothing.
"""

import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes transformers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from safetensors.torch import save_file
from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig

TOKENS = 32
KINDS = {
    "mono": dict(num_codebooks=4, audio_channels=1, num_hidden_layers=3, hidden_size=32, ffn_dim=48, num_attention_heads=4),
    "stereo": dict(num_codebooks=8, audio_channels=2, num_hidden_layers=1, hidden_size=24, ffn_dim=40, num_attention_heads=2),
}
# The lag of the last codebook, in both.
DELAY = 3
# The second caption is shorter.
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def network(sizes):
    decoder = MusicgenDecoderConfig(vocab_size=TOKENS, pad_token_id=TOKENS, bos_token_id=TOKENS, dropout=0.0, **sizes)
    text = T5Config(vocab_size=40, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    # Four codebooks, whatever they sound like: only the codes are looked at.
    audio = EncodecConfig(
        sampling_rate=8000, upsampling_ratios=[5, 4, 2], num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=TOKENS,
        target_bandwidths=[4.0], num_lstm_layers=1, use_causal_conv=False,
    )
    config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=audio.to_dict(), decoder=decoder.to_dict())
    model = MusicgenForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            # Norms start at 1 and 0; small weights would make every score nearly the same.
            parameter.add_((0.2 if parameter.dim() == 1 else 0.15) * torch.randn_like(parameter))
    options = model.generation_config
    options.decoder_start_token_id = options.pad_token_id = options.bos_token_id = TOKENS
    return model


def stages(model, states):
    decoder, taps = model.decoder, {}

    def keep(name):
        def hook(_module, _inputs, output):
            taps[name] = (output[0] if isinstance(output, tuple) else output).detach()

        return hook

    inner = decoder.model.decoder
    hooks = [layer.register_forward_hook(keep(f"layer.{index}")) for index, layer in enumerate(inner.layers)]
    hooks.append(inner.layer_norm.register_forward_hook(keep("normed")))
    codes = torch.randint(0, TOKENS + 1, (2, decoder.num_codebooks, 11))
    weights = torch.randn(2, decoder.num_codebooks, 11, TOKENS)
    output = decoder(
        input_ids=codes.reshape(-1, 11), encoder_hidden_states=states, encoder_attention_mask=MASK, use_cache=False
    )
    logits = output.logits.reshape(weights.shape)
    names, parameters = zip(*decoder.named_parameters())
    gradients = torch.autograd.grad((logits * weights).sum(), [states, *parameters], allow_unused=True)
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        unmasked = decoder(input_ids=codes.reshape(-1, 11), encoder_hidden_states=states, use_cache=False).logits
        alone = decoder(input_ids=codes.reshape(-1, 11), use_cache=False).logits
    taps |= {"codes": codes.float(), "states": states.detach(), "weights": weights, "logits": logits.detach()}
    taps |= {"logits.unmasked": unmasked.reshape(weights.shape), "logits.alone": alone.reshape(weights.shape)}
    for name, gradient in zip(["states", *names], gradients):
        if gradient is not None:
            taps[f"gradient.{name}"] = gradient
    return {name: tensor.contiguous() for name, tensor in taps.items()}


def generated(model, states, frames, prompt=None, scale=3.0):
    """The codes of `frames` frames; `prompt` is `[batch, codebook, frame]`."""
    found = []
    decode = model.audio_encoder.decode

    def listen(codes, *arguments, **options):
        found.append(codes[0])
        return decode(codes, *arguments, **options)

    model.audio_encoder.decode = listen
    batch = states.shape[0]
    # What stands behind the projection is given, whatever the caption.
    projection, model.enc_to_dec_proj = model.enc_to_dec_proj, torch.nn.Identity()
    encode = model.text_encoder.forward
    model.text_encoder.forward = lambda *_arguments, **_options: BaseModelOutput(last_hidden_state=states)
    if prompt is None:
        start = {}
    else:
        first = torch.full((batch, model.decoder.num_codebooks, 1), TOKENS)
        start = {"decoder_input_ids": torch.cat([first, prompt], -1).reshape(-1, prompt.shape[-1] + 1)}
    model.generate(
        input_ids=torch.ones(batch, MASK.shape[1], dtype=torch.long), attention_mask=MASK[:batch], do_sample=False,
        guidance_scale=scale, max_length=frames + DELAY + 1, **start,
    )
    model.audio_encoder.decode, model.enc_to_dec_proj, model.text_encoder.forward = decode, projection, encode
    if len(found) == 2:
        # Left and right, each of half the codebooks.
        return torch.stack(found, 2).flatten(1, 2)
    return found[0]


def main():
    target = Path(sys.argv[1])
    for seed, (kind, sizes) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        model = network(sizes)
        folder = target / kind
        model.decoder.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        states = torch.randn(2, MASK.shape[1], sizes["hidden_size"]) * MASK[..., None]
        save_file(stages(model, states.clone().requires_grad_()), folder / "taps.safetensors")
        prompt = torch.randint(0, TOKENS, (2, sizes["num_codebooks"], 5))
        with torch.no_grad():
            runs = {
                "states": states,
                "prompt": prompt,
                # Thirty seconds of music.
                "one": generated(model, states[:1], 1500 if kind == "mono" else 60),
                "batch": generated(model, states, 60),
                "plain": generated(model, states, 20, scale=1.0),
                "continued": generated(model, states, 30, prompt),
            }
        save_file({name: tensor.float().contiguous() for name, tensor in runs.items()}, folder / "generated.safetensors")


if __name__ == "__main__":
    main()
