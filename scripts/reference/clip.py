"""Fixtures for CLIP's parity tests: small random networks in transformers' layout and in OpenAI's, and pictures that PyTorch
resized.

    python scripts/reference/clip.py models/tests/fixtures/clip

OpenAI's own code is not on PyPI: `openai` computes its network from the paper and the names in its files, and transformers'
has to agree with it. Needs torch, transformers, safetensors; downloads nothing.
"""

import io
import sys
import warnings
import zipfile
from pathlib import Path

import torch

# torchaudio, where it is installed, refuses to load beside a PyTorch that was built for another CUDA, and takes transformers
# with it. On the CPU that is no matter.
torch.version.cuda = None
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModelWithProjection

# An end that is not the largest id, so that both rules differ.
END, VOCABULARY, LENGTH = 30, 40, 12
TEXT = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, projection_dim=12, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=LENGTH, eos_token_id=END, bos_token_id=29, pad_token_id=0)
VISION = dict(hidden_size=24, intermediate_size=40, projection_dim=12, num_hidden_layers=2, num_attention_heads=3,
              image_size=16, patch_size=4)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def randomised(tensors):
    """Norms start at 0 and 1 and biases at 0, which would hide mistakes."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or name == "logit_scale":
            continue
        if ("norm" in name or "layrnorm" in name or "ln_" in name) and name.endswith("weight"):
            tensor.copy_(1 + 0.3 * torch.randn_like(tensor))
        elif tensor.dim() > 1 and "embedding.weight" not in name:
            tensor.copy_(torch.randn_like(tensor) * (1.5 / tensor[0].numel() ** 0.5))
        else:
            tensor.copy_(0.5 * torch.randn_like(tensor))


def pictures(count, height, width):
    return torch.rand(count, 3, height, width)


def normalised(values):
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (values - mean) / std


def texts(lengths):
    """`[text, LENGTH]`: an end, and behind it what fills the text up. Larger ids than the end's stand before it."""
    ids = torch.randint(1, VOCABULARY, (len(lengths), LENGTH))
    ids[ids == END] = END + 1
    for row, length in zip(ids, lengths):
        row[1] = VOCABULARY - 1 - length % 2
        row[length - 1] = END
        row[length:] = 0
    return ids


def vision_taps(model, values, name):
    """Of each stage; `model` has the vision transformer and its projection."""
    vision = model.vision_model
    taps = {f"{name}.input": values}
    hidden = vision.embeddings(values)
    taps[f"{name}.embedded"] = hidden
    hidden = vision.pre_layrnorm(hidden)
    for index, layer in enumerate(vision.encoder.layers):
        hidden = layer(hidden, None)
        taps[f"{name}.layer.{index}"] = hidden
    pooled = vision(values).pooler_output
    return taps | {f"{name}.pooled": pooled, f"{name}.output": model.visual_projection(pooled)}


def text_taps(model, ids):
    taps = {"ids": ids.float()}
    handles = []
    for index, layer in enumerate(model.text_model.encoder.layers):
        keep = lambda _module, _inputs, output, index=index: taps.__setitem__(f"text.layer.{index}", output)
        handles.append(layer.register_forward_hook(keep))
    taps["text.pooled"] = model.text_model(ids).pooler_output
    for handle in handles:
        handle.remove()
    taps["text.embedded"] = model.text_model.embeddings(ids)
    taps["text.output"] = model.text_projection(taps["text.pooled"])
    # As the network whose configuration has the older number.
    model.text_model.eos_token_id = 2
    taps["text.output.largest"] = model.text_projection(model.text_model(ids).pooler_output)
    model.text_model.eos_token_id = END
    return taps


def transformers_fixture(folder):
    config = CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
    model = CLIPModel(config).eval()
    randomised(model.state_dict())
    values, ids = normalised(pictures(3, 16, 16)), texts([12, 5, 3])
    model.logit_scale.fill_(1.7)
    model.save_pretrained(folder / "transformers")
    similarity = model(pixel_values=values, input_ids=ids).logits_per_image
    return vision_taps(model, values, "vision") | text_taps(model, ids) | {"similarity": similarity}


def vision_fixture(folder):
    """The vision transformer alone with its projection, exact GELU, and a rim that no patch covers."""
    config = CLIPVisionConfig(**(VISION | dict(hidden_act="gelu", image_size=18, num_hidden_layers=1)))
    model = CLIPVisionModelWithProjection(config).eval()
    randomised(model.state_dict())
    model.save_pretrained(folder / "transformers_vision")
    return vision_taps(model, normalised(pictures(1, 18, 18)), "vision_alone")


