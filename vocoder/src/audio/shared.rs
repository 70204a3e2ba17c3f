//! A source that can be read anew after a reader has taken it.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symphonia::core::io::MediaSource;

/// A source, and its position, in several hands.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Box<dyn MediaSource>>>);

impl Shared {
    pub fn new(source: Box<dyn MediaSource>) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }

    fn source(&self) -> MutexGuard<'_, Box<dyn MediaSource>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.source().read(bytes)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source().seek(to)
    }
}

impl MediaSource for Shared {
    fn is_seekable(&self) -> bool {
        self.source().is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.source().byte_len()
    }
}
