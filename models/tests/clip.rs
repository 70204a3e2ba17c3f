//! CLIP against transformers' in both published layouts, on fixtures of `scripts/reference/clip.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use nocturne_models::checkpoint::{self, Checkpoint, Named};
use nocturne_models::clip::{Clip, ClipConfig, ClipText, ClipTextConfig, ClipVision, ClipVisionConfig};
use nocturne_models::network::NetworkError;
use nocturne_models::parameters;
use taps::{Taps, fixture, host};

const TRANSFORMERS: &str = "clip/transformers";
const OPENAI: &str = "clip/openai.pt";

fn open(layout: &str) -> (ClipConfig, Clip) {
    Clip::open(&fixture(layout), &Device::flex()).unwrap()
}

fn taps() -> Taps {
    Taps::open("clip/taps.safetensors", &Device::flex())
}

/// The texts of a fixture, up to their end.
fn texts(taps: &Taps, name: &str) -> Vec<Vec<u32>> {
    const END: u32 = 30;
    let length = taps.file.shape(name).unwrap()[1];
    let ids: Vec<u32> = taps.file.read(name).unwrap().into_iter().map(|id| id as u32).collect();
    ids.chunks(length).map(|text| text[..=text.iter().position(|id| *id == END).unwrap()].to_vec()).collect()
}

fn every_stage(network: &ClipVision, name: &str) {
    let (taps, vision) = (taps(), &network.vision_model);
    let pictures = taps.tensor::<4>(&format!("{name}.input"));
    taps.compare(&format!("{name}.embedded"), &vision.embeddings.forward(pictures.clone()));
    let mut hidden = vision.embed(pictures.clone());
    for (index, layer) in vision.encoder.layers.iter().enumerate() {
        hidden = layer.forward(hidden);
        taps.compare(&format!("{name}.layer.{index}"), &hidden);
    }
    taps.compare(&format!("{name}.pooled"), &vision.pooled(hidden));
    taps.compare(&format!("{name}.output"), &network.forward(pictures));
}

#[test]
fn every_stage_of_pictures_matches() {
    let (_, network) = open(TRANSFORMERS);
    assert_eq!((network.vision.vision_model.encoder.layers.len(), network.vision.dim()), (2, 12));
    every_stage(&network.vision, "vision");
}

#[test]
fn a_vision_transformer_alone_matches() {
    let (config, network) = ClipVision::open(&fixture("clip/transformers_vision"), &Device::flex()).unwrap();
    assert_eq!((config.hidden_act.as_str(), config.image_size), ("gelu", 18));
    every_stage(&network, "vision_alone");
}

#[test]
fn every_stage_of_texts_matches() {
    let (_, network) = open(TRANSFORMERS);
    let (taps, text) = (taps(), &network.text.text_model);
    let texts = texts(&taps, "ids");
    assert_eq!(texts.iter().map(Vec::len).collect::<Vec<_>>(), [12, 5, 3]);
    let mut hidden = text.embed(&texts);
    taps.compare("text.embedded", &hidden);
    for (index, layer) in text.encoder.layers.iter().enumerate() {
        hidden = layer.forward(hidden);
        taps.compare(&format!("text.layer.{index}"), &hidden);
    }
    taps.compare("text.pooled", &text.pooled(hidden, &texts));
    taps.compare("text.output", &network.text.forward(&texts));
}

#[test]
fn pictures_and_texts_are_as_alike_as_published() {
    let (taps, (_, network)) = (taps(), open(TRANSFORMERS));
    let pictures = network.vision.forward(taps.tensor("vision.input"));
    let texts = network.text.forward(&texts(&taps, "ids"));
    taps.compare("similarity", &network.similarity(pictures.clone(), texts.clone()));
    let nothing = network.similarity(pictures * 0.0, texts);
    assert!(host(&nothing).iter().all(|value| *value == 0.0), "{nothing}");
}

/// Of configurations until 2023, the end is where the largest id is.
#[test]
fn older_configurations_have_another_end() {
    let folder = folder(|config| config.replace("\"eos_token_id\": 30", "\"eos_token_id\": 2"));
    let (config, network) = ClipText::open(folder.path(), &Device::flex()).unwrap();
    assert_eq!(config.eos_token_id, 2);
    let taps = taps();
    taps.compare("text.output.largest", &network.forward(&texts(&taps, "ids")));
}

