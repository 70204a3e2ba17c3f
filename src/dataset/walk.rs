use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::DatasetError;

/// The files of a folder.
pub struct Listing {
    /// Paths below the folder, in byte order; each file once, however many links lead to it.
    pub files: Vec<PathBuf>,
    /// Links that were not followed, in byte order, each with the reason.
    pub unfollowed: Vec<(PathBuf, &'static str)>,
}

/// Lists the files under `root` that have one of `extensions` (in any case), in all subfolders, or with `flat` in `root`
/// alone.
///
/// Links are followed where they stay inside `root`, never out of it. Hidden files and folders (names with a leading dot)
/// are passed over.
pub fn walk(root: &Path, extensions: &[&str], flat: bool) -> Result<Listing, DatasetError> {
    let inside = fs::canonicalize(root).map_err(DatasetError::io(root))?;
    let mut walk =
        Walk { inside, extensions, files: Vec::new(), seen: HashSet::new(), folders: Vec::new(), links: Vec::new() };
    walk.seen.insert(walk.inside.clone());
    walk.folders.push((PathBuf::new(), walk.inside.clone()));
    let mut unfollowed = Vec::new();
    loop {
        while let Some((name, real)) = walk.folders.pop() {
            walk.list(&name, &real, flat)?;
        }
        // Links come last, so that a file which is also there under its own name is listed under that name.
        walk.links.sort_by(|a, b| b.0.as_os_str().as_encoded_bytes().cmp(a.0.as_os_str().as_encoded_bytes()));
        let Some((name, link)) = walk.links.pop() else { break };
        if let Err(reason) = walk.follow(&name, &link, flat) {
            unfollowed.push((name, reason));
        }
    }
    let mut files = walk.files;
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    unfollowed.sort();
    Ok(Listing { files, unfollowed })
}

struct Walk<'a> {
    inside: PathBuf,
    extensions: &'a [&'a str],
    files: Vec<PathBuf>,
    /// Canonical paths of the files and folders met so far.
    seen: HashSet<PathBuf>,
    /// Names below the root, and canonical paths.
    folders: Vec<(PathBuf, PathBuf)>,
    links: Vec<(PathBuf, PathBuf)>,
}

impl Walk<'_> {
    fn list(&mut self, name: &Path, real: &Path, flat: bool) -> Result<(), DatasetError> {
        for entry in fs::read_dir(real).map_err(DatasetError::io(real))? {
            let entry = entry.map_err(DatasetError::io(real))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let (name, real) = (name.join(entry.file_name()), entry.path());
            let kind = entry.file_type().map_err(DatasetError::io(&real))?;
            if kind.is_symlink() {
                self.links.push((name, real));
            } else if kind.is_dir() && !flat {
                if self.seen.insert(real.clone()) {
                    self.folders.push((name, real));
                }
            } else if kind.is_file() && self.wanted(&name) && self.seen.insert(real) {
                self.files.push(name);
            }
        }
        Ok(())
    }

    fn follow(&mut self, name: &Path, link: &Path, flat: bool) -> Result<(), &'static str> {
        let Ok(real) = fs::canonicalize(link) else {
            return if self.wanted(name) { Err("a link to nothing") } else { Ok(()) };
        };
        let folder = real.is_dir();
        if folder && flat || !folder && !self.wanted(name) {
            return Ok(());
        }
        if !real.starts_with(&self.inside) {
            return Err("a link out of the folder");
        }
        if folder && self.seen.insert(real.clone()) {
            self.folders.push((name.to_path_buf(), real));
        } else if real.is_file() && self.seen.insert(real) {
            self.files.push(name.to_path_buf());
        }
        Ok(())
    }

    fn wanted(&self, name: &Path) -> bool {
        name.extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| self.extensions.iter().any(|wanted| wanted.eq_ignore_ascii_case(extension)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nocturne_vocoder::audio::READS;

    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), b"").unwrap();
        }
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn sorted_recursive_and_flat() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["b.WAV", "a/z.mp3", "a/.hidden.mp3", ".trash/x.wav", "a.flac", "notes.txt", "a b/c.opus"]);
        let all = walk(root.path(), &READS, false).unwrap();
        assert_eq!(names(&all), ["a b/c.opus", "a.flac", "a/z.mp3", "b.WAV"]);
        let flat = walk(root.path(), &READS, true).unwrap();
        assert_eq!(names(&flat), ["a.flac", "b.WAV"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside_and_loops_end() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        touch(outside.path(), &["secret.wav", "more/secret.wav"]);
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["real/one.wav", "real/deep/two.wav", ".kept/three.wav"]);
        symlink(root.path(), root.path().join("real/loop")).unwrap();
        symlink(root.path().join("real/one.wav"), root.path().join("again.wav")).unwrap();
        symlink(root.path().join(".kept"), root.path().join("linked")).unwrap();
        symlink(outside.path().join("secret.wav"), root.path().join("out.wav")).unwrap();
        symlink(outside.path().join("more"), root.path().join("out")).unwrap();
        symlink("nowhere.wav", root.path().join("gone.wav")).unwrap();
        let listing = walk(root.path(), &READS, false).unwrap();
        assert_eq!(names(&listing), ["linked/three.wav", "real/deep/two.wav", "real/one.wav"]);
        let unfollowed: Vec<_> = listing.unfollowed.iter().map(|(name, why)| (name.to_str().unwrap(), *why)).collect();
        assert_eq!(
            unfollowed,
            [
                ("gone.wav", "a link to nothing"),
                ("out", "a link out of the folder"),
                ("out.wav", "a link out of the folder")
            ]
        );
        let flat = walk(root.path(), &READS, true).unwrap();
        assert_eq!(names(&flat), ["again.wav"]);
    }
}
