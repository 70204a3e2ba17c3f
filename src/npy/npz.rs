//! `.npz`: a zip of `.npy` files.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use nocturne_models::files::write_atomically;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Array, NpyError, floats_of};

/// Bytes that one array may unpack to: a covariance of 11,000 dimensions. A zip can claim anything.
const MOST_BYTES: u64 = 1 << 30;

/// An open `.npz` file.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Reads the file's table of contents.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let file = File::open(path).map_err(|source| NpyError::Io { path: path.to_owned(), source })?;
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|error| NpyError::Zip { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { path: path.to_owned(), archive })
    }

    /// The arrays' names, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok());
        let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".npy")?.to_owned())).collect();
        names.sort();
        names
    }

    /// Reads one array of floats.
    pub fn floats(&mut self, name: &str) -> Result<Array<f64>, NpyError> {
        let fault = |reason: String| NpyError::Zip { path: self.path.clone(), reason: format!("{name}: {reason}") };
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|error| fault(error.to_string()))?;
        let mut bytes = Vec::new();
        entry.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| fault(error.to_string()))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(fault(format!("more than {MOST_BYTES} bytes")));
        }
        floats_of(&bytes, &self.path.join(name))
    }
}

/// Writes arrays, each as [`super::encode`] made it, uncompressed as `numpy.savez` does; to a temporary name first.
pub fn write_npz(path: &Path, arrays: &[(String, Vec<u8>)]) -> Result<(), NpyError> {
    write_atomically(path, |file| {
        // The archive goes back to fill in lengths; a buffer would not follow.
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut archive = ZipWriter::new(&mut bytes);
        for (name, array) in arrays {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            archive.start_file(format!("{name}.npy"), options).map_err(std::io::Error::other)?;
            archive.write_all(array)?;
        }
        archive.finish().map_err(std::io::Error::other)?;
        file.write_all(bytes.get_ref())
    })
    .map_err(|source| NpyError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::encode;
    use super::*;

    /// Written by `scripts/reference/npz.py`: `numpy.savez` and `numpy.savez_compressed` of the same two arrays.
    #[test]
    fn reads_what_numpy_wrote() {
        for name in ["stored.npz", "compressed.npz"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy").join(name);
            let mut file = Npz::open(&path).unwrap();
            assert_eq!(file.names(), ["vggish.cov", "vggish.mu"]);
            assert_eq!(file.floats("vggish.mu").unwrap(), Array { shape: vec![2], values: vec![0.5, -0.25] });
            let covariance = file.floats("vggish.cov").unwrap();
            assert_eq!((covariance.shape, covariance.values), (vec![2, 2], vec![2.0, 1.0, 1.0, 3.0]));
            let error = file.floats("vggish.n").unwrap_err().to_string();
            assert!(error.contains("vggish.n") && error.contains(name), "{error}");
        }
    }

    #[test]
    fn arrays_return_as_they_went_and_twice_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let arrays = [("b".to_owned(), encode(&[2], &[1.0_f64, 2.0])), ("a".to_owned(), encode(&[], &[7_i64]))];
        write_npz(&path, &arrays).unwrap();
        let first = std::fs::read(&path).unwrap();
        write_npz(&path, &arrays).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        let mut file = Npz::open(&path).unwrap();
        assert_eq!(file.names(), ["a", "b"]);
        assert_eq!(file.floats("a").unwrap().values, [7.0]);
        assert_eq!(file.floats("b").unwrap().values, [1.0, 2.0]);
        for length in 0..first.len() {
            std::fs::write(&path, &first[..length]).unwrap();
            assert!(Npz::open(&path).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let good = include_bytes!("../../tests/fixtures/npy/compressed.npz");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        for round in 0..400 {
            let mut random = nocturne_models::random::Random::new(4, "npz damage", round);
            let mut bytes = good.to_vec();
            for _ in 0..=random.below(4) {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] = random.next_u32() as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(mut file) = Npz::open(&path) {
                for name in file.names() {
                    let _ = file.floats(&name);
                }
            }
        }
    }
}
