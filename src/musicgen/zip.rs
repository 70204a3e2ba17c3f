//! All files of a job in one, as challenges take submissions.

use std::fs::File;
use std::io;
use std::path::Path;

use nocturne_models::files::write_atomically;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// Writes files of a folder, by their names and in their order. Audio is not compressed further; the same files give the same bytes,
/// whenever they were made.
pub(super) fn write(path: &Path, folder: &Path, names: &[&str]) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    write_atomically(path, |out| {
        let mut archive = ZipWriter::new(out);
        for name in names {
            archive.start_file(*name, options).map_err(io::Error::other)?;
            io::copy(&mut File::open(folder.join(name))?, &mut archive)?;
        }
        archive.finish().map_err(io::Error::other)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::io::Read;

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn files_are_in_it_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (path, names) = (folder.path().join("all.zip"), ["b.mp3", "a é.wav"]);
        for name in names {
            fs::write(folder.path().join(name), name.repeat(1000)).unwrap();
        }
        write(&path, folder.path(), &names).unwrap();
        let first = fs::read(&path).unwrap();
        let mut archive = ZipArchive::new(File::open(&path).unwrap()).unwrap();
        for (index, name) in names.into_iter().enumerate() {
            let mut entry = archive.by_index(index).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!((entry.name().unwrap().as_ref(), text), (name, name.repeat(1000)));
        }
        write(&path, folder.path(), &names).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert!(write(&path, folder.path(), &["absent.wav"]).is_err());
        assert_eq!(fs::read(&path).unwrap(), first);
    }
}
