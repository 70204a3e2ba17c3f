//! Two small sets written as formulas, whose distances NumPy and SciPy computed from the published definitions.
#![allow(dead_code, clippy::unwrap_used)]

use ndarray::Array2;
use nocturne_evaluation::Embeddings;

pub fn x() -> Array2<f64> {
    Array2::from_shape_fn((200, 8), |(i, j)| {
        let (i, j) = (i as f64, j as f64);
        (0.37 * i + 1.3 * j).sin() + 0.5 * (0.11 * i * (j + 1.0)).cos()
    })
}

pub fn y() -> Array2<f64> {
    Array2::from_shape_fn((150, 8), |(i, j)| {
        let (i, j) = (i as f64, j as f64);
        (0.41 * i + 0.9 * j).sin() + 0.3 * (0.11 * i * (j + 1.0)).cos() + 0.1
    })
}

/// As a set whose clips are of `frames` vectors each.
pub fn clips(vectors: &Array2<f64>, frames: usize) -> Embeddings {
    let mut set = Embeddings::new();
    for (index, clip) in vectors.mapv(|value| value as f32).axis_chunks_iter(ndarray::Axis(0), frames).enumerate() {
        set.push(format!("{index}"), clip).unwrap();
    }
    set
}
