use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use nocturne_vocoder::mel::{unit_from_log, unit_from_pixel};

use super::picture::Picture;

/// One slice as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The mel in `[-1, 1]`, `[mel, frame]`, the lowest band first.
    pub values: Vec<f32>,
    /// Mel bands.
    pub height: usize,
    /// Frames.
    pub width: usize,
    /// The recording it comes from, as the dataset names it; empty where it does not.
    pub audio_file: String,
    /// Its place in the recording; 0 where the dataset does not say.
    pub slice: i64,
    /// The power that is 1 (0 dB), where the dataset keeps it. Only pictures have one.
    pub reference_level: Option<f32>,
}

impl Example {
    /// The example in a grey picture.
    pub fn from_picture(picture: Picture) -> Self {
        let Picture { width, height, pixels } = picture;
        let values = pixels.into_iter().map(unit_from_pixel).collect();
        Self { values, height, width, audio_file: String::new(), slice: 0, reference_level: None }
    }

    /// The example in a row. An error says in words what was found and what was expected.
    pub fn from_row(batch: &RecordBatch, row: usize) -> Result<Self, (String, &'static str)> {
        let mut example = if let Some(column) = batch.column_by_name("image") {
            Self::from_picture(picture(column, row)?)
        } else if let Some(column) = batch.column_by_name("mel") {
            let (height, width, mel) = mel(column, row)?;
            let values = mel.into_iter().map(unit_from_log).collect();
            Self { values, height, width, audio_file: String::new(), slice: 0, reference_level: None }
        } else {
            return Err(("neither".to_string(), "a column `image` or `mel`"));
        };
        if let Some(name) = batch.column_by_name("audio_file").and_then(|column| text(column, row)) {
            example.audio_file = name.to_string();
        }
        if let Some(slice) = batch.column_by_name("slice").and_then(|column| integer(column, row)) {
            example.slice = slice;
        }
        let level = batch.column_by_name("reference_level").and_then(|column| float(column, row));
        example.reference_level = level.filter(|level| level.is_finite() && *level > 0.0);
        Ok(example)
    }
}

fn picture(column: &ArrayRef, row: usize) -> Result<Picture, (String, &'static str)> {
    let wanted = "a picture: a struct with PNG `bytes`";
    let found = || format!("`image` of type {}", column.data_type());
    let bytes = column.as_struct_opt().and_then(|image| image.column_by_name("bytes")).unwrap_or(column);
    if column.is_null(row) || bytes.is_null(row) {
        return Err(("a picture without bytes".to_string(), wanted));
    }
    let bytes = match bytes.data_type() {
        DataType::Binary => bytes.as_binary::<i32>().value(row),
        DataType::LargeBinary => bytes.as_binary::<i64>().value(row),
        _ => return Err((found(), wanted)),
    };
    Picture::from_png(bytes).map_err(|reason| (reason, "an 8-bit grey PNG"))
}

/// Bands, frames and values of an `Array3D` of one channel.
fn mel(column: &ArrayRef, row: usize) -> Result<(usize, usize, Vec<f32>), (String, &'static str)> {
    const WANTED: &str = "a mel: float lists of shape [1, bands, frames]";
    let channels = item(column, row).ok_or_else(|| (format!("`mel` of type {}", column.data_type()), WANTED))?;
    if channels.len() != 1 {
        return Err((format!("{} channels", channels.len()), WANTED));
    }
    let bands = item(&channels, 0).ok_or_else(|| (format!("`mel` of type {}", column.data_type()), WANTED))?;
    let mut values = Vec::new();
    let mut width = None;
    for band in 0..bands.len() {
        let frames = item(&bands, band).filter(|frames| frames.null_count() == 0);
        let frames = frames.ok_or_else(|| (format!("`mel` of type {}", column.data_type()), WANTED))?;
        if *width.get_or_insert(frames.len()) != frames.len() {
            return Err(("bands of different lengths".to_string(), WANTED));
        }
        match frames.data_type() {
            DataType::Float32 => values.extend_from_slice(frames.as_primitive::<Float32Type>().values()),
            DataType::Float64 => {
                values.extend(frames.as_primitive::<Float64Type>().values().iter().map(|value| *value as f32));
            }
            other => return Err((format!("mel values of type {other}"), WANTED)),
        }
    }
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return Err(("a mel that is empty or not finite".to_string(), WANTED));
    }
    Ok((bands.len(), width.unwrap_or(0), values))
}

/// The list in a row of a list column.
pub fn item(list: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if row >= list.len() || list.is_null(row) {
        return None;
    }
    match list.data_type() {
        DataType::List(_) => Some(list.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(list.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(list.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// A string of a string column.
pub fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

fn integer(column: &ArrayRef, row: usize) -> Option<i64> {
    fn get<T: ArrowPrimitiveType>(column: &ArrayRef, row: usize) -> Option<T::Native> {
        column.is_valid(row).then(|| column.as_primitive::<T>().value(row))
    }
    match column.data_type() {
        DataType::Int8 => get::<Int8Type>(column, row).map(i64::from),
        DataType::Int16 => get::<Int16Type>(column, row).map(i64::from),
        DataType::Int32 => get::<Int32Type>(column, row).map(i64::from),
        DataType::Int64 => get::<Int64Type>(column, row),
        DataType::UInt8 => get::<UInt8Type>(column, row).map(i64::from),
        DataType::UInt16 => get::<UInt16Type>(column, row).map(i64::from),
        DataType::UInt32 => get::<UInt32Type>(column, row).map(i64::from),
        DataType::UInt64 => get::<UInt64Type>(column, row).and_then(|value| value.try_into().ok()),
        _ => None,
    }
}

fn float(column: &ArrayRef, row: usize) -> Option<f32> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Float32 => Some(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row) as f32),
        _ => None,
    }
}
