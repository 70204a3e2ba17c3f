//! Statistics as fadtk keeps them, rounding included (microsoft/fadtk, `fad.py` and `utils.py`).

use half::f16;
use ndarray::{Array2, ArrayView2, Axis};

use crate::Statistics;

/// The statistics of one file as fadtk has them: the vectors stored in 16 bits, their mean taken in 32 and rounded to 16 once
/// more (`numpy.mean` of a float16 array), the covariance in 64 about the exact mean.
///
/// # Shapes
/// - vectors: `[frame, dim]`
pub fn rounded_statistics(vectors: ArrayView2<f32>) -> Statistics {
    let stored = stored(vectors);
    let statistics = Statistics::of(stored.view());
    let mean = stored.mean_axis(Axis(0)).map(|mean| mean.mapv(|value| f64::from(f16::from_f32(value))));
    match mean {
        Some(mean) => statistics.with_mean(mean),
        None => statistics,
    }
}

/// Vectors through the 16 bits of fadtk's files.
///
/// # Shapes
/// - vectors, output: `[frame, dim]`
pub fn stored(vectors: ArrayView2<f32>) -> Array2<f32> {
    vectors.mapv(|value| f16::from_f32(value).to_f32())
}