#[test]
fn openais_layout_matches() {
    let (taps, (config, network)) = (taps(), open(OPENAI));
    let vision = ClipVisionConfig {
        hidden_size: 128,
        intermediate_size: 24,
        projection_dim: 20,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        image_size: 12,
        patch_size: 4,
        ..ClipVisionConfig::default()
    };
    let text = ClipTextConfig {
        vocab_size: 40,
        hidden_size: 64,
        intermediate_size: 16,
        projection_dim: 20,
        num_hidden_layers: 2,
        num_attention_heads: 1,
        max_position_embeddings: 12,
        eos_token_id: 2,
        ..ClipTextConfig::default()
    };
    assert_eq!(config, ClipConfig { text_config: text, vision_config: vision, projection_dim: 20 });
    let pictures = network.vision.forward(taps.tensor("openai.input"));
    taps.compare("openai.output", &pictures);
    let texts = network.text.forward(&texts(&taps, "openai.ids"));
    taps.compare("openai.text.output", &texts);
    taps.compare("openai.similarity", &network.similarity(pictures, texts));
}

/// As a conditioner of audiocraft's would be saved that keeps its CLIP.
#[test]
fn a_network_is_found_inside_of_a_training() {
    let weights = Checkpoint::open(&fixture(OPENAI)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let inside = |name: &str| match name.strip_prefix("state_dict.module.")? {
        "input_resolution" | "context_length" | "vocab_size" => None,
        // Something that is no part of it.
        "text_projection" => Some("best_state.model.transformer.weight".to_owned()),
        name => Some(format!("best_state.model.condition_provider.conditioners.description.clip.{name}")),
    };
    write(&weights, inside, &path);
    let (_, network) = ClipVision::open(&path, &Device::flex()).unwrap();
    let taps = taps();
    taps.compare("openai.output", &network.forward(taps.tensor("openai.input")));
}

#[test]
fn a_text_transformer_alone_matches() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Checkpoint::open(&fixture(TRANSFORMERS)).unwrap();
    let of_text = |name: &str| name.starts_with("text_").then(|| name.to_owned());
    write(&weights, of_text, &folder.path().join("model.safetensors"));
    let published: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture(TRANSFORMERS).join("config.json")).unwrap()).unwrap();
    fs::write(folder.path().join("config.json"), published["text_config"].to_string()).unwrap();
    let (_, network) = ClipText::open(folder.path(), &Device::flex()).unwrap();
    let taps = taps();
    taps.compare("text.output", &network.forward(&texts(&taps, "ids")));
    let message = ClipVision::open(folder.path(), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("missing: vision_model.embeddings.class_embedding"), "{message}");
}

/// A configuration says what `OpenAI`'s names do not: here the heads.
#[test]
fn openais_names_are_read_from_a_folder_too() {
    let weights = Checkpoint::open(&fixture(OPENAI)).unwrap();
    let visual = weights.rename(|name| name.starts_with("state_dict.module.visual.").then(|| name.to_owned())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(&visual, |name| Some(name.to_owned()), &folder.path().join("model.safetensors"));
    let config = r#"{"model_type": "clip_vision_model", "hidden_size": 128, "intermediate_size": 24, "image_size": 12,
        "projection_dim": 20, "num_hidden_layers": 1, "num_attention_heads": 4, "patch_size": 4}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let (_, four) = ClipVision::open(folder.path(), &Device::flex()).unwrap();
    let (_, two) = ClipVision::open(&folder.path().join("model.safetensors"), &Device::flex()).unwrap();
    let pictures = taps().tensor::<4>("openai.input");
    taps().compare("openai.output", &two.forward(pictures.clone()));
    assert!(taps().error("openai.output", &host(&four.forward(pictures))) > 1e-2);
}

