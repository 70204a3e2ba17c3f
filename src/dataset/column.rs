//! A column more in a dataset that is there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

use super::DatasetError;
use super::error::guarded;
use super::open::{Files, MAX_JSON_BYTES, files, read_small};
use super::publish::{hash, parquet_properties};
use nocturne_models::files::{remove_if_there, sync_folder, write_atomic, write_atomically};

/// Rows that are in memory at a time.
const ROWS: usize = 100;

/// Where `datasets` keeps its features in an Arrow schema.
const FEATURES: &str = "huggingface";

/// What every row gets.
pub(crate) struct Column<'a> {
    /// Its name and type.
    pub field: Field,
    /// Its type in the JSON of `datasets`.
    pub feature: &'a str,
    /// Names what is in it.
    pub key: String,
    /// The values of the rows of a batch, and the place of the first of them in the dataset.
    pub values: &'a dyn Fn(&RecordBatch, usize) -> Result<ArrayRef, ArrowError>,
}

/// Gives a dataset of Arrow or Parquet files a column, or another in place of one of the same name.
///
/// All files are written anew beside the old ones, which are replaced only when all of them are there. Whatever ends the job,
/// the same call does it.
pub(crate) fn add_column(dataset: &Path, column: &Column, stop: &AtomicBool) -> Result<(), DatasetError> {
    let (files, rewrite): (_, Rewrite) = match files(dataset)? {
        Files::Arrow(files) => (files, rewrite_arrow),
        Files::Parquet(files) => (files, rewrite_parquet),
        Files::Pictures(_) => {
            let expected = "a dataset as `prepare` and Python's `datasets` save it, which can have columns";
            return Err(DatasetError::invalid(dataset, "a folder of pictures", expected));
        }
    };
    let mut made = Vec::new();
    let written = write_all(&files, column, rewrite, stop, &mut made);
    let schema = match written {
        Ok(schema) => schema,
        Err(error) => {
            for path in &made {
                // The failure before is the one to tell.
                let _ = remove_if_there(path);
            }
            return Err(error);
        }
    };
    for (new, file) in made.iter().zip(&files) {
        fs::rename(new, file).map_err(DatasetError::io(file))?;
    }
    let Some(folder) = files.first().and_then(|file| file.parent()) else { return Ok(()) };
    describe(folder, column, &schema)?;
    sync_folder(folder).map_err(DatasetError::io(folder))
}

/// Writes one file anew; its new schema, and how many rows it has.
type Rewrite = fn(&Path, &Path, &Column, usize) -> Result<(SchemaRef, usize), DatasetError>;

/// Writes the files anew, and adds the path of each to `made`. The schema is that of the last.
fn write_all(
    files: &[PathBuf],
    column: &Column,
    rewrite: Rewrite,
    stop: &AtomicBool,
    made: &mut Vec<PathBuf>,
) -> Result<SchemaRef, DatasetError> {
    let (mut rows, mut schema) = (0, Arc::new(Schema::empty()));
    for (done, file) in files.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(DatasetError::Cancelled { done, files: files.len() });
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Hidden, so that no reader takes it for a part of the dataset.
        let new = file.with_file_name(format!(".{name}.new"));
        made.push(new.clone());
        let (of_file, count) = guarded(file, || rewrite(file, &new, column, rows))?;
        rows += count;
        schema = of_file;
    }
    Ok(schema)
}

fn rewrite_arrow(from: &Path, to: &Path, column: &Column, first: usize) -> Result<(SchemaRef, usize), DatasetError> {
    let file = File::open(from).map_err(DatasetError::io(from))?;
    let reader = StreamReader::try_new_buffered(file, None).map_err(DatasetError::arrow(from))?;
    let schema = extended(&reader.schema(), column);
    let mut rows = 0;
    write_atomically(to, |out| {
        let mut writer = StreamWriter::try_new(out, &schema)?;
        for batch in reader {
            let batch = batch?;
            for start in (0..batch.num_rows()).step_by(ROWS) {
                let part = batch.slice(start, ROWS.min(batch.num_rows() - start));
                writer.write(&with_column(&part, &schema, column, first + rows)?)?;
                rows += part.num_rows();
            }
        }
        writer.finish()
    })
    .map_err(DatasetError::arrow(from))?;
    Ok((schema, rows))
}

