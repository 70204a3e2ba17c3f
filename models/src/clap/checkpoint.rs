//! The names of both published layouts, and what the tensors' shapes tell of a network whose file has no configuration.

use std::path::{Path, PathBuf};

use super::{ClapAudioConfig, ClapConfig};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::NetworkError;

/// The file that tells a network's sizes, and of a folder what it says.
pub(super) fn described(path: &Path) -> Result<(PathBuf, Option<ClapConfig>), NetworkError> {
    if !path.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let file = path.join("config.json");
    let text = std::fs::read(&file).map_err(|source| NetworkError::Io { file: file.clone(), source })?;
    let config = serde_json::from_slice(&text).map_err(|source| NetworkError::Json { file: file.clone(), source })?;
    Ok((file, Some(config)))
}

/// The tensors of the audio branch and its projection, by our names.
pub(super) fn open_audio(path: &Path) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(path)?.rename(audio_name)?.stack(&["query", "key", "value"], "qkv")
}

/// The tensors of the text branch and its projection, by our names.
pub(super) fn open_text(path: &Path) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(path)?.rename(text_name)
}

/// Without what a file of LAION's training has before its names.
fn bare(published: &str) -> &str {
    let name = published.strip_prefix("state_dict.").unwrap_or(published);
    name.strip_prefix("module.").unwrap_or(name)
}

/// The name of a layer of a projection.
fn projection_name(branch: &str, layer: &str) -> String {
    format!("{branch}.{}", layer.replace("linear1.", "0.").replace("linear2.", "2."))
}

/// Our name of a tensor of the text branch; `None` for counted positions, and for all else.
fn text_name(published: &str) -> Option<String> {
    const COUNTED: [&str; 2] = [".position_ids", ".token_type_ids"];
    let name = bare(published);
    if let Some(layer) = name.strip_prefix("text_projection.") {
        return Some(projection_name("text_projection", layer));
    }
    let branch = name.strip_prefix("text_branch.").or_else(|| name.strip_prefix("text_model."))?;
    let needed = !COUNTED.iter().any(|ending| branch.ends_with(ending));
    needed.then(|| format!("text_branch.{}", branch.replace(".attention.self.", ".attention.")))
}

/// LAION's name of a tensor of the audio branch; `None` for fixed tables, for what only classifies, and for all else.
fn audio_name(published: &str) -> Option<String> {
    const ENDINGS: [&str; 3] = [".num_batches_tracked", ".relative_position_index", ".attn_mask"];
    const TABLES: [&str; 4] = ["spectrogram_extractor.", "logmel_extractor.", "tscam_conv.", "head."];
    let name = bare(published);
    if let Some(layer) = name.strip_prefix("audio_projection.") {
        return Some(projection_name("audio_projection", layer));
    }
    let branch = name.strip_prefix("audio_branch.").or_else(|| name.strip_prefix("audio_model.audio_encoder."))?;
    let needed =
        !ENDINGS.iter().any(|ending| branch.ends_with(ending)) && !TABLES.iter().any(|table| branch.starts_with(table));
    needed.then(|| format!("audio_branch.{}", layer_name(branch)))
}

/// LAION's name of a layer that transformers may have renamed.
fn layer_name(name: &str) -> String {
    const RENAMED: [(&str, &str); 7] = [
        ("batch_norm.", "bn0."),
        // Before the shorter name that it ends in.
        ("attention.output.dense.", "attn.proj."),
        ("attention.self.", "attn."),
        ("intermediate.dense.", "mlp.fc1."),
        ("output.dense.", "mlp.fc2."),
        ("layernorm_before.", "norm1."),
        ("layernorm_after.", "norm2."),
    ];
    RENAMED.iter().fold(name.to_owned(), |name, (theirs, ours)| name.replace(theirs, ours))
}

