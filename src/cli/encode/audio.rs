//! `nocturne encode audio`: recordings through the published audio encoder.

use super::target::Target;
use crate::cli::output::counted;
use crate::cli::{Failure, Global, Outcome, Output};
use crate::dataset::{Dataset, walk};
use crate::encodings::{AudioFileEncoder, EncodeAudioError, Recording, encode_recordings};
use crate::interrupt::stop_flag;
use crate::progress::clock;
use crate::skipped::{self, Skipped};
use clap::Args;
use nocturne_vocoder::audio::READS;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The command's flags.
#[derive(Debug, Args)]
pub struct Audio {
    /// The encoder's folder: config.json and weights
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The folder of recordings
    #[arg(long, value_name = "DIR", required_unless_present = "dataset", conflicts_with = "dataset")]
    input_dir: Option<PathBuf>,
    /// Encode the recordings of this mel dataset: they are read again, for the encoder has a mel of its own
    #[arg(long, alias = "dataset-name", value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// The encodings: a file, or a mel dataset that gets them as its column `encoding`
    #[arg(long, alias = "output-file", value_name = "FILE.safetensors|DATASET")]
    output: PathBuf,
}

impl Audio {
    pub(super) fn run(self, global: &Global, output: &Output) -> Result<Outcome, Failure> {
        let (recordings, unfollowed) = match (&self.input_dir, &self.dataset) {
            (Some(folder), _) => in_folder(folder)?,
            (None, Some(dataset)) => (of_dataset(dataset)?, Vec::new()),
            (None, None) => return Err(Failure::arguments("`--input-dir` and `--dataset` are missing")),
        };
        let target = Target::new(self.output)?;
        let device = global.open_device()?;
        let encoder = AudioFileEncoder::open(&self.model, &device).map_err(Failure::usage)?;
        let stop = stop_flag();
        let mut progress = output.progress();
        progress.start("files", recordings.len() as u64);
        let started = Instant::now();
        let encoded = encode_recordings(&encoder, &recordings, &stop, |done| progress.at(done as u64, ""));
        let seconds = started.elapsed().as_secs_f64();
        progress.finish();
        let interrupted = || {
            tracing::warn!("interrupted; nothing was written");
            Ok(Outcome::Interrupted)
        };
        let mut encoded = match encoded {
            Err(EncodeAudioError::Interrupted) => return interrupted(),
            encoded => encoded.map_err(Failure::failed)?,
        };
        encoded.skipped.extend(unfollowed);
        encoded.skipped.iter().for_each(Skipped::warn);
        if let Target::File(path) = &target {
            let folder = path.parent().unwrap_or(Path::new(""));
            skipped::write(folder, &encoded.skipped).map_err(|(_, error)| Failure::failed(error))?;
        }
        let count = encoded.encodings.len();
        let Some(dim) = encoded.encodings.values().next().map(|encoding| encoding.dim) else {
            let cause = format!("none of {} can be read", counted(encoded.skipped.len() as u64, "recording"));
            return Err(Failure::job(cause));
        };
        if !target.write(encoded.encodings, &stop)? {
            return interrupted();
        }
        let skipped = encoded.skipped.len();
        let object = json!({
            "output": target.path(),
            "recordings": count,
            "skipped": skipped,
            "dim": dim,
            "audio_seconds": encoded.seconds,
            "seconds": seconds,
        });
        let sentence = format!(
            "{} ({} of audio), {dim} wide, in {seconds:.1} s: {}; {skipped} skipped",
            counted(count as u64, "recording"),
            clock(encoded.seconds),
            target.path().display(),
        );
        output.result(&object, &sentence);
        Ok(if skipped > 0 { Outcome::Skipped } else { Outcome::Done })
    }
}

/// Recordings, and what is left out.
type Found = (Vec<Recording>, Vec<Skipped>);

/// The recordings in a folder, named as `prepare` names them; links that are not followed are left out.
fn in_folder(folder: &Path) -> Result<Found, Failure> {
    let listing = walk(folder, &READS, false)?;
    if listing.files.is_empty() {
        let expected = READS.join(", ");
        let cause = format!("{}: no audio files, expected names that end in {expected}", folder.display());
        return Err(Failure::arguments(cause));
    }
    let name = |path: &Path| folder.join(path).to_string_lossy().into_owned();
    let recording = |path: &PathBuf| Recording { path: folder.join(path), audio_file: name(path) };
    let unfollowed = listing.unfollowed.iter().map(|(path, reason)| Skipped::new(name(path), reason));
    Ok((listing.files.iter().map(recording).collect(), unfollowed.collect()))
}

/// The recordings that a dataset was cut from, where it says they are.
fn of_dataset(dataset: &Path) -> Result<Vec<Recording>, Failure> {
    let (names, _) = Dataset::open(dataset)?.audio_files()?;
    Ok(names.into_iter().map(|name| Recording { path: PathBuf::from(&name), audio_file: name }).collect())
}
