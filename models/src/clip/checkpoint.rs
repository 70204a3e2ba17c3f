//! The names of both published layouts, where in a checkpoint they begin, and what the tensors' shapes tell of a network whose
//! file has no configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ClipConfig, ClipTextConfig, ClipVisionConfig};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::{ConfigError, NetworkError, check};

/// Tensors that every network has, of each layout: what stands before one of them stands before all. Those of texts alone
/// are looked for last, and `OpenAI`'s behind the longer name that ends in it.
const FIRST: [&str; 4] = [
    "visual.class_embedding",
    "vision_model.embeddings.class_embedding",
    "text_model.embeddings.token_embedding.weight",
    "token_embedding.weight",
];

/// Width of a head in all networks that `OpenAI` published, and the widest of their vision transformers. Wider ones of others
/// have other heads.
const HEAD_WIDTH: usize = 64;
const WIDEST: usize = 1024;

/// A network's description and its weights by our names.
pub(super) struct Opened {
    /// Which file the description is from.
    file: PathBuf,
    pub config: ClipConfig,
    pub weights: Checkpoint,
}

/// A published `config.json`, of both halves or of one.
#[derive(Deserialize)]
#[serde(tag = "model_type")]
enum Described {
    #[serde(rename = "clip")]
    Both(ClipConfig),
    #[serde(rename = "clip_vision_model")]
    Vision(ClipVisionConfig),
    #[serde(rename = "clip_text_model")]
    Text(ClipTextConfig),
}

impl Opened {
    pub fn new(path: &Path) -> Result<Self, NetworkError> {
        if !path.is_dir() {
            let weights = open(path)?;
            let inferred = config_of(&weights);
            let file = path.to_owned();
            return match inferred {
                Ok(config) => Ok(Self { file, config, weights }),
                Err(source) => Err(NetworkError::Config { file, source }),
            };
        }
        let file = path.join("config.json");
        let text = std::fs::read(&file).map_err(|source| NetworkError::Io { file: file.clone(), source })?;
        let described =
            serde_json::from_slice(&text).map_err(|source| NetworkError::Json { file: file.clone(), source })?;
        let both = ClipConfig::default();
        let config = match described {
            Described::Both(config) => config,
            Described::Vision(vision) => {
                ClipConfig { projection_dim: vision.projection_dim, vision_config: vision, ..both }
            }
            Described::Text(text) => ClipConfig { projection_dim: text.projection_dim, text_config: text, ..both },
        };
        Ok(Self { file, config, weights: open(path)? })
    }

    /// What a check of the description finds.
    pub fn check(&self, check: impl FnOnce(&ClipConfig) -> Result<(), ConfigError>) -> Result<(), NetworkError> {
        check(&self.config).map_err(|source| NetworkError::Config { file: self.file.clone(), source })
    }

    pub fn logit_scale(&self) -> Result<f32, CheckpointError> {
        const NAME: &str = "logit_scale";
        let values = self.weights.read(NAME)?;
        match values[..] {
            [value] if value.is_finite() => Ok(value),
            _ => Err(error(&self.weights, NAME, format!("{values:?}"), "a finite number")),
        }
    }
}

/// The weights under two of our names.
pub(super) fn tower(weights: &Checkpoint, starts: [&str; 2]) -> Result<Checkpoint, CheckpointError> {
    weights.clone().rename(|name| starts.iter().any(|start| name.starts_with(start)).then(|| name.to_owned()))
}

/// The tensors of a network by our names, without what else is in its checkpoint.
fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let weights = Checkpoint::open(path)?.best_state()?;
    let before = before_names(&weights)?;
    weights
        .rename(|published| our_name(published.strip_prefix(&before)?))?
        .split("in_proj", &["q_proj", "k_proj", "v_proj"])?
        .transpose("visual_projection.transposed", "visual_projection.weight")?
        .transpose("text_projection.transposed", "text_projection.weight")
}

/// What stands before the names of a network, such as `state_dict.module.`.
fn before_names(weights: &Checkpoint) -> Result<String, CheckpointError> {
    for first in FIRST {
        let before = weights.names().filter_map(|name| name.strip_suffix(first));
        let before: Vec<&str> = before.filter(|before| before.is_empty() || before.ends_with('.')).collect();
        match before[..] {
            [] => {}
            [before] => return Ok(before.to_owned()),
            [one, other, ..] => {
                let found = format!("it in {one:?} and in {other:?}");
                return Err(error(weights, first, found, "one network"));
            }
        }
    }
    let [openai, transformers, ..] = FIRST;
    Err(error(weights, openai, "no such tensor", format!("it, or {transformers}: a CLIP with a vision transformer")))
}

fn error(weights: &Checkpoint, name: &str, found: impl Into<String>, expected: impl Into<String>) -> CheckpointError {
    CheckpointError::Tensor {
        file: weights.path().to_owned(),
        tensor: name.to_owned(),
        found: found.into(),
        expected: expected.into(),
    }
}

