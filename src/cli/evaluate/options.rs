//! What the subcommands of `evaluate` have in common.

use super::Context;
use crate::cli::Outcome;
use crate::cli::output::counted;
use crate::cli::values::finite;
use crate::evaluate::{
    EvaluateError, Hearing, Manifest, OnProgress, Profile, Report, Sets, default_folder, write_page,
};
use crate::interrupt::stop_flag;
use crate::progress::Progress;
use crate::skipped::{self, Skipped};
use clap::Args;
use nocturne_evaluation::Bootstrap;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Generated sets against references.
#[derive(Debug, Args)]
pub struct Compared {
    /// Music that is taken for true: folders of audio or of .npy embeddings, or .npz statistics
    #[arg(long, value_name = "SET", num_args = 1.., required = true)]
    reference: Vec<PathBuf>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    scored: Scored,
}

/// Generated sets.
#[derive(Debug, Args)]
pub struct Scored {
    /// Music to score: folders of audio or of .npy embeddings, or .npz statistics where these are enough
    #[arg(long, value_name = "SET", num_args = 1.., required = true)]
    generated: Vec<PathBuf>,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    listening: Listening,
}

/// Which clips of a set count.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Of the reference (or input), only the clips that this file names: `MusicCaps`' CSV, FMA's metadata, or any captions
    #[arg(long, value_name = "FILE.csv|json|parquet")]
    manifest: Option<PathBuf>,
}

/// Where the results go.
#[derive(Debug, Args)]
struct Told {
    /// Clips drawn anew for the 95 % intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = 100)]
    bootstrap: usize,
    /// The results with all that they came from
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// The results as a table
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// A page to look at and listen to
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// How audio is heard.
#[derive(Debug, Args)]
pub struct Listening {
    /// The folder of published weights, or a model's own file [default: `nocturne/weights` in the user's cache folder]
    #[arg(long, visible_alias = "weights", value_name = "DIR|FILE")]
    weights_dir: Option<PathBuf>,
    /// Cut longer files into clips of so many seconds; what is left at the end is dropped
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    clip_seconds: Option<f64>,
    /// Bring every clip to this root mean square
    #[arg(long, value_name = "RMS", value_parser = positive)]
    level: Option<f64>,
    /// Where embeddings are kept from run to run [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Keep no embeddings, and use none that were kept
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl Listening {
    /// Calls `job` with what was asked for.
    pub fn with<T>(&self, context: &Context, job: impl FnOnce(&Hearing) -> T) -> T {
        let kept = || self.cache.clone().or_else(|| default_folder("embeddings"));
        let cache = if self.no_cache { None } else { kept() };
        let weights = self.weights_dir.clone().or_else(|| default_folder("weights"));
        job(&Hearing {
            weights: &weights.unwrap_or_else(|| "weights".into()),
            device: &context.device,
            profile: Profile { clip_seconds: self.clip_seconds, level: self.level },
            cache: cache.as_deref(),
            stop: &stop_flag(),
        })
    }
}

impl Chosen {
    /// Reads the manifest.
    pub fn open(&self) -> Result<Option<Manifest>, EvaluateError> {
        self.manifest.as_deref().map(Manifest::open).transpose()
    }
}

impl Told {
    fn bootstrap(&self, context: &Context) -> Bootstrap {
        Bootstrap { replicates: self.bootstrap, seed: context.seed(), ..Bootstrap::default() }
    }

    /// Tells the results, writes them where they were asked for, and names what was left out.
    fn tell(&self, context: &Context, report: &Report) -> Result<Outcome, EvaluateError> {
        for row in &report.results {
            context.output.result(&json!(row), &row.sentence());
        }
        if let Some(path) = &self.output {
            report.write_json(path)?;
        }
        if let Some(path) = &self.csv {
            report.write_csv(path)?;
        }
        if let Some(path) = &self.report {
            write_page(report, path)?;
        }
        let beside =
            [&self.output, &self.csv, &self.report].into_iter().flatten().next().and_then(|path| path.parent());
        outcome(beside, &report.skipped())
    }
}

impl Compared {
    /// Whether there will be a page, which shows songs.
    pub fn has_page(&self) -> bool {
        self.scored.has_page()
    }

    /// Runs a comparison under some models, and tells its results.
    pub fn run(
        &self,
        context: &Context,
        models: &[String],
        compare: impl FnOnce(&Sets, &mut OnProgress) -> Result<Report, EvaluateError>,
    ) -> Result<(Report, Outcome), EvaluateError> {
        let manifest = self.chosen.open()?;
        self.scored.run_against(context, (&self.reference, manifest.as_ref()), models, compare)
    }
}

impl Scored {
    /// Scores sets that are compared with no others, and tells the results.
    pub fn run(
        &self,
        context: &Context,
        score: impl FnOnce(&Sets, &mut OnProgress) -> Result<Report, EvaluateError>,
    ) -> Result<(Report, Outcome), EvaluateError> {
        self.run_against(context, (&[], None), &[], score)
    }

    fn has_page(&self) -> bool {
        self.told.report.is_some()
    }

    fn run_against(
        &self,
        context: &Context,
        (references, manifest): (&[PathBuf], Option<&Manifest>),
        models: &[String],
        score: impl FnOnce(&Sets, &mut OnProgress) -> Result<Report, EvaluateError>,
    ) -> Result<(Report, Outcome), EvaluateError> {
        let mut progress = context.output.progress();
        let report = self.listening.with(context, |hearing| {
            let bootstrap = self.told.bootstrap(context);
            let sets = Sets {
                references,
                manifest,
                generated: &self.generated,
                models,
                hearing,
                bootstrap,
                maps: self.has_page(),
            };
            score(&sets, &mut |_, done, of| show(&mut progress, done, of))
        })?;
        progress.finish();
        let outcome = self.told.tell(context, &report)?;
        Ok((report, outcome))
    }
}

/// How many files are done.
pub fn show(progress: &mut Progress, done: usize, of: usize) {
    if done == 0 {
        progress.start("files", of as u64);
    } else {
        progress.at(done as u64, "");
    }
}

/// How a command ends that left these files out.
pub fn outcome(beside: Option<&Path>, skipped: &[Skipped]) -> Result<Outcome, EvaluateError> {
    if skipped.is_empty() {
        return Ok(Outcome::Done);
    }
    if let Some(folder) = beside {
        skipped::write(folder, skipped).map_err(|(path, error)| EvaluateError::io(&path)(error))?;
    }
    tracing::warn!("{} left out", counted(skipped.len() as u64, "file"));
    Ok(Outcome::Skipped)
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    finite::<f64>(text).ok().filter(|value| *value > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}
