//! Many dimensions seen from where they differ most: the first two principal components.

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::{Embeddings, Statistics};

/// The plane that the points of a set are widest in.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    centre: Array1<f64>,
    /// Of length 1 each.
    axes: [Array1<f64>; 2],
    /// The share of the variance that lies along either axis.
    pub explained: [f64; 2],
}

impl Plane {
    /// Of points, at least two of which differ, and that have two dimensions or more. An axis points to where its largest
    /// component is positive.
    ///
    /// # Shapes
    /// - points: `[point, dim]`
    pub fn of(points: ArrayView2<f32>) -> Option<Self> {
        let statistics = Statistics::of(points);
        let covariance = statistics.covariance()?;
        let dim = covariance.nrows();
        let variance = covariance.diag().sum();
        // Also of what is not a number.
        if dim < 2 || !variance.is_finite() || variance <= 0.0 {
            return None;
        }
        let matrix = Mat::from_fn(dim, dim, |row, column| covariance[(row, column)]);
        let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
        // Eigenvalues rise.
        let axis = |place: usize| {
            let vector = Array1::from_shape_fn(dim, |row| eigen.U()[(row, dim - 1 - place)]);
            let largest =
                vector.iter().copied().fold(0.0_f64, |most, value| if value.abs() > most.abs() { value } else { most });
            vector * largest.signum()
        };
        let explained = [0, 1].map(|place| (eigen.S()[dim - 1 - place] / variance).max(0.0));
        Some(Self { centre: statistics.mean().clone(), axes: [axis(0), axis(1)], explained })
    }

    /// Where a point is in the plane.
    ///
    /// # Shapes
    /// - point: `[dim]`
    pub fn place(&self, point: ArrayView1<f32>) -> [f64; 2] {
        let along = |axis: &Array1<f64>| -> f64 {
            point
                .iter()
                .zip(&self.centre)
                .zip(axis)
                .map(|((point, centre), axis)| (f64::from(*point) - centre) * axis)
                .sum()
        };
        self.axes.each_ref().map(along)
    }
}

/// The mean vector of every clip.
///
/// # Shapes
/// - output: `[clip, dim]`
pub fn clip_means(set: &Embeddings) -> Array2<f32> {
    let mut means = Array2::zeros((set.clips(), set.dim()));
    for (clip, mut row) in means.axis_iter_mut(Axis(0)).enumerate() {
        if let Some(mean) = set.clip(clip).mean_axis(Axis(0)) {
            row.assign(&mean);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Points of a flat cloud that is turned into five dimensions.
    fn cloud() -> (Array2<f32>, Vec<[f64; 2]>) {
        let flat: Vec<[f64; 2]> = (0..40).map(f64::from).map(|n| [3.0 * (0.7 * n).sin(), (1.3 * n).cos()]).collect();
        let [long, short] = [[0.5, 0.5, 0.5, 0.5, 0.0], [0.0, 0.0, 0.6, -0.6, 0.28_f64.sqrt()]];
        let points =
            Array2::from_shape_fn((40, 5), |(n, d)| (7.0 + flat[n][0] * long[d] + flat[n][1] * short[d]) as f32);
        (points, flat)
    }

    #[test]
    fn a_flat_cloud_is_seen_as_it_is() {
        let (points, flat) = cloud();
        let plane = Plane::of(points.view()).unwrap();
        assert!((plane.explained[0] + plane.explained[1] - 1.0).abs() < 1e-6, "{:?}", plane.explained);
        let places: Vec<[f64; 2]> = points.outer_iter().map(|point| plane.place(point)).collect();
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for n in 1..40 {
            assert!((distance(places[0], places[n]) - distance(flat[0], flat[n])).abs() < 1e-5, "{n}");
        }
        let spread = |axis: usize| places.iter().map(|place| place[axis].powi(2)).sum::<f64>();
        assert!(spread(0) > 4.0 * spread(1));
    }

    #[test]
    fn what_has_no_plane_has_none() {
        assert!(Plane::of(Array2::zeros((5, 3)).view()).is_none());
        assert!(Plane::of(Array2::from_elem((1, 3), 2.0).view()).is_none());
        assert!(Plane::of(Array2::from_elem((3, 3), f32::NAN).view()).is_none());
    }

    #[test]
    fn a_clip_is_at_its_mean() {
        let mut set = Embeddings::new();
        set.push("a", ndarray::array![[1.0, 2.0], [3.0, 6.0]].view()).unwrap();
        set.push("b", ndarray::array![[5.0, 5.0]].view()).unwrap();
        assert_eq!(clip_means(&set), ndarray::array![[2.0, 4.0], [5.0, 5.0]]);
    }
}
