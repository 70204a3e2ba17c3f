use std::path::{Path, PathBuf};
use std::sync::Arc;

use nocturne_models::files::stamp;
use nocturne_vocoder::audio::READS;

use super::journal::JobKey;
use super::publish::hash;
use super::walk::walk;
use super::{DatasetError, PrepareOptions};

/// The files of a job: where they are, and what they are called in the dataset.
pub struct Inputs {
    /// Path and name.
    pub files: Vec<(PathBuf, Arc<str>)>,
    /// Links that are not followed, and why.
    pub unfollowed: Vec<(String, &'static str)>,
}

impl Inputs {
    /// Lists the files that the options ask for.
    pub fn find(options: &PrepareOptions) -> Result<Self, DatasetError> {
        let folder = &options.input_dir;
        let listing = walk(folder, &READS, options.flat)?;
        if listing.files.is_empty() && listing.unfollowed.is_empty() {
            return Err(DatasetError::NoAudio { folder: folder.clone(), expected: READS.join(", ") });
        }
        let range = options.shard.map_or(0..listing.files.len(), |shard| shard.range(listing.files.len()));
        let name = |path: &Path| folder.join(path).to_string_lossy().into_owned();
        let files = listing.files[range].iter().map(|path| (folder.join(path), name(path).into())).collect();
        // The first shard speaks for the links, so that they are named once.
        let speaks = options.shard.is_none_or(|shard| shard.index == 1);
        let unfollowed = listing.unfollowed.iter().filter(|_| speaks).map(|(path, why)| (name(path), *why)).collect();
        Ok(Self { files, unfollowed })
    }

    /// What tells this job from others.
    pub fn key(&self, options: &PrepareOptions) -> Result<JobKey, DatasetError> {
        let mut parts = Vec::new();
        for (path, name) in &self.files {
            let (bytes, modified) = stamp(path).map_err(DatasetError::io(path))?;
            parts.push(name.as_bytes().to_vec());
            parts.push(bytes.to_le_bytes().to_vec());
            parts.push(modified.as_nanos().to_le_bytes().to_vec());
        }
        let options_json = serde_json::to_value(options);
        let options = options_json.map_err(|error| DatasetError::io(&options.input_dir)(error.into()))?;
        Ok(JobKey { options, inputs: hash(parts.iter().map(Vec::as_slice)) })
    }
}
