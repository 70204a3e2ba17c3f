use rayon::prelude::*;

use super::geometry::Signal;
use crate::ops::simd::sum;

/// # Shapes
///
/// gradient of an output `signal` of each item → gradient of the bias `[channel]`
pub(super) fn bias_gradient(signal: Signal, gradient: &[f32]) -> Vec<f32> {
    let of_channel = |channel| {
        let items = gradient.chunks(signal.values().max(1));
        items.map(|item| sum(&item[channel * signal.length..][..signal.length])).sum()
    };
    (0..signal.channels).into_par_iter().map(of_channel).collect()
}
