//! `nocturne encode`: captions and recordings to encodings, datasets to latents.

mod audio;
mod latents;
mod target;
mod text;

use super::{Failure, Global, Outcome, Output};
use clap::{Args, Subcommand};

/// The command's subcommands.
#[derive(Debug, Args)]
pub struct Encode {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Encode captions with a T5
    Text(text::Text),
    /// Encode recordings with the published audio encoder
    Audio(audio::Audio),
    /// Encode a mel dataset with a VAE, into the dataset; training does it by itself where it is missing
    Latents(latents::Latents),
}

impl Encode {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        match self.what {
            What::Text(text) => text.run(global, output),
            What::Audio(audio) => audio.run(global, output),
            What::Latents(latents) => latents.run(global, output),
        }
    }
}
