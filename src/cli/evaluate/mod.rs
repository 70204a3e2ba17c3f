//! `nocturne evaluate`: sets of music against each other, and against what was asked for.

mod clap_score;
mod clas;
mod embed;
mod fad;
mod inception;
mod kad;
mod kld;
mod merge;
mod options;
mod stats;

use super::{Failure, Global, Outcome, Output};
use crate::evaluate::EvaluateError;
use burn::tensor::Device;
use clap::{Args, Subcommand};

/// The command's subcommands.
#[derive(Debug, Args)]
pub struct Evaluate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The Fréchet audio distance
    Fad(fad::Fad),
    /// The kernel audio distance, KID, and precision, recall, density and coverage
    Kad(kad::Kad),
    /// The divergence of what a classifier hears in clips of the same names
    Kld(kld::Kld),
    /// The CLAP score: how well clips fit their captions
    Clap(clap_score::Clap),
    /// CLAS: the CLAP score and the Fréchet audio distance as one number
    Clas(clas::Clas),
    /// The Inception score: how clear and how various the clips of a set are
    Inception(inception::Inception),
    /// A folder of audio to `.npy` embeddings
    Embed(embed::Embed),
    /// The mean and covariance of a set, to compare with later
    Stats(stats::Stats),
    /// Join the statistics of a set's parts
    Merge(merge::Merge),
}

/// What the flags of every command say.
struct Context<'a> {
    global: &'a Global,
    output: &'a Output,
    device: Device,
}

impl Context<'_> {
    fn seed(&self) -> u64 {
        self.global.seed.unwrap_or_default()
    }
}

impl Evaluate {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let context = Context { global, output, device: global.open_device()? };
        let outcome = match self.what {
            What::Fad(command) => command.run(&context),
            What::Kad(command) => command.run(&context),
            What::Kld(command) => command.run(&context),
            What::Clap(command) => command.run(&context),
            What::Clas(command) => command.run(&context),
            What::Inception(command) => command.run(&context),
            What::Embed(command) => command.run(&context),
            What::Stats(command) => command.run(&context),
            What::Merge(command) => command.run(&context),
        };
        match outcome {
            Err(EvaluateError::Interrupted) => {
                tracing::warn!("interrupted; embeddings that were made are in the cache");
                Ok(Outcome::Interrupted)
            }
            other => Ok(other?),
        }
    }
}