/// Our name of a tensor; `None` for counted positions, the sizes that `OpenAI`'s state dicts hold, and all else.
fn our_name(published: &str) -> Option<String> {
    // The first that fits counts.
    const STARTS: [(&str, &str); 17] = [
        ("vision_model.", "vision_model."),
        ("visual_projection.", "visual_projection."),
        ("text_model.", "text_model."),
        ("text_projection.", "text_projection."),
        ("logit_scale", "logit_scale"),
        ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
        ("visual.ln_pre.", "vision_model.pre_layrnorm."),
        ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
        ("visual.ln_post.", "vision_model.post_layernorm."),
        ("visual.proj", "visual_projection.transposed"),
        ("token_embedding.", "text_model.embeddings.token_embedding."),
        ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
        ("transformer.resblocks.", "text_model.encoder.layers."),
        ("ln_final.", "text_model.final_layer_norm."),
        ("text_projection", "text_projection.transposed"),
    ];
    const OF_LAYER: [(&str, &str); 6] = [
        (".attn.in_proj_", ".self_attn.in_proj."),
        (".attn.out_proj.", ".self_attn.out_proj."),
        (".ln_1.", ".layer_norm1."),
        (".ln_2.", ".layer_norm2."),
        (".mlp.c_fc.", ".mlp.fc1."),
        (".mlp.c_proj.", ".mlp.fc2."),
    ];
    if published.ends_with(".position_ids") {
        return None;
    }
    let name = STARTS.iter().find_map(|(start, ours)| Some(format!("{ours}{}", published.strip_prefix(start)?)))?;
    Some(OF_LAYER.iter().fold(name, |name, (theirs, ours)| name.replace(theirs, ours)))
}

/// The configuration of a network from its tensors, by our names, as `OpenAI`'s library makes it. What shapes do not tell is as
/// `OpenAI` published it, and so is a half that is not there.
fn config_of(from: &Checkpoint) -> Result<ClipConfig, ConfigError> {
    let published = ClipConfig::default();
    let size = |name: &str, axis: usize| from.shape(name).and_then(|shape| shape.get(axis)).copied();
    let layers = |half: &str| {
        let inner = |layer: usize| size(&format!("{half}.encoder.layers.{layer}.mlp.fc1.weight"), 0);
        ((0..1024).take_while(|layer| inner(*layer).is_some()).count(), inner(0).unwrap_or(0))
    };
    let projection = size("visual_projection.weight", 0).or_else(|| size("text_projection.weight", 0));
    let projection_dim = projection.unwrap_or(published.projection_dim);

    let mut vision_config = published.vision_config;
    if let (Some(width), Some(patch)) = (
        size("vision_model.embeddings.patch_embedding.weight", 0),
        size("vision_model.embeddings.patch_embedding.weight", 3),
    ) {
        let expected = format!("at most {WIDEST}, or a folder with a config.json that tells the heads");
        check("hidden_size", width <= WIDEST, width, expected)?;
        let positions = size("vision_model.embeddings.position_embedding.weight", 0).unwrap_or(0);
        let (layers, inner) = layers("vision_model");
        vision_config = ClipVisionConfig {
            hidden_size: width,
            intermediate_size: inner,
            projection_dim,
            num_hidden_layers: layers,
            num_attention_heads: width / HEAD_WIDTH,
            image_size: positions.saturating_sub(1).isqrt().saturating_mul(patch),
            patch_size: patch,
            ..vision_config
        };
    }
    let mut text_config = published.text_config;
    if let (Some(tokens), Some(width)) = (
        size("text_model.embeddings.token_embedding.weight", 0),
        size("text_model.embeddings.token_embedding.weight", 1),
    ) {
        let (layers, inner) = layers("text_model");
        text_config = ClipTextConfig {
            vocab_size: tokens,
            hidden_size: width,
            intermediate_size: inner,
            projection_dim,
            num_hidden_layers: layers,
            num_attention_heads: width / HEAD_WIDTH,
            max_position_embeddings: size("text_model.embeddings.position_embedding.weight", 0).unwrap_or(0),
            // OpenAI's library takes the largest id for the end.
            eos_token_id: ClipTextConfig::LARGEST,
            ..text_config
        };
    }
    Ok(ClipConfig { text_config, vision_config, projection_dim })
}

#[cfg(test)]
mod tests {
    use super::our_name;

    #[test]
    fn both_layouts_have_one_set_of_names() {
        for (published, ours) in [
            ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
            ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
            ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
            ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
            ("visual.transformer.resblocks.11.ln_2.weight", "vision_model.encoder.layers.11.layer_norm2.weight"),
            (
                "visual.transformer.resblocks.0.attn.in_proj_bias",
                "vision_model.encoder.layers.0.self_attn.in_proj.bias",
            ),
            ("visual.transformer.resblocks.0.ls_1.gamma", "vision_model.encoder.layers.0.ls_1.gamma"),
            ("visual.proj", "visual_projection.transposed"),
            ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
            ("transformer.resblocks.1.mlp.c_fc.weight", "text_model.encoder.layers.1.mlp.fc1.weight"),
            ("transformer.resblocks.1.mlp.c_proj.bias", "text_model.encoder.layers.1.mlp.fc2.bias"),
            ("ln_final.weight", "text_model.final_layer_norm.weight"),
            ("text_projection", "text_projection.transposed"),
        ] {
            assert_eq!(our_name(published).as_deref(), Some(ours));
        }
        for kept in [
            "vision_model.encoder.layers.0.self_attn.q_proj.weight",
            "text_model.embeddings.token_embedding.weight",
            "text_projection.weight",
            "logit_scale",
        ] {
            assert_eq!(our_name(kept).as_deref(), Some(kept));
        }
        for dropped in
            ["text_model.embeddings.position_ids", "input_resolution", "context_length", "vocab_size", "epoch"]
        {
            assert_eq!(our_name(dropped), None, "{dropped}");
        }
    }
}
