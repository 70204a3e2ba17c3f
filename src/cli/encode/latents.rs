//! `nocturne encode latents`: a mel dataset through a VAE.

use crate::cli::output::counted;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::dataset::Dataset;
use crate::interrupt::stop_flag;
use crate::latents::{EncodeError, EncodeLatents, encode_latents};
use crate::pipeline::open_vae;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Latents {
    /// The VAE's folder, or that of a model that has one
    #[arg(long, value_name = "DIR")]
    vae: PathBuf,
    /// The mel dataset
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
}

impl Latents {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
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
