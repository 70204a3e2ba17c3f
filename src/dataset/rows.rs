use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int16Array, ListArray, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, SchemaRef};

use super::features::{image_fields, item};

/// One slice, ready to be stored.
pub struct Row {
    /// The picture or the mel.
    pub values: RowValues,
    /// The file it comes from, as found.
    pub audio_file: Arc<str>,
    /// Its place in the file.
    pub slice: i16,
    /// Where it begins in the file, in seconds.
    pub start_seconds: f64,
}

/// The content of a row.
pub enum RowValues {
    /// A PNG, and the power that is 0 dB in it.
    Image {
        /// The bytes of the PNG.
        png: Vec<u8>,
        /// The power of a white pixel.
        reference_level: f32,
    },
    /// `[mel, frame]`.
    LogMel {
        /// The mel, band after band.
        mel: Vec<f32>,
        /// How many bands.
        bands: usize,
    },
}

impl Row {
    /// Bytes it takes in a dataset, about.
    pub fn size(&self) -> usize {
        let values = match &self.values {
            RowValues::Image { png, .. } => png.len(),
            RowValues::LogMel { mel, .. } => mel.len() * 4,
        };
        values + self.audio_file.len()
    }
}

/// One Arrow record batch of rows that all have the content of the schema.
pub fn record_batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let files: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.audio_file)));
    let slices: ArrayRef = Arc::new(Int16Array::from_iter_values(rows.iter().map(|row| row.slice)));
    let starts: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.start_seconds)));
    let columns = match schema.field(0).data_type() {
        DataType::Struct(_) => {
            let (images, levels) = images(rows)?;
            vec![images, files, slices, levels, starts]
        }
        _ => vec![mels(rows)?, files, slices, starts],
    };
    RecordBatch::try_new(schema.clone(), columns)
}

fn images(rows: &[Row]) -> Result<(ArrayRef, ArrayRef), ArrowError> {
    let images: Vec<(&[u8], f32)> = rows
        .iter()
        .filter_map(|row| match &row.values {
            RowValues::Image { png, reference_level } => Some((png.as_slice(), *reference_level)),
            RowValues::LogMel { .. } => None,
        })
        .collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(images.iter().map(|(png, _)| png)));
    let paths = new_null_array(&DataType::Utf8, images.len());
    let images_column = StructArray::try_new(image_fields(), vec![bytes, paths], None)?;
    let levels = Float32Array::from_iter_values(images.iter().map(|(_, level)| *level));
    Ok((Arc::new(images_column), Arc::new(levels)))
}

/// `list<list<list<float>>>` of shape `[1, bands, frames]`.
fn mels(rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let mut values = Vec::new();
    let (mut frames, mut bands, mut channels) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        if let RowValues::LogMel { mel, bands: count } = &row.values {
            values.extend_from_slice(mel);
            frames.extend(std::iter::repeat_n(mel.len() / count, *count));
            bands.push(*count);
            channels.push(1);
        }
    }
    let mut column: ArrayRef = Arc::new(Float32Array::from(values));
    for lengths in [frames, bands, channels] {
        let field = item(column.data_type().clone());
        column = Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), column, None)?);
    }
    Ok(column)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow_array::Array;

    use super::super::features::Content;
    use super::*;

    #[test]
    fn both_contents_fit_their_schema() {
        let row = |values| Row { values, audio_file: "a.wav".into(), slice: 3, start_seconds: 1.5 };
        let image = || row(RowValues::Image { png: vec![1, 2, 3], reference_level: 0.5 });
        let batch = record_batch(&Content::Image.schema(), &[image(), image()]).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (2, 5));
        let mel = || row(RowValues::LogMel { mel: vec![0.5; 6], bands: 2 });
        let batch = record_batch(&Content::LogMel { bands: 2, frames: 3 }.schema(), &[mel()]).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (1, 4));
        assert_eq!(batch.column(0).len(), 1);
    }
}
