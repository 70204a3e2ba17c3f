//! Repositories of the Hugging Face hub by their names: from its cache, or downloaded into it, where Python's libraries find them
//! too.
//!
//! The environment variables of those libraries hold: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` and
//! `HF_HUB_OFFLINE`.

mod cache;
mod client;
mod error;
#[cfg(test)]
mod tests;

pub use cache::{all, cache, find, is_name};
pub use error::HubError;

use cache::{folder_name, home, point, variable};
use client::{Client, Remote};
use nocturne_models::checkpoint;
use std::path::{Path, PathBuf};

/// A file of a repository: the names that it may have, the most wanted first.
pub type Wanted<'a> = &'a [&'a str];

/// The folder with the wanted files: `name` itself where it is a folder, else those of the repository `owner/name` on the hub. What
/// the cache lacks is downloaded; without that, nothing is asked of the network.
///
/// # Errors
///
/// Where there is neither, the hub cannot be reached or does not have a file, or the cache cannot be written.
pub fn resolve(name: &str, wanted: &[Wanted]) -> Result<PathBuf, HubError> {
    Hub::of_environment().resolve(name, wanted)
}

/// Whether a folder has all wanted files, each under one of its names; of weights in shards, which an index names, all of them.
pub fn has_all(folder: &Path, wanted: &[Wanted]) -> bool {
    let whole = |file: &str| {
        let path = folder.join(file);
        let shards = || checkpoint::files(&path).is_ok_and(|files| files.iter().all(|file| file.is_file()));
        path.is_file() && (!file.ends_with(INDEX) || shards())
    };
    wanted.iter().all(|names| names.iter().any(|file| whole(file)))
}

/// How the list of a network's shards ends, which are wanted with it.
const INDEX: &str = ".index.json";

/// Where files come from, and where they go.
struct Hub {
    cache: Option<PathBuf>,
    endpoint: String,
    token: Option<String>,
    offline: bool,
}

impl Hub {
    fn of_environment() -> Self {
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let kept = || {
            let path = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home()?.join("token")));
            std::fs::read_to_string(path?).ok()
        };
        let token = text("HF_TOKEN").or_else(kept).map(|token| token.trim().to_owned());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            cache: cache(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            offline: text("HF_HUB_OFFLINE")
                .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&&*value.to_ascii_uppercase())),
        }
    }

    fn resolve(&self, name: &str, wanted: &[Wanted]) -> Result<PathBuf, HubError> {
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(path.to_owned());
        }
        let Some(cache) = self.cache.as_deref().filter(|_| is_name(name)) else {
            return Err(HubError::NotFound { name: name.to_owned(), cache: self.cache.clone() });
        };
        if let Some(folder) = find(cache, name).filter(|folder| has_all(folder, wanted)) {
            return Ok(folder);
        }
        if self.offline {
            return Err(HubError::Offline {
                name: name.to_owned(),
                cache: cache.to_owned(),
                files: last_names(wanted),
            });
        }
        self.download(cache, name, wanted)
    }

    fn download(&self, cache: &Path, name: &str, wanted: &[Wanted]) -> Result<PathBuf, HubError> {
        let client = Client::new(&self.endpoint, self.token.as_deref(), name);
        let unreachable = |error| match error {
            HubError::Unreachable { endpoint, reason, .. } => {
                HubError::Unreachable { endpoint, name: name.to_owned(), files: last_names(wanted), reason }
            }
            error => error,
        };
        let mut files: Vec<(String, Remote)> = Vec::new();
        for names in wanted {
            // All of one commit, whatever happens to `main` meanwhile.
            let revision = files.first().map_or("main", |(_, first)| &*first.commit).to_owned();
            let mut found = None;
            for file in *names {
                found = client.look(&revision, file).map_err(unreachable)?.map(|remote| ((*file).to_owned(), remote));
                if found.is_some() {
                    break;
                }
            }
            files.push(found.ok_or_else(|| client.missing(names))?);
        }
        let Some(commit) = files.first().map(|(_, first)| first.commit.clone()) else {
            return Err(HubError::NotFound { name: name.to_owned(), cache: Some(cache.to_owned()) });
        };
        let repository = cache.join(folder_name(name));
        let snapshot = repository.join("snapshots").join(&commit);
        client.bring(cache, &repository, &files).map_err(unreachable)?;
        let mut shards = Vec::new();
        for (file, _) in files.iter().filter(|(file, _)| file.ends_with(INDEX)) {
            let listed = checkpoint::files(&snapshot.join(file)).map_err(|error| HubError::Index(Box::new(error)))?;
            for shard in listed.iter().skip(1).filter_map(|path| path.file_name()?.to_str()) {
                let remote = client.look(&commit, shard).map_err(unreachable)?;
                shards.push((shard.to_owned(), remote.ok_or_else(|| client.missing(&[shard]))?));
            }
        }
        client.bring(cache, &repository, &shards).map_err(unreachable)?;
        point(&repository, &commit).map_err(|source| HubError::Cache { path: repository, source })?;
        Ok(snapshot)
    }
}

/// What to fetch by hand.
fn last_names(wanted: &[Wanted]) -> String {
    wanted.iter().filter_map(|names| names.last().copied()).collect::<Vec<_>>().join(" ")
}
