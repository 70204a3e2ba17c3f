use std::fs::{self, File};
use std::io;
use std::path::Path;

use arrow_ipc::reader::StreamReader;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use super::DatasetError;
use super::features::Content;
use super::options::{Format, MelMethod};
use super::spool::Spool;
use crate::hash::hex;
use nocturne_models::files::{remove_if_there, sync_folder, write_atomic, write_atomically};

/// Rows of a Parquet row group, as `datasets` has it for pictures: what must be in memory to write one.
const ROW_GROUP_ROWS: usize = 100;

/// The folder that a format's data files are in.
pub fn data_folder(format: Format) -> &'static str {
    match format {
        Format::Arrow => "train",
        Format::Parquet => "data",
    }
}

/// The name of data file `index` of `count`.
pub fn data_file(format: Format, index: usize, count: usize) -> String {
    match format {
        Format::Arrow => format!("data-{index:05}-of-{count:05}.arrow"),
        Format::Parquet => format!("train-{index:05}-of-{count:05}.parquet"),
    }
}

/// Whether a folder holds a dataset.
pub fn holds_dataset(folder: &Path) -> bool {
    ["dataset_dict.json", "train", "data"].iter().any(|name| folder.join(name).exists())
}

/// Makes the finished shards of a job, in `work`, the dataset `output`. May be interrupted anywhere and called again.
pub fn publish(
    work: &Path,
    output: &Path,
    format: Format,
    content: Content,
    shards: usize,
    key: &str,
) -> Result<(), DatasetError> {
    let stage = work.join(data_folder(format));
    let spooled = || (0..shards).map(|shard| Spool::shard_path(work, shard));
    let goal = output.join(data_folder(format));
    if stage.exists() || spooled().any(|path| path.exists()) || !goal.exists() {
        fs::create_dir_all(&stage).map_err(DatasetError::io(&stage))?;
        for (index, spool) in spooled().enumerate().filter(|(_, path)| path.exists()) {
            let file = stage.join(data_file(format, index, shards));
            match format {
                Format::Arrow => fs::rename(&spool, &file).map_err(DatasetError::io(&file))?,
                Format::Parquet => {
                    to_parquet(&spool, &file)?;
                    fs::remove_file(&spool).map_err(DatasetError::io(&spool))?;
                }
            }
        }
        stage_and_move(&stage, output, format, content, shards, key)?;
    }
    seal(output, format)
}

/// Completes a folder that has all data files, and moves it into its place in `output`, where it replaces an older dataset.
pub fn stage_and_move(
    stage: &Path,
    output: &Path,
    format: Format,
    content: Content,
    count: usize,
    key: &str,
) -> Result<(), DatasetError> {
    if format == Format::Arrow {
        let write = |name: &str, text: String| {
            let path = stage.join(name);
            write_atomic(&path, text.as_bytes()).map_err(DatasetError::io(&path))
        };
        write("dataset_info.json", dataset_info(content))?;
        write("state.json", state(count, key))?;
    }
    sync_folder(stage).map_err(DatasetError::io(stage))?;
    remove_dataset(output)?;
    let goal = output.join(data_folder(format));
    fs::rename(stage, &goal).map_err(DatasetError::io(&goal))
}

/// The last step: what makes the folder a dataset.
pub fn seal(output: &Path, format: Format) -> Result<(), DatasetError> {
    if format == Format::Arrow {
        let path = output.join("dataset_dict.json");
        write_atomic(&path, br#"{"splits": ["train"]}"#).map_err(DatasetError::io(&path))?;
    }
    sync_folder(output).map_err(DatasetError::io(output))
}

/// Saves the mel settings beside a dataset, as `mel/mel_config.json`.
pub fn write_mel_settings(output: &Path, method: &MelMethod) -> Result<(), DatasetError> {
    let folder = output.join("mel");
    fs::create_dir_all(&folder).map_err(DatasetError::io(&folder))?;
    let path = folder.join("mel_config.json");
    let text = method.representation()?.to_json();
    write_atomic(&path, text.as_bytes()).map_err(DatasetError::io(&path))
}

/// Removes the data files of a dataset, of either format, and nothing that is not its own.
fn remove_dataset(output: &Path) -> Result<(), DatasetError> {
    let remove = |path: &Path| remove_if_there(path).map_err(DatasetError::io(path));
    remove(&output.join("dataset_dict.json"))?;
    for format in [Format::Arrow, Format::Parquet] {
        let folder = output.join(data_folder(format));
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(DatasetError::io(&folder))? {
            let entry = entry.map_err(DatasetError::io(&folder))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = match format {
                Format::Arrow => {
                    ["state.json", "dataset_info.json"].contains(&name.as_str())
                        || name.starts_with("data-") && path.extension() == Some("arrow".as_ref())
                }
                Format::Parquet => name.starts_with("train-") && path.extension() == Some("parquet".as_ref()),
            };
            if !own {
                return Err(DatasetError::invalid(
                    &path,
                    "a file of someone else",
                    "only the files of a dataset to replace",
                ));
            }
            remove(&path)?;
        }
        fs::remove_dir(&folder).map_err(DatasetError::io(&folder))?;
    }
    Ok(())
}

/// `dataset_info.json` as `datasets` writes it.
fn dataset_info(content: Content) -> String {
    format!(
        "{{\n  \"citation\": \"\",\n  \"description\": \"\",\n  \"features\": {},\n  \"homepage\": \"\",\n  \"license\": \"\"\n}}",
        content.features_json()
    )
}

/// `state.json` as `datasets` writes it. The fingerprint names the content for its caches.
fn state(count: usize, key: &str) -> String {
    let files: Vec<_> = (0..count)
        .map(|index| format!("    {{\n      \"filename\": \"{}\"\n    }}", data_file(Format::Arrow, index, count)))
        .collect();
    let fingerprint = &hash([key.as_bytes()])[..16];
    format!(
        "{{\n  \"_data_files\": [\n{}\n  ],\n  \"_fingerprint\": \"{fingerprint}\",\n  \"_format_columns\": null,\n  \
         \"_format_kwargs\": {{}},\n  \"_format_type\": null,\n  \"_output_all_columns\": false,\n  \"_split\": \"train\"\n}}",
        files.join(",\n")
    )
}

/// SHA-256 in hexadecimal.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(hasher)
}

/// How datasets are written as Parquet.
pub fn parquet_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Small pages, so that one picture can be read without its neighbours.
        .set_write_batch_size(8)
        .set_dictionary_enabled(false)
        .build()
}

/// Rewrites a shard as Parquet, batch by batch.
fn to_parquet(spool: &Path, path: &Path) -> Result<(), DatasetError> {
    let file = File::open(spool).map_err(DatasetError::io(spool))?;
    let reader = StreamReader::try_new_buffered(file, None).map_err(DatasetError::arrow(spool))?;
    write_atomically(path, |out| {
        let mut writer = ArrowWriter::try_new(out, reader.schema(), Some(parquet_properties()))?;
        for batch in reader {
            writer.write(&batch?)?;
        }
        writer.close().map(drop)
    })
    .map_err(|error: ParquetError| match error {
        ParquetError::External(source) if source.is::<io::Error>() => {
            DatasetError::Io { path: path.to_path_buf(), source: io::Error::other(source) }
        }
        other => DatasetError::parquet(path)(other),
    })
}
