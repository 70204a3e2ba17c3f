use super::Context;
use super::options::{Chosen, Listening, outcome, show};
use crate::cli::Outcome;
use crate::cli::output::counted;
use crate::evaluate::{self, EvaluateError, Layout, POOLED_MEL};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Embed {
    /// The model: see docs/evaluation.md
    #[arg(long, value_name = "NAME", default_value = POOLED_MEL)]
    model: String,
    /// The folder of audio
    #[arg(long, value_name = "DIR")]
    input: PathBuf,
    /// The folder of embeddings, one .npy of [frame, dim] a file
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// plain, or as fadtk looks for them
    #[arg(long, value_name = "LAYOUT", value_enum, default_value_t)]
    layout: Layout,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    listening: Listening,
}

impl Embed {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let manifest = self.chosen.open()?;
        let mut progress = context.output.progress();
        let made = self.listening.with(context, |hearing| {
            let on_file = |done, of| show(&mut progress, done, of);
            let input = (self.input.as_path(), manifest.as_ref());
            evaluate::embed(hearing, &self.model, input, &self.output_dir, self.layout, on_file)
        })?;
        progress.finish();
        let clips = counted(made.clips.unwrap_or_default() as u64, "file");
        let sentence = format!("{clips}, {} dimensions: {}", made.dim, self.output_dir.display());
        context.output.result(&json!({ "output": self.output_dir, "set": made }), &sentence);
        outcome(Some(&self.output_dir), &made.skipped)
    }
}
