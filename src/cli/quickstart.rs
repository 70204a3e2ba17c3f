//! `nocturne quickstart`: the whole path in minutes, with one page about it.

use super::{Failure, Global, Outcome, Output};
use crate::interrupt::stop_flag;
use crate::pipeline::{GenerateError, SampleError};
use crate::progress::clock;
use crate::quickstart::{CONFIGURATION, Quickstart, QuickstartError, quickstart};
use clap::Args;
use nocturne_models::backbone::BackboneKind;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Flags {
    /// Where everything goes
    #[arg(long, value_name = "DIR", default_value = "nocturne-quickstart")]
    output_dir: PathBuf,
    /// Your own recordings, instead of synthesised music
    #[arg(long, value_name = "DIR")]
    input_dir: Option<PathBuf>,
    /// Minutes of music to synthesise
    #[arg(long, value_name = "MINUTES", default_value_t = 12.0, value_parser = minutes)]
    minutes: f64,
    /// Optimiser steps
    #[arg(long, value_name = "N")]
    max_training_num_steps: Option<u64>,
    /// Clips to generate
    #[arg(long, value_name = "N")]
    num_images: Option<usize>,
}

impl Flags {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let experiment = global.resolve_over(CONFIGURATION, BackboneKind::UNet2D, |layers| {
            layers
                .flag("train.seed", global.seed)
                .flag("sampling.seed", global.seed)
                .flag("train.max_training_num_steps", self.max_training_num_steps)
                .flag("sampling.num_images", self.num_images)
        })?;
        let device = global.open_device()?;
        let job = Quickstart {
            experiment: &experiment,
            output: &self.output_dir,
            input: self.input_dir,
            minutes: self.minutes,
            device: &device,
            stop: &stop_flag(),
        };
        let summary = match quickstart(&job, &mut output.progress()) {
            Err(
                QuickstartError::Interrupted
                | QuickstartError::Generate(GenerateError::Sample(SampleError::Interrupted)),
            ) => {
                tracing::warn!("interrupted; the same command goes on");
                return Ok(Outcome::Interrupted);
            }
            other => other.map_err(Failure::failed)?,
        };
        let distance = summary.distances.first().map_or(f64::NAN, |distance| distance.value);
        let sentence = format!(
            "done in {}: open {} in a browser\n{} clips in {}; Fréchet distance to held-out music {distance:.2}",
            clock(summary.seconds),
            summary.report.display(),
            experiment.sampling.num_images,
            summary.clips.join("audio").display(),
        );
        output.result(&json!(summary), &sentence);
        Ok(Outcome::Done)
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.1..=600.0).contains(minutes));
    minutes.ok_or_else(|| "expected minutes from 0.1 to 600".to_owned())
}
