use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

/// The `ARROW:extension:name` under which Python's `datasets` knows a three-dimensional array.
const ARRAY_3D: &str = "datasets.features.features.Array3DExtensionType";

/// What a dataset holds in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `image`: an 8-bit grey PNG, as `datasets` stores an `Image`.
    Image,
    /// `mel`: an `Array3D` of float32.
    LogMel {
        /// Mel bands.
        bands: usize,
        /// Frames.
        frames: usize,
    },
}

impl Content {
    /// Name, type in the JSON of `datasets`, and Arrow field of each column, in order. The first three are the published
    /// ones.
    fn columns(self) -> Vec<(String, Field)> {
        let value = |name: &str, dtype: &str, kind: DataType| {
            (format!(r#""{name}": {{"dtype": "{dtype}", "_type": "Value"}}"#), Field::new(name, kind, true))
        };
        let mut columns = vec![
            self.content_column(),
            value("audio_file", "string", DataType::Utf8),
            value("slice", "int16", DataType::Int16),
        ];
        if self == Self::Image {
            columns.push(value("reference_level", "float32", DataType::Float32));
        }
        columns.push(value("start_seconds", "float64", DataType::Float64));
        columns
    }

    fn content_column(self) -> (String, Field) {
        match self {
            Self::Image => (
                r#""image": {"_type": "Image"}"#.to_string(),
                Field::new("image", DataType::Struct(image_fields()), true),
            ),
            Self::LogMel { bands, frames } => (
                format!(r#""mel": {{"shape": [1, {bands}, {frames}], "dtype": "float32", "_type": "Array3D"}}"#),
                Field::new("mel", list(list(list(DataType::Float32))), true).with_metadata([
                    ("ARROW:extension:name", ARRAY_3D.to_string()),
                    ("ARROW:extension:metadata", format!(r#"[[1, {bands}, {frames}], "float32"]"#)),
                ]),
            ),
        }
    }

    /// The columns in the JSON form of `datasets`. Their order matters there.
    pub fn features_json(self) -> String {
        let columns: Vec<_> = self.columns().into_iter().map(|(json, _)| json).collect();
        format!("{{{}}}", columns.join(", "))
    }

    /// The Arrow schema, with the features in its metadata, where `datasets` looks for them.
    pub fn schema(self) -> SchemaRef {
        let fields: Vec<_> = self.columns().into_iter().map(|(_, field)| field).collect();
        let huggingface = format!(r#"{{"info": {{"features": {}}}}}"#, self.features_json());
        Arc::new(Schema::new(fields).with_metadata([("huggingface", huggingface)]))
    }
}

/// The two fields of an `Image` column.
pub fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

/// The item field of a list column.
pub fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, true))
}

fn list(kind: DataType) -> DataType {
    DataType::List(item(kind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_json_names_the_columns_of_the_schema() {
        for content in [Content::Image, Content::LogMel { bands: 100, frames: 64 }] {
            let json: serde_json::Value = serde_json::from_str(&content.features_json()).unwrap();
            let schema = content.schema();
            assert_eq!(json.as_object().unwrap().len(), schema.fields().len());
            for field in schema.fields() {
                assert!(json.get(field.name()).is_some(), "{field}");
            }
        }
    }
}
