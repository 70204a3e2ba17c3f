"""Fixtures for the parity tests of MusicGen's language model: tiny random networks of transformers.

    python scripts/reference/musicgen.py models/tests/fixtures/musicgen

`mono` and `stereo` are folders as transformers saves a decoder, with taps.safetensors: the outputs of every stage for codes and a
padded batch of conditions, and the gradients of the loss; generated.safetensors: what `MusicgenForConditionalGeneration.generate`
makes greedily, with guidance, from a prompt and from none. `whole` is a folder of the whole model, with the audio that it makes of
two captions. `audiocraft` is the same model as audiocraft's export writes it, once with the names and the level of a training in
float16, and what it makes of these captions where the tokens that fill the shorter one are attended to. Needs torch and
transformers; downloads nothing.
"""

import re
import sys
from contextlib import contextmanager
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes transformers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from encodec import meta
from safetensors.torch import save_file
from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig

TOKENS = 32
KINDS = {
    "mono": dict(num_codebooks=4, audio_channels=1, num_hidden_layers=3, hidden_size=32, ffn_dim=48, num_attention_heads=4),
    "stereo": dict(num_codebooks=8, audio_channels=2, num_hidden_layers=1, hidden_size=24, ffn_dim=40, num_attention_heads=2),
}
# What `OmegaConf.to_yaml` makes of audiocraft's configurations, cut short.
XP_CFG = """\
device: cuda
dtype: float32
autocast: true
solver: musicgen
sample_rate: 8000
channels: 1
compression_model_checkpoint: //pretrained/facebook/encodec_32khz
tokens:
  padding_with_special_token: false
interleave_stereo_codebooks:
  use: false
  per_timestep: false
dataset:
  batch_size: 192
  segment_duration: 30
  train:
    merge_text_p: 0.25
lm_model: transformer_lm
codebooks_pattern:
  modeling: delay
  delay:
    delays:
    - 0
    - 1
    - 2
    - 3
    flatten_first: 0
    empty_initial: 0
  unroll:
    flattening:
    - 0
    - 1
    delays:
    - 0
    - 0
transformer_lm:
  dim: 24
  num_heads: 2
  num_layers: 1
  hidden_scale: 1.6666667
  n_q: 4
  card: 32
  dropout: 0.0
  emb_lr: null
  activation: gelu
  norm_first: true
  bias_ff: false
  bias_attn: false
  bias_proj: false
  past_context: null
  causal: true
  custom: false
  memory_efficient: true
  attention_as_float32: false
  layer_scale: null
  positional_embedding: sin
  xpos: false
  checkpointing: torch
  weight_init: gaussian
  depthwise_init: current
  zero_bias_init: true
  norm: layer_norm
  cross_attention: false
  qk_layer_norm: false
  qk_layer_norm_cross: false
  attention_dropout: null
  kv_repeat: 1
  two_step_cfg: false
classifier_free_guidance:
  training_dropout: 0.3
  inference_coef: 3.0
attribute_dropout: {}
fuser:
  cross_attention_pos_emb: false
  cross_attention_pos_emb_scale: 1
  sum: []
  prepend: []
  cross:
  - description
  input_interpolate: []
conditioners:
  description:
    model: t5
    t5:
      name: t5-base
      finetune: false
      word_dropout: 0.3
      normalize_text: false
"""
CODEC_XP_CFG = """\
solver: compression
sample_rate: 8000
channels: 1
compression_model: encodec
encodec:
  autoencoder: seanet
  quantizer: rvq
  sample_rate: ${sample_rate}
  channels: ${channels}
  causal: false
  renormalize: false
seanet:
  dimension: 8
  channels: ${channels}
  causal: ${encodec.causal}
  n_filters: 4
  n_residual_layers: 1
  ratios:
  - 5
  - 4
  - 2
  activation: ELU
  norm: weight_norm
  kernel_size: 7
  residual_kernel_size: 3
  last_kernel_size: 7
  dilation_base: 2
  pad_mode: reflect
  true_skip: false
  compress: 2
  lstm: 1
  disable_norm_outer_blocks: 0
  encoder: {}
  decoder:
    trim_right_ratio: 1.0
    final_activation: null
    final_activation_params: null
rvq:
  n_q: 4
  bins: 32
"""

