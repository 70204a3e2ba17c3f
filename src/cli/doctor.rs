//! `nocturne doctor`: what devices, codecs and vocoders this machine has.

use super::{Failure, Global, Outcome, Output};
use crate::hub;
use crate::representation::{Representation, RepresentationConfig};
use crate::vocoding::{cached, check_model_fit, described};
use clap::Args;
use nocturne_models::device::devices;
use nocturne_vocoder::audio;
use nocturne_vocoder::bigvgan::BigVganConfig;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A model folder: which vocoders fit its mels
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl Doctor {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let chosen = global.device.open().map_err(Failure::usage)?;
        let devices = devices();
        let model = self.representation()?;
        let vocoders = cached();
        let fits = |(name, config): &(String, BigVganConfig)| {
            model.as_ref().map(|model| check_model_fit(model, &config.mel, name).is_ok())
        };
        let object = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "cuda": cfg!(feature = "cuda"),
            "device": global.device.to_string(),
            "devices": devices.iter().map(|device| json!({
                "select": device.choice.to_string(),
                "name": device.name,
                "chosen": device.choice.open().is_ok_and(|device| device == chosen),
            })).collect::<Vec<_>>(),
            "reads": audio::READS,
            "writes": audio::WRITES,
            "vocoder_cache": hub::cache(),
            "vocoders": vocoders.iter().map(|vocoder| json!({
                "name": vocoder.0,
                "mel": vocoder.1.mel,
                "fits": fits(vocoder),
            })).collect::<Vec<_>>(),
        });
        let mut lines = vec![format!("nocturne {}", env!("CARGO_PKG_VERSION"))];
        for device in &devices {
            let mark = if device.choice.open().is_ok_and(|device| device == chosen) { ", used" } else { "" };
            lines.push(format!("device  {}  {}{mark}", device.choice, device.name));
        }
        if !cfg!(feature = "cuda") {
            lines.push("built without CUDA (cargo build --release --features cuda)".to_owned());
        }
        lines.push(format!("reads   {}", audio::READS.join(" ")));
        lines.push(format!("writes  {}", audio::WRITES.join(" ")));
        for vocoder in &vocoders {
            let mark =
                fits(vocoder).map_or("", |fits| if fits { ", fits the model" } else { ", does not fit the model" });
            lines.push(format!("vocoder {}: {}{mark}", vocoder.0, described(&vocoder.1.mel)));
        }
        if vocoders.is_empty() {
            let cache = hub::cache().map_or_else(|| "the cache".to_owned(), |cache| cache.display().to_string());
            lines.push(format!("vocoder griffin-lim alone; no BigVGAN in {cache}"));
        }
        output.result(&object, &lines.join("\n"));
        Ok(Outcome::Done)
    }

    /// The mels of the model folder.
    fn representation(&self) -> Result<Option<Representation>, Failure> {
        let Some(model) = &self.model else { return Ok(None) };
        let config = RepresentationConfig::open(&model.join("mel/mel_config.json")).map_err(Failure::usage)?;
        Representation::new(&config).map(Some).map_err(Failure::usage)
    }
}
