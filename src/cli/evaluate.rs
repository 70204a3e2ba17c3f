//! `nocturne evaluate`: sets of music against each other.

use super::output::counted;
use super::values::finite;
use super::{Failure, Global, Outcome, Output};
use crate::dataset::Shard;
use crate::evaluate::{
    self, Bandwidth, EvaluateError, FadOptions, KadOptions, Layout, Loader, POOLED_MEL, Profile, Report, Sets,
    VectorMetric, default_cache_folder,
};
use crate::interrupt::stop_flag;
use crate::progress::Progress;
use crate::skipped::{self, Skipped};
use clap::{Args, Subcommand};
use nocturne_evaluation::{Bootstrap, FadInfinity};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The command's subcommands.
#[derive(Debug, Args)]
pub struct Evaluate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The Fréchet audio distance
    Fad(Fad),
    /// The kernel audio distance, KID, and precision, recall, density and coverage
    Kad(Kad),
    /// A folder of audio to `.npy` embeddings
    Embed(Embed),
    /// The mean and covariance of a set, to compare with later
    Stats(Stats),
    /// Join the statistics of a set's parts
    Merge(Merge),
}

#[derive(Debug, Args)]
struct Compared {
    /// Music that is taken for true: folders of audio or of .npy embeddings, or .npz statistics
    #[arg(long, value_name = "SET", num_args = 1.., required = true)]
    reference: Vec<PathBuf>,
    /// Music to score: the same kinds of sets
    #[arg(long, value_name = "SET", num_args = 1.., required = true)]
    generated: Vec<PathBuf>,
    /// Models, by commas: pooled-mel, or what the sets' embeddings are called
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Vec<String>,
    /// Clips drawn anew for the 95 % intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = 100)]
    bootstrap: usize,
    /// The results with all that they came from
    #[arg(long, value_name = "FILE.json")]
    output: Option<PathBuf>,
    /// The results as a table
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    hearing: Hearing,
}

/// How audio is heard.
#[derive(Debug, Args)]
struct Hearing {
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

#[derive(Debug, Args)]
struct Fad {
    #[command(flatten)]
    compared: Compared,
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

#[derive(Debug, Args)]
struct Kad {
    #[command(flatten)]
    compared: Compared,
    /// Which, by commas: kad, kid, prdc
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "kad")]
    metrics: Vec<VectorMetric>,
    /// Whose median distance is KAD's bandwidth; generated is what kadtk does
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    bandwidth: Bandwidth,
}

#[derive(Debug, Args)]
struct Embed {
    /// The model: pooled-mel
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
    hearing: Hearing,
}

#[derive(Debug, Args)]
struct Stats {
    /// Audio or embeddings
    #[arg(long, value_name = "SET")]
    input: PathBuf,
    /// An .npz that fadtk reads, or a folder to write fadtk's stats/MODEL/ into
    #[arg(long, value_name = "FILE.npz|DIR")]
    output: PathBuf,
    /// Models, by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = POOLED_MEL)]
    models: Vec<String>,
    /// Do one N-th of the files; `merge` joins the parts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Round embeddings and means to 16 bits, as fadtk stores them
    #[arg(long)]
    fadtk_compat: bool,
    #[command(flatten)]
    hearing: Hearing,
}

#[derive(Debug, Args)]
struct Merge {
    /// What `stats` wrote, of parts of a set
    #[arg(long, value_name = "FILE.npz", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// Statistics of the whole
    #[arg(long, value_name = "FILE.npz|DIR")]
    output: PathBuf,
}

impl Evaluate {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let outcome = match self.what {
            What::Fad(command) => command.run(global, output),
            What::Kad(command) => command.run(global, output),
            What::Embed(command) => command.run(output),
            What::Stats(command) => command.run(output),
            What::Merge(command) => command.run(output),
        };
        match outcome {
            Err(EvaluateError::Interrupted) => {
                tracing::warn!("interrupted; embeddings that were made are in the cache");
                Ok(Outcome::Interrupted)
            }
            other => Ok(other?),
        }
    }
}

impl Compared {
    fn report(
        &self,
        global: &Global,
        output: &Output,
        run: impl FnOnce(&Sets, &mut evaluate::OnProgress) -> Result<Report, EvaluateError>,
    ) -> Result<Report, EvaluateError> {
        let cache = self.hearing.cache();
        let sets = Sets {
            references: &self.reference,
            generated: &self.generated,
            models: &self.models,
            profile: self.hearing.profile(),
            cache: cache.as_deref(),
            bootstrap: Bootstrap {
                replicates: self.bootstrap,
                seed: global.seed.unwrap_or_default(),
                ..Bootstrap::default()
            },
            stop: &stop_flag(),
        };
        let mut progress = output.progress();
        let report = run(&sets, &mut |_, done, of| show(&mut progress, done, of))?;
        progress.finish();
        for row in &report.results {
            output.result(&json!(row), &row.sentence());
        }
        if let Some(path) = &self.output {
            report.write_json(path)?;
        }
        if let Some(path) = &self.csv {
            report.write_csv(path)?;
        }
        Ok(report)
    }

