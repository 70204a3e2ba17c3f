//! `nocturne encode`: captions to encodings, datasets to latents.

use super::output::counted;
use super::{Failure, Global, Outcome, Output};
use crate::dataset::Dataset;
use crate::encodings::{TextEncoder, captions, write};
use crate::interrupt::stop_flag;
use crate::latents::{EncodeError, EncodeLatents, encode_latents};
use crate::pipeline::open_vae;
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// The command's subcommands.
#[derive(Debug, Args)]
pub struct Encode {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Encode captions with a T5
    Text(Text),
    /// Encode a mel dataset with a VAE, into the dataset; training does it by itself where it is missing
    Latents(LatentsOf),
}

#[derive(Debug, Args)]
struct Text {
    /// The T5 folder: config.json, weights, tokenizer.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The captions: {id: caption}, or columns id and caption
    #[arg(long, value_name = "FILE.json|FILE.csv")]
    captions: PathBuf,
    /// The encodings
    #[arg(long, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// Tokens of the longest caption; longer ones are cut
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
}

#[derive(Debug, Args)]
struct LatentsOf {
    /// The VAE's folder, or that of a model that has one
    #[arg(long, value_name = "DIR")]
    vae: PathBuf,
    /// The mel dataset
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
}

impl Encode {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        match self.what {
            What::Text(text) => text.run(global, output),
            What::Latents(latents) => latents.run(global, output),
        }
    }
}

impl Text {
    fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let captions = captions::read(&self.captions).map_err(Failure::usage)?;
        let device = global.open_device()?;
        let encoder = TextEncoder::open(&self.model, self.max_length, &device).map_err(Failure::usage)?;
        let stop = stop_flag();
        let mut progress = output.progress();
        progress.start("captions", captions.len() as u64);
        let (mut encodings, mut truncated) = (BTreeMap::new(), Vec::new());
        for (done, (id, caption)) in captions.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                tracing::warn!("interrupted; nothing was written");
                return Ok(Outcome::Interrupted);
            }
            let (encoding, cut) = encoder.encode(caption).map_err(Failure::failed)?;
            if cut {
                truncated.push(id);
            }
            encodings.insert(id.clone(), encoding);
            progress.at(done as u64 + 1, "");
        }
        progress.finish();
        if !truncated.is_empty() {
            tracing::warn!("{} cut to fit, the first {:?}", counted(truncated.len() as u64, "caption"), truncated[0]);
        }
        write(&self.output, &encodings).map_err(Failure::failed)?;
        let dim = encodings.values().next().map_or(0, |encoding| encoding.dim);
        let object = json!({ "output": self.output, "captions": encodings.len(), "dim": dim, "truncated": truncated });
        let sentence = format!("{}, {dim} wide: {}", counted(encodings.len() as u64, "caption"), self.output.display());
        output.result(&object, &sentence);
        Ok(Outcome::Done)
    }
}

impl LatentsOf {
    fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let dataset = Dataset::open(&self.dataset)?;
        let device = global.open_device()?;
        let (config, vae) = open_vae(&self.vae, &device).map_err(Failure::usage)?;
        let mut progress = output.progress();
        progress.start("latents", dataset.len() as u64);
        let stop = stop_flag();
        let job = EncodeLatents {
            folder: &self.dataset,
            dataset: &dataset,
            config: &config,
            vae: &vae,
            device: &device,
            stop: &stop,
        };
        let latents = encode_latents(&job, |done, _| progress.at(done as u64, ""));
        progress.finish();
        let latents = match latents {
            Err(EncodeError::Interrupted) => {
                tracing::warn!("interrupted; the same command goes on");
                return Ok(Outcome::Interrupted);
            }
            Err(error @ (EncodeError::Size(_) | EncodeError::Channels(_))) => return Err(Failure::usage(error)),
            latents => latents.map_err(Failure::failed)?,
        };
        let (shape, scale) = (latents.shape(), latents.scaling_factor());
        let object = json!({
            "dataset": self.dataset,
            "latents": latents.len(),
            "shape": shape,
            "scaling_factor": scale,
        });
        let count = counted(latents.len() as u64, "latent");
        output.result(&object, &format!("{count} of {shape:?}; their scaling factor is {scale:.5}"));
        Ok(Outcome::Done)
    }
}
