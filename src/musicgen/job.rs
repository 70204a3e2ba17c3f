use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nocturne_models::musicgen::{Conditioning, GenerationError, Padding};
use nocturne_vocoder::audio::AudioError;
use thiserror::Error;

use super::melody::Window;
use super::model::Captions;
use super::{Beginning, Melody, Model, MusicgenSampling, SettingsError};
use crate::encodings::TextError;
use crate::hash::HashError;
use crate::npy::NpyError;

/// A caption, and the name of what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The file's name, with or without an extension.
    pub id: String,
    /// The caption.
    pub text: String,
}

/// What to make.
pub struct Job<'a> {
    /// The model.
    pub model: &'a mut Model,
    /// Whether it is the model's last job: the model then lets go of what captions need, a quarter of a small model, as soon as it has
    /// the last of them.
    pub last: bool,
    /// What it is asked for.
    pub prompts: &'a [Prompt],
    /// A tune that all of it follows, for models that hear one.
    pub melody: Option<&'a Melody>,
    /// Music to go on from, where there is any: all items begin with it.
    pub beginning: Option<&'a Beginning>,
    /// How.
    pub settings: &'a MusicgenSampling,
    /// Setting it ends the job; what is made by then is written.
    pub stop: &'a AtomicBool,
}

/// Why nothing was made.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What is to be gone on from leaves no room.
    #[error("there are {found:.2} s to go on from, expected less than {expected}")]
    TooLong {
        /// Its seconds.
        found: f64,
        /// What there is room for.
        expected: String,
    },
    /// An id is no name of a file.
    #[error("the id {id:?} cannot be the name of a file")]
    Name {
        /// The id.
        id: String,
    },
    /// Two ids would be one file.
    #[error("{first:?} and {second:?} would both become `{name}`")]
    SameName {
        /// An id.
        first: String,
        /// Another one.
        second: String,
        /// What they would become.
        name: String,
    },
    /// What is written while it is made is one item.
    #[error("{found} captions, expected one: what is written while it is made is one piece")]
    OnePiece {
        /// How many there are.
        found: usize,
    },
    /// What is written while it is made is WAV.
    #[error("`{}` is not called .wav, and what is written while it is made is WAV", path.display())]
    NotWav {
        /// The file.
        path: PathBuf,
    },
    /// Nobody can hear it there.
    #[error("standard output is a terminal, which plays no audio")]
    Terminal,
    /// The model has done its last job, or was opened for other captions.
    #[error(
        "the model has let go of its text encoder: it was opened for other captions, or told that no job would follow"
    )]
    NoMoreCaptions,
    /// A caption cannot be encoded.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model gives no tokens.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// The model's files cannot be read once more.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A sound cannot be written.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Codes cannot be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The file system refused.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Files.
    pub made: usize,
    /// Files of an earlier run of the same job, which were left as they are.
    pub kept: usize,
    /// Seconds of music.
    pub seconds: f64,
    /// Steps of the language model, and their time.
    pub frames: usize,
    /// Time in the language model.
    pub tokens: Duration,
    /// Time in the codec.
    pub decoding: Duration,
    /// From the beginning of the job until the first samples were written, where that is while others are made.
    pub first_audio: Option<Duration>,
    /// Whether it was ended early.
    pub interrupted: bool,
}

impl Job<'_> {
    /// Whether it can be done.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        let Self { model, settings, .. } = self;
        settings.validate()?;
        if settings.duration > model.window && settings.extend_stride >= model.window {
            let (field, found) = ("extend_stride", settings.extend_stride.to_string());
            return Err(SettingsError { field, found, expected: "less than the model was trained on" }.into());
        }
        let known = self.beginning().first().map_or(0, Vec::len);
        let found = known as f64 / model.config.audio_encoder.frame_rate() as f64;
        let expected = if known >= model.frames(settings.duration) {
            format!("the {} s that there are to be in all", settings.duration)
        } else if known >= model.frames(model.window) {
            format!("the {} s that the model sees at once", model.window)
        } else {
            return Ok(());
        };
        Err(GenerateError::TooLong { found, expected })
    }

    /// What all items begin with, `[codebook][frame]`.
    pub(super) fn beginning(&self) -> Vec<Vec<usize>> {
        let none = || vec![Vec::new(); self.model.config.decoder.num_codebooks];
        self.beginning.map_or_else(none, |beginning| beginning.codes.clone())
    }

    /// The captions of some prompts; says which were cut, and which are empty. After those of the `last` no others can be asked for.
    pub(super) fn captions(&mut self, indices: &[usize], last: bool) -> Result<Captions, GenerateError> {
        let texts: Vec<&str> = indices.iter().map(|index| self.prompts[*index].text.as_str()).collect();
        let captions = self.model.captions(&texts, self.padding())?;
        let (captions, cut) = captions.ok_or(GenerateError::NoMoreCaptions)?;
        for (index, cut) in indices.iter().zip(cut) {
            let Prompt { id, text } = &self.prompts[*index];
            if cut {
                tracing::warn!("the caption of {id:?} is longer than the text encoder takes, and was cut");
            }
            if text.is_empty() && self.beginning.is_none() && self.melody.is_none() {
                tracing::warn!("the caption of {id:?} is empty: nothing guides it");
            }
        }
        if self.last && last {
            self.model.take_no_more_captions();
        }
        Ok(captions)
    }

    /// What captions ask of the window that begins at a frame, and the melody's part for it.
    pub(super) fn condition(&self, captions: &Captions, start: usize) -> Box<dyn Conditioning> {
        let Self { model, settings, .. } = self;
        let start = start as f64 / model.config.audio_encoder.frame_rate() as f64;
        let in_windows = settings.duration > model.window;
        let window = if in_windows { Window::Periodic { start, seconds: model.window } } else { Window::Whole };
        model.condition(captions, self.melody, window, self.padding())
    }

    /// Of a prompt.
    pub(super) fn seed(&self, index: usize) -> u64 {
        self.settings.seed.wrapping_add(index as u64)
    }

    pub(super) fn padding(&self) -> Padding {
        self.settings.padding.unwrap_or(self.model.padding)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
