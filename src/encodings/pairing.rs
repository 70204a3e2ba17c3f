use super::{Encoding, Encodings, EncodingsError};

/// Recordings that have no encoding.
#[derive(Debug, thiserror::Error)]
#[error("{missing} of {recordings} recordings have no encoding; the first: {first}")]
pub struct PairingError {
    /// How many recordings lack one.
    pub missing: usize,
    /// How many recordings there are.
    pub recordings: usize,
    /// What is the matter with the first of them.
    pub first: Box<EncodingsError>,
}

impl Encodings {
    /// The encoding of every one of `names`, as [`Encodings::lookup`] finds it.
    ///
    /// # Errors
    ///
    /// If any has none.
    pub fn of_all(&self, names: &[String]) -> Result<Vec<&Encoding>, PairingError> {
        let (mut found, mut missing) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            match self.lookup(name) {
                Ok(encoding) => found.push(encoding),
                Err(error) => missing.push(error),
            }
        }
        let (recordings, count) = (names.len(), missing.len());
        match missing.into_iter().next() {
            None => Ok(found),
            Some(first) => Err(PairingError { missing: count, recordings, first: Box::new(first) }),
        }
    }
}
