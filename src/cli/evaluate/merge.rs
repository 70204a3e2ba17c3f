use super::Context;
use crate::cli::Outcome;
use crate::cli::output::counted;
use crate::evaluate::{self, EvaluateError};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Merge {
    /// What `stats` wrote, of parts of a set
    #[arg(long, value_name = "FILE.npz", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// Statistics of the whole
    #[arg(long, value_name = "FILE.npz|DIR")]
    output: PathBuf,
}

impl Merge {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        for merged in evaluate::merge(&self.input, &self.output)? {
            let vectors = counted(merged.vectors as u64, "vector");
            let sentence =
                format!("{}: {vectors} of {} dimensions: {}", merged.model, merged.dim, self.output.display());
            context.output.result(&json!({ "output": self.output, "merged": merged }), &sentence);
        }
        Ok(Outcome::Done)
    }
}
