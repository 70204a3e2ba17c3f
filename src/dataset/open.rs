use std::fs;
use std::path::{Component, Path, PathBuf};

use arrow_array::RecordBatch;
use serde::Deserialize;

use super::arrow_files::ArrowFiles;
use super::example::text;
use super::parquet_files::ParquetFiles;
use super::walk::walk;
use super::{DatasetError, Example, MelMethod, Picture};
use crate::representation::RepresentationConfig;

/// The columns that are read.
const COLUMNS: [&str; 5] = ["image", "mel", "audio_file", "slice", "reference_level"];

/// A JSON file of a dataset is smaller; a larger one is not read.
pub(super) const MAX_JSON_BYTES: u64 = 64 << 20;

/// A PNG of a folder of pictures is smaller; a larger one is not read.
const MAX_PNG_BYTES: u64 = 256 << 20;

/// A mel dataset, read slice by slice; it stays on disk.
pub struct Dataset {
    path: PathBuf,
    source: Source,
    height: usize,
    width: usize,
    method: Option<MelMethod>,
}

enum Source {
    Arrow(ArrowFiles),
    Parquet(ParquetFiles),
    Pictures(Vec<PathBuf>),
}

/// `state.json` of `datasets`.
#[derive(Deserialize)]
struct State {
    #[serde(rename = "_data_files")]
    data_files: Vec<DataFile>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
}

impl Dataset {
    /// Opens what [`super::prepare`] makes, what Python's `datasets` saves (a `DatasetDict` with a split `train`, or one
    /// `Dataset`), a folder of Parquet files as on the hub, one `.arrow` or `.parquet` file, or a folder of PNG pictures.
    ///
    /// The first example says what size all have to have.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let source = source(path)?;
        let method = mel_method(path)?;
        let mut dataset = Self { path: path.to_path_buf(), source, height: 0, width: 0, method };
        if dataset.is_empty() {
            return Err(DatasetError::invalid(path, "no examples", "at least one"));
        }
        let Example { height, width, .. } = dataset.example(0)?;
        (dataset.height, dataset.width) = (height, width);
        Ok(dataset)
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Arrow(files) => files.len(),
            Source::Parquet(files) => files.len(),
            Source::Pictures(files) => files.len(),
        }
    }

    /// Whether there are none; never so for a dataset that was opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mel bands of every example.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Frames of every example.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How the mels were made, where the dataset says.
    pub fn method(&self) -> Option<&MelMethod> {
        self.method.as_ref()
    }

    /// Example `index`. Reads that one alone; may be called from many threads.
    ///
    /// # Panics
    /// Where `index` is not below [`Dataset::len`].
    pub fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let example = self.example(index)?;
        if (example.height, example.width) != (self.height, self.width) {
            return Err(self.wrong(
                index,
                format!("{} bands and {} frames", example.height, example.width),
                format!("{} and {} as in the first example", self.height, self.width),
            ));
        }
        Ok(example)
    }

    /// The recording of each example: the names, each once, and for every example the index of its name. Where the dataset
    /// has no names, every example is its own.
    pub fn audio_files(&self) -> Result<(Vec<String>, Vec<u32>), DatasetError> {
        let mut names = Names::default();
        match &self.source {
            Source::Arrow(files) => files.batches().for_each(|batch| names.add(batch)),
            Source::Parquet(files) => files.scan(&COLUMNS[2..4], |batch| names.add(batch))?,
            Source::Pictures(files) => files.iter().for_each(|path| names.push(&path.to_string_lossy())),
        }
        if names.of_row.len() != self.len() {
            return Err(DatasetError::invalid(
                &self.path,
                format!("{} names of recordings", names.of_row.len()),
                format!("one for each of {} examples", self.len()),
            ));
        }
        Ok((names.distinct, names.of_row))
    }

    /// Calls `visit` with all rows of some columns, batch by batch. A folder of pictures has none.
    pub(crate) fn scan(&self, columns: &[&str], mut visit: impl FnMut(&RecordBatch)) -> Result<(), DatasetError> {
        match &self.source {
            Source::Arrow(files) => {
                files.batches().for_each(visit);
                Ok(())
            }
            Source::Parquet(files) => files.scan(columns, &mut visit),
            Source::Pictures(_) => Ok(()),
        }
    }

    fn example(&self, index: usize) -> Result<Example, DatasetError> {
        assert!(index < self.len(), "example {index} of a dataset of {}", self.len());
        let from_row = |batch: &RecordBatch, row| {
            Example::from_row(batch, row).map_err(|(found, expected)| self.wrong(index, found, expected))
        };
        match &self.source {
            Source::Arrow(files) => {
                let (batch, row) = files.locate(index);
                from_row(batch, row)
            }
            Source::Parquet(files) => from_row(&files.row(index, &COLUMNS)?, 0),
            Source::Pictures(files) => {
                let path = &files[index];
                let bytes = read_small(path, MAX_PNG_BYTES)?;
                let picture = Picture::from_png(&bytes);
                let picture = picture.map_err(|reason| DatasetError::invalid(path, reason, "an 8-bit grey PNG"))?;
                Ok(Example { audio_file: path.to_string_lossy().into_owned(), ..Example::from_picture(picture) })
            }
        }
    }

    fn wrong(&self, index: usize, found: impl Into<String>, expected: impl Into<String>) -> DatasetError {
        DatasetError::Example { path: self.path.clone(), index, found: found.into(), expected: expected.into() }
    }
}

