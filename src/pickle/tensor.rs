use std::borrow::Cow;

use burn::tensor::{bf16, f16};

use super::archive::Storages;
use super::machine::{Object, Pickle, Value};
use super::{Fault, torch_storage};

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    F16,
    Bf16,
    F32,
    F64,
}

impl Type {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The number at `index`.
    fn number(self, bytes: &[u8], index: usize) -> Option<f32> {
        let bytes = &bytes.get(index.checked_mul(self.size())?..)?;
        Some(match self {
            Self::F16 => f16::from_le_bytes(*bytes.first_chunk()?).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(*bytes.first_chunk()?).to_f32(),
            Self::F32 => f32::from_le_bytes(*bytes.first_chunk()?),
            Self::F64 => f64::from_le_bytes(*bytes.first_chunk()?) as f32,
        })
    }
}

/// What may still be allocated: numbers take at least a byte each in the file that they come from, and bytes that were
/// pickled as text are no longer than the text. A file whose tensors say more makes one part of it serve many times.
pub struct Budget(usize);

impl Budget {
    pub fn of(file_size: usize) -> Self {
        Self(file_size)
    }

    fn spend(&mut self, count: usize) -> Result<(), Fault> {
        let left = self.0.checked_sub(count);
        self.0 = left.ok_or_else(|| Fault::new("more numbers than the file has bytes", "tensors of their own"))?;
        Ok(())
    }
}

/// The shape and the values, in row-major order, of a tensor of PyTorch or an array of `NumPy`.
/// Storages that stand outside of the pickle are looked up in `storages`.
pub fn read(
    pickle: &Pickle,
    value: Value,
    storages: &Storages,
    budget: &mut Budget,
) -> Result<(Vec<usize>, Vec<f32>), Fault> {
    let not_a_tensor = || Fault::new(pickle.describe(value), "a tensor of PyTorch or an array of NumPy");
    let (function, arguments, state) = pickle.call(value).ok_or_else(not_a_tensor)?;
    match (function, arguments) {
        (["torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2"], [storage, offset, size, stride, ..]) => {
            let (shape, strides) = (sizes(pickle, *size)?, sizes(pickle, *stride)?);
            let &Value::Int(offset) = offset else { return Err(not_a_tensor()) };
            let offset = usize::try_from(offset).map_err(|_| not_a_tensor())?;
            if let Some(Object::Persistent(id)) = pickle.object(*storage) {
                let (kind, key) = torch_storage::outside(pickle, *id).ok_or_else(not_a_tensor)?;
                let data = storages.get(key).ok_or_else(|| Fault::new(format!("no storage {key:?}"), "one"))?;
                let values = strided(kind, data, offset, &shape, &strides, budget)?;
                return Ok((shape, values));
            }
            let (["torch.storage", "_load_from_bytes"], [saved], _) = pickle.call(*storage).ok_or_else(not_a_tensor)?
            else {
                return Err(not_a_tensor());
            };
            let saved = bytes(pickle, *saved, budget)?;
            let (kind, data) = torch_storage::read(&saved)?;
            let values = strided(kind, data, offset, &shape, &strides, budget)?;
            Ok((shape, values))
        }
        (["numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct"], _) => {
            // Version, shape, type, whether the first axis is the fastest, data.
            let state = state.and_then(|state| pickle.tuple(state)).ok_or_else(not_a_tensor)?;
            let &[_, shape, kind, Value::Bool(fortran), data] = state else { return Err(not_a_tensor()) };
            array(pickle, [shape, kind, data], fortran, budget)
        }
        (["numpy.core.numeric" | "numpy._core.numeric", "_frombuffer"], &[data, kind, shape, Value::Text(order)]) => {
            array(pickle, [shape, kind, data], order == "F", budget)
        }
        _ => Err(not_a_tensor()),
    }
}

