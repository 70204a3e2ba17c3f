//! `nocturne musicgen generate`: music from captions.

use super::music::Music;
use crate::cli::{Failure, Global, Outcome, Output};
use clap::{ArgGroup, Args};

/// The command's flags.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("wanted").required(true).multiple(true).args(["prompts", "prompt"])))]
pub struct Generate {
    #[command(flatten)]
    music: Music,
}

impl Generate {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        self.music.run(None, global, output)
    }
}
