use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use ::safetensors::Dtype;
use ::safetensors::tensor::{Metadata, TensorInfo};
use burn::module::Module;
use burn::tensor::{DType, Tensor};

use super::CheckpointError;
use crate::{files, parameters};

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Its values, in row-major order.
    pub values: Tensor<1>,
}

impl Named {
    /// The parameters of a module by their published names.
    pub fn all<M: Module>(module: &M) -> Vec<Self> {
        let mut tensors = Vec::new();
        parameters::visit(module, |name, shape, values| {
            tensors.push(Self { name: name.to_owned(), shape: shape.to_vec(), values });
        });
        tensors
    }

    /// Its values on the host.
    ///
    /// # Errors
    ///
    /// If the device does not give them.
    pub fn host(&self) -> io::Result<Vec<f32>> {
        let values = self.values.clone().into_data().convert_dtype(DType::F32);
        values.try_to_vec::<f32>().map_err(|error| io::Error::other(format!("{}: {error:?}", self.name)))
    }
}

/// Writes the parameters of `module` as a `.safetensors` file of f32 that PyTorch's libraries open: published names and
/// layout, `{"format": "pt"}` in the header. Atomic: see [`files::write_atomically`].
///
/// # Errors
///
/// If the file cannot be written; `to` is then as before.
pub fn save<M: Module>(module: &M, to: &Path) -> Result<(), CheckpointError> {
    write(Named::all(module), to)
}

/// The same with any tensors.
///
/// # Errors
///
/// As [`save`].
pub fn write(mut tensors: Vec<Named>, to: &Path) -> Result<(), CheckpointError> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    files::write_atomically(to, |out| {
        out.write_all(&header(&tensors)?)?;
        for Named { name, values, .. } in tensors {
            let values = values.into_data().convert_dtype(DType::F32);
            let values = values.as_slice::<f32>().map_err(|error| io::Error::other(format!("{name}: {error:?}")))?;
            for value in values {
                out.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    })
    .map_err(CheckpointError::io(to))
}

/// The length and the JSON header, padded so that the values are aligned.
fn header(tensors: &[Named]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|Named { name, shape, .. }| {
        let start = end;
        end += size_of::<f32>() * shape.iter().product::<usize>();
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) })
    });
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(format), infos.collect()).map_err(io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    json.resize(json.len().next_multiple_of(size_of::<u64>()), b' ');
    Ok([&(json.len() as u64).to_le_bytes()[..], &json].concat())
}