/// Interns the names of recordings. Neighbours mostly have the same.
#[derive(Default)]
struct Names {
    distinct: Vec<String>,
    indices: std::collections::HashMap<String, u32>,
    of_row: Vec<u32>,
}

impl Names {
    fn add(&mut self, batch: &RecordBatch) {
        let column = batch.column_by_name("audio_file");
        for row in 0..batch.num_rows() {
            match column.and_then(|column| text(column, row)) {
                Some(name) => self.push(name),
                None => self.push(&format!("example {}", self.of_row.len())),
            }
        }
    }

    fn push(&mut self, name: &str) {
        let next = self.distinct.len() as u32;
        let index = self.indices.get(name).copied().unwrap_or_else(|| {
            self.distinct.push(name.to_string());
            self.indices.insert(name.to_string(), next);
            next
        });
        self.of_row.push(index);
    }
}

/// The files of a dataset's rows.
pub(super) enum Files {
    /// Arrow IPC streams.
    Arrow(Vec<PathBuf>),
    /// Parquet.
    Parquet(Vec<PathBuf>),
    /// PNG.
    Pictures(Vec<PathBuf>),
}

fn source(path: &Path) -> Result<Source, DatasetError> {
    Ok(match files(path)? {
        Files::Arrow(files) => Source::Arrow(ArrowFiles::open(&files)?),
        Files::Parquet(files) => Source::Parquet(ParquetFiles::open(&files)?),
        Files::Pictures(files) => Source::Pictures(files),
    })
}

/// Finds the files of the dataset `path`, as [`Dataset::open`] does.
pub(super) fn files(path: &Path) -> Result<Files, DatasetError> {
    let metadata = fs::metadata(path).map_err(DatasetError::io(path))?;
    if metadata.is_file() {
        let file = vec![path.to_path_buf()];
        return match path.extension().and_then(|extension| extension.to_str()) {
            Some("arrow") => Ok(Files::Arrow(file)),
            Some("parquet") => Ok(Files::Parquet(file)),
            _ => Err(DatasetError::invalid(path, "another file", "a folder, or a file .arrow or .parquet")),
        };
    }
    if path.join("dataset_dict.json").is_file() {
        let split = path.join("train");
        if !split.join("state.json").is_file() {
            return Err(DatasetError::invalid(path, "no split `train`", "a DatasetDict that has one"));
        }
        return saved(&split).map(Files::Arrow);
    }
    if path.join("state.json").is_file() {
        return saved(path).map(Files::Arrow);
    }
    let parquet = walk(path, &["parquet"], false)?.files;
    if !parquet.is_empty() {
        let is_train = |file: &&PathBuf| {
            file.components()
                .any(|part| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"train")))
        };
        let mut train: Vec<_> = parquet.iter().filter(is_train).map(|file| path.join(file)).collect();
        if train.is_empty() {
            train = parquet.iter().map(|file| path.join(file)).collect();
        }
        return Ok(Files::Parquet(train));
    }
    let pictures = walk(path, &["png"], false)?.files;
    if pictures.is_empty() {
        let expected = "dataset_dict.json, state.json, Parquet files, or PNG pictures";
        return Err(DatasetError::invalid(path, "nothing that is a dataset", expected));
    }
    Ok(Files::Pictures(pictures.iter().map(|file| path.join(file)).collect()))
}

/// The files of one `Dataset` that `datasets` saved.
fn saved(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let path = folder.join("state.json");
    let state: State = serde_json::from_slice(&read_small(&path, MAX_JSON_BYTES)?)
        .map_err(|error| DatasetError::invalid(&path, error.to_string(), "the state.json of `datasets`"))?;
    let mut files = Vec::new();
    for DataFile { filename } in state.data_files {
        let plain = Path::new(&filename);
        if plain.components().count() != 1 || plain.file_name().is_none() {
            return Err(DatasetError::invalid(&path, format!("data file {filename:?}"), "a plain file name"));
        }
        files.push(folder.join(filename));
    }
    Ok(files)
}

fn mel_method(path: &Path) -> Result<Option<MelMethod>, DatasetError> {
    let config = path.join("mel").join("mel_config.json");
    let config = config.is_file().then(|| RepresentationConfig::open(&config)).transpose()?;
    Ok(config.map(MelMethod::from))
}

/// A file of at most so many bytes.
pub(super) fn read_small(path: &Path, most: u64) -> Result<Vec<u8>, DatasetError> {
    let bytes = fs::metadata(path).map_err(DatasetError::io(path))?.len();
    if bytes > most {
        return Err(DatasetError::invalid(path, format!("{bytes} bytes"), format!("at most {most}")));
    }
    fs::read(path).map_err(DatasetError::io(path))
}
