//! `nocturne vocode`: audio of mels.

use super::output::counted;
use super::{Failure, Global, Outcome, Output};
use crate::config::{Experiment, write_resolved};
use crate::interrupt::stop_flag;
use crate::pipeline::SamplingSettings;
use crate::skipped::Skipped;
use crate::vocoding::{
    self, CheckpointError, InputError, VocodeError, Vocoder, VocoderError, VocoderKind, Vocoding, hub_name,
};
use burn::tensor::Device;
use clap::Args;
use nocturne_models::backbone::BackboneKind;
use serde_json::json;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Vocode {
    /// Which vocoder
    #[arg(long, value_name = "NAME")]
    vocoder: Option<VocoderKind>,
    /// BigVGAN's folder, or its name on the hub; the one that the model's mels name if not given
    #[arg(long, alias = "vocoder-checkpoint", value_name = "DIR|NAME")]
    checkpoint: Option<String>,
    /// A file of mels, or a folder of such files: what `generate` writes, or tensors that torch.save wrote
    #[arg(long, value_name = "FILE.npy|FILE.pt|FOLDER")]
    input: PathBuf,
    /// Where the audio goes
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// What the mels are, in a model's scale of -1 to 1; `mel_config.json` beside them if not given
    #[arg(long, value_name = "FILE.json", conflicts_with = "bigvgan_model")]
    mel_config: Option<PathBuf>,
    /// The BigVGAN whose mels these are, in natural logarithms: a published one, or a folder with its config.json
    #[arg(long, value_name = "NAME|DIR")]
    bigvgan_model: Option<String>,
    /// Griffin-Lim iterations; the model's own number if not given
    #[arg(long, value_name = "N")]
    n_iter: Option<usize>,
}

impl Vocode {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let experiment: Experiment = global.resolve(BackboneKind::UNet2D, |layers| {
            layers
                .flag("sampling.seed", global.seed)
                .flag("sampling.n_iter", self.n_iter)
                .flag("sampling.vocoder", self.vocoder)
                .flag("sampling.vocoder_checkpoint", self.checkpoint.as_deref())
        })?;
        let settings = &experiment.sampling;
        check_choice(settings)?;
        let device = global.open_device()?;
        let mut progress = output.progress();
        let mut started = false;
        let job = Vocoding {
            input: &self.input,
            output: &self.output_dir,
            kind: settings.vocoder,
            checkpoint: settings.vocoder_checkpoint.as_deref(),
            mel_config: self.mel_config.as_deref(),
            bigvgan_model: self.bigvgan_model.as_deref(),
            iterations: settings.n_iter,
            seed: settings.seed,
            device: &device,
            stop: &stop_flag(),
        };
        let vocoded = vocoding::vocode(job, |done, total| {
            if !started {
                progress.start("files", total);
                started = true;
            }
            progress.at(done, "");
        });
        progress.finish();
        let vocoded = match vocoded {
            Err(VocodeError::Interrupted) => {
                tracing::warn!("interrupted; finished clips stay in {}", self.output_dir.display());
                return Ok(Outcome::Interrupted);
            }
            other => other?,
        };
        vocoded.skipped.iter().for_each(Skipped::warn);
        write_resolved(&self.output_dir, &experiment).map_err(Failure::failed)?;
        let vocoding = vocoded.vocoding.as_secs_f64();
        let object = json!({
            "output_dir": self.output_dir,
            "clips": vocoded.clips,
            "seconds": vocoded.seconds,
            "vocode_seconds": vocoding,
            "skipped": vocoded.skipped.len(),
        });
        let sentence = format!(
            "{} ({:.1} s of audio) in {}; {vocoding:.1} s in the vocoder",
            counted(vocoded.clips as u64, "clip"),
            vocoded.seconds,
            self.output_dir.display(),
        );
        output.result(&object, &sentence);
        Ok(if vocoded.skipped.is_empty() { Outcome::Done } else { Outcome::Skipped })
    }
}

/// The vocoder that settings choose for mels that name `bigvgan_model`.
pub(super) fn chosen_vocoder(
    settings: &SamplingSettings,
    bigvgan_model: Option<&str>,
    device: &Device,
) -> Result<Vocoder, Failure> {
    check_choice(settings)?;
    let named = bigvgan_model.map(hub_name);
    let checkpoint = settings.vocoder_checkpoint.as_deref().or(named.as_deref());
    Ok(Vocoder::open(settings.vocoder, checkpoint, device)?)
}

fn check_choice(settings: &SamplingSettings) -> Result<(), Failure> {
    if settings.vocoder == VocoderKind::GriffinLim && settings.vocoder_checkpoint.is_some() {
        return Err(Failure::arguments("Griffin-Lim has no checkpoint").remedy("`--vocoder bigvgan`"));
    }
    Ok(())
}

impl From<VocoderError> for Failure {
    fn from(error: VocoderError) -> Self {
        match error {
            VocoderError::NoCheckpoint => {
                Self::usage(error).remedy("`--checkpoint` (in `generate`: `--vocoder-checkpoint`)")
            }
            VocoderError::Checkpoint(error) => error.into(),
            VocoderError::Unfit(_) => {
                Self::usage(error).remedy("`nocturne doctor --model` lists the checkpoints that fit")
            }
        }
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        let remedy = error.remedy();
        let failure = match error {
            CheckpointError::Hub(error) => error.into(),
            error @ CheckpointError::Network(_) => Self::failed(error),
        };
        match remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}

impl From<VocodeError> for Failure {
    fn from(error: VocodeError) -> Self {
        match error {
            VocodeError::Vocoder(error) => error.into(),
            VocodeError::Unknown { .. } => {
                Self::usage(error).remedy("`--mel-config` of a model's mels, `--bigvgan-model` of natural logarithms")
            }
            VocodeError::Input(InputError::Content { .. }) => {
                Self::usage(error).remedy("`--mel-config` or `--bigvgan-model` says what the mels are")
            }
            VocodeError::Read { .. }
            | VocodeError::NoMels { .. }
            | VocodeError::SameName { .. }
            | VocodeError::Mel(_) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}