fn array(
    pickle: &Pickle,
    [shape, kind, data]: [Value; 3],
    fortran: bool,
    budget: &mut Budget,
) -> Result<(Vec<usize>, Vec<f32>), Fault> {
    let (shape, kind) = (sizes(pickle, shape)?, numpy_type(pickle, kind)?);
    let data = bytes(pickle, data, budget)?;
    let strides = contiguous(&shape, fortran).ok_or_else(|| outside(&shape))?;
    let values = strided(kind, &data, 0, &shape, &strides, budget)?;
    Ok((shape, values))
}

/// The strides of an array without gaps; none where they are beyond any memory.
fn contiguous(shape: &[usize], fortran: bool) -> Option<Vec<usize>> {
    let mut strides = vec![0; shape.len()];
    let mut next = 1_usize;
    let mut set = |axis: usize| {
        strides[axis] = next;
        next = next.checked_mul(shape[axis])?;
        Some(())
    };
    if fortran {
        (0..shape.len()).try_for_each(&mut set)?;
    } else {
        (0..shape.len()).rev().try_for_each(&mut set)?;
    }
    Some(strides)
}

/// `numpy.dtype("f4", …)`, to which the order of bytes was set.
fn numpy_type(pickle: &Pickle, kind: Value) -> Result<Type, Fault> {
    let unknown = || Fault::new("another type of numbers", "float16, float32 or float64, little-endian");
    let Some((["numpy", "dtype"], [Value::Text(name), ..], Some(state))) = pickle.call(kind) else {
        return Err(unknown());
    };
    let Some([_, Value::Text("<"), ..]) = pickle.tuple(state) else { return Err(unknown()) };
    match *name {
        "f2" => Ok(Type::F16),
        "f4" => Ok(Type::F32),
        "f8" => Ok(Type::F64),
        _ => Err(unknown()),
    }
}

/// A tuple of few lengths or strides.
fn sizes(pickle: &Pickle, value: Value) -> Result<Vec<usize>, Fault> {
    const MOST_AXES: usize = 8;
    let wrong = || Fault::new("a shape of another form", "a tuple of whole numbers");
    let parts = pickle.tuple(value).filter(|parts| parts.len() <= MOST_AXES).ok_or_else(wrong)?;
    let size = |part: &Value| match part {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    parts.iter().map(size).collect::<Option<_>>().ok_or_else(wrong)
}

/// Bytes, which older protocols write as text: `_codecs.encode(text, "latin1")`.
fn bytes<'a>(pickle: &Pickle<'a>, value: Value<'a>, budget: &mut Budget) -> Result<Cow<'a, [u8]>, Fault> {
    if let Value::Bytes(bytes) = value {
        return Ok(Cow::Borrowed(bytes));
    }
    match pickle.call(value) {
        Some((["_codecs", "encode"], [Value::Text(text), Value::Text("latin1")], _)) => {
            budget.spend(text.len())?;
            let latin = text.chars().map(|character| u8::try_from(u32::from(character)));
            let latin: Result<Vec<u8>, _> = latin.collect();
            latin.map(Cow::Owned).map_err(|_| Fault::new("text that is no Latin-1", "bytes"))
        }
        _ => Err(Fault::new(pickle.describe(value), "bytes")),
    }
}

/// The numbers of a view, in row-major order.
fn strided(
    kind: Type,
    data: &[u8],
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    budget: &mut Budget,
) -> Result<Vec<f32>, Fault> {
    if shape.len() != strides.len() {
        return Err(Fault::new("as many strides as another shape has", "one stride an axis"));
    }
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    let count = count.filter(|count| *count > 0).ok_or_else(|| outside(shape))?;
    budget.spend(count)?;
    let mut values = Vec::with_capacity(count);
    let mut place = vec![0; shape.len()];
    for _ in 0..count {
        let index = place
            .iter()
            .zip(strides)
            .try_fold(offset, |index, (place, stride): (&usize, _)| index.checked_add(place.checked_mul(*stride)?));
        let number = index.and_then(|index| kind.number(data, index));
        values.push(number.ok_or_else(|| outside(shape))?);
        for (place, size) in place.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < *size {
                break;
            }
            *place = 0;
        }
    }
    Ok(values)
}

fn outside(shape: &[usize]) -> Fault {
    Fault::new(format!("a shape {shape:?} of fewer numbers"), "as many as the shape says")
}
