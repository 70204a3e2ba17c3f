//! Folders by their names on the Hugging Face hub, found in its cache. Nothing is downloaded.

use std::fs;
use std::path::{Path, PathBuf};

/// What a repository's folder in the cache begins with.
const PREFIX: &str = "models--";

/// The cache of the machine, where Hugging Face's libraries look for it; none where no home is known.
pub fn cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME").or_else(|| variable("USERPROFILE"))?.join(".cache/huggingface/hub")))
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
    snapshot(&cache.join(format!("{PREFIX}{}", name.replacen('/', "--", 1))))
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
    let plain = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let folder = plain.then(|| repository.join("snapshots").join(commit))?;
    folder.is_dir().then_some(folder)
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
