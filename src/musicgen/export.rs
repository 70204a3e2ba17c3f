use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nocturne_models::checkpoint::{self, CheckpointError, Named};
use nocturne_models::files::write_atomic;
use nocturne_models::musicgen::{Audiocraft, MelodySize};
use nocturne_models::network::{self, NetworkError};
use nocturne_models::t5::T5Config;
use serde_json::{Value, json};
use thiserror::Error;

use super::Model;
use super::parts::{CODEC, TEXT_ENCODER};
use crate::pickle;

/// A family of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `config.json`, `model.safetensors`, tokenizer.
    Transformers,
    /// `state_dict.bin`, `compression_state_dict.bin`; the text encoder, which audiocraft finds by its name, beside them.
    Audiocraft,
}

/// Why a model is not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// Something is where it would go.
    #[error("`{}` is there and not empty", .0.display())]
    Exists(PathBuf),
    /// The other family has no such model.
    #[error(
        "the text encoder is as wide as the language model, {width}: audiocraft would have a projection between them"
    )]
    NoProjection {
        /// Of both.
        width: usize,
    },
    /// The other family counts the frames of a melody by itself.
    #[error("melodies have {found} frames: audiocraft would have {expected}, those of {seconds} s")]
    MelodyFrames {
        /// In this model.
        found: usize,
        /// Over there.
        expected: usize,
        /// What the model was trained on.
        seconds: f64,
    },
    /// Weights cannot be written.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
    /// The text encoder cannot be written.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The file system refused.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes a model into a new folder, in f32.
pub fn export(model: &Model, output: &Path, format: Format) -> Result<(), ExportError> {
    if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ExportError::Exists(output.to_owned()));
    }
    match format {
        Format::Transformers => to_transformers(model, output),
        Format::Audiocraft => to_audiocraft(model, output),
    }
}

fn to_transformers(model: &Model, output: &Path) -> Result<(), ExportError> {
    let special = model.config.decoder.special();
    let mut config = json!(model.config);
    let merge = |place: &mut Value, more: Value| {
        if let (Value::Object(place), Value::Object(more)) = (place, more) {
            place.extend(more);
        }
    };
    let melody = if model.config.melody().is_some() { "Melody" } else { "" };
    let architecture = format!("Musicgen{melody}ForConditionalGeneration");
    merge(&mut config, json!({"architectures": [architecture], "is_encoder_decoder": true}));
    merge(&mut config["decoder"], json!({"pad_token_id": special, "bos_token_id": special}));
    let generation = json!({
        "decoder_start_token_id": special,
        "pad_token_id": special,
        "bos_token_id": special,
        "do_sample": true,
        "guidance_scale": 3.0,
        "max_length": model.frames(model.window),
    });
    create(output)?;
    for (name, value) in [("config.json", config), ("generation_config.json", generation)] {
        let path = output.join(name);
        write_atomic(&path, format!("{value:#}\n").as_bytes()).map_err(fault(&path))?;
    }
    copy_tokenizer(model, output)?;
    let path = output.join("model.safetensors");
    let tensors = model.network.published().map_err(fault(&path))?;
    Ok(checkpoint::write(tensors, &path)?)
}

fn to_audiocraft(model: &Model, output: &Path) -> Result<(), ExportError> {
    let (network, config) = (&model.network, &model.config);
    if network.enc_to_dec_proj.is_none() {
        return Err(ExportError::NoProjection { width: config.decoder.hidden_size });
    }
    let (rate, seconds) = (config.audio_encoder.sampling_rate, model.window);
    if let Some(MelodySize { frames: found, .. }) = config.melody() {
        let expected = MelodySize::frames_of(rate, seconds);
        if found != expected {
            return Err(ExportError::MelodyFrames { found, expected, seconds });
        }
    }
    create(output)?;
    let classes = config.melody().map(|melody| melody.classes);
    let described = config.decoder.to_audiocraft(published_name(&config.text_encoder), rate, seconds, classes);
    save_package(&output.join(Audiocraft::FILE), Ok(network.published_by_audiocraft()), &described)?;
    let codec = network.audio_encoder.published_by_audiocraft();
    save_package(&output.join(CODEC), codec, &config.audio_encoder.to_audiocraft())?;
    let text = output.join(TEXT_ENCODER);
    network::save(&config.text_encoder, &network.text_encoder, &text)?;
    copy_tokenizer(model, &text)
}

/// As audiocraft's `export_lm` writes it.
fn save_package(path: &Path, tensors: io::Result<Vec<Named>>, described: &str) -> Result<(), ExportError> {
    let write = || {
        let tensors = tensors?;
        let values = tensors.iter().map(Named::host).collect::<io::Result<Vec<_>>>()?;
        let named = tensors.iter().zip(&values).map(|(tensor, values)| (&*tensor.name, &*tensor.shape, &**values));
        let texts = [["xp.cfg", described], ["version", "1.3.0"]];
        pickle::save_with(path, "best_state", &named.collect::<Vec<_>>(), &texts)
    };
    write().map_err(fault(path))
}

/// The T5 of these sizes that audiocraft knows by a name; another one can only be beside the model.
fn published_name(config: &T5Config) -> &'static str {
    match (config.d_model, config.num_layers, &*config.feed_forward_proj) {
        (512, 6, "relu") => "t5-small",
        (768, 12, "relu") => "t5-base",
        (1024, 24, "relu") => "t5-large",
        (512, 8, "gated-gelu") => "google/flan-t5-small",
        (768, 12, "gated-gelu") => "google/flan-t5-base",
        (1024, 24, "gated-gelu") => "google/flan-t5-large",
        _ => TEXT_ENCODER,
    }
}

fn copy_tokenizer(model: &Model, output: &Path) -> Result<(), ExportError> {
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model"] {
        let (from, to) = (model.text_folder.join(name), output.join(name));
        if from.is_file() {
            fs::read(from).and_then(|bytes| write_atomic(&to, &bytes)).map_err(fault(&to))?;
        }
    }
    Ok(())
}

fn create(folder: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(folder).map_err(fault(folder))
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Write { path, source }
}
