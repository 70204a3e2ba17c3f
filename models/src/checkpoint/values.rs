use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ::safetensors::Dtype;
use half::{bf16, f16};

use super::CheckpointError;
use super::split::Rows;
use super::stacked::Stack;
use super::transposed::Transposed;
use super::weight_norm::WeightNorm;

/// A tensor in a file, its values unread.
#[derive(Debug)]
pub(super) struct Stored {
    pub file: PathBuf,
    pub source: Source,
}

#[derive(Debug)]
pub(super) enum Source {
    /// Bytes `start..start + length` of an open file. It stays open so that a file put in its place by a writer cannot
    /// be mistaken for it.
    Span {
        open: Arc<Mutex<File>>,
        start: u64,
        length: usize,
        dtype: Dtype,
        shape: Vec<usize>,
    },
    Pickled(pytorch_reader::Tensor),
    /// Made of two others when it is read.
    Normed(WeightNorm),
    /// Made of others when it is read.
    Stacked(Stack),
    /// Cut out of another when it is read.
    Rows(Rows),
    /// Turned over when it is read.
    Transposed(Transposed),
}

impl Stored {
    pub fn shape(&self) -> &[usize] {
        match &self.source {
            Source::Span { shape, .. } => shape,
            Source::Pickled(tensor) => tensor.shape(),
            Source::Normed(weight) => weight.shape(),
            Source::Stacked(stack) => stack.shape(),
            Source::Rows(rows) => rows.shape(),
            Source::Transposed(matrix) => matrix.shape(),
        }
    }

    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let (bytes, dtype) = match &self.source {
            Source::Span { open, start, length, dtype, .. } => (read_span(open, *start, *length), *dtype),
            Source::Pickled(tensor) => (tensor.read(), dtype_of(tensor.dtype())),
            Source::Normed(weight) => return weight.read(name),
            Source::Stacked(stack) => return stack.read(name),
            Source::Rows(rows) => return rows.read(name),
            Source::Transposed(matrix) => return matrix.read(name),
        };
        let bytes = bytes.map_err(CheckpointError::io(&self.file))?;
        decode(&bytes, dtype)
            .ok_or_else(|| CheckpointError::tensor(&self.file, name, dtype, "one of F16, BF16, F32, F64"))
    }
}

fn read_span(open: &Mutex<File>, start: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = open.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Little-endian values as f32; `None` for a type that holds no such values.
fn decode(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|chunk| bf16::from_le_bytes(*chunk).to_f32()).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk) as f32).collect(),
        _ => return None,
    })
}

fn dtype_of(pickled: pytorch_reader::DType) -> Dtype {
    use pytorch_reader::DType;
    match pickled {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

// The pickle reader gives native-endian bytes and refuses big-endian files.
const _: () = assert!(cfg!(target_endian = "little"), "weights are read as little-endian");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_type_becomes_f32() {
        let values = [0.0f32, -1.5, 65_504.0, 1.0 / 1024.0];
        let bytes = |encode: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|v| encode(*v)).collect::<Vec<_>>();
        let expected = Some(values.to_vec());
        assert_eq!(decode(&bytes(&|v| v.to_le_bytes().to_vec()), Dtype::F32), expected);
        assert_eq!(decode(&bytes(&|v| f64::from(v).to_le_bytes().to_vec()), Dtype::F64), expected);
        assert_eq!(decode(&bytes(&|v| f16::from_f32(v).to_le_bytes().to_vec()), Dtype::F16), expected);
        let rounded = values.map(|v| bf16::from_f32(v).to_f32()).to_vec();
        assert_eq!(decode(&bytes(&|v| bf16::from_f32(v).to_le_bytes().to_vec()), Dtype::BF16), Some(rounded));
        assert_eq!(decode(&[0; 8], Dtype::I64), None);
    }
}
