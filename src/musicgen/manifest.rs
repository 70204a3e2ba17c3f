use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nocturne_models::files::write_atomic;

/// The list of what was made: a line for each file that is whole, which says what made it.
const FILE: &str = "manifest.jsonl";

/// Where it is.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The lines of an earlier run; none where they cannot be read.
pub(super) fn earlier(path: &Path) -> HashSet<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The list while files are made: a line is there as soon as it is added, and all in their order in the end.
pub(super) struct Manifest {
    path: PathBuf,
    /// By the number of their prompt.
    lines: BTreeMap<usize, String>,
    /// Lines are appended to it.
    file: File,
}

impl Manifest {
    /// Begins with the lines that hold still; those of files that are to be made again must not be among them.
    pub fn begin(path: &Path, kept: BTreeMap<usize, String>) -> io::Result<Self> {
        write_atomic(path, text(&kept).as_bytes())?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.to_owned(), lines: kept, file })
    }

    /// Adds a file that is whole.
    pub fn add(&mut self, index: usize, line: String) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.lines.insert(index, line);
        Ok(())
    }

    /// Brings the lines into the order of their prompts.
    pub fn finish(self) -> io::Result<()> {
        write_atomic(&self.path, text(&self.lines).as_bytes())
    }
}

fn text(lines: &BTreeMap<usize, String>) -> String {
    lines.values().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_there_at_once_and_in_order_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path());
        let read = || fs::read_to_string(&path).unwrap();
        assert!(earlier(&path).is_empty());
        let mut manifest = Manifest::begin(&path, [(1, "b".to_owned())].into()).unwrap();
        assert_eq!(read(), "b\n");
        manifest.add(2, "c".to_owned()).unwrap();
        manifest.add(0, "a".to_owned()).unwrap();
        assert_eq!(read(), "b\nc\na\n");
        manifest.finish().unwrap();
        assert_eq!(read(), "a\nb\nc\n");
        assert_eq!(earlier(&path), ["a", "b", "c"].map(str::to_owned).into());
        // A machine that stopped in the middle of a line loses that line.
        fs::write(&path, "a\nb\nhalf of").unwrap();
        assert!(earlier(&path).contains("b"));
    }
}