fn rewrite_parquet(from: &Path, to: &Path, column: &Column, first: usize) -> Result<(SchemaRef, usize), DatasetError> {
    let file = File::open(from).map_err(DatasetError::io(from))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(DatasetError::parquet(from))?;
    let schema = extended(reader.schema(), column);
    let reader = reader.with_batch_size(ROWS).build().map_err(DatasetError::parquet(from))?;
    let mut rows = 0;
    write_atomically(to, |out| -> Result<(), ArrowError> {
        let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(parquet_properties()))?;
        for batch in reader {
            let batch = batch?;
            writer.write(&with_column(&batch, &schema, column, first + rows)?)?;
            rows += batch.num_rows();
        }
        writer.close()?;
        Ok(())
    })
    .map_err(DatasetError::arrow(from))?;
    Ok((schema, rows))
}

/// A batch with the column, whose first row is row `first` of the dataset.
fn with_column(
    batch: &RecordBatch,
    schema: &SchemaRef,
    column: &Column,
    first: usize,
) -> Result<RecordBatch, ArrowError> {
    let kept =
        schema.fields()[..schema.fields().len() - 1].iter().filter_map(|field| batch.column_by_name(field.name()));
    let columns = kept.cloned().chain([(column.values)(batch, first)?]).collect();
    RecordBatch::try_new(schema.clone(), columns)
}

/// The schema with the column behind all others, also in the features of `datasets`.
fn extended(schema: &Schema, column: &Column) -> SchemaRef {
    let kept = schema.fields().iter().filter(|field| field.name() != column.field.name()).cloned();
    let fields: Vec<FieldRef> = kept.chain([Arc::new(column.field.clone())]).collect();
    let mut metadata = schema.metadata().clone();
    if let Some(text) = metadata.get(FEATURES)
        && let Ok(info) = serde_json::from_str::<Value>(text)
        && let Some(known) = info["info"]["features"].as_object()
    {
        let features = features(known, &fields, column);
        metadata.insert(FEATURES.to_owned(), format!(r#"{{"info": {{"features": {features}}}}}"#));
    }
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The features of `datasets` in the order of the fields, which matters there and which a JSON map here has not.
fn features(known: &Map<String, Value>, fields: &[FieldRef], column: &Column) -> String {
    let features = fields.iter().filter_map(|field| {
        let name = field.name();
        let feature =
            if name == column.field.name() { column.feature.to_owned() } else { known.get(name)?.to_string() };
        Some(format!("{}: {feature}", json!(name)))
    });
    format!("{{{}}}", features.collect::<Vec<_>>().join(", "))
}

/// Tells `dataset_info.json` and `state.json` of the column, where they are.
fn describe(folder: &Path, column: &Column, schema: &Schema) -> Result<(), DatasetError> {
    let edit = |name: &str, edit: &dyn Fn(&Map<String, Value>) -> String| {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(());
        }
        let object = serde_json::from_slice(&read_small(&path, MAX_JSON_BYTES)?)
            .map_err(|error| DatasetError::invalid(&path, error.to_string(), "what `datasets` writes"))?;
        write_atomic(&path, edit(&object).as_bytes()).map_err(DatasetError::io(&path))
    };
    let entries = |object: &Map<String, Value>, changed: &str, value: &dyn Fn(&Value) -> String| {
        let entry = |(key, old): (&String, &Value)| {
            let value = if key == changed { value(old) } else { old.to_string() };
            format!("  {}: {value}", json!(key))
        };
        format!("{{\n{}\n}}", object.iter().map(entry).collect::<Vec<_>>().join(",\n"))
    };
    edit("dataset_info.json", &|info| {
        entries(info, "features", &|known| match known.as_object() {
            Some(known) => features(known, schema.fields(), column),
            None => known.to_string(),
        })
    })?;
    // `datasets` names its caches by it.
    let fingerprint = |old: &Value| hash([old.to_string().as_bytes(), column.key.as_bytes()])[..16].to_owned();
    edit("state.json", &|state| entries(state, "_fingerprint", &|old| json!(fingerprint(old)).to_string()))
}
