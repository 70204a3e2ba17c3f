use rayon::prelude::*;

/// The cubic of Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), with Pillow's parameter: PyTorch
/// takes it, too, where it filters.
const A: f64 = -0.5;

/// Neighbours on either side that a cubic passes through.
const REACH: f64 = 2.0;

/// What the values at one place of the resized axis are made of.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Planes in another size by cubics, which are as wide as the pixels are large where these become fewer: `interpolate` of
/// PyTorch with `mode="bicubic"` and `antialias=True`. Results may lie outside of the values' range.
///
/// # Shapes
///
/// `[plane, height, width]` → `[plane, height, width]`, sizes from `[height, width]` to `[height, width]`
///
/// # Panics
///
/// If a size is 0, or `values` is no number of whole planes.
pub fn resize(values: &[f32], [height, width]: [usize; 2], [new_height, new_width]: [usize; 2]) -> Vec<f32> {
    assert!(![height, width, new_height, new_width].contains(&0), "a picture without pixels");
    assert!(values.len().is_multiple_of(height * width), "{} values of {height} × {width}", values.len());
    let (rows, columns) = (taps(height, new_height), taps(width, new_width));
    let mut resized = vec![0.0; values.len() / (height * width) * new_height * new_width];
    let planes = values.par_chunks_exact(height * width).zip(resized.par_chunks_exact_mut(new_height * new_width));
    planes.for_each(|(plane, resized)| {
        let across = |row: &[f32]| {
            let weighted = |taps: &Taps| taps.weights.iter().zip(&row[taps.first..]).map(|(w, x)| w * x).sum();
            columns.iter().map(weighted).collect::<Vec<f32>>()
        };
        let narrow: Vec<Vec<f32>> = plane.chunks_exact(width).map(across).collect();
        for (row, taps) in resized.chunks_exact_mut(new_width).zip(&rows) {
            for (weight, narrow) in taps.weights.iter().zip(&narrow[taps.first..]) {
                for (value, x) in row.iter_mut().zip(narrow) {
                    *value += weight * x;
                }
            }
        }
    });
    resized
}

/// For each place of an axis of `to` values, the weights of the `from` values; they add up to 1.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let step = from as f64 / to as f64;
    // A cubic is never narrower than the pixels that it passes through.
    let stretch = step.max(1.0);
    let of_place = |place: usize| {
        let centre = step * (place as f64 + 0.5);
        // Conversions cut towards 0, and below it.
        let first = (centre - REACH * stretch + 0.5) as usize;
        let end = ((centre + REACH * stretch + 0.5) as usize).min(from);
        let weights = (first..end).map(|index| cubic((index as f64 + 0.5 - centre) / stretch));
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..to).map(of_place).collect()
}

/// What a neighbour at this distance weighs.
fn cubic(distance: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < REACH {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}
