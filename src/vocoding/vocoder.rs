//! What turns mels into audio.

use super::fit::{Unfit, check_fit, check_model_fit};
use super::{BigVganCheckpoint, CheckpointError};
use crate::representation::Representation;
use burn::tensor::Device;
use ndarray::{ArrayView3, Axis};
use nocturne_vocoder::mel::{LogMel, MelError, log_from_unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A vocoder by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum VocoderKind {
    /// Non-negative least squares and Griffin-Lim; needs no weights.
    #[default]
    GriffinLim,
    /// A BigVGAN checkpoint; for log-mels.
    #[serde(rename = "bigvgan")]
    #[value(name = "bigvgan")]
    BigVgan,
}

/// What turns mels into audio.
#[derive(Debug)]
pub enum Vocoder {
    /// Non-negative least squares and Griffin-Lim.
    GriffinLim,
    /// A neural vocoder.
    BigVgan(Box<BigVganCheckpoint>),
}

/// What the numbers of a mel mean.
#[derive(Clone, Copy)]
pub enum Mels<'a> {
    /// A model's scale, −1…1.
    Model(&'a Representation),
    /// Natural logarithms of magnitudes, as BigVGAN takes them.
    Logarithms {
        /// Their transform.
        transform: &'a LogMel,
        /// Of Griffin-Lim.
        iterations: usize,
    },
}

/// Why mels cannot be vocoded.
#[derive(Debug, Error)]
pub enum VocoderError {
    /// BigVGAN without weights.
    #[error("BigVGAN needs a checkpoint")]
    NoCheckpoint,
    /// There is no such checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The mels are not the checkpoint's.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl Vocoder {
    /// Opens what was chosen; `checkpoint` is a folder or a name on the hub.
    pub fn open(kind: VocoderKind, checkpoint: Option<&str>, device: &Device) -> Result<Self, VocoderError> {
        match (kind, checkpoint) {
            (VocoderKind::GriffinLim, _) => Ok(Self::GriffinLim),
            (VocoderKind::BigVgan, None) => Err(VocoderError::NoCheckpoint),
            (VocoderKind::BigVgan, Some(name)) => Ok(Self::BigVgan(Box::new(BigVganCheckpoint::open(name, device)?))),
        }
    }

    /// Refuses mels that the checkpoint was not trained on.
    pub fn check(&self, mels: Mels<'_>) -> Result<(), Unfit> {
        let Self::BigVgan(checkpoint) = self else { return Ok(()) };
        let (takes, name) = (&checkpoint.vocoder.config().mel, &checkpoint.name);
        match mels {
            Mels::Logarithms { transform, .. } => check_fit(transform.config(), takes, name),
            Mels::Model(representation) => check_model_fit(representation, takes, name),
        }
    }

    /// The audio of mels of one length. Clip number i of them has the seed `seed` + i, where there is anything to draw.
    ///
    /// # Shapes
    /// - `values`: `[clip, mel, frame]`
    /// - output: as many times mono samples
    pub fn audio(&self, mels: Mels<'_>, values: ArrayView3<f32>, seed: u64) -> Result<Vec<Vec<f32>>, MelError> {
        match self {
            Self::GriffinLim => (0..values.dim().0)
                .into_par_iter()
                .map(|clip| {
                    let (values, seed) = (values.index_axis(Axis(0), clip), seed.wrapping_add(clip as u64));
                    match mels {
                        Mels::Model(representation) => representation.audio(values, None, seed),
                        Mels::Logarithms { transform, iterations } => transform.audio(values, iterations, seed),
                    }
                })
                .collect(),
            Self::BigVgan(checkpoint) => {
                let audio = match mels {
                    Mels::Model(_) => checkpoint.vocoder.audio(values.mapv(log_from_unit).view()),
                    Mels::Logarithms { .. } => checkpoint.vocoder.audio(values),
                }?;
                Ok(audio.outer_iter().map(|samples| samples.to_vec()).collect())
            }
        }
    }
}
