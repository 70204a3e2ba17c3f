use super::Context;
use super::options::Scored;
use crate::cli::Outcome;
use crate::evaluate::{Classifier, EvaluateError, inception};
use clap::Args;

#[derive(Debug, Args)]
pub struct Inception {
    #[command(flatten)]
    scored: Scored,
    /// Who hears
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    classifier: Classifier,
}

impl Inception {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        Ok(self.scored.run(context, |sets, progress| inception(sets, self.classifier, progress))?.1)
    }
}
