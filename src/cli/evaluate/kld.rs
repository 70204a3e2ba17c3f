use super::Context;
use super::options::Compared;
use crate::cli::Outcome;
use crate::evaluate::{Classifier, ClipPooling, EvaluateError, KldOptions, kld};
use clap::Args;

#[derive(Debug, Args)]
pub struct Kld {
    #[command(flatten)]
    compared: Compared,
    /// Who hears
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    classifier: Classifier,
    /// How clips are cut and pooled, by commas: segments (audiocraft), whole (`audioldm_eval`), mean and max
    /// (stable-audio-metrics)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "segments,whole,mean")]
    pooling: Vec<ClipPooling>,
}

impl Kld {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let options = KldOptions { classifier: self.classifier, poolings: self.pooling };
        Ok(self.compared.run(context, &[], |sets, progress| kld(sets, &options, progress))?.1)
    }
}
