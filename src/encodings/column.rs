//! Encodings in a dataset, as the published scripts put them there: a column `encoding` with the encoding of a slice's
//! recording in every row, a list of floats, or one of lists where encodings have several tokens.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Float32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field};

use super::{Encoding, Encodings, EncodingsError, PairingError};
use crate::dataset::{Column, Dataset, DatasetError, add_column, hash, item, item_field, text};

/// The column's name.
const ENCODING: &str = "encoding";
const AUDIO_FILE: &str = "audio_file";

/// A list of floats in the JSON of `datasets`.
const FLOATS: &str = r#"{"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}"#;

/// A column that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ColumnError {
    /// The dataset cannot be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Recordings of the dataset have no encoding.
    #[error(transparent)]
    Pairing(#[from] PairingError),
}

/// Gives every row of the dataset in `folder` the encoding of its recording. Setting `stop` ends it between two files, and the
/// dataset is then as it was.
///
/// # Errors
///
/// If a recording has no encoding, or a file cannot be read or written.
pub fn write_column(folder: &Path, encodings: &Encodings, stop: &AtomicBool) -> Result<(), ColumnError> {
    let (names, _) = Dataset::open(folder)?.audio_files()?;
    let of_name: HashMap<&str, &Encoding> = names.iter().map(String::as_str).zip(encodings.of_all(&names)?).collect();
    let vectors = of_name.values().all(|encoding| encoding.tokens == 1);
    let values = |batch: &RecordBatch, first: usize| {
        let column = batch.column_by_name(AUDIO_FILE);
        let encodings = (0..batch.num_rows()).map(|row| {
            let name = column.and_then(|column| text(column, row));
            let found = name.map_or_else(|| of_name.get(&*unnamed(first + row)), |name| of_name.get(name));
            found.copied().ok_or_else(|| ArrowError::InvalidArgumentError(format!("row {} is new", first + row)))
        });
        lists(&encodings.collect::<Result<Vec<_>, _>>()?, vectors)
    };
    let nested = format!(r#"{{"feature": {FLOATS}, "_type": "Sequence"}}"#);
    let list = |kind| DataType::List(item_field(kind));
    let floats = list(DataType::Float32);
    let (kind, feature) = if vectors { (floats, FLOATS) } else { (list(floats), nested.as_str()) };
    let bytes = names.iter().flat_map(|name| {
        let values = of_name[name.as_str()].values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [name.clone().into_bytes(), values]
    });
    let bytes: Vec<Vec<u8>> = bytes.collect();
    let key = hash(bytes.iter().map(Vec::as_slice));
    let column = Column { field: Field::new(ENCODING, kind, true), feature, key, values: &values };
    Ok(add_column(folder, &column, stop)?)
}

/// Reads the encodings of a dataset's recordings.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Encoding>, EncodingsError> {
    let dataset = Dataset::open(path)?;
    let (mut all, mut row, mut wrong) = (BTreeMap::<String, Encoding>::new(), 0, None);
    dataset.scan(&[AUDIO_FILE, ENCODING], |batch| {
        let (names, Some(encodings)) = (batch.column_by_name(AUDIO_FILE), batch.column_by_name(ENCODING)) else {
            return;
        };
        for index in 0..batch.num_rows() {
            let name = names.and_then(|names| text(names, index)).map_or_else(|| unnamed(row), str::to_owned);
            row += 1;
            let expected = "floats, or lists of as many floats each";
            match (encoding(encodings, index), all.get(&name)) {
                (None, _) => {
                    let found = format!("something else in row {}, of type {}", row - 1, encodings.data_type());
                    wrong.get_or_insert_with(|| EncodingsError::invalid(path, &name, found, expected));
                }
                (Some(found), Some(known)) if found != *known => {
                    let found = "another one in another slice";
                    wrong.get_or_insert_with(|| EncodingsError::invalid(path, &name, found, "one of the recording"));
                }
                (Some(_), Some(_)) => {}
                (Some(found), None) => drop(all.insert(name, found)),
            }
        }
    })?;
    match wrong {
        Some(error) => Err(error),
        None if row < dataset.len() => Err(EncodingsError::NoColumn { dataset: path.to_owned() }),
        None => Ok(all),
    }
}

/// What [`Dataset::audio_files`] calls the recording of a row that has no name.
fn unnamed(row: usize) -> String {
    format!("example {row}")
}

fn encoding(column: &ArrayRef, row: usize) -> Option<Encoding> {
    let outer = item(column, row)?;
    let rows = match outer.data_type() {
        DataType::Float32 | DataType::Float64 => vec![outer],
        _ => (0..outer.len()).map(|token| item(&outer, token)).collect::<Option<Vec<_>>>()?,
    };
    let (tokens, dim) = (rows.len(), rows.first()?.len());
    let mut values = Vec::with_capacity(tokens * dim);
    for row in rows.iter().filter(|row| row.len() == dim && row.null_count() == 0) {
        match row.data_type() {
            DataType::Float32 => values.extend_from_slice(row.as_primitive::<Float32Type>().values()),
            DataType::Float64 => values.extend(row.as_primitive::<Float64Type>().values().iter().map(|v| *v as f32)),
            _ => return None,
        }
    }
    (dim > 0 && values.len() == tokens * dim).then(|| Encoding { tokens, dim, values: values.into() })
}

/// `list<float>` of vectors, else `list<list<float>>`.
fn lists(encodings: &[&Encoding], vectors: bool) -> Result<ArrayRef, ArrowError> {
    let list = |lengths: Vec<usize>, values: ArrayRef| -> Result<ArrayRef, ArrowError> {
        let field = item_field(values.data_type().clone());
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?))
    };
    let values: Vec<f32> = encodings.iter().flat_map(|encoding| encoding.values.iter().copied()).collect();
    let tokens = encodings.iter().flat_map(|encoding| std::iter::repeat_n(encoding.dim, encoding.tokens));
    let rows = list(tokens.collect(), Arc::new(Float32Array::from(values)))?;
    if vectors { Ok(rows) } else { list(encodings.iter().map(|encoding| encoding.tokens).collect(), rows) }
}
