//! Hashes, by which results name what they were made from.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// A file that cannot be read.
#[derive(Debug, Error)]
#[error("cannot read `{}`: {source}", path.display())]
pub struct HashError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// SHA-256 of the files' bytes, one after the other.
pub fn of_files(files: &[PathBuf]) -> Result<String, HashError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for path in files {
        let fault = |source| HashError { path: path.clone(), source };
        let mut file = File::open(path).map_err(fault)?;
        loop {
            match file.read(&mut buffer).map_err(fault)? {
                0 => break,
                count => digest.update(&buffer[..count]),
            }
        }
    }
    Ok(hex(digest))
}

/// SHA-256 of some bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// A digest as it is written.
pub fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_hash_as_their_bytes_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        std::fs::write(&a, "ab").unwrap();
        std::fs::write(&b, "c").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_files(&[a.clone(), b]).unwrap(), expected);
        assert!(of_files(&[a, folder.path().join("c")]).unwrap_err().to_string().contains("/c`"));
    }
}
