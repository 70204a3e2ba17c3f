//! The three published layouts.

use std::path::Path;

use burn::tensor::Device;

use super::audiocraft;
use super::{Encodec, EncodecConfig};
use crate::checkpoint::{Checkpoint, CheckpointError, OmegaConf, text};
use crate::network::{self, NetworkConfig, NetworkError};

/// What audiocraft calls its file.
const AUDIOCRAFT: &str = "compression_state_dict.bin";

/// Opens a folder of transformers' `EncodecModel`; a folder that holds audiocraft's `compression_state_dict.bin`, or that file;
/// or Meta's own `encodec_24khz-….th` or `encodec_48khz-….th`, whose sizes are known by their tensors' shapes.
///
/// # Errors
///
/// Names the file, and in it the field or tensor, that is missing or not as it should be.
pub fn open(path: &Path, device: &Device) -> Result<(EncodecConfig, Encodec), NetworkError> {
    // `MusicGen`'s folders have a description of another network beside it.
    let inside = path.join(AUDIOCRAFT);
    let path = if inside.is_file() { inside.as_path() } else { path };
    if path.is_dir() {
        return network::open(path, device);
    }
    if let Some(name) = points_to(path) {
        let (file, field) = (path.to_owned(), "pretrained".to_owned());
        let (found, expected) = (format!("the name of another model, {name}"), "weights: open that one".to_owned());
        return Err(CheckpointError::Format { file, field, found, expected }.into());
    }
    let weights = Checkpoint::open(path)?.best_state()?;
    let config = match text(path, "xp.cfg") {
        Some(yaml) => audiocraft::config(&OmegaConf::parse(&yaml)),
        None => Ok(config_of(&weights.clone().rename(current_name)?)),
    };
    let validated = config.and_then(|config| config.validate().map(|()| config));
    let config = validated.map_err(|source| NetworkError::Config { file: path.to_owned(), source })?;
    let network = config.load(weights, device)?;
    Ok((config, network))
}

/// The model that a `compression_state_dict.bin` names instead of holding weights, as audiocraft's export writes it.
pub fn points_to(path: &Path) -> Option<String> {
    text(path, "pretrained")
}

/// Our name of a tensor of any layout; `None` for what codebooks are trained with.
pub(super) fn current_name(published: &str) -> Option<String> {
    const TRAINING: [&str; 3] = [".embed_avg", ".cluster_size", ".inited"];
    const METAS: [(&str, &str); 8] = [
        ("encoder.model.", "encoder.layers."),
        ("decoder.model.", "decoder.layers."),
        ("quantizer.vq.", "quantizer."),
        ("._codebook.", ".codebook."),
        (".conv.conv.", ".conv."),
        (".convtr.convtr.", ".conv."),
        (".conv.norm.", ".norm."),
        (".convtr.norm.", ".norm."),
    ];
    if TRAINING.iter().any(|ending| published.ends_with(ending)) {
        return None;
    }
    let name = METAS.iter().fold(published.to_owned(), |name, (theirs, ours)| name.replace(theirs, ours));
    // PyTorch numbers the layers of an LSTM at the end of the name.
    let Some((before, (kind, layer))) =
        name.split_once(".lstm.").and_then(|(before, rest)| Some((before, rest.rsplit_once("_l")?)))
    else {
        return Some(name);
    };
    Some(format!("{before}.lstm.{layer}.{kind}"))
}

/// The configuration of a network of Meta's from its tensors, by our names. What shapes do not tell is as published.
fn config_of(from: &Checkpoint) -> EncodecConfig {
    let normed = from.shape("encoder.layers.0.norm.weight").is_some();
    let published = if normed { EncodecConfig::khz_48() } else { EncodecConfig::default() };
    // Folded or not.
    let weight = |layer: &str| {
        let names = ["weight", "weight_v", "parametrizations.weight.original1"];
        names.iter().find_map(|name| from.shape(&format!("{layer}.conv.{name}")))
    };
    let size = |shape: Option<&[usize]>, axis: usize| shape.and_then(|shape| shape.get(axis)).copied();
    let first = weight("encoder.layers.0");
    let ratio = |layer: usize| match weight(&format!("decoder.layers.{layer}"))? {
        [input, output, taps] if *input == 2 * output && taps.is_multiple_of(2) => Some(taps / 2),
        _ => None,
    };
    let codebook = |index: usize| from.shape(&format!("quantizer.layers.{index}.codebook.embed"));
    let books = (0..1024).take_while(|index| codebook(*index).is_some()).count();
    let config = EncodecConfig {
        audio_channels: size(first, 1).unwrap_or(published.audio_channels),
        num_filters: size(first, 0).unwrap_or(published.num_filters),
        hidden_size: size(codebook(0), 1).unwrap_or(published.hidden_size),
        codebook_size: size(codebook(0), 0).unwrap_or(published.codebook_size),
        upsampling_ratios: (0..64).filter_map(ratio).collect(),
        ..published
    };
    config.with_quantizers(books)
}

#[cfg(test)]
mod tests {
    use super::current_name;

    #[test]
    fn every_layout_has_the_same_names() {
        for (published, expected) in [
            ("encoder.layers.0.conv.weight_g", "encoder.layers.0.conv.weight_g"),
            ("encoder.model.0.conv.conv.weight_g", "encoder.layers.0.conv.weight_g"),
            ("encoder.model.1.block.3.conv.norm.bias", "encoder.layers.1.block.3.norm.bias"),
            ("decoder.model.3.convtr.convtr.bias", "decoder.layers.3.conv.bias"),
            ("decoder.model.3.convtr.norm.weight", "decoder.layers.3.norm.weight"),
            ("decoder.model.1.lstm.weight_ih_l1", "decoder.layers.1.lstm.1.weight_ih"),
            ("decoder.layers.1.lstm.bias_hh_l0", "decoder.layers.1.lstm.0.bias_hh"),
            ("quantizer.vq.layers.7._codebook.embed", "quantizer.layers.7.codebook.embed"),
        ] {
            assert_eq!(current_name(published).as_deref(), Some(expected), "{published}");
            // What we save is read again.
            assert_eq!(current_name(expected).as_deref(), Some(expected), "{published}");
        }
        assert_eq!(current_name("quantizer.layers.0.codebook.embed_avg"), None);
        assert_eq!(current_name("quantizer.vq.layers.0._codebook.inited"), None);
    }
}
