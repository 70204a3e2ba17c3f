//! `nocturne musicgen`: captions to music.

mod r#continue;
mod export;
mod generate;
mod music;

use super::{Failure, Global, Outcome, Output};
use clap::{Args, Subcommand};

/// The command's flags.
#[derive(Debug, Args)]
pub struct Musicgen {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make music from captions
    Generate(Box<generate::Generate>),
    /// Make music that goes on from a recording
    Continue(Box<r#continue::Continue>),
    /// Write a model in the files of transformers or of audiocraft
    Export(export::Export),
}

impl Musicgen {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        match self.command {
            Command::Generate(command) => command.run(global, output),
            Command::Continue(command) => command.run(global, output),
            Command::Export(command) => command.run(global, output),
        }
    }
}
