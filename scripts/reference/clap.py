"""Fixtures for CLAP's parity tests: a narrow random ClapModel of transformers, in its own layout and in LAION's, and the
front end's log-mels.

    python scripts/reference/clap.py models/tests/fixtures/clap evaluation/tests/fixtures/clap

The picture has the published sizes (1001 frames of 64 bands, 64 tokens a side, windows of 8), the network is narrow. The
input is a formula that the Rust test has, too. Needs torch, transformers, librosa; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes transformers
# with it. On the CPU that is no matter.
torch.version.cuda = None
import librosa
import numpy as np
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer, processors
from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig, PreTrainedTokenizerFast

AUDIO = dict(patch_embeds_hidden_size=4, hidden_size=32, depths=[2, 2, 2, 2], num_attention_heads=[1, 2, 2, 4])
TEXT = dict(
    vocab_size=300,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=20,
    layer_norm_eps=1e-5,
)
PROJECTION = 12

CAPTIONS = [
    "A soft piano melody over warm strings.",
    "Slow ambient music, made for sleep",
    "",
    "  the   piano plays\n\nslowly  ",
    "Café müsik: naïve, ½ speed 雨 🎹",
    "the piano plays slowly, then the strings swell and fade away, " * 4,
]


def network():
    config = ClapConfig(text_config=TEXT, audio_config=AUDIO, projection_dim=PROJECTION)
    model = ClapModel(config).eval()
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        # Norms start at 0 and 1 and biases at 0, which would hide mistakes; other weights so small that attention is even.
        if "running_var" in name:
            tensor.copy_(torch.rand_like(tensor) * 100 + 300)
        elif "running_mean" in name:
            tensor.copy_(torch.randn_like(tensor) * 5 - 40)
        elif "bias_table" in name:
            tensor.copy_(torch.randn_like(tensor))
        elif "norm" in name.lower() and name.endswith("weight"):
            tensor.copy_(1 + 0.3 * torch.randn_like(tensor))
        elif tensor.dim() > 1:
            tensor.copy_(torch.randn_like(tensor) * (1.5 / tensor[0].numel() ** 0.5))
        elif tensor.dim() == 1:
            tensor.copy_(0.3 * torch.randn_like(tensor))
    return model


def mel(count, frames):
    """`[count, 1, frames, 64]` in dB."""
    item, frame, band = np.ogrid[:count, :frames, :64]
    values = -40 + 20 * np.sin(0.05 * frame + 0.3 * band + item) + 15 * np.cos(0.011 * frame * (1 + band % 7) - 2 * item)
    return torch.from_numpy(values.astype(np.float32))[:, None]


def run(model, frames, taps):
    branch = model.audio_model.audio_encoder
    inputs = mel(2, frames)
    kept = {}

    def keep(name):
        def hook(_module, inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            kept[name] = output[:1].clone()

        return hook

    handles = [branch.patch_embed.register_forward_hook(keep("tokens"))]
    handles += [layer.register_forward_hook(keep(f"layers.{i}")) for i, layer in enumerate(branch.layers)]
    handles += [block.register_forward_hook(keep(f"blocks.{i}")) for i, block in enumerate(branch.layers[2].blocks)]
    pooled = model.audio_model(input_features=inputs).pooler_output
    for handle in handles:
        handle.remove()
    vectors = model.audio_projection(pooled)
    output = {"pooled": pooled, "output": vectors / vectors.norm(dim=-1, keepdim=True)}
    if taps:
        normed = branch.batch_norm(inputs[:1].transpose(1, 3)).transpose(1, 3)
        # Every seventh row and column.
        kept["picture"] = branch.reshape_mel2img(normed)[:, :, ::7, ::7]
        # Every third token of the largest.
        kept["tokens"] = kept["tokens"][:, ::3]
        output |= kept
    return {f"{name}.{frames}": tap.contiguous() for name, tap in output.items()}


def text_taps(model):
    """A padded batch of ids, the text branch's pooled state, and the normalised vectors."""
    mask = torch.tensor([[1] * length + [0] * (12 - length) for length in (12, 5, 2)])
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(4, TEXT["vocab_size"], mask.shape, generator=generator)
    ids = torch.where(mask == 1, ids, torch.tensor(1))
    output = model.text_model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    vectors = model.text_projection(output.pooler_output)
    states = {f"text_states.{index}": state for index, state in enumerate(output.hidden_states)}
    return states | {
        "ids": ids.float(),
        "mask": mask.float(),
        "text_pooled": output.pooler_output,
        "text_output": vectors / vectors.norm(dim=-1, keepdim=True),
    }


def tokenizer(folder):
    """A small tokenizer of RoBERTa's kind, and what transformers makes of some captions with it, 18 tokens at most."""
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(CAPTIONS, vocab_size=295, min_frequency=2, special_tokens=special, show_progress=False)
    inner = bpe._tokenizer
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
                                   unk_token="<unk>", cls_token="<s>", sep_token="</s>")
    fast.save_pretrained(folder)
    for name in ["tokenizer_config.json", "special_tokens_map.json"]:
        (folder / name).unlink(missing_ok=True)
    encoded = fast(CAPTIONS, truncation=True, max_length=18, padding="max_length")
    cases = [
        {"text": text, "ids": [token for token, kept in zip(ids, mask) if kept]}
        for text, ids, mask in zip(CAPTIONS, encoded["input_ids"], encoded["attention_mask"])
    ]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (folder / "tokens.json").write_text(f"[\n{lines}\n]\n")


