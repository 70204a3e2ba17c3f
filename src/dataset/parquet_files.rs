use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::DatasetError;
use super::error::guarded;

/// Parquet files, of which only the footers are in memory. A row is read by skipping to its page.
pub struct ParquetFiles {
    files: Vec<(PathBuf, ArrowReaderMetadata)>,
    groups: Vec<Group>,
    rows: usize,
}

struct Group {
    first_row: usize,
    file: usize,
    index: usize,
}

impl ParquetFiles {
    /// Reads the footers.
    pub fn open(paths: &[PathBuf]) -> Result<Self, DatasetError> {
        let mut files = Self { files: Vec::new(), groups: Vec::new(), rows: 0 };
        for path in paths {
            let metadata = guarded(path, || {
                let file = File::open(path).map_err(DatasetError::io(path))?;
                ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(DatasetError::parquet(path))
            })?;
            for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
                let rows = usize::try_from(group.num_rows()).ok().and_then(|rows| files.rows.checked_add(rows));
                let Some(rows) = rows else {
                    return Err(DatasetError::invalid(
                        path,
                        format!("{} rows", group.num_rows()),
                        "a row group with rows",
                    ));
                };
                if rows > files.rows {
                    files.groups.push(Group { first_row: files.rows, file: files.files.len(), index });
                }
                files.rows = rows;
            }
            files.files.push((path.clone(), metadata));
        }
        Ok(files)
    }

    /// Rows of all files.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The names of the first file's root columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let fields = self.files.first().map(|(_, metadata)| metadata.schema().fields().iter());
        fields.into_iter().flatten().map(|field| field.name().as_str())
    }

    /// One row, as a batch. `columns` are the root columns that are read.
    pub fn row(&self, row: usize, columns: &[&str]) -> Result<RecordBatch, DatasetError> {
        let Group { first_row, file, index } =
            self.groups[self.groups.partition_point(|group| group.first_row <= row) - 1];
        let (path, metadata) = &self.files[file];
        guarded(path, || {
            let builder = reader(path, metadata, columns)?.with_row_groups(vec![index]);
            let builder = builder.with_offset(row - first_row).with_limit(1).with_batch_size(1);
            let batch = builder.build().map_err(DatasetError::parquet(path))?.next();
            let batch = batch.ok_or_else(|| DatasetError::invalid(path, "too few rows", format!("row {row}")))?;
            batch.map_err(DatasetError::arrow(path)).and_then(|batch| {
                if batch.num_rows() == 1 {
                    Ok(batch)
                } else {
                    Err(DatasetError::invalid(path, "too few rows", format!("row {row}")))
                }
            })
        })
    }

    /// Calls `visit` with all rows of some columns, batch by batch.
    pub fn scan(&self, columns: &[&str], mut visit: impl FnMut(&RecordBatch)) -> Result<(), DatasetError> {
        for (path, metadata) in &self.files {
            guarded(path, || {
                let batches = reader(path, metadata, columns)?.build().map_err(DatasetError::parquet(path))?;
                for batch in batches {
                    visit(&batch.map_err(DatasetError::arrow(path))?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn reader(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    columns: &[&str],
) -> Result<ParquetRecordBatchReaderBuilder<File>, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io(path))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let schema = builder.parquet_schema();
    let roots = schema.root_schema().get_fields().iter().enumerate();
    let roots: Vec<_> = roots.filter(|(_, field)| columns.contains(&field.name())).map(|(index, _)| index).collect();
    let mask = ProjectionMask::roots(schema, roots);
    Ok(builder.with_projection(mask))
}
