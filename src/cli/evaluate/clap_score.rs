use super::Context;
use super::options::Scored;
use crate::cli::Outcome;
use crate::evaluate::{Captions, ClapModel, EvaluateError, clap};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Clap {
    #[command(flatten)]
    scored: Scored,
    /// What the clips should sound like, by their names: {id: caption}, or columns such as id or ytid, and caption
    #[arg(long, value_name = "FILE.json|csv|parquet")]
    captions: PathBuf,
    /// Who listens and reads, by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "clap-laion-music")]
    models: Vec<ClapModel>,
    /// Also the score of every clip
    #[arg(long, value_name = "FILE.csv")]
    per_song: Option<PathBuf>,
}

impl Clap {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let captions = Captions::open(&self.captions)?;
        let (report, outcome) =
            self.scored.run(context, |sets, progress| clap(sets, &captions, &self.models, progress))?;
        if let Some(path) = &self.per_song {
            report.write_songs(path)?;
        }
        Ok(outcome)
    }
}