def laion(state):
    """The same tensors as LAION's training saves them, with what else is in its files, cut short."""
    renamed = {}
    for name, tensor in state.items():
        for theirs, ours in [
            ("audio_model.audio_encoder.", "audio_branch."),
            ("text_model.", "text_branch."),
            ("_projection.linear1.", "_projection.0."),
            ("_projection.linear2.", "_projection.2."),
            ("batch_norm.", "bn0."),
            ("layernorm_before.", "norm1."),
            ("layernorm_after.", "norm2."),
        ]:
            name = name.replace(theirs, ours)
        if name.startswith("audio_branch."):
            for theirs, ours in [
                ("attention.output.dense.", "attn.proj."),
                ("attention.self.", "attn."),
                ("intermediate.dense.", "mlp.fc1."),
                ("output.dense.", "mlp.fc2."),
            ]:
                name = name.replace(theirs, ours)
        if name.endswith(("relative_position_index", "position_ids", "token_type_ids")):
            continue
        renamed[name] = tensor
    for name in [name for name in renamed if ".attn.query." in name]:
        parts = [renamed.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        renamed[name.replace("query", "qkv")] = torch.cat(parts)
    branch = "audio_branch."
    renamed |= {
        branch + "spectrogram_extractor.stft.conv_real.weight": torch.zeros(2, 1, 2),
        branch + "logmel_extractor.melW": torch.zeros(2, 64),
        branch + "layers.0.blocks.1.attn_mask": torch.zeros(1, 2, 2),
        branch + "layers.0.blocks.1.attn.relative_position_index": torch.zeros(2, 2, dtype=torch.int64),
        branch + "tscam_conv.weight": torch.zeros(3, 2, 2, 3),
        branch + "head.weight": torch.zeros(3, 3),
        "text_branch.embeddings.position_ids": torch.arange(4)[None],
        "audio_transform.sequential.0.weight": torch.zeros(2, 2),
        "text_transform.sequential.3.bias": torch.zeros(2),
        "logit_scale_a": torch.zeros(()),
        "logit_scale_t": torch.zeros(()),
    }
    renamed = {name: tensor for name, tensor in renamed.items() if not name.startswith("logit_scale_") or tensor.dim() == 0}
    state_dict = {f"module.{name}": tensor.clone() for name, tensor in renamed.items()}
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    return {"epoch": 15, "name": "training", "state_dict": state_dict, "optimizer": optimizer}


def log_mel(htk):
    """Of two tones through 16 bits, `[frame, mel]`; the first 40 frames of ten seconds, and the last ten."""
    time = np.arange(480_000) / 48_000
    samples = 0.5 * np.sin(2 * np.pi * 440 * time) + 0.25 * np.sin(2 * np.pi * 3000 * time)
    samples = (np.clip(samples.astype(np.float32), -1, 1) * 32767).astype(np.int16).astype(np.float32) / 32767
    kind = dict(htk=True, norm=None) if htk else {}
    power = librosa.feature.melspectrogram(
        y=samples, sr=48_000, n_fft=1024, hop_length=480, pad_mode="reflect", n_mels=64, fmin=50, fmax=14_000, **kind
    )
    mel = 10 * np.log10(np.maximum(power, 1e-10)).T
    assert mel.shape == (1001, 64)
    print("log-mel: htk", htk, "mean", mel.mean(), "maximum", mel.max())
    return torch.from_numpy(np.ascontiguousarray(np.concatenate([mel[:40], mel[-10:]]), dtype=np.float32))


def main(models, evaluation):
    torch.manual_seed(1)
    for folder in (models / "transformers", evaluation):
        folder.mkdir(parents=True, exist_ok=True)
    model = network()
    model.save_pretrained(models / "transformers")
    # Each block has the same table of positions, which is none of the weights and larger than they are; one is enough.
    state = {
        name: tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if "relative_position_index" not in name or "layers.0.blocks.0" in name
    }
    save_file(state, models / "transformers" / "model.safetensors", metadata={"format": "pt"})
    tokenizer(models / "transformers")
    torch.save(laion(model.state_dict()), models / "laion.pt")
    taps = run(model, 1001, True) | run(model, 600, False) | run(model, 1024, False) | text_taps(model)
    save_file({name: tap.contiguous() for name, tap in taps.items()}, models / "taps.safetensors")
    save_file({"slaney": log_mel(False), "htk": log_mel(True)}, evaluation / "log_mel.safetensors")
    for width, depths in [(96, [2, 2, 6, 2]), (128, [2, 2, 12, 2])]:
        with torch.device("meta"):
            audio = ClapAudioConfig(patch_embeds_hidden_size=width, hidden_size=8 * width, depths=depths)
            published = ClapModel(ClapConfig(text_config=ClapTextConfig().to_dict(), audio_config=audio.to_dict()))
        count = lambda module: sum(parameter.numel() for parameter in module.parameters())
        print("parameters of width", width, count(published.audio_model), count(published.audio_projection),
              count(published.text_model), count(published.text_projection))
    print(json.dumps(sorted(name for name in model.state_dict() if "blocks.0." in name)[:16], indent=1))


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
