use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;

use super::DatasetError;

/// The end of an Arrow IPC stream: the continuation marker, and a message of no bytes.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The shards of a dataset while they are written: Arrow IPC streams in the job's own folder.
///
/// A stream is a row of self-contained messages, so a shard that is cut back to the end of any message can be continued
/// as if nothing had happened.
pub struct Spool {
    folder: PathBuf,
    /// Encodes into memory; one batch at a time.
    encoder: StreamWriter<Vec<u8>>,
    /// The message with which every shard begins.
    schema_message: Vec<u8>,
    max_bytes: u64,
    shard: usize,
    file: File,
    bytes: u64,
}

impl Spool {
    /// The file of a shard.
    pub fn shard_path(folder: &Path, shard: usize) -> PathBuf {
        folder.join(format!("shard-{shard:05}.arrow"))
    }

    /// Begins at shard 0, or continues shard `shard` where it had `bytes` bytes. What was written after that is dropped.
    pub fn open(
        folder: &Path,
        schema: &SchemaRef,
        max_bytes: u64,
        shard: usize,
        bytes: u64,
    ) -> Result<Self, DatasetError> {
        let mut encoder = StreamWriter::try_new(Vec::new(), schema).map_err(DatasetError::arrow(folder))?;
        let schema_message = std::mem::take(encoder.get_mut());
        let path = Self::shard_path(folder, shard);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(DatasetError::io(&path))?;
        let found = file.metadata().map_err(DatasetError::io(&path))?.len();
        if found < bytes {
            return Err(DatasetError::invalid(
                &path,
                format!("{found} bytes"),
                format!("the {bytes} that were written"),
            ));
        }
        let mut spool = Self { folder: folder.to_path_buf(), encoder, schema_message, max_bytes, shard, file, bytes };
        spool.cut(&path, bytes)?;
        Ok(spool)
    }

    /// The shard that is being written, and its length.
    pub fn position(&self) -> (usize, u64) {
        (self.shard, self.bytes)
    }

    /// Appends a batch, in a new shard where this one would grow over its limit.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), DatasetError> {
        self.encoder.write(batch).map_err(DatasetError::arrow(&self.folder))?;
        let mut message = std::mem::take(self.encoder.get_mut());
        let holds_rows = self.bytes > self.schema_message.len() as u64;
        if holds_rows && self.bytes + (message.len() + END.len()) as u64 > self.max_bytes {
            self.end()?;
            self.shard += 1;
            let path = Self::shard_path(&self.folder, self.shard);
            self.file = File::create(&path).map_err(DatasetError::io(&path))?;
            self.cut(&path, 0)?;
        }
        self.write(&message)?;
        // The next batch finds the memory of this one.
        message.clear();
        *self.encoder.get_mut() = message;
        Ok(())
    }

    /// Makes what was appended durable.
    pub fn sync(&self) -> Result<(), DatasetError> {
        self.file.sync_data().map_err(DatasetError::io(&self.folder))
    }

    /// Ends the last shard; how many there are.
    pub fn finish(mut self) -> Result<usize, DatasetError> {
        self.end()?;
        // A run that was interrupted later than it noted may have begun more shards.
        for extra in self.shard + 1.. {
            let path = Self::shard_path(&self.folder, extra);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                other => other.map_err(DatasetError::io(&path))?,
            }
        }
        Ok(self.shard + 1)
    }

    fn end(&mut self) -> Result<(), DatasetError> {
        self.write(&END)?;
        self.sync()
    }

    fn cut(&mut self, path: &Path, bytes: u64) -> Result<(), DatasetError> {
        self.file.set_len(bytes).map_err(DatasetError::io(path))?;
        self.file.seek(SeekFrom::Start(bytes)).map_err(DatasetError::io(path))?;
        self.bytes = bytes;
        if bytes == 0 {
            let message = std::mem::take(&mut self.schema_message);
            self.write(&message)?;
            self.schema_message = message;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        self.file.write_all(bytes).map_err(DatasetError::io(&self.folder))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
