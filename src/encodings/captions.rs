//! Captions by the id of what they describe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::dataset::{DatasetError, ParquetFiles, text};

/// The columns of ids and of captions, in the order of preference: ours, those of datasets, those of `MusicCaps`, that of FMA.
const IDS: [&str; 5] = ["id", "audio_file", "file", "ytid", FMA_ID];
const CAPTIONS: [&str; 3] = ["caption", "text", "genre"];
/// A number, which FMA's files are named by.
const FMA_ID: &str = "track_id";

/// A file of captions that cannot be used.
#[derive(Debug, Error)]
pub enum CaptionsError {
    /// The file system said no.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A Parquet file cannot be read.
    #[error(transparent)]
    Parquet(#[from] DatasetError),
    /// The file is of another form.
    #[error("{}: found {found}, expected {expected}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
}

/// Reads a JSON object `{id: caption}`, or a CSV file with a heading, or a Parquet file, by the file's extension. Columns are
/// known by their names: `id`, `audio_file`, `file`, `ytid` or `track_id`, and `caption`, `text` or `genre`.
pub fn read(file: &Path) -> Result<BTreeMap<String, String>, CaptionsError> {
    let mut captions = BTreeMap::new();
    for (id, caption) in pairs(file, true)? {
        if captions.insert(id.clone(), caption).is_some() {
            return Err(format_error(file, (format!("two captions of {id:?}"), "one".to_owned())));
        }
    }
    Ok(captions)
}

/// The ids alone of such a file, which may then have no captions; or of the `tracks.csv` of FMA's metadata, with its heading of
/// three lines. `track_id` becomes what FMA calls the file: six digits.
pub fn ids(file: &Path) -> Result<Vec<String>, CaptionsError> {
    Ok(pairs(file, false)?.into_iter().map(|(id, _)| id).collect())
}

/// Ids with captions, empty ones where captions are not `wanted`.
fn pairs(file: &Path, wanted: bool) -> Result<Vec<(String, String)>, CaptionsError> {
    let read = || {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|source| CaptionsError::Io { file: file.to_owned(), source })?;
        Ok::<_, CaptionsError>(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    };
    let pairs = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => json(&read()?),
        Some("csv") => csv(&read()?, wanted),
        Some("parquet") => parquet(&ParquetFiles::open(&[file.to_owned()])?, wanted)?,
        _ => Err(("another extension".to_owned(), ".json, .csv or .parquet".to_owned())),
    };
    let pairs = pairs.map_err(|found| format_error(file, found))?;
    if pairs.is_empty() {
        return Err(format_error(file, ("no captions".to_owned(), "at least one".to_owned())));
    }
    Ok(pairs)
}

fn format_error(file: &Path, (found, expected): (String, String)) -> CaptionsError {
    CaptionsError::Format { file: file.to_owned(), found, expected }
}

/// Ids with captions, or what was found and what was expected.
type Pairs = Result<Vec<(String, String)>, (String, String)>;

fn json(text: &str) -> Pairs {
    let expected = || "an object {id: caption}".to_owned();
    let value: Value = serde_json::from_str(text).map_err(|error| (error.to_string(), expected()))?;
    let Value::Object(object) = value else { return Err(("no object".to_owned(), expected())) };
    let pair = |(id, caption)| match caption {
        Value::String(caption) => Ok((id, caption)),
        other => Err((format!("{other} for {id:?}"), expected())),
    };
    object.into_iter().map(pair).collect()
}

fn csv(text: &str, wanted: bool) -> Pairs {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().map_err(|error| (error.to_string(), "a heading".to_owned()))?.clone();
    let mut headings: Vec<&str> = headings.iter().map(str::trim).collect();
    let mut records = reader.records();
    if headings.first() == Some(&"") && !wanted {
        // FMA's heading goes on: groups, their fields, and the name of the ids alone.
        records.next();
        if let Some(Ok(third)) = records.next()
            && third.get(0) == Some(FMA_ID)
        {
            headings[0] = FMA_ID;
        }
    }
    let id = column(&headings, &IDS)?;
    let caption = if wanted { Some(column(&headings, &CAPTIONS)?) } else { None };
    let pair = |record: csv::Result<csv::StringRecord>| {
        let record = record.map_err(|error| (error.to_string(), "as many fields as headings".to_owned()))?;
        let id = if headings[id] == FMA_ID { format!("{:0>6}", &record[id]) } else { record[id].to_owned() };
        Ok((id, caption.map_or(String::new(), |caption| record[caption].to_owned())))
    };
    records.map(pair).collect()
}

