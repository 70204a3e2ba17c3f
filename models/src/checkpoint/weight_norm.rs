use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::without_trailing_ones;
use super::values::{Source, Stored};
use super::{Checkpoint, CheckpointError};

/// What PyTorch calls a weight's magnitudes and directions: in its older form and as a parametrisation.
const PARTS: [[&str; 2]; 2] =
    [["weight_g", "weight_v"], ["parametrizations.weight.original0", "parametrizations.weight.original1"]];

/// A weight as PyTorch's `weight_norm` keeps it: one magnitude for each index of an axis, mostly the first, and a tensor of
/// directions (Salimans and Kingma, "Weight Normalization", 2016).
#[derive(Debug)]
pub(super) struct WeightNorm {
    magnitude: Arc<Stored>,
    direction: Arc<Stored>,
    axis: usize,
}

impl WeightNorm {
    pub fn shape(&self) -> &[usize] {
        self.direction.shape()
    }

    /// magnitude · direction / ‖direction‖
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let magnitudes = self.magnitude.read(name)?;
        let mut values = self.direction.read(name)?;
        // Values of one index of the axis lie together in stretches of this length, those of all indices in turns.
        let length = self.shape()[self.axis + 1..].iter().product::<usize>().max(1);
        let count = magnitudes.len();
        let mut scales = vec![0.0; count];
        for (index, values) in values.chunks_exact(length).enumerate() {
            scales[index % count] += values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        }
        for (scale, magnitude) in scales.iter_mut().zip(magnitudes) {
            *scale = f64::from(magnitude) / scale.sqrt();
        }
        for (index, values) in values.chunks_exact_mut(length).enumerate() {
            for value in values {
                *value = (f64::from(*value) * scales[index % count]) as f32;
            }
        }
        Ok(values)
    }
}

impl Checkpoint {
    /// The same weights with every weight norm folded in: `layer.weight_g` and `layer.weight_v`, or the
    /// two of `layer.parametrizations.weight`, become `layer.weight`. Others stay as they are.
    ///
    /// # Errors
    ///
    /// If magnitudes and directions do not fit each other, or a weight is there folded as well.
    pub fn fold_weight_norm(self) -> Result<Self, CheckpointError> {
        let Self { path, mut tensors } = self;
        let mut folded = BTreeMap::new();
        for [magnitude, direction] in PARTS {
            let layers: Vec<String> = tensors
                .keys()
                .filter_map(|name| {
                    name.strip_suffix(magnitude).filter(|layer| layer.is_empty() || layer.ends_with('.'))
                })
                .filter(|layer| tensors.contains_key(&format!("{layer}{direction}")))
                .map(str::to_owned)
                .collect();
            for layer in layers {
                let name = format!("{layer}{magnitude}");
                let parts = (tensors.remove(&name), tensors.remove(&format!("{layer}{direction}")));
                let (Some(magnitude), Some(direction)) = parts else { continue };
                let Some(axis) = normed_axis(magnitude.shape(), direction.shape()) else {
                    let count = direction.shape().first().copied().unwrap_or(1);
                    let found = format!("shape {:?}", magnitude.shape());
                    let expected = format!("[{count}, 1, …], as its directions, or as many of another axis");
                    return Err(CheckpointError::tensor(&path, &name, found, expected));
                };
                let source = Source::Normed(WeightNorm { magnitude, direction, axis });
                let weight = Arc::new(Stored { file: path.clone(), source });
                if folded.insert(format!("{layer}weight"), weight).is_some() {
                    return Err(CheckpointError::tensor(&path, &name, "two forms of one weight", "one"));
                }
            }
        }
        for (name, weight) in folded {
            if tensors.insert(name.clone(), weight).is_some() {
                return Err(CheckpointError::tensor(&path, &name, "the weight itself and its norm", "one of them"));
            }
        }
        Ok(Self { path, tensors })
    }
}

/// The axis of directions whose indices magnitudes are for; they may lack axes of one index behind it.
fn normed_axis(magnitude: &[usize], direction: &[usize]) -> Option<usize> {
    let along = |axis: usize| {
        let mut shape = vec![1; axis];
        shape.push(direction[axis]);
        shape
    };
    (0..direction.len()).find(|axis| without_trailing_ones(magnitude) == without_trailing_ones(&along(*axis)))
}