# The lag of the last codebook, in both.
DELAY = 3
# The second caption is shorter.
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def network(sizes):
    decoder = MusicgenDecoderConfig(vocab_size=TOKENS, pad_token_id=TOKENS, bos_token_id=TOKENS, dropout=0.0, **sizes)
    # As many tokens as the tokenizer of T5's fixtures has.
    text = T5Config(vocab_size=140, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
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


@contextmanager
def tapped(modules):
    """What modules give while they are called, by their names."""
    taps = {}

    def keep(name):
        def hook(_module, _inputs, output):
            taps[name] = (output[0] if isinstance(output, tuple) else output).detach()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    yield taps
    for hook in hooks:
        hook.remove()


@contextmanager
def decoded(model):
    """What the codec is given to decode: of stereo left and right, each of half the codebooks."""
    found, decode = [], model.audio_encoder.decode

    def listen(codes, *arguments, **options):
        found.append(codes[0])
        return decode(codes, *arguments, **options)

    model.audio_encoder.decode = listen
    yield found
    model.audio_encoder.decode = decode


def both(found):
    """Left and right as one."""
    return torch.stack(found, 2).flatten(1, 2) if len(found) == 2 else found[0]


def layers(inner):
    return {f"layer.{index}": layer for index, layer in enumerate(inner.layers)}


def stages(model, states):
    decoder, inner = model.decoder, model.decoder.model.decoder
    codes = torch.randint(0, TOKENS + 1, (2, decoder.num_codebooks, 11))
    weights = torch.randn(2, decoder.num_codebooks, 11, TOKENS)
    with tapped(layers(inner) | {"normed": inner.layer_norm}) as taps:
        output = decoder(
            input_ids=codes.reshape(-1, 11), encoder_hidden_states=states, encoder_attention_mask=MASK, use_cache=False
        )
    logits = output.logits.reshape(weights.shape)
    names, parameters = zip(*decoder.named_parameters())
    gradients = torch.autograd.grad((logits * weights).sum(), [states, *parameters], allow_unused=True)
    with torch.no_grad():
        unmasked = decoder(input_ids=codes.reshape(-1, 11), encoder_hidden_states=states, use_cache=False).logits
        alone = decoder(input_ids=codes.reshape(-1, 11), use_cache=False).logits
    taps |= {"codes": codes.float(), "states": states.detach(), "weights": weights, "logits": logits.detach()}
    taps |= {"logits.unmasked": unmasked.reshape(weights.shape), "logits.alone": alone.reshape(weights.shape)}
    for name, gradient in zip(["states", *names], gradients):
        if gradient is not None:
            taps[f"gradient.{name}"] = gradient
    return {name: tensor.contiguous() for name, tensor in taps.items()}


def generated(model, states, frames, prompt=None, scale=3.0, mask=MASK):
    """The codes of `frames` frames; `prompt` is `[batch, codebook, frame]`."""
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
    with decoded(model) as found:
        model.generate(
            input_ids=torch.ones(batch, MASK.shape[1], dtype=torch.long), attention_mask=mask[:batch], do_sample=False,
            guidance_scale=scale, max_length=frames + DELAY + 1, **start,
        )
    model.enc_to_dec_proj, model.text_encoder.forward = projection, encode
    return both(found)


def whole(folder):
    torch.manual_seed(2)
    sizes = dict(num_codebooks=4, audio_channels=1, num_hidden_layers=1, hidden_size=24, ffn_dim=40, num_attention_heads=2)
    model = network(sizes)
    with torch.no_grad():
        # transformers leaves all entries of the codebooks at zero.
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.copy_(torch.randn_like(layer.codebook.embed))
    model.save_pretrained(folder)
    ids = torch.tensor([[5, 17, 90, 33, 8, 1], [60, 2, 1, 0, 0, 0]])
    taps = {"ids": ids.float(), "mask": MASK.float()}
    with torch.no_grad():
        encoded = model.text_encoder(input_ids=ids, attention_mask=MASK).last_hidden_state
        taps["states"] = model.enc_to_dec_proj(encoded) * MASK[..., None]
        taps["audio"] = model.generate(
            input_ids=ids, attention_mask=MASK, do_sample=False, guidance_scale=3.0, max_length=40 + DELAY + 1
        )
    save_file({name: tensor.contiguous() for name, tensor in taps.items()}, folder / "taps.safetensors")
    (folder / "generation_config.json").unlink(missing_ok=True)
    return model, taps["states"]


def audiocraft_names(state):
    """The language model's tensors as audiocraft names and packs them."""
    renamed = {}
    for name, tensor in state.items():
        name = name.removeprefix("decoder.").replace("model.decoder.layers.", "transformer.layers.")
        name = name.replace("model.decoder.embed_tokens.", "emb.").replace("model.decoder.layer_norm.", "out_norm.")
        name = name.replace("lm_heads.", "linears.")
        conditioner = "self_wav" if name.startswith("audio_") else "description"
        name = re.sub("^(audio_)?enc_to_dec_proj", f"condition_provider.conditioners.{conditioner}.output_proj", name)
        name = name.replace("self_attn_layer_norm", "norm1").replace("encoder_attn_layer_norm", "norm_cross")
        name = name.replace("final_layer_norm", "norm2").replace("encoder_attn", "cross_attention")
        renamed[name.replace("fc1", "linear1").replace("fc2", "linear2")] = tensor
    for name in [name for name in renamed if ".q_proj." in name]:
        parts = [renamed.pop(name.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
        renamed[name.replace("q_proj.weight", "in_proj_weight")] = torch.cat(parts)
    return {name: tensor.clone() for name, tensor in renamed.items()}


def audiocraft(folder, model, states):
    folder.mkdir(parents=True, exist_ok=True)
    is_of = lambda name: name.startswith(("decoder.", "enc_to_dec_proj.")) and "embed_positions" not in name
    state = audiocraft_names({name: tensor for name, tensor in model.state_dict().items() if is_of(name)})
    package = {"best_state": state, "xp.cfg": XP_CFG, "version": "1.3.0", "exported": True}
    torch.save(package, folder / "state_dict.bin")
    half = {re.sub(r"(self_attn|cross_attention)\.", r"\1.mha.", name): tensor.half() for name, tensor in state.items()}
    torch.save({"best_state": {"model": half}, "xp.cfg": XP_CFG}, folder / "half.bin")
    package = {"best_state": meta(model.audio_encoder.state_dict()), "xp.cfg": CODEC_XP_CFG, "version": "1.3.0", "exported": True}
    torch.save(package, folder / "compression_state_dict.bin")
    with torch.no_grad():
        codes = generated(model, states, 40, mask=torch.ones_like(MASK))
    save_file({"codes": codes.float().contiguous()}, folder / "generated.safetensors")


def main():
    target = Path(sys.argv[1])
    model, states = whole(target / "whole")
    audiocraft(target / "audiocraft", model, states)
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