def openai_state():
    """OpenAI's names and shapes, in half precision as its files are; heads are 64 wide."""
    state = {}

    def transformer(name, width, inner, layers):
        for block in (f"{name}resblocks.{layer}." for layer in range(layers)):
            state[block + "attn.in_proj_weight"] = torch.empty(3 * width, width)
            state[block + "attn.in_proj_bias"] = torch.empty(3 * width)
            for layer, shape in [("attn.out_proj", (width, width)), ("mlp.c_fc", (inner, width)), ("mlp.c_proj", (width, inner))]:
                state[block + layer + ".weight"] = torch.empty(shape)
                state[block + layer + ".bias"] = torch.empty(shape[0])
            norm(block + "ln_1.", width)
            norm(block + "ln_2.", width)

    def norm(name, width):
        state[name + "weight"] = torch.empty(width)
        state[name + "bias"] = torch.empty(width)

    state["visual.class_embedding"] = torch.empty(128)
    state["visual.positional_embedding"] = torch.empty(1 + 3 * 3, 128)
    state["visual.conv1.weight"] = torch.empty(128, 3, 4, 4)
    norm("visual.ln_pre.", 128)
    transformer("visual.transformer.", 128, 24, 1)
    norm("visual.ln_post.", 128)
    state["visual.proj"] = torch.empty(128, 20)
    transformer("transformer.", 64, 16, 2)
    state["token_embedding.weight"] = torch.empty(VOCABULARY, 64)
    state["positional_embedding"] = torch.empty(LENGTH, 64)
    norm("ln_final.", 64)
    state["text_projection"] = torch.empty(64, 20)
    state["logit_scale"] = torch.tensor(2.5)
    randomised(state)
    return {name: tensor.half() for name, tensor in state.items()}


def openai(state, values, ids):
    """The vectors of pictures and texts, and their scaled cosines."""
    state = {name: tensor.float() for name, tensor in state.items()}

    def norm(name, hidden):
        return F.layer_norm(hidden, hidden.shape[-1:], state[name + "weight"], state[name + "bias"])

    def layer(name, hidden):
        return F.linear(hidden, state[name + "weight"], state[name + "bias"])

    def transformer(name, hidden, mask=None):
        for block in sorted({key.split("ln_1")[0] for key in state if key.startswith(name) and "ln_1" in key}):
            normed = norm(block + "ln_1.", hidden)
            qkv = F.linear(normed, state[block + "attn.in_proj_weight"], state[block + "attn.in_proj_bias"])
            query, key, value = (part.unflatten(-1, (-1, 64)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
            scores = query @ key.transpose(-1, -2) / 8
            scores = scores if mask is None else scores + mask
            attended = (scores.softmax(-1) @ value).transpose(1, 2).flatten(-2)
            hidden = hidden + layer(block + "attn.out_proj.", attended)
            wide = layer(block + "mlp.c_fc.", norm(block + "ln_2.", hidden))
            hidden = hidden + layer(block + "mlp.c_proj.", wide * torch.sigmoid(1.702 * wide))
        return hidden

    patches = F.conv2d(values, state["visual.conv1.weight"], stride=4).flatten(2).transpose(1, 2)
    whole = state["visual.class_embedding"].expand(len(values), 1, -1)
    hidden = torch.cat([whole, patches], 1) + state["visual.positional_embedding"]
    hidden = transformer("visual.transformer.", norm("visual.ln_pre.", hidden))
    seen = norm("visual.ln_post.", hidden[:, 0]) @ state["visual.proj"]

    hidden = state["token_embedding.weight"][ids] + state["positional_embedding"]
    mask = torch.full((LENGTH, LENGTH), -torch.inf).triu(1)
    hidden = norm("ln_final.", transformer("transformer.", hidden, mask))
    read = hidden[torch.arange(len(ids)), ids.argmax(-1)] @ state["text_projection"]
    cosines = F.normalize(seen, dim=-1) @ F.normalize(read, dim=-1).T
    return {"openai.output": seen, "openai.text.output": read, "openai.similarity": state["logit_scale"].exp() * cosines}


def as_transformers(state):
    """The same weights under transformers' names."""
    renamed = {}
    for name, tensor in state.items():
        for theirs, ours in [
            ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
            ("transformer.resblocks.", "text_model.encoder.layers."),
            ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
            ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
            ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
            ("visual.ln_pre.", "vision_model.pre_layrnorm."),
            ("visual.ln_post.", "vision_model.post_layernorm."),
            ("token_embedding.", "text_model.embeddings.token_embedding."),
            ("ln_final.", "text_model.final_layer_norm."),
            (".ln_1.", ".layer_norm1."),
            (".ln_2.", ".layer_norm2."),
            (".mlp.c_fc.", ".mlp.fc1."),
            (".mlp.c_proj.", ".mlp.fc2."),
            (".attn.", ".self_attn."),
        ]:
            name = name.replace(theirs, ours)
        if name == "positional_embedding":
            name = "text_model.embeddings.position_embedding.weight"
        if name == "visual.proj":
            name, tensor = "visual_projection.weight", tensor.T
        elif name == "text_projection":
            name, tensor = "text_projection.weight", tensor.T
        if "in_proj_" in name:
            for part, rows in zip("qkv", tensor.chunk(3)):
                renamed[name.replace("in_proj_", f"{part}_proj.")] = rows
        else:
            renamed[name] = tensor
    return {name: tensor.float() for name, tensor in renamed.items()}


def openai_fixture(folder):
    state = openai_state()
    values, ids = normalised(pictures(2, 12, 12)), texts([12, 4])
    taps = openai(state, values, ids)
    text = TEXT | dict(hidden_size=64, intermediate_size=16, num_attention_heads=1, eos_token_id=2)
    vision = VISION | dict(hidden_size=128, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=12)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)).eval()
    model.load_state_dict(as_transformers(state))
    output = model(pixel_values=values, input_ids=ids)
    worst = (output.logits_per_image - taps["openai.similarity"]).abs().max()
    print("transformers and OpenAI's network differ by", worst.item())
    assert worst < 1e-4
    # As it is saved from OpenAI's archive, inside of a training's checkpoint.
    sizes = dict(input_resolution=torch.tensor(12), context_length=torch.tensor(LENGTH), vocab_size=torch.tensor(VOCABULARY))
    wrapped = {f"module.{name}": tensor for name, tensor in (state | sizes).items()}
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    torch.save({"epoch": 3, "state_dict": wrapped, "optimizer": optimizer}, folder / "openai.pt")
    return taps | {"openai.input": values, "openai.ids": ids.float()}


