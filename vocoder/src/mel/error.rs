use std::path::PathBuf;

use thiserror::Error;

/// Why a mel configuration or a mel cannot be used.
#[derive(Debug, Error)]
pub enum MelError {
    /// A field of a configuration is outside of what can be computed.
    #[error("mel configuration: {field} is {found}, expected {expected}")]
    Field {
        /// The published name of the field.
        field: &'static str,
        /// The value found.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A `mel_config.json` could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A `mel_config.json` is not what diffusers writes.
    #[error("{}: not a mel configuration: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A name that is none of BigVGAN's published configurations.
    #[error("unknown BigVGAN configuration {found:?}, expected one of {expected}")]
    Preset {
        /// The name asked for.
        found: String,
        /// The published names.
        expected: String,
    },
    /// A mel or spectrogram whose shape does not fit the configuration.
    #[error("{what} has shape {found:?}, expected {expected}")]
    Shape {
        /// What has the wrong shape.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape in words.
        expected: String,
    },
}
