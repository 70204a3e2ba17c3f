use burn::module::Module;

use super::{Checkpoint, CheckpointError, Mismatch};
use crate::parameters;

/// Fills `module` with the values of `from`. Strict: every parameter must be there, of its shape and finite, and nothing
/// else may be. A shape may differ by trailing ones (a 1×1 convolution's `[C, C, 1, 1]` is the matrix `[C, C]`).
///
/// Nothing is read before all names and shapes fit, and one tensor at a time is held beside the module.
///
/// # Errors
///
/// [`CheckpointError::Mismatch`] names all that is missing, unexpected or misshapen; [`CheckpointError::Tensor`] the
/// tensor with a value that is not finite.
pub fn load<M: Module>(module: M, from: &Checkpoint) -> Result<M, CheckpointError> {
    let mismatch = compare(&module, from);
    if !mismatch.is_empty() {
        let (file, mismatch) = (from.path().to_owned(), Box::new(mismatch));
        return Err(CheckpointError::Mismatch { file, mismatch });
    }
    parameters::fill(module, |name, _| {
        let values = from.read(name)?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(CheckpointError::tensor(from.path(), name, value, "finite numbers")),
            None => Ok(values),
        }
    })
}

fn compare<M: Module>(module: &M, from: &Checkpoint) -> Mismatch {
    let mut mismatch = Mismatch::default();
    let mut expected = std::collections::HashSet::new();
    for (name, shape) in parameters::shapes(module) {
        match from.shape(&name) {
            None => mismatch.missing.push(name.clone()),
            Some(found) if without_trailing_ones(found) != without_trailing_ones(&shape) => {
                mismatch.misshapen.push((name.clone(), found.to_vec(), shape));
            }
            Some(_) => {}
        }
        expected.insert(name);
    }
    mismatch.unexpected = from.names().filter(|name| !expected.contains(*name)).map(str::to_owned).collect();
    mismatch
}

pub(super) fn without_trailing_ones(mut shape: &[usize]) -> &[usize] {
    while let [rest @ .., 1] = shape {
        shape = rest;
    }
    shape
}