/// The pairs of a Parquet file, or why it cannot be read.
fn parquet(files: &ParquetFiles, wanted: bool) -> Result<Pairs, DatasetError> {
    let columns: Vec<&str> = files.columns().collect();
    let (id, caption) = match (column(&columns, &IDS), column(&columns, &CAPTIONS)) {
        (Ok(id), Ok(caption)) => (columns[id], columns[caption]),
        // Ids stand in for captions that nobody asks for.
        (Ok(id), Err(_)) if !wanted => (columns[id], columns[id]),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let (mut pairs, mut wrong) = (Vec::new(), None);
    let read = if id == caption { vec![id] } else { vec![id, caption] };
    files.scan(&read, |batch| {
        let value = |name, row| batch.column_by_name(name).and_then(|column| text(column, row));
        for row in 0..batch.num_rows() {
            match (value(id, row), value(caption, row)) {
                (Some(id), Some(caption)) => pairs.push((id.to_owned(), caption.to_owned())),
                (found, _) => {
                    let column = if found.is_none() { id } else { caption };
                    let row = pairs.len();
                    wrong.get_or_insert_with(|| (format!("no text in `{column}` of row {row}"), "text".to_owned()));
                }
            }
        }
    })?;
    Ok(wrong.map_or(Ok(pairs), Err))
}

/// The place of the first of `names` that is among the columns.
fn column(columns: &[&str], names: &[&str]) -> Result<usize, (String, String)> {
    let place = names.iter().find_map(|name| columns.iter().position(|column| column == name));
    place.ok_or_else(|| (format!("the columns {}", columns.join(", ")), format!("one of {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn captions(name: &str, text: &str) -> Result<BTreeMap<String, String>, CaptionsError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        read(&file)
    }

    #[test]
    fn json_and_csv_say_the_same() {
        let expected = BTreeMap::from([("a.wav".to_owned(), "soft, slow".to_owned())]);
        assert_eq!(captions("c.json", r#"{"a.wav": "soft, slow"}"#).unwrap(), expected);
        assert_eq!(captions("c.csv", "caption,audio_file\n\"soft, slow\",a.wav\n").unwrap(), expected);
        assert_eq!(captions("c.csv", "\u{feff}ytid,start_s,caption\na.wav,3,\"soft, slow\"\n").unwrap(), expected);
    }

    fn parquet(columns: &[(&str, ArrayRef)]) -> Result<BTreeMap<String, String>, CaptionsError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.parquet");
        let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, values)| (*name, values.clone()))).unwrap();
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        read(&file)
    }

    #[test]
    fn parquet_has_columns_as_csv() {
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["-0Gj8-vB1q4", "-0SdAVK79lg"]));
        let captions: ArrayRef = Arc::new(LargeStringArray::from(vec!["soft, slow", "low"]));
        let starts: ArrayRef = Arc::new(Int64Array::from(vec![30, 30]));
        let expected = BTreeMap::from([("-0Gj8-vB1q4", "soft, slow"), ("-0SdAVK79lg", "low")]);
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(id, text)| (id.to_owned(), text.to_owned())).collect();
        // As MusicCaps has it.
        let found = parquet(&[("ytid", ids.clone()), ("start_s", starts.clone()), ("caption", captions.clone())]);
        assert_eq!(found.unwrap(), expected);
        let gap: ArrayRef = Arc::new(StringArray::from(vec![Some("slow"), None]));
        let cases: [(&[(&str, ArrayRef)], &str); 4] = [
            (&[("id", ids.clone()), ("words", captions.clone())], "the columns id, words"),
            (&[("id", ids.clone()), ("caption", gap)], "no text in `caption` of row 1"),
            (&[("id", starts), ("caption", captions.clone())], "no text in `id` of row 0"),
            (&[("id", captions.slice(0, 0)), ("caption", captions.slice(0, 0))], "no captions"),
        ];
        for (columns, words) in cases {
            let message = parquet(columns).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let cases = [
            ("c.json", "[]", "no object"),
            ("c.json", "{}", "no captions"),
            ("c.json", r#"{"a": 3}"#, "3 for \"a\""),
            ("c.csv", "id,words\na,b\n", "the columns id, words"),
            ("c.csv", "id,caption\na,b\na,c\n", "two captions of \"a\""),
            ("c.csv", "id,caption\na\n", "fields"),
            ("c.txt", "", "another extension"),
            ("c.parquet", "no Parquet", "c.parquet: damaged"),
        ];
        for (name, text, found) in cases {
            let message = captions(name, text).unwrap_err().to_string();
            assert!(message.contains(found), "{message}");
        }
    }
}
