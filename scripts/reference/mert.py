"""Fixtures for MERT's parity tests: narrow random `HubertModel`s of transformers, whose blocks and names MERT has.

    python scripts/reference/mert.py models/tests/fixtures/mert

MERT's own code is not in transformers. In the published configuration it differs from `HubertModel` in nothing but the class
names: its extras (a constant-Q transform beside the convolutions, scaled residual connections, relaxed attention) are off. Two
networks: as MERT-v1-95M is, in the layout of its `pytorch_model.bin`; and with layer norms in all convolutions and before the
layers. Needs torch and transformers; downloads nothing.
"""

import json
import sys
from pathlib import Path

import torch

torch.version.cuda = None
import numpy as np
from safetensors.torch import save_file
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

NARROW = dict(
    hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=40, conv_dim=[6, 6, 6, 6, 6, 6, 10],
    num_conv_pos_embedding_groups=4,
)
NETWORKS = {
    "mert": dict(num_conv_pos_embeddings=16),
    "stable": dict(num_conv_pos_embeddings=5, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True),
}


def network(settings):
    model = HubertModel(HubertConfig(**NARROW, **settings)).eval()
    for name, tensor in model.state_dict().items():
        if "layer_norm.weight" in name or "original0" in name:
            tensor.copy_(1 + 0.3 * torch.randn_like(tensor))
        elif tensor.dim() > 1:
            tensor.copy_(torch.randn_like(tensor) * (1.5 / tensor[0].numel() ** 0.5))
        else:
            tensor.copy_(0.3 * torch.randn_like(tensor))
    return model


def waveform(length):
    sample = np.arange(length)
    return (0.4 * np.sin(0.11 * sample) + 0.3 * np.cos(0.00013 * sample**1.5) + 0.05).astype(np.float32)


def main(folder):
    for name, settings in NETWORKS.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        model = network(settings)
        # Heard by the published front end, which makes the mean 0 and the variance 1.
        processor = Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True, return_attention_mask=True)
        inputs = processor(waveform(9000), sampling_rate=24_000, return_tensors="pt")
        features = model.feature_extractor(inputs["input_values"])
        projected = model.feature_projection(features.transpose(1, 2))
        taps = {"samples": inputs["input_values"][:, None, ::50], "features": features, "projected": projected}
        output = model(**inputs, output_hidden_states=True)
        # The last one behind the last normalisation, as transformers had it until version 5.
        states = [*output.hidden_states[:-1], output.last_hidden_state]
        taps |= {f"states.{index}": state for index, state in enumerate(states)}
        print(name, len(states), "states", list(states[0].shape))
        # The whole of a shorter one than the convolution over positions is wide.
        taps["short"] = model(torch.from_numpy(waveform(900))[None]).last_hidden_state
        save_file({key: value.contiguous().clone() for key, value in taps.items()}, folder / f"{name}.safetensors")

        model.save_pretrained(target)
        processor.save_pretrained(target)
        if name == "mert":
            (target / "model.safetensors").unlink()
            old = {key.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): value.clone() for key, value in model.state_dict().items()}
            torch.save(old, target / "pytorch_model.bin")
            file = target / "config.json"
            extras = dict(model_type="mert_model", architectures=["MERTModel"], feature_extractor_cqt=False, deepnorm=False,
                          attention_relax=-1.0, feature_extractor_cqt_bins=336)
            file.write_text(json.dumps(json.loads(file.read_text()) | extras, indent=2) + "\n")
    with torch.device("meta"):
        published = HubertModel(HubertConfig())
    names = {name: parameter.numel() for name, parameter in published.named_parameters()}
    print("parameters without magnitudes and mask", sum(
        count for name, count in names.items() if "original0" not in name and name != "masked_spec_embed"))


if __name__ == "__main__":
    torch.manual_seed(3)
    with torch.no_grad():
        main(Path(sys.argv[1]))