/// The configuration of a network from its tensors, by our names. What shapes do not tell is as published.
pub(super) fn config_of(from: &Checkpoint) -> ClapConfig {
    let published = ClapAudioConfig::default();
    let shape = |name: &str| from.shape(&format!("audio_branch.{name}"));
    let block = |stage: usize, block: usize, name: &str| shape(&format!("layers.{stage}.blocks.{block}.{name}"));
    let dimension = |shape: Option<&[usize]>, axis: usize| shape.and_then(|shape| shape.get(axis)).copied();
    let table = |stage| block(stage, 0, "attn.relative_position_bias_table");

    let stages = (0_usize..64).take_while(|stage| table(*stage).is_some()).count();
    let depth = |stage| (0_usize..1024).take_while(|index| block(stage, *index, "norm1.weight").is_some()).count();
    let width = dimension(shape("patch_embed.proj.weight"), 0).unwrap_or(published.patch_embeds_hidden_size);
    let patch = dimension(shape("patch_embed.proj.weight"), 2).unwrap_or(published.patch_size);
    let inner = block(0, 0, "mlp.fc1.weight");
    let audio_config = ClapAudioConfig {
        // A table has a row for each of the 2w − 1 distances in both directions.
        window_size: dimension(table(0), 0).map_or(published.window_size, |rows| rows.isqrt().div_ceil(2)),
        num_mel_bins: dimension(shape("bn0.weight"), 0).unwrap_or(published.num_mel_bins),
        patch_size: patch,
        patch_stride: [patch; 2],
        // A file that holds no such network has no stages.
        hidden_size: width.checked_shl(stages.saturating_sub(1) as u32).unwrap_or(0),
        depths: (0..stages).map(depth).collect(),
        num_attention_heads: (0..stages).map(|stage| dimension(table(stage), 1).unwrap_or(0)).collect(),
        enable_fusion: shape("patch_embed.mel_conv2d.weight").is_some(),
        patch_embeds_hidden_size: width,
        mlp_ratio: match (dimension(inner, 0), dimension(inner, 1)) {
            (Some(inner), Some(outer)) => inner as f64 / outer as f64,
            _ => published.mlp_ratio,
        },
        ..published
    };
    let projection_dim = dimension(from.shape("audio_projection.0.weight"), 0);
    ClapConfig {
        projection_dim: projection_dim.unwrap_or(ClapConfig::default().projection_dim),
        audio_config,
        ..ClapConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{audio_name, text_name};

    #[test]
    fn the_text_branch_has_one_set_of_names() {
        for (published, ours) in [
            ("text_model.encoder.layer.3.attention.self.key.bias", "encoder.layer.3.attention.key.bias"),
            (
                "state_dict.module.text_branch.encoder.layer.3.attention.output.LayerNorm.bias",
                "encoder.layer.3.attention.output.LayerNorm.bias",
            ),
            ("text_branch.pooler.dense.weight", "pooler.dense.weight"),
        ] {
            assert_eq!(text_name(published), Some(format!("text_branch.{ours}")));
        }
        assert_eq!(text_name("module.text_projection.2.bias").as_deref(), Some("text_projection.2.bias"));
        for dropped in ["text_branch.embeddings.position_ids", "text_transform.sequential.0.bias", "logit_scale_t"] {
            assert_eq!(text_name(dropped), None, "{dropped}");
        }
    }

    #[test]
    fn both_layouts_have_one_set_of_names() {
        let block = "audio_model.audio_encoder.layers.1.blocks.0";
        for (published, ours) in [
            (format!("{block}.attention.self.query.weight"), "layers.1.blocks.0.attn.query.weight"),
            (format!("{block}.attention.output.dense.bias"), "layers.1.blocks.0.attn.proj.bias"),
            (format!("{block}.output.dense.weight"), "layers.1.blocks.0.mlp.fc2.weight"),
            (format!("{block}.intermediate.dense.weight"), "layers.1.blocks.0.mlp.fc1.weight"),
            (format!("{block}.layernorm_after.weight"), "layers.1.blocks.0.norm2.weight"),
            ("audio_model.audio_encoder.batch_norm.running_var".to_owned(), "bn0.running_var"),
            ("state_dict.module.audio_branch.bn0.running_var".to_owned(), "bn0.running_var"),
            ("module.audio_branch.layers.0.downsample.norm.bias".to_owned(), "layers.0.downsample.norm.bias"),
        ] {
            assert_eq!(audio_name(&published), Some(format!("audio_branch.{ours}")));
        }
        for projection in ["state_dict.module.audio_projection.2.bias", "audio_projection.linear2.bias"] {
            assert_eq!(audio_name(projection).as_deref(), Some("audio_projection.2.bias"));
        }
        for dropped in [
            "state_dict.module.audio_branch.logmel_extractor.melW",
            "module.audio_branch.layers.0.blocks.1.attn_mask",
            "audio_branch.head.weight",
            "audio_branch.bn0.num_batches_tracked",
            "state_dict.module.text_branch.pooler.dense.weight",
            "audio_transform.sequential.0.weight",
            "epoch",
        ] {
            assert_eq!(audio_name(dropped), None, "{dropped}");
        }
    }
}
