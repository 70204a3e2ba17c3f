//! What a denoising network is trained on: a dataset's mels or their latents, with encodings where it is conditioned.

use super::Mels;
use crate::encodings::{Encoding, Encodings, PairingError};
use crate::latents::Latents;
use crate::train::TrainError;
use crate::train::batches::Examples;
use nocturne_models::random::Random;

/// The latents that a network learns, and their scale.
pub struct Scaled {
    /// The latents.
    pub latents: Latents,
    /// What they are multiplied by.
    pub scaling_factor: f64,
}

/// The examples of a run.
pub struct Corpus {
    mels: Mels,
    latents: Option<Scaled>,
    /// The width of the encodings, and that of each recording in the order of [`Mels::names`].
    encodings: Option<(usize, Vec<Encoding>)>,
}

impl Corpus {
    /// Joins mels with their latents.
    pub fn new(mels: Mels, latents: Option<Scaled>) -> Self {
        Self { mels, latents, encodings: None }
    }

    /// The same, conditioned: every recording must have an encoding.
    pub fn conditioned(self, encodings: &Encodings) -> Result<Self, PairingError> {
        let found = encodings.of_all(self.mels.names())?.into_iter().cloned().collect();
        Ok(Self { encodings: Some((encodings.dim(), found)), ..self })
    }

    /// The mels.
    pub fn mels(&self) -> &Mels {
        &self.mels
    }

    /// Which latents are learned, if any: see [`Latents::key`].
    pub fn latents_key(&self) -> Option<&str> {
        self.latents.as_ref().map(|scaled| scaled.latents.key())
    }

    /// What the first recordings are conditioned on, `count` of them; again from the first where there are fewer.
    pub fn first_conditions(&self, count: usize) -> Option<Vec<Encoding>> {
        self.encodings.as_ref().map(|(_, encodings)| encodings.iter().cycle().take(count).cloned().collect())
    }
}

impl Examples for Corpus {
    fn len(&self) -> usize {
        self.mels.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.latents.as_ref().map_or_else(|| self.mels.shape(), |scaled| scaled.latents.shape())
    }

    fn source(&self, index: usize) -> &str {
        self.mels.source(index)
    }

    fn read(&self, index: usize, draws: &mut Random, out: &mut [f32]) -> Result<(), TrainError> {
        let Some(Scaled { latents, scaling_factor }) = &self.latents else {
            return self.mels.read(index, draws, out);
        };
        latents.sample(index, draws, out);
        for value in out {
            *value *= *scaling_factor as f32;
        }
        Ok(())
    }

    fn condition_width(&self) -> Option<usize> {
        self.encodings.as_ref().map(|(width, _)| *width)
    }

    fn condition(&self, index: usize) -> Option<&Encoding> {
        self.encodings.as_ref().map(|(_, encodings)| &encodings[self.mels.name_of(index)])
    }
}
