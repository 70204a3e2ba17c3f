//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path};
use std::time::{Duration, UNIX_EPOCH};

/// Writes `bytes` to `path` as [`write_atomically`] does.
///
/// # Errors
///
/// Whatever the file system says.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, |out| out.write_all(bytes))
}

/// Writes `path` through `write`: into a temporary file of the same folder, which is synced and then renamed, so that a
/// reader sees the old file or the new one, whole, also after a power failure. The folder must exist.
///
/// # Errors
///
/// Whatever the file system or `write` says; `path` is then untouched and no temporary file is left.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".writing-");
    // The default is to be readable by the owner alone; a result is shared as the umask says.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = temporary.tempfile_in(folder)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)?;
    Ok(())
}

/// Makes the names in a folder durable. Systems that cannot open folders do not need it.
///
/// # Errors
///
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Gives the file `from` a second name, or copies it where `to` is on another file system.
///
/// # Errors
///
/// Whatever the file system says.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut source = File::open(from)?;
    write_atomically(to, |file| io::copy(&mut source, file).map(drop))
}

/// Removes a file that need not be there.
///
/// # Errors
///
/// Whatever the file system says, except that the file is not there.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What changes with a file: its size, and when it was written, counted from 1970; 0 where the system does not know.
///
/// # Errors
///
/// If it cannot be looked at.
pub fn stamp(path: &Path) -> io::Result<(u64, Duration)> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), modified.unwrap_or_default()))
}

/// Whether a name from elsewhere leads to a file of the folder that it is joined to, on every system.
pub fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    // A backslash separates folders on Windows.
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains(['\\', '\0'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_names_of_files_are_plain() {
        assert!(is_plain_file_name("model-00001-of-00002.safetensors"));
        for name in ["", ".", "..", "../a", "/etc/passwd", "a/b", "a/", "./a", "a\\b", "..\\a", "a\0"] {
            assert!(!is_plain_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_atomic(&path, b"old").unwrap();
        let failed: io::Result<()> = write_atomically(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_link_has_the_same_bytes_and_never_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, b"samples").unwrap();
        link_or_copy(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"samples");
        remove_if_there(&to).unwrap();
        remove_if_there(&to).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn results_are_readable_as_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (plain, atomic) = (folder.path().join("plain"), folder.path().join("atomic"));
        fs::write(&plain, b"").unwrap();
        write_atomic(&atomic, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&plain), mode(&atomic));
    }
}
