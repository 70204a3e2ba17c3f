"""Whether Python opens what `nocturne musicgen export` wrote.

    python scripts/reference/musicgen_export.py FOLDER

FOLDER holds `model`, a MusicGen or a melody model of transformers; `exported`, the same by way of audiocraft's files; `packages`, the same in
audiocraft's files. Needs torch and transformers; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

torch.version.cuda = None
from transformers import MusicgenForConditionalGeneration, MusicgenMelodyForConditionalGeneration

from encodec import meta
from musicgen import audiocraft_names


def near(found, expected, name):
    # Weight norm was folded and taken apart again, in float32.
    error = (found.float() - expected.float()).norm() / expected.float().norm().clamp_min(1e-12)
    assert found.shape == expected.shape and error < 1e-5, f"{name}: {list(found.shape)}, error {error:.1e}"


def open_model(folder):
    kinds = {"musicgen": MusicgenForConditionalGeneration, "musicgen_melody": MusicgenMelodyForConditionalGeneration}
    kind = kinds[json.loads((folder / "config.json").read_text())["model_type"]]
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        assert not info[kind], f"{folder}: {kind}: {info[kind]}"
    return model.eval()


def weights(module):
    """Of convolutions as they act, whatever is kept."""
    return {
        name.replace("parametrizations.weight.original1", "weight"): tensor
        for name, tensor in module.state_dict().items()
        if "original" not in name and not name.endswith((".embed_avg", ".cluster_size", ".inited"))
    } | {f"{name}.weight": layer.weight for name, layer in module.named_modules() if hasattr(layer, "parametrizations")}


def main(folder):
    expected, found = open_model(folder / "model"), open_model(folder / "exported")
    of_expected, of_found = weights(expected), weights(found)
    assert of_expected.keys() == of_found.keys()
    for name, tensor in of_expected.items():
        near(of_found[name], tensor, name)
    options = found.generation_config
    assert options.decoder_start_token_id == options.pad_token_id == found.config.decoder.vocab_size
    assert options.guidance_scale == 3.0 and options.do_sample
    ids = torch.tensor([[5, 17, 90, 33, 8, 1], [60, 2, 1, 0, 0, 0]])
    arguments = dict(input_ids=ids, attention_mask=(ids != 0).long(), do_sample=False, guidance_scale=3.0, max_length=44)
    start = dict(decoder_start_token_id=32, pad_token_id=32, bos_token_id=32)
    near(found.generate(**arguments), expected.generate(**arguments, **start), "audio")

    language_model = {
        name: tensor
        for name, tensor in expected.state_dict().items()
        if name.startswith(("decoder.", "enc_to_dec_proj.", "audio_enc_to_dec_proj.")) and "embed_positions" not in name
    }
    language_model = audiocraft_names(language_model)
    if expected.config.model_type == "musicgen_melody":
        language_model["condition_provider.conditioners.self_wav.chroma.spec.window"] = torch.hann_window(2**14)
    cases = {
        "state_dict.bin": language_model,
        "compression_state_dict.bin": meta(expected.audio_encoder.state_dict()),
    }
    for file, tensors in cases.items():
        package = torch.load(folder / "packages" / file, weights_only=True)
        assert package.keys() == {"best_state", "xp.cfg", "version"}, package.keys()
        state = package["best_state"]
        assert state.keys() == tensors.keys(), state.keys() ^ tensors.keys()
        for name, tensor in tensors.items():
            # Directions may have any length, and what codebooks are trained with any value.
            if name.endswith((".weight_v", ".weight_g", ".embed_avg", ".cluster_size", ".inited")):
                assert state[name].shape == tensor.shape, name
                continue
            assert torch.allclose(state[name], tensor, rtol=0, atol=1e-6 if name.endswith(".window") else 0), name


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
