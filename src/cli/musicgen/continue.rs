//! `nocturne musicgen continue`: music that goes on from a recording.

use super::music::Music;
use crate::cli::values::finite;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::musicgen::{BeginningError, recording};
use clap::Args;
use nocturne_vocoder::audio::AudioError;
use std::path::PathBuf;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Continue {
    /// The recording, which the files begin with: `--duration` counts it in
    #[arg(long, value_name = "FILE")]
    audio: PathBuf,
    /// Go on from the part of the recording that begins here
    #[arg(long, value_name = "SEC", value_parser = seconds, default_value_t = 0.0)]
    prompt_start: f64,
    /// Go on after so many seconds of the recording; after all of it without this
    #[arg(long, value_name = "SEC", value_parser = seconds)]
    prompt_duration: Option<f64>,
    #[command(flatten)]
    music: Music,
}

impl Continue {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let recording = recording(&self.audio, self.prompt_start, self.prompt_duration);
        self.music.run(Some(recording.map_err(failure)?), global, output)
    }
}

/// What is not there, or no audio, is a wrong argument; what is damaged a failed job.
fn failure(error: BeginningError) -> Failure {
    match error {
        BeginningError::Nothing { .. }
        | BeginningError::Audio(
            AudioError::Unreadable { .. } | AudioError::Empty { .. } | AudioError::NotAudio { .. },
        ) => Failure::usage(error),
        error @ BeginningError::Audio(_) => Failure::failed(error),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|seconds| *seconds >= 0.0).ok_or_else(|| "expected seconds, 0 or more".to_owned())
}
