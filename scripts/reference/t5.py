"""Fixtures for the text encoder's parity tests: tiny random networks of transformers and a small tokenizer, saved by
transformers itself.

    python scripts/reference/t5.py models/tests/fixtures/t5

`t5` is a whole T5 with its decoder, as pickles; `flan` an encoder of T5 1.1 alone, as safetensors. Each folder holds
taps.safetensors: ids and mask of a padded batch, and the output of every stage. `flan` has the tokenizer, and
tokens.json what transformers makes of some captions with it. Needs torch and transformers; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes transformers
# with it. On the CPU that is no matter.
torch.version.cuda = None
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

SMALL = dict(vocab_size=140, d_model=24, d_kv=8, d_ff=32, num_layers=3, num_heads=4, decoder_start_token_id=0)

# Heads that together are wider than the model; other buckets than the published networks have.
T5 = SMALL | dict(feed_forward_proj="relu", num_decoder_layers=1)
FLAN = SMALL | dict(
    feed_forward_proj="gated-gelu",
    num_layers=2,
    num_heads=2,
    relative_attention_num_buckets=16,
    relative_attention_max_distance=40,
    layer_norm_epsilon=1e-5,
    tie_word_embeddings=False,
)

# The longest is beyond the largest relative distance that has a bucket of its own.
LENGTHS = {"t5": [150, 1, 20], "flan": [9, 60, 30, 60]}

SENTENCES = """
A soft piano melody drifts over warm strings and the sound of rain.
Slow ambient music with deep bass, made for sleep.
A calm female voice hums a lullaby over an acoustic guitar.
Bright bells ring above a low drone; the tempo is very slow.
Ocean waves and a distant flute, quiet and peaceful.
An upbeat electronic track with a driving drum beat and synth chords.
Low quality recording of a live rock band, with crowd noise.
The piano plays slowly, then the strings swell and fade away.
Gentle harp arpeggios over a pad; no drums, no voice.
A dark cinematic drone with rumbling bass and metallic echoes.
""".strip().splitlines()

CAPTIONS = [
    "A soft piano melody over warm strings.",
    "Slow ambient music, made for sleep",
    "",
    "   \t\n ",
    "  the   piano\tplays\n\nslowly  ",
    "Café müsik: naïve ﬁnger­picking ½ speed",
    "雨の音 и тихий дождь 🎹🌧️",
    "e\u0301 and \u00e9 are the same letter; \u200bhidden",
    "</s> <pad> are words here <extra_id_0>",
    "bass " * 60,
]


def network(kind, config, seed):
    torch.manual_seed(seed)
    model = kind(T5Config(**config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Norms start at 1, which would hide a mistake in them.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            # The published networks' scores are not scaled by √width; weights of that size keep softmax away from a step.
            elif "SelfAttention.relative" in name:
                parameter.copy_(torch.randn_like(parameter))
    return model.eval()


def run(model, lengths, vocab_size, seed):
    """The taps of one forward pass of a padded batch, by the name of the stage."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = torch.tensor([[1] * length + [0] * (longest - length) for length in lengths])
    ids = torch.randint(3, vocab_size, mask.shape, generator=generator) * mask
    output = model.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    taps = {"ids": ids.float(), "mask": mask.float(), "embedding": output.hidden_states[0]}
    handles = []
    for index, block in enumerate(model.encoder.block):

        def hook(_module, _inputs, output, name=f"block.{index}"):
            taps[name] = output[0] if isinstance(output, tuple) else output

        handles.append(block.register_forward_hook(hook))
    model.encoder(input_ids=ids, attention_mask=mask)
    for handle in handles:
        handle.remove()
    taps["bias"] = model.encoder.block[0].layer[0].SelfAttention.compute_bias(longest, longest)[:, :, 0, :]
    taps["output"] = output.last_hidden_state
    return {name: tap.detach().clone().contiguous() for name, tap in taps.items()}


def tokenizer(vocab_size):
    fast = Tokenizer(models.Unigram())
    # In place of the published table of normalised characters, which is larger than all fixtures together.
    fast.normalizer = normalizers.NFKC()
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size - 4, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    fast.train_from_iterator(SENTENCES, trainer)
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=fast,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<extra_id_0>"],
        model_max_length=48,
    )


def save_tokenizer(folder, vocab_size):
    fast = tokenizer(vocab_size)
    fast.save_pretrained(folder)
    assert len(fast) <= vocab_size, len(fast)
    cases = [{"text": text, "ids": fast(text, truncation=True)["input_ids"], "whole": len(fast(text)["input_ids"])}
             for text in CAPTIONS]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (folder / "tokens.json").write_text(f"[\n{lines}\n]\n")
    (folder / "special_tokens_map.json").unlink(missing_ok=True)


def buckets(folder):
    """The buckets of every distance, for the published sizes and others."""
    distances = torch.arange(-1200, 1201)
    rows = {}
    for count, most in [(32, 128), (16, 40), (64, 1000), (8, 20)]:
        row = T5Attention._relative_position_bucket(distances, True, count, most)
        rows[f"{count},{most}"] = row.float()
    save_file(rows, folder / "buckets.safetensors")


def main(folder):
    for name, kind, config, seed in [("t5", T5ForConditionalGeneration, T5, 1), ("flan", T5EncoderModel, FLAN, 2)]:
        model = network(kind, config, seed)
        (folder / name).mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder / name)
        taps = run(model, LENGTHS[name], config["vocab_size"], seed + 10)
        save_file(taps, folder / name / "taps.safetensors")
    # As transformers wrote it until safetensors came: every name of a tied tensor.
    model = network(T5ForConditionalGeneration, T5, 1)
    torch.save(model.state_dict(), folder / "t5" / "pytorch_model.bin")
    (folder / "t5" / "model.safetensors").unlink()
    (folder / "t5" / "generation_config.json").unlink(missing_ok=True)
    save_tokenizer(folder / "flan", FLAN["vocab_size"])
    buckets(folder)


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
