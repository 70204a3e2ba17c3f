use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::error::panic_message;
use super::extract::{Extracted, Extractor};
use super::inputs::Inputs;
use super::job::Job;
use super::journal::Progress;
use super::ordered::ordered;
use super::publish::{publish, write_mel_settings};
use super::summary::Summary;
use super::writer::Writer;
use super::{DatasetError, PrepareOptions};
use crate::skipped;
use nocturne_models::files::{remove_if_there, write_atomic};

/// What was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareReport {
    /// Audio files found (by this shard).
    pub files: usize,
    /// Slices written.
    pub slices: u64,
    /// Slices left out because nothing is in them.
    pub silent: u64,
    /// Files left out; each stands with its reason in `skipped.jsonl`.
    pub skipped: u64,
    /// Seconds of audio in the files that were used.
    pub seconds: f64,
    /// Data files written.
    pub shards: usize,
    /// Files that an earlier, interrupted run had done.
    pub resumed_files: usize,
}

/// One file is done; what `prepare` tells while it works.
#[derive(Clone, Copy, Debug)]
pub struct FileDone<'a> {
    /// The file.
    pub audio_file: &'a str,
    /// Files done.
    pub done: usize,
    /// Files in all.
    pub files: usize,
    /// Slices so far.
    pub slices: u64,
    /// Why the file was left out, if it was.
    pub skipped: Option<&'a str>,
}

/// Makes a mel dataset of a folder of recordings, in the form in which Python's `datasets` saves one.
///
/// Files are worked on in parallel and written in the byte order of their paths: the result is the same bytes for any number
/// of threads. Memory holds a few files at a time, not more for more files. A file that cannot be used is left out and named
/// with its reason in `skipped.jsonl`. Silent slices are left out, and keep their number.
///
/// Whenever the job ends early (`cancel` is looked at between files), the same call continues it, and the result is what an
/// uninterrupted run would have made. With other options or changed input that is an error, unless `overwrite` is set.
pub fn prepare(
    options: &PrepareOptions,
    cancel: &AtomicBool,
    mut progress: impl FnMut(&FileDone),
) -> Result<PrepareReport, DatasetError> {
    let content = options.method.content()?;
    let extractor = Extractor::new(&options.method)?;
    let inputs = Inputs::find(options)?;
    let output = &options.output_dir;
    let mut job = Job::open(options, inputs.key(options)?)?;
    let resumed_files = job.at.files;
    if !job.at.complete {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
        let pool = pool.map_err(|error| DatasetError::Option {
            option: "threads",
            found: options.threads.to_string(),
            expected: format!("threads that can be made ({error})"),
        })?;
        let mut writer = Writer::open(&job, content, options.max_shard_bytes)?;
        let remaining = &inputs.files[job.at.files..];
        let work = |index: usize| -> Option<Result<Extracted, String>> {
            if cancel.load(Ordering::Relaxed) {
                return None;
            }
            let (path, name) = &remaining[index];
            // A decoder that panics on a damaged file costs that file, not the job.
            let extract = std::panic::AssertUnwindSafe(|| extractor.extract(path, name));
            Some(std::panic::catch_unwind(extract).unwrap_or_else(|panic| Err(panic_message(panic.as_ref()))))
        };
        let window = pool.current_num_threads() + 2;
        ordered(&pool, remaining.len(), window, work, |index, extracted| {
            let done = resumed_files + index;
            let Some(extracted) = extracted else {
                return Err(DatasetError::Cancelled { done, files: inputs.files.len() });
            };
            let name = &remaining[index].1;
            let skipped = writer.add(&mut job, name, extracted)?;
            let (files, slices) = (inputs.files.len(), writer.slices());
            progress(&FileDone { audio_file: name, done: done + 1, files, slices, skipped: skipped.as_deref() });
            Ok(())
        })?;
        for (name, reason) in &inputs.unfollowed {
            writer.skip(name, reason)?;
        }
        writer.finish(&mut job)?;
    }
    let Progress { slices, silent, skipped, seconds, shard, .. } = job.at;
    let list = output.join(skipped::LIST);
    if skipped == 0 {
        remove_if_there(&list).map_err(DatasetError::io(&list))?;
    } else if let Ok(text) = fs::read(job.skipped_path()) {
        write_atomic(&list, &text).map_err(DatasetError::io(&list))?;
    }
    if slices == 0 && options.shard.is_none() {
        job.remove()?;
        return Err(DatasetError::NoSlices { folder: options.input_dir.clone(), skipped, silent, list });
    }
    let report =
        PrepareReport { files: inputs.files.len(), slices, silent, skipped, seconds, shards: shard + 1, resumed_files };
    write_mel_settings(output, &options.method)?;
    let inputs = job.key.inputs.clone();
    // How the work was divided over runs is no property of the result.
    Summary { options: options.clone(), inputs, report: PrepareReport { resumed_files: 0, ..report.clone() } }
        .write(output)?;
    publish(&job.folder, output, options.format, content, shard + 1, &job.identity())?;
    job.remove()?;
    Ok(report)
}