class Projection(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Parameter(torch.zeros(2, 3).half())
        self.ln_pre = torch.nn.LayerNorm(2)

    def forward(self, states):
        return self.ln_pre(states) @ self.proj


def torchscript(file):
    """An archive of the kind that OpenAI's files are, without the notes on the sources, which name this machine's folders."""
    archive = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(Projection()), archive)
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(file, "w") as part:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                part.writestr(zipfile.ZipInfo(entry.filename), whole.read(entry))


def resized(taps):
    """Down, up, both, neither, far down; and as CLIP sees it."""
    for size in [(23, 37), (5, 7), (40, 9), (16, 16), (150, 131)]:
        name = f"resize.{size[0]}x{size[1]}"
        taps[f"{name}.input"] = torch.rand(1, *size)
        taps[f"{name}.output"] = F.interpolate(taps[f"{name}.input"][None], size=(16, 16), mode="bicubic", antialias=True)[0]
    # To what is no square.
    taps["resize.wide"] = F.interpolate(taps["resize.23x37.input"][None], size=(30, 11), mode="bicubic", antialias=True)[0]
    # Sharp edges, where cubics overshoot.
    taps["prepare.input"] = (pictures(2, 21, 30) > 0.5).float()
    taps["prepare.output"] = normalised(
        F.interpolate(taps["prepare.input"], size=(16, 16), mode="bicubic", antialias=True).clamp(0, 1)
    )
    return taps


def main(folder):
    torch.manual_seed(3)
    folder.mkdir(parents=True, exist_ok=True)
    taps = transformers_fixture(folder) | vision_fixture(folder) | openai_fixture(folder)
    save_file({name: tap.clone().contiguous() for name, tap in taps.items()}, folder / "taps.safetensors")
    save_file(resized({}), folder / "pictures.safetensors")
    torchscript(folder / "torchscript.pt")
    count = lambda *modules: sum(parameter.numel() for module in modules for parameter in module.parameters())
    for name, vision, text, dim in [
        ("ViT-B/32", {}, {}, 512),
        ("ViT-B/16", dict(patch_size=16), {}, 512),
        ("ViT-L/14", dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14),
         dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12), 768),
    ]:
        with torch.device("meta"):
            model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim))
        print("parameters of", name, count(model.vision_model, model.visual_projection),
              count(model.text_model, model.text_projection))


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
