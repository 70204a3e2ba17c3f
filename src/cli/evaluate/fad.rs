use super::Context;
use super::options::Compared;
use crate::cli::Outcome;
use crate::evaluate::{EvaluateError, FadOptions, fad};
use clap::Args;
use nocturne_evaluation::FadInfinity;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Fad {
    #[command(flatten)]
    compared: Compared,
    /// Models, by commas, or what the sets' embeddings are called: see docs/evaluation.md [default: pooled-mel for audio]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Vec<String>,
    /// Also FAD-inf: the distance of an unlimited set
    #[arg(long)]
    inf: bool,
    /// How often FAD-inf is done, with other draws
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    inf_replicates: u16,
    /// Also the distance of every file alone
    #[arg(long, value_name = "FILE.csv")]
    per_song: Option<PathBuf>,
    /// Round embeddings and means to 16 bits, as fadtk stores them
    #[arg(long)]
    fadtk_compat: bool,
}

impl Fad {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let infinity =
            FadInfinity { replicates: self.inf_replicates.into(), seed: context.seed(), ..FadInfinity::default() };
        let options = FadOptions {
            infinity: self.inf.then_some(infinity),
            songs: self.per_song.is_some() || self.compared.has_page(),
            fadtk_rounding: self.fadtk_compat,
        };
        let (report, outcome) =
            self.compared.run(context, &self.models, |sets, progress| fad(sets, &options, progress))?;
        if let Some(path) = &self.per_song {
            report.write_songs(path)?;
        }
        Ok(outcome)
    }
}