    fn outcome(&self, report: &Report) -> Result<Outcome, EvaluateError> {
        let beside = self.output.as_ref().or(self.csv.as_ref()).and_then(|path| path.parent());
        outcome(beside, &report.skipped())
    }
}

impl Hearing {
    fn profile(&self) -> Profile {
        Profile { clip_seconds: self.clip_seconds, level: self.level }
    }

    fn cache(&self) -> Option<PathBuf> {
        if self.no_cache { None } else { self.cache.clone().or_else(default_cache_folder) }
    }
}

impl Fad {
    fn run(self, global: &Global, output: &Output) -> Result<Outcome, EvaluateError> {
        let infinity = FadInfinity {
            replicates: self.inf_replicates.into(),
            seed: global.seed.unwrap_or_default(),
            ..FadInfinity::default()
        };
        let options = FadOptions {
            infinity: self.inf.then_some(infinity),
            songs: self.per_song.is_some(),
            fadtk_rounding: self.fadtk_compat,
        };
        let report = self.compared.report(global, output, |sets, progress| evaluate::fad(sets, &options, progress))?;
        if let Some(path) = &self.per_song {
            report.write_songs(path)?;
        }
        self.compared.outcome(&report)
    }
}

impl Kad {
    fn run(self, global: &Global, output: &Output) -> Result<Outcome, EvaluateError> {
        let options = KadOptions { metrics: self.metrics, bandwidth: self.bandwidth };
        let report = self.compared.report(global, output, |sets, progress| evaluate::kad(sets, &options, progress))?;
        self.compared.outcome(&report)
    }
}

impl Embed {
    fn run(self, output: &Output) -> Result<Outcome, EvaluateError> {
        let (cache, stop) = (self.hearing.cache(), stop_flag());
        let loader = Loader {
            model: &self.model,
            profile: self.hearing.profile(),
            cache: cache.as_deref(),
            fadtk_rounding: false,
            shard: None,
            stop: &stop,
        };
        let mut progress = output.progress();
        let on_file = |done, of| show(&mut progress, done, of);
        let made = evaluate::embed(&loader, &self.input, &self.output_dir, self.layout, on_file)?;
        progress.finish();
        let clips = counted(made.clips.unwrap_or_default() as u64, "file");
        let sentence = format!("{clips}, {} dimensions: {}", made.dim, self.output_dir.display());
        output.result(&json!({ "output": self.output_dir, "set": made }), &sentence);
        outcome(Some(&self.output_dir), &made.skipped)
    }
}

impl Stats {
    fn run(self, output: &Output) -> Result<Outcome, EvaluateError> {
        let (cache, stop) = (self.hearing.cache(), stop_flag());
        let loaders: Vec<Loader> = self
            .models
            .iter()
            .map(|model| Loader {
                model,
                profile: self.hearing.profile(),
                cache: cache.as_deref(),
                fadtk_rounding: self.fadtk_compat,
                shard: self.shard,
                stop: &stop,
            })
            .collect();
        let mut progress = output.progress();
        let measured = evaluate::stats(&loaders, &self.input, &self.output, |done, of| show(&mut progress, done, of))?;
        progress.finish();
        for set in &measured {
            let clips = counted(set.clips.unwrap_or_default() as u64, "file");
            let vectors = counted(set.vectors.unwrap_or_default() as u64, "vector");
            let place = self.output.display();
            let sentence = format!("{}: {clips}, {vectors} of {} dimensions: {place}", set.model, set.dim);
            output.result(&json!({ "output": self.output, "set": set }), &sentence);
        }
        let skipped = measured.first().map(|set| set.skipped.clone()).unwrap_or_default();
        outcome(self.output.parent(), &skipped)
    }
}

impl Merge {
    fn run(self, output: &Output) -> Result<Outcome, EvaluateError> {
        for merged in evaluate::merge(&self.input, &self.output)? {
            let vectors = counted(merged.vectors as u64, "vector");
            let sentence =
                format!("{}: {vectors} of {} dimensions: {}", merged.model, merged.dim, self.output.display());
            output.result(&json!({ "output": self.output, "merged": merged }), &sentence);
        }
        Ok(Outcome::Done)
    }
}

fn show(progress: &mut Progress, done: usize, of: usize) {
    if done == 0 {
        progress.start("files", of as u64);
    } else {
        progress.at(done as u64, "");
    }
}

fn outcome(beside: Option<&Path>, skipped: &[Skipped]) -> Result<Outcome, EvaluateError> {
    if skipped.is_empty() {
        return Ok(Outcome::Done);
    }
    if let Some(folder) = beside {
        skipped::write(folder, skipped).map_err(|(path, error)| EvaluateError::io(&path)(error))?;
    }
    tracing::warn!("{} left out", counted(skipped.len() as u64, "file"));
    Ok(Outcome::Skipped)
}

fn positive(text: &str) -> Result<f64, String> {
    finite::<f64>(text).ok().filter(|value| *value > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}
