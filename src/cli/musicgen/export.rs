//! `nocturne musicgen export`: a model in the other family's files.

use crate::cli::{Failure, Global, Outcome, Output};
use crate::musicgen::{self, ExportError, Format, Model, Precision};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Export {
    /// The model folder, or its name on the hub, in either family's files
    #[arg(long, value_name = "DIR|NAME")]
    model: String,
    /// The T5 of an audiocraft model, in place of the one that it names
    #[arg(long, value_name = "DIR|NAME")]
    text_encoder: Option<String>,
    /// A new folder
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// What is to open it
    #[arg(long, value_name = "NAME")]
    format: Format,
}

impl Export {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let device = global.open_device()?;
        let model =
            Model::open(&musicgen::resolve(&self.model)?, self.text_encoder.as_deref(), Precision::F32, &device)?;
        musicgen::export(&model, &self.output_dir, self.format).map_err(|error| match error {
            ExportError::Exists(_) | ExportError::NoProjection { .. } | ExportError::MelodyFrames { .. } => {
                Failure::usage(error)
            }
            error => Failure::failed(error),
        })?;
        let folder = self.output_dir.display().to_string();
        output.result(&json!({ "output_dir": folder }), &format!("the model is in {folder}"));
        Ok(Outcome::Done)
    }
}
