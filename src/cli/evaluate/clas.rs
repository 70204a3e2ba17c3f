use super::Context;
use super::options::{Compared, positive};
use crate::cli::Outcome;
use crate::evaluate::{Captions, ClapModel, ClasOptions, EvaluateError, clas_scores};
use clap::{Args, ValueEnum};
use nocturne_evaluation::FasMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Clas {
    #[command(flatten)]
    compared: Compared,
    /// What the clips should sound like, by their names: {id: caption}, or columns such as id or ytid, and caption
    #[arg(long, value_name = "FILE.json|csv|parquet")]
    captions: PathBuf,
    /// Whose Fréchet distances, by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "vggish")]
    models: Vec<String>,
    /// Who listens and reads
    #[arg(long, value_name = "NAME", value_enum, default_value = "clap-laion-music")]
    clap_model: ClapModel,
    /// From distance to score; the challenge that CLAS is from never published its own
    #[arg(long, value_name = "MAP", value_enum)]
    map: Map,
    /// The distance that scores 0 with `--map linear`
    #[arg(long, value_name = "FAD", value_parser = positive, required_if_eq("map", "linear"))]
    zero: Option<f64>,
}

/// [`FasMap`] by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Map {
    /// 1 / (1 + FAD)
    Inverse,
    /// exp(−FAD)
    Exp,
    /// 1 − FAD / ZERO, at least 0
    Linear,
}

impl Clas {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let captions = Captions::open(&self.captions)?;
        let map = match (self.map, self.zero) {
            (Map::Inverse, _) => FasMap::Inverse,
            (Map::Exp, _) => FasMap::Exp,
            (Map::Linear, zero) => FasMap::Linear { zero: zero.unwrap_or(f64::INFINITY) },
        };
        let options = ClasOptions { clap_model: self.clap_model, map };
        let compared = &self.compared;
        Ok(compared.run(context, &self.models, |sets, progress| clas_scores(sets, &captions, &options, progress))?.1)
    }
}
