//! `nocturne prepare`: a folder of audio becomes a mel dataset.

use super::output::counted;
use super::values::{Resolution, finite, method};
use super::{Failure, Global, Outcome, Output};
use crate::config::{DataSettings, Experiment, write_resolved};
use crate::dataset::{self, DatasetError, Format, PrepareOptions, PrepareReport, Shard, Summary};
use crate::interrupt::stop_flag;
use crate::progress::clock;
use crate::representation::MelSpecMethod;
use clap::Args;
use nocturne_models::backbone::BackboneKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What says how audio is read and stored, which a merge takes from its shards.
const AUDIO: [&str; 13] = [
    "input_dir",
    "resolution",
    "hop_length",
    "n_fft",
    "sample_rate",
    "top_db",
    "mel_spec_method",
    "bigvgan_model",
    "reference_level",
    "format",
    "flat",
    "shard",
    "threads",
];

/// The command's flags.
#[derive(Debug, Args)]
pub struct Prepare {
    /// The folder of recordings
    #[arg(long, value_name = "DIR")]
    input_dir: Option<PathBuf>,
    /// Where the dataset goes
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Frames and mel bands of a window: `W,H`, or one number for both
    #[arg(long, value_name = "W,H")]
    resolution: Option<Resolution>,
    /// Samples between frames
    #[arg(long, value_name = "N")]
    hop_length: Option<usize>,
    /// Samples of one Fourier transform
    #[arg(long, value_name = "N")]
    n_fft: Option<usize>,
    /// Samples a second
    #[arg(long, value_name = "HZ")]
    sample_rate: Option<u32>,
    /// Decibels between black and white
    #[arg(long, value_name = "DB")]
    top_db: Option<u32>,
    /// Pictures for Griffin-Lim, or the float log-mel of BigVGAN: image or bigvgan
    #[arg(long, value_name = "METHOD", value_parser = method)]
    mel_spec_method: Option<MelSpecMethod>,
    /// With bigvgan: the published configuration
    #[arg(long, value_name = "NAME")]
    bigvgan_model: Option<String>,
    /// One power for 0 dB in all pictures, instead of each slice's maximum
    #[arg(long, value_name = "POWER", value_parser = finite::<f32>)]
    reference_level: Option<f32>,
    /// The files of the dataset: arrow or parquet
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Leave subfolders out
    #[arg(long)]
    flat: bool,
    /// Do one N-th of the files
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Make one dataset of these finished shards, without copying, instead of reading audio
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = AUDIO)]
    merge: Vec<PathBuf>,
    /// Replace a dataset that is there
    #[arg(long)]
    overwrite: bool,
    /// Threads; all cores if not given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Prepare {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let experiment: Experiment = global.resolve(BackboneKind::UNet2D, |layers| {
            layers
                .flag("data.input_dir", self.input_dir)
                .flag("data.dataset", self.output_dir)
                .flag("data.resolution", self.resolution.map(|resolution| resolution.0))
                .flag("data.hop_length", self.hop_length)
                .flag("data.n_fft", self.n_fft)
                .flag("data.sample_rate", self.sample_rate)
                .flag("data.top_db", self.top_db)
                .flag("data.mel_spec_method", self.mel_spec_method)
                .flag("data.bigvgan_model", self.bigvgan_model)
                .flag("data.reference_level", self.reference_level)
                .flag("data.format", self.format)
                .flag("data.flat", self.flat.then_some(true))
        })?;
        let data = &experiment.data;
        let target = data.dataset.clone().ok_or_else(|| Failure::arguments("`--output-dir` is missing"))?;
        if !self.merge.is_empty() {
            let report = dataset::merge(&self.merge, &target, self.overwrite)?;
            // The shards' own settings, not those of this command.
            let merged = Experiment { data: settings_of(&target, data)?, ..experiment };
            write_resolved(&target, &merged).map_err(Failure::failed)?;
            return Ok(finished(&report, &target, output));
        }
        data.check_resolution().map_err(Failure::usage)?;
        let input = data.input_dir.clone().ok_or_else(|| Failure::arguments("`--input-dir` is missing"))?;
        let options = PrepareOptions {
            format: data.format,
            flat: data.flat,
            shard: self.shard,
            overwrite: self.overwrite,
            threads: self.threads.unwrap_or(0),
            ..PrepareOptions::new(input, &target, data.method())
        };
        let mut progress = output.progress();
        let mut started = false;
        let report = dataset::prepare(&options, &stop_flag(), |file| {
            if !started {
                progress.start("files", file.files as u64);
                started = true;
            }
            if let Some(reason) = file.skipped {
                tracing::warn!("skipped {}: {reason}", file.audio_file);
            }
            progress.at(file.done as u64, &format!("{} slices", file.slices));
        });
        progress.finish();
        let report = match report {
            Err(error @ DatasetError::Cancelled { .. }) => {
                tracing::warn!("{error}");
                return Ok(Outcome::Interrupted);
            }
            other => other?,
        };
        write_resolved(&target, &experiment).map_err(Failure::failed)?;
        Ok(finished(&report, &target, output))
    }
}

/// The section `data` of a dataset that is there.
fn settings_of(dataset: &Path, given: &DataSettings) -> Result<DataSettings, Failure> {
    let Some(Summary { options, .. }) = Summary::read(dataset)? else { return Ok(given.clone()) };
    let PrepareOptions { input_dir, method, format, flat, .. } = options;
    let data =
        DataSettings { dataset: given.dataset.clone(), input_dir: Some(input_dir), format, flat, ..given.clone() };
    Ok(data.with_mel(&method.representation()?))
}

fn finished(report: &PrepareReport, target: &Path, output: &Output) -> Outcome {
    let mut object = json!(report);
    object["dataset"] = json!(target);
    let sentence = format!(
        "{} of {} ({} of audio) in {}; {} left out, {} skipped",
        counted(report.slices, "slice"),
        counted((report.files as u64).saturating_sub(report.skipped), "file"),
        clock(report.seconds),
        target.display(),
        counted(report.silent, "silent slice"),
        counted(report.skipped, "file"),
    );
    output.result(&object, &sentence);
    if report.skipped > 0 { Outcome::Skipped } else { Outcome::Done }
}
