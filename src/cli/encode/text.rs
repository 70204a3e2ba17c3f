//! `nocturne encode text`: captions through a T5.

use super::target::Target;
use crate::cli::output::counted;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::encodings::{TextEncoder, captions};
use crate::interrupt::stop_flag;
use clap::Args;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Text {
    /// The T5 folder: config.json, weights, tokenizer.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The captions: {id: caption}, or columns such as id or ytid, and caption
    #[arg(long, value_name = "FILE.json|csv|parquet")]
    captions: PathBuf,
    /// The encodings: a file, or a mel dataset that gets them as its column `encoding`
    #[arg(long, value_name = "FILE.safetensors|DATASET")]
    output: PathBuf,
    /// Tokens of the longest caption; longer ones are cut
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Captions a forward pass
    #[arg(long, value_name = "N", default_value = "16")]
    batch_size: usize,
}

impl Text {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        if self.batch_size == 0 {
            return Err(Failure::arguments("`--batch-size` is 0, expected 1 or more"));
        }
        let captions = captions::read(&self.captions).map_err(Failure::usage)?;
        let target = Target::new(self.output)?;
        let device = global.open_device()?;
        let encoder = TextEncoder::open(&self.model, self.max_length, &device).map_err(Failure::usage)?;
        let stop = stop_flag();
        let mut progress = output.progress();
        progress.start("captions", captions.len() as u64);
        let started = Instant::now();
        let (ids, texts): (Vec<String>, Vec<String>) = captions.into_iter().unzip();
        let encoded = encoder.encode_all(&texts, self.batch_size, |done| {
            progress.at(done as u64, "");
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let seconds = started.elapsed().as_secs_f64();
        progress.finish();
        let interrupted = || {
            tracing::warn!("interrupted; nothing was written");
            Ok(Outcome::Interrupted)
        };
        let Some(encoded) = encoded.map_err(Failure::failed)? else { return interrupted() };
        let cut = ids.iter().zip(&encoded).filter(|(_, (_, cut))| *cut);
        let truncated: Vec<String> = cut.map(|(id, _)| id.clone()).collect();
        if !truncated.is_empty() {
            tracing::warn!("{} cut to fit, the first {:?}", counted(truncated.len() as u64, "caption"), truncated[0]);
        }
        let count = encoded.len();
        let dim = encoded.first().map_or(0, |(encoding, _)| encoding.dim);
        let encodings = ids.into_iter().zip(encoded).map(|(id, (encoding, _))| (id, encoding)).collect();
        if !target.write(encodings, &stop)? {
            return interrupted();
        }
        let object = json!({
            "output": target.path(),
            "captions": count,
            "dim": dim,
            "truncated": truncated,
            "seconds": seconds,
        });
        let counted = counted(count as u64, "caption");
        let sentence = format!("{counted}, {dim} wide, in {seconds:.1} s: {}", target.path().display());
        output.result(&object, &sentence);
        Ok(Outcome::Done)
    }
}