#[test]
fn items_are_the_same_alone_and_in_a_batch() {
    let (taps, (_, network)) = (taps(), open(TRANSFORMERS));
    let pictures = taps.tensor::<4>("vision.input");
    let alone = (0..3).flat_map(|item| host(&network.vision.forward(pictures.clone().narrow(0, item, 1))));
    assert_eq!(alone.collect::<Vec<f32>>(), host(&network.vision.forward(pictures.clone())));
    let texts = texts(&taps, "ids");
    let alone = texts.iter().flat_map(|text| host(&network.text.forward(std::slice::from_ref(text))));
    assert_eq!(alone.collect::<Vec<f32>>(), host(&network.text.forward(&texts)));
}

/// As transformers counts them.
#[test]
fn published_networks_have_their_published_sizes() {
    let base = || ClipConfig::default().vision_config;
    let large = ClipConfig {
        projection_dim: 768,
        vision_config: ClipVisionConfig {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            patch_size: 14,
            ..base()
        },
        text_config: ClipTextConfig {
            hidden_size: 768,
            intermediate_size: 3072,
            num_attention_heads: 12,
            ..ClipTextConfig::default()
        },
    };
    let sixteen = ClipConfig { vision_config: ClipVisionConfig { patch_size: 16, ..base() }, ..ClipConfig::default() };
    for (config, expected) in [
        (ClipConfig::default(), [87_849_216, 63_428_096]),
        (sixteen, [86_192_640, 63_428_096]),
        (large, [303_966_208, 123_650_304]),
    ] {
        config.validate().unwrap();
        let count = |shapes: Vec<(String, Vec<usize>)>| -> usize {
            shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        let vision = parameters::shapes(&ClipVision::new(&config, &Device::flex()));
        let text = parameters::shapes(&ClipText::new(&config, &Device::flex()));
        assert_eq!([count(vision), count(text)], expected);
    }
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let vision = ClipVisionConfig::default;
    for (vision_config, field) in [
        (ClipVisionConfig { num_attention_heads: 7, ..vision() }, "num_attention_heads"),
        (ClipVisionConfig { num_attention_heads: 0, ..vision() }, "num_attention_heads"),
        (ClipVisionConfig { hidden_act: "gelu_new".to_owned(), ..vision() }, "hidden_act"),
        (ClipVisionConfig { num_channels: 4, ..vision() }, "num_channels"),
        (ClipVisionConfig { image_size: 0, ..vision() }, "image_size"),
        (ClipVisionConfig { patch_size: 0, ..vision() }, "patch_size"),
        (ClipVisionConfig { patch_size: 225, ..vision() }, "patch_size"),
        (ClipVisionConfig { num_hidden_layers: 0, ..vision() }, "num_hidden_layers"),
        (ClipVisionConfig { hidden_size: 1 << 40, ..vision() }, "hidden_size"),
        (ClipVisionConfig { intermediate_size: 0, ..vision() }, "intermediate_size"),
        (ClipVisionConfig { layer_norm_eps: f64::NAN, ..vision() }, "layer_norm_eps"),
    ] {
        let config = ClipConfig { vision_config, ..ClipConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    let text = ClipTextConfig::default;
    for (text_config, field) in [
        (ClipTextConfig { num_attention_heads: 5, ..text() }, "num_attention_heads"),
        (ClipTextConfig { vocab_size: 0, ..text() }, "vocab_size"),
        (ClipTextConfig { max_position_embeddings: 0, ..text() }, "max_position_embeddings"),
    ] {
        let config = ClipConfig { text_config, ..ClipConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    assert_eq!(
        ClipConfig { projection_dim: 0, ..ClipConfig::default() }.validate().unwrap_err().field,
        "projection_dim"
    );
}

#[test]
fn folders_that_are_no_clip_are_refused() {
    let refused = |folder: &Path| Clip::open(folder, &Device::flex()).unwrap_err().to_string();
    assert!(refused(tempfile::tempdir().unwrap().path()).contains("config.json"));
    for (good, bad, named) in [
        ("\"model_type\": \"clip\"", "\"model_type\": \"siglip\"", "siglip"),
        (
            "\"num_attention_heads\": 3",
            "\"num_attention_heads\": 5",
            "num_attention_heads: found 5, expected a divisor of 24",
        ),
        ("\"image_size\": 16", "\"image_size\": 12", "vision_model.embeddings.position_embedding.weight"),
        ("\"vocab_size\": 40", "\"vocab_size\": 41", "text_model.embeddings.token_embedding.weight"),
    ] {
        let folder = folder(|config| {
            assert!(config.contains(good), "{good}");
            config.replacen(good, bad, 1)
        });
        let message = refused(folder.path());
        assert!(message.contains(named), "{message}");
    }
    // A half alone is not both.
    let message = refused(&fixture("clip/transformers_vision"));
    assert!(message.contains("missing: text_model.embeddings.token_embedding.weight"), "{message}");
}

#[test]
fn files_that_are_no_clip_are_refused() {
    let refused = |path: &Path| Clip::open(path, &Device::flex()).unwrap_err().to_string();
    let message = refused(&fixture("vggish/vggish.pth"));
    assert!(message.contains("visual.class_embedding") && message.contains("vision transformer"), "{message}");
    let message = refused(&fixture("clip/torchscript.pt"));
    assert!(message.contains("TorchScript") && message.contains("torch.jit.load(FILE"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let weights = Checkpoint::open(&fixture(OPENAI)).unwrap();
    let state = weights.rename(|name| Some(name.strip_prefix("state_dict.module.")?.to_owned())).unwrap();
    let sizes = ["input_resolution", "context_length", "vocab_size"];
    let tensors = state.rename(|name| (!sizes.contains(&name)).then(|| name.to_owned())).unwrap();
    let without = |lost: &str, named: &str| {
        write(&tensors, |name| (!name.starts_with(lost)).then(|| name.to_owned()), &path);
        let message = refused(&path);
        assert!(message.contains("weights.safetensors") && message.contains(named), "without {lost}: {message}");
    };
    without("visual.ln_pre.bias", "1 missing: vision_model.pre_layrnorm.bias");
    without("visual.proj", "1 missing: visual_projection.weight");
    without(
        "transformer.resblocks.1.attn.in_proj_bias",
        "3 missing: text_model.encoder.layers.1.self_attn.k_proj.bias",
    );
    without("logit_scale", "logit_scale");
    without("visual.transformer", "num_hidden_layers");
    // Layers of a newer kind, and a network with its average beside it.
    let with = |name: &str, more: &str, named: &str| {
        let renamed = |old: &str| Some(if old == name { more.to_owned() } else { old.to_owned() });
        write(&tensors, renamed, &path);
        let message = refused(&path);
        assert!(message.contains(named), "{more}: {message}");
    };
    with(
        "ln_final.bias",
        "visual.transformer.resblocks.0.ls_1.gamma",
        "1 unexpected: vision_model.encoder.layers.0.ls_1.gamma",
    );
    with("ln_final.bias", "average.visual.class_embedding", "it in \"average.\" and in \"\"");
}

/// The heads of networks wider than any of `OpenAI`'s are not known.
#[test]
fn wide_networks_need_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let tensor = |name: &str, shape: &[usize]| Named {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: Tensor::zeros([shape.iter().product::<usize>()], &Device::flex()),
    };
    let tensors = vec![tensor("visual.class_embedding", &[1280]), tensor("visual.conv1.weight", &[1280, 3, 1, 1])];
    checkpoint::write(tensors, &path).unwrap();
    let failed = ClipVision::open(&path, &Device::flex()).unwrap_err();
    assert!(matches!(failed, NetworkError::Config { .. }));
    assert!(failed.to_string().contains("hidden_size: found 1280"), "{failed}");
}

/// A copy of transformers' fixture with another configuration.
fn folder(config: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let published = fixture(TRANSFORMERS);
    fs::copy(published.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let text = fs::read_to_string(published.join("config.json")).unwrap();
    fs::write(folder.path().join("config.json"), config(&text)).unwrap();
    folder
}

/// Writes tensors under other names; those without one are left out.
fn write(tensors: &Checkpoint, name: impl Fn(&str) -> Option<String>, to: &Path) {
    let named = |old: &str| {
        let (name, values) = (name(old)?, tensors.read(old).unwrap());
        let values = Tensor::from_floats(values.as_slice(), &Device::flex());
        Some(Named { name, shape: tensors.shape(old).unwrap().to_vec(), values })
    };
    checkpoint::write(tensors.names().filter_map(named).collect(), to).unwrap();
}
