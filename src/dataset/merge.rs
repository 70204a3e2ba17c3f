use std::fs;
use std::path::{Path, PathBuf};

use super::job::WORK_FOLDER;
use super::options::Shard;
use super::publish::{data_file, data_folder, hash, holds_dataset, seal, stage_and_move, write_mel_settings};
use super::summary::Summary;
use super::{DatasetError, PrepareOptions, PrepareReport};
use crate::skipped;
use nocturne_models::files::{link_or_copy, remove_if_there, write_atomic};

/// Joins the datasets of `--shard 1/N` to `--shard N/N`, given in any order, to one dataset.
///
/// Data files get a second name (a hard link); they are copied only where `output` is on another file system. The shards stay
/// as they are.
pub fn merge(shards: &[PathBuf], output: &Path, overwrite: bool) -> Result<PrepareReport, DatasetError> {
    let parts = parts(shards)?;
    if !overwrite && holds_dataset(output) {
        return Err(DatasetError::Exists { path: output.to_path_buf() });
    }
    let PrepareOptions { format, ref method, .. } = parts[0].1.options;
    let content = method.content()?;
    let mut files = Vec::new();
    let mut skipped = Vec::new();
    for (path, summary) in &parts {
        let count = summary.report.shards;
        let folder = path.join(data_folder(format));
        files.extend((0..count).map(|index| folder.join(data_file(format, index, count))));
        if summary.report.skipped > 0 {
            let list = path.join(skipped::LIST);
            skipped.extend(fs::read(&list).map_err(DatasetError::io(&list))?);
        }
    }
    let work = output.join(WORK_FOLDER);
    let stage = work.join(data_folder(format));
    if work.exists() {
        fs::remove_dir_all(&work).map_err(DatasetError::io(&work))?;
    }
    fs::create_dir_all(&stage).map_err(DatasetError::io(&stage))?;
    for (index, file) in files.iter().enumerate() {
        link_or_copy(file, &stage.join(data_file(format, index, files.len()))).map_err(DatasetError::io(file))?;
    }
    let merged = join(&parts, files.len());
    let list = output.join(skipped::LIST);
    let listed = if skipped.is_empty() { remove_if_there(&list) } else { write_atomic(&list, &skipped) };
    listed.map_err(DatasetError::io(&list))?;
    write_mel_settings(output, method)?;
    merged.write(output)?;
    stage_and_move(&stage, output, format, content, files.len(), &merged.inputs)?;
    seal(output, format)?;
    fs::remove_dir_all(&work).map_err(DatasetError::io(&work))?;
    Ok(merged.report)
}

/// The summaries in the order of the shards, all of the same job and none missing.
fn parts(shards: &[PathBuf]) -> Result<Vec<(&PathBuf, Summary)>, DatasetError> {
    let mut parts = Vec::new();
    for path in shards {
        let summary = Summary::read(path)?;
        let sharded = summary.and_then(|summary| Some((summary.options.shard?, summary)));
        let Some((shard, summary)) = sharded else {
            return Err(DatasetError::invalid(path, "no shard", "a dataset made with --shard"));
        };
        parts.push((shard, path, summary));
    }
    parts.sort_by_key(|(shard, ..)| shard.index);
    let Some((Shard { count, .. }, _, first)) = parts.first() else {
        return Err(DatasetError::Option { option: "shards", found: "none".into(), expected: "one or more".into() });
    };
    let whole = PrepareOptions { shard: None, ..first.options.clone() };
    for (shard, path, summary) in &parts {
        if (PrepareOptions { shard: None, ..summary.options.clone() }) != whole || shard.count != *count {
            return Err(DatasetError::invalid(path, "other options", format!("those of {}", parts[0].1.display())));
        }
    }
    let found: Vec<_> = parts.iter().map(|(shard, ..)| shard.index).collect();
    if !found.iter().copied().eq(1..=*count) {
        let found = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(DatasetError::Option {
            option: "shards",
            found: format!("{found} of {count}"),
            expected: format!("each of 1 to {count} once"),
        });
    }
    Ok(parts.into_iter().map(|(_, path, summary)| (path, summary)).collect())
}

fn join(parts: &[(&PathBuf, Summary)], shards: usize) -> Summary {
    let reports = || parts.iter().map(|(_, summary)| &summary.report);
    Summary {
        options: PrepareOptions { shard: None, ..parts[0].1.options.clone() },
        inputs: hash(parts.iter().map(|(_, summary)| summary.inputs.as_bytes())),
        report: PrepareReport {
            files: reports().map(|report| report.files).sum(),
            slices: reports().map(|report| report.slices).sum(),
            silent: reports().map(|report| report.silent).sum(),
            skipped: reports().map(|report| report.skipped).sum(),
            seconds: reports().map(|report| report.seconds).sum(),
            shards,
            resumed_files: 0,
        },
    }
}
