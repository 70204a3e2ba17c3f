//! The cache of Hugging Face's libraries: `blobs/` by their hashes, `snapshots/` of links to them, `refs/` to snapshots.

use nocturne_models::files::{remove_if_there, write_atomic};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a repository's folder in the cache begins with.
const PREFIX: &str = "models--";

/// The cache of the machine, where Hugging Face's libraries look for it; none where no home is known.
pub fn cache() -> Option<PathBuf> {
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .map(PathBuf::from)
        .or_else(|| Some(home()?.join("hub")))
}

/// The folder of Hugging Face's libraries: cache and token.
pub(super) fn home() -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    path("HF_HOME")
        .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
        .or_else(|| Some(path("HOME").or_else(|| path("USERPROFILE"))?.join(".cache/huggingface")))
}

/// An environment variable that says something.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether this can be the name of a repository: `owner/name`.
pub fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && !part.contains("--") && !part.starts_with('.') && part.bytes().all(known)
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// The files of a repository's `main` in a cache.
pub fn find(cache: &Path, name: &str) -> Option<PathBuf> {
    snapshot(&cache.join(folder_name(name)))
}

/// A repository's folder in a cache.
pub(super) fn folder_name(name: &str) -> String {
    format!("{PREFIX}{}", name.replacen('/', "--", 1))
}

/// The names of all repositories in a cache, with the files of their `main`.
pub fn all(cache: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let folder = entry.file_name();
            let name = folder.to_str()?.strip_prefix(PREFIX)?.replacen("--", "/", 1);
            Some((name, snapshot(&entry.path())?))
        })
        .collect();
    found.sort();
    found
}

/// What `refs/main` of a repository points to.
fn snapshot(repository: &Path) -> Option<PathBuf> {
    let commit = fs::read_to_string(repository.join("refs/main")).ok()?;
    let commit = commit.trim();
    let folder = is_hash(commit).then(|| repository.join("snapshots").join(commit))?;
    folder.is_dir().then_some(folder)
}

/// Whether this can be a commit, or the name of a blob.
pub(super) fn is_hash(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Gives the file of a snapshot its name: a relative link to the blob, or a copy where there are no links.
///
/// # Errors
///
/// Whatever the file system says.
pub(super) fn link(repository: &Path, commit: &str, file: &str, etag: &str) -> io::Result<()> {
    let path = repository.join("snapshots").join(commit).join(file);
    if path.is_file() {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(repository))?;
    remove_if_there(&path)?;
    #[cfg(unix)]
    {
        let up = "../".repeat(2 + file.matches('/').count());
        std::os::unix::fs::symlink(format!("{up}blobs/{etag}"), &path)
    }
    #[cfg(not(unix))]
    nocturne_models::files::link_or_copy(&repository.join("blobs").join(etag), &path)
}

/// Points `main` of a repository to a commit.
///
/// # Errors
///
/// Whatever the file system says.
pub(super) fn point(repository: &Path, commit: &str) -> io::Result<()> {
    fs::create_dir_all(repository.join("refs"))?;
    write_atomic(&repository.join("refs/main"), commit.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_an_owner_and_a_name() {
        assert!(is_name("nvidia/bigvgan_v2_22khz_80band_256x"));
        for wrong in ["", "bigvgan", "a/b/c", "/b", "a/", "../b", "./a", "a/..", "a--b/c", "a b/c"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn finds_what_main_points_to() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--nvidia--x--y");
        fs::create_dir_all(repository.join("snapshots/abc123")).unwrap();
        fs::create_dir_all(repository.join("snapshots/fff")).unwrap();
        assert_eq!(all(cache.path()), []);
        fs::create_dir(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), "abc123\n").unwrap();
        let folder = repository.join("snapshots/abc123");
        assert_eq!(all(cache.path()), [("nvidia/x--y".to_owned(), folder.clone())]);
        assert_eq!(find(cache.path(), "nvidia/x--y"), Some(folder));
        for gone in ["../../etc", "eee", ""] {
            fs::write(repository.join("refs/main"), gone).unwrap();
            assert_eq!(find(cache.path(), "nvidia/x--y"), None);
        }
        assert_eq!(find(cache.path(), "nvidia/z"), None);
    }
}
