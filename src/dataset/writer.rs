use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use arrow_schema::SchemaRef;

use super::DatasetError;
use super::extract::Extracted;
use super::features::Content;
use super::job::Job;
use super::journal::Progress;
use super::rows::{Row, record_batch};
use super::spool::Spool;
use crate::skipped::Skipped;

/// A batch is written when it has this many rows, or this many bytes. It is in memory three times meanwhile: as rows, as
/// columns, and as a message.
const BATCH_ROWS: usize = 16;
const BATCH_BYTES: usize = 16 << 20;

/// Gathers the rows of file after file into batches, and notes in the journal where a later run could go on.
///
/// Where a batch ends depends on the rows since the last point noted, and on nothing else: a continued job makes the same
/// batches as an uninterrupted one.
pub struct Writer {
    schema: SchemaRef,
    spool: Spool,
    skipped: File,
    skipped_path: PathBuf,
    pending: Vec<Row>,
    pending_bytes: usize,
    now: Progress,
}

impl Writer {
    /// Goes on where the job is.
    pub fn open(job: &Job, content: Content, max_shard_bytes: u64) -> Result<Self, DatasetError> {
        let schema = content.schema();
        let spool = Spool::open(&job.folder, &schema, max_shard_bytes, job.at.shard, job.at.shard_bytes)?;
        let skipped_path = job.skipped_path();
        let skipped =
            OpenOptions::new().create(true).truncate(false).write(true).open(&skipped_path).and_then(|mut file| {
                file.set_len(job.at.skipped_bytes)?;
                file.seek(SeekFrom::End(0))?;
                Ok(file)
            });
        let skipped = skipped.map_err(DatasetError::io(&skipped_path))?;
        Ok(Self { schema, spool, skipped, skipped_path, pending: Vec::new(), pending_bytes: 0, now: job.at })
    }

    /// Slices written so far, or about to be.
    pub fn slices(&self) -> u64 {
        self.now.slices
    }

    /// Adds the rows of one file, or leaves it out and returns the reason.
    pub fn add(
        &mut self,
        job: &mut Job,
        audio_file: &str,
        extracted: Result<Extracted, String>,
    ) -> Result<Option<String>, DatasetError> {
        let mut split = false;
        let skipped = match extracted {
            Ok(Extracted { rows, silent, seconds }) => {
                self.now.slices += rows.len() as u64;
                self.now.silent += silent;
                self.now.seconds += seconds;
                for row in rows {
                    self.pending_bytes += row.size();
                    self.pending.push(row);
                    if self.is_full() {
                        self.flush()?;
                        split = true;
                    }
                }
                None
            }
            Err(reason) => {
                self.skip(audio_file, &reason)?;
                Some(reason)
            }
        };
        self.now.files += 1;
        // A file that filled a batch is ended with one of its own: otherwise a row of long files would never be at a point
        // to continue from.
        if split {
            self.flush()?;
        }
        if self.pending.is_empty() {
            self.note(job)?;
        }
        Ok(skipped)
    }

    /// Names a file that is left out.
    pub fn skip(&mut self, audio_file: &str, reason: &str) -> Result<(), DatasetError> {
        let line = Skipped::new(audio_file, reason).line();
        let written = self.skipped.write_all(line.as_bytes()).and_then(|()| self.skipped.stream_position());
        self.now.skipped_bytes = written.map_err(DatasetError::io(&self.skipped_path))?;
        self.now.skipped += 1;
        Ok(())
    }

    /// Writes what is left and ends the last shard.
    pub fn finish(mut self, job: &mut Job) -> Result<(), DatasetError> {
        self.flush()?;
        self.sync_skipped()?;
        let (shard, shard_bytes) = self.spool.position();
        self.spool.finish()?;
        job.note(Progress { shard, shard_bytes, complete: true, ..self.now })
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= BATCH_ROWS || self.pending_bytes >= BATCH_BYTES
    }

    fn flush(&mut self) -> Result<(), DatasetError> {
        if !self.pending.is_empty() {
            let batch = record_batch(&self.schema, &self.pending).map_err(DatasetError::arrow(&self.skipped_path))?;
            self.spool.append(&batch)?;
            self.pending.clear();
            self.pending_bytes = 0;
        }
        Ok(())
    }

    fn note(&mut self, job: &mut Job) -> Result<(), DatasetError> {
        self.spool.sync()?;
        self.sync_skipped()?;
        (self.now.shard, self.now.shard_bytes) = self.spool.position();
        job.note(self.now)
    }

    fn sync_skipped(&self) -> Result<(), DatasetError> {
        self.skipped.sync_data().map_err(DatasetError::io(&self.skipped_path))
    }
}
