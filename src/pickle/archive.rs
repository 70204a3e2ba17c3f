//! The form that `torch.save` has had since PyTorch 1.6: a zip archive of a pickle and of the storages that it names.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek};

use zip::{CompressionMethod, ZipArchive};

use super::Fault;

/// The numbers of the storages by their keys.
pub type Storages = HashMap<String, Vec<u8>>;

/// Bytes of a pickle whose tensors stand beside it.
const LONGEST: u64 = 1 << 28;

/// Whether these are the bytes of a zip archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
}

/// The pickle alone, of an archive that may be larger than memory.
pub fn program(archive: impl Read + Seek) -> Result<Vec<u8>, Fault> {
    let broken = |error: &dyn std::error::Error| Fault::new(error.to_string(), "an archive of torch.save");
    let mut archive = ZipArchive::new(archive).map_err(|error| broken(&error))?;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| broken(&error))?;
        let name = file.name().map_err(|error| broken(&error))?.into_owned();
        if name.split_once('/').is_none_or(|(_, part)| part != "data.pkl") {
            continue;
        }
        let mut content = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut content).map_err(|error| broken(&error))?;
        if content.len() as u64 > LONGEST {
            return Err(Fault::new(
                format!("a pickle of more than {LONGEST} bytes"),
                "one that only names its tensors",
            ));
        }
        return Ok(content);
    }
    Err(Fault::new("an archive without data.pkl", "an archive of torch.save"))
}

/// The pickle and the storages of an archive, which are stored without compression.
pub fn open(bytes: &[u8]) -> Result<(Vec<u8>, Storages), Fault> {
    let broken = |error: &dyn std::error::Error| Fault::new(error.to_string(), "an archive of torch.save");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let (mut pickle, mut storages, mut left) = (None, Storages::new(), bytes.len() as u64);
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| broken(&error))?;
        let name = file.name().map_err(|error| broken(&error))?.into_owned();
        // Below a folder that has the file's name.
        let part = name.split_once('/').map_or("", |(_, part)| part);
        if part != "data.pkl" && part != "byteorder" && !part.starts_with("data/") {
            continue;
        }
        left = left.checked_sub(file.size()).filter(|_| file.compression() == CompressionMethod::Stored).ok_or_else(
            || Fault::new(format!("{name:?}, compressed or longer than the archive"), "what torch.save stores"),
        )?;
        let mut content = Vec::new();
        file.take(bytes.len() as u64).read_to_end(&mut content).map_err(|error| broken(&error))?;
        match part.strip_prefix("data/") {
            Some(key) => drop(storages.insert(key.to_owned(), content)),
            None if part == "data.pkl" => pickle = Some(content),
            None if content != b"little" => {
                return Err(Fault::new("numbers that are not little-endian", "little-endian ones"));
            }
            None => {}
        }
    }
    let pickle = pickle.ok_or_else(|| Fault::new("an archive without data.pkl", "an archive of torch.save"))?;
    Ok((pickle, storages))
}
