use super::Context;
use super::options::{Chosen, Listening, outcome, show};
use crate::cli::Outcome;
use crate::cli::output::counted;
use crate::dataset::Shard;
use crate::evaluate::{self, EvaluateError, Loader, POOLED_MEL};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Stats {
    /// Audio or embeddings
    #[arg(long, value_name = "SET")]
    input: PathBuf,
    /// An .npz that fadtk reads, or a folder to write fadtk's stats/MODEL/ into
    #[arg(long, value_name = "FILE.npz|DIR")]
    output: PathBuf,
    /// Models, by commas: see docs/evaluation.md
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = POOLED_MEL)]
    models: Vec<String>,
    /// Do one N-th of the files; `merge` joins the parts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Round embeddings and means to 16 bits, as fadtk stores them
    #[arg(long)]
    fadtk_compat: bool,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    listening: Listening,
}

impl Stats {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let manifest = self.chosen.open()?;
        let mut progress = context.output.progress();
        let measured = self.listening.with(context, |hearing| {
            let mut loader = Loader::new(hearing, &self.models);
            (loader.fadtk_rounding, loader.shard) = (self.fadtk_compat, self.shard);
            let input = (self.input.as_path(), manifest.as_ref());
            evaluate::stats(&loader, input, &self.output, |done, of| show(&mut progress, done, of))
        })?;
        progress.finish();
        for set in &measured {
            let clips = counted(set.clips.unwrap_or_default() as u64, "file");
            let vectors = counted(set.vectors.unwrap_or_default() as u64, "vector");
            let place = self.output.display();
            let sentence = format!("{}: {clips}, {vectors} of {} dimensions: {place}", set.model, set.dim);
            context.output.result(&json!({ "output": self.output, "set": set }), &sentence);
        }
        let skipped = measured.first().map(|set| set.skipped.clone()).unwrap_or_default();
        outcome(self.output.parent(), &skipped)
    }
}
