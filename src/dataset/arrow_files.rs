use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use bytes::Bytes;
use memmap2::Mmap;

use super::DatasetError;
use super::error::guarded;

/// Arrow IPC streams, mapped into memory: the rows stay on disk until they are asked for.
pub struct ArrowFiles {
    /// The first row of each batch, and the batch, which points into the mapping.
    batches: Vec<(usize, RecordBatch)>,
    rows: usize,
}

impl ArrowFiles {
    /// Maps the files and checks the structure of every batch.
    pub fn open(paths: &[PathBuf]) -> Result<Self, DatasetError> {
        let mut files = Self { batches: Vec::new(), rows: 0 };
        for path in paths {
            for batch in guarded(path, || read(path))? {
                let first = files.rows;
                files.rows += batch.num_rows();
                files.batches.push((first, batch));
            }
        }
        Ok(files)
    }

    /// Rows of all files.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The batch that holds a row, and the row's place in it.
    pub fn locate(&self, row: usize) -> (&RecordBatch, usize) {
        let (first, batch) = &self.batches[self.batches.partition_point(|(first, _)| *first <= row) - 1];
        (batch, row - first)
    }

    /// All batches.
    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.batches.iter().map(|(_, batch)| batch)
    }
}

fn read(path: &Path) -> Result<Vec<RecordBatch>, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io(path))?;
    if file.metadata().map_err(DatasetError::io(path))?.len() == 0 {
        return Err(DatasetError::invalid(path, "an empty file", "an Arrow IPC stream"));
    }
    // SAFETY: the mapping is read-only and lives as long as the buffers that point into it. As with every mapped file, it must
    // not be changed by others meanwhile; datasets are replaced by renaming, never written in place.
    let map = unsafe { Mmap::map(&file) }.map_err(DatasetError::io(path))?;
    let mut buffer = Buffer::from(Bytes::from_owner(map));
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.decode(&mut buffer).map_err(DatasetError::arrow(path))? {
        if batch.num_rows() > 0 {
            batches.push(batch);
        }
    }
    decoder.finish().map_err(DatasetError::arrow(path))?;
    if decoder.schema().is_none() {
        return Err(DatasetError::invalid(path, "no schema", "an Arrow IPC stream"));
    }
    Ok(batches)
}
