//! FAD-inf: the Fréchet distance that a set of unlimited size would have.

use ndarray::ArrayView2;
use nocturne_models::random::Random;
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use crate::{Draws, FrechetError, Gaussian};

/// How the distance is carried to infinity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FadInfinity {
    /// Sizes that are drawn.
    pub points: usize,
    /// The smallest of them.
    pub smallest: usize,
    /// How often the whole procedure is done, each time with other draws.
    pub replicates: usize,
    /// Of the draws.
    pub seed: u64,
}

impl Default for FadInfinity {
    /// As fadtk: 25 sizes from 500 up, once.
    fn default() -> Self {
        Self { points: 25, smallest: 500, replicates: 1, seed: 0 }
    }
}

/// A line through distances over one divided by the size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The distance at size infinity.
    pub intercept: f64,
    /// What a set loses by being small.
    pub slope: f64,
    /// The share of the variance that the line explains.
    pub r2: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FadInfinityResult {
    /// The mean of the replicates' intercepts.
    pub value: f64,
    /// The replicates.
    pub lines: Vec<Line>,
    /// Sizes and distances of the first replicate.
    pub points: Vec<(usize, f64)>,
}

/// A set that cannot be carried to infinity.
#[derive(Debug, PartialEq, Error)]
pub enum FadInfinityError {
    /// The sizes would not grow.
    #[error("FAD-inf needs more than {smallest} vectors, found {found}")]
    TooFewVectors {
        /// The smallest size.
        smallest: usize,
        /// How many there are.
        found: usize,
    },
    /// No distance.
    #[error(transparent)]
    Frechet(#[from] FrechetError),
}

impl FadInfinity {
    /// Gui, Gamper, Braun and Emmanouilidou ("Adapting Fréchet Audio Distance for generative music evaluation", 2024) as fadtk
    /// does it: for each size one draw of so many vectors with replacement, its distance to the whole reference, and the
    /// intercept of the line through all distances over 1/size. Unlike there, draws have a seed.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn run(&self, reference: &Gaussian, vectors: ArrayView2<f32>) -> Result<FadInfinityResult, FadInfinityError> {
        let sizes = self.sizes(vectors.nrows())?;
        let draws = Draws::of(vectors);
        let all: Vec<f64> = (0..self.replicates * sizes.len())
            .into_par_iter()
            .map(|draw| {
                let mut random = Random::new(self.seed, "FAD-inf", draw as u64);
                let mut times = vec![0_u32; vectors.nrows()];
                for _ in 0..sizes[draw % sizes.len()] {
                    times[random.below(vectors.nrows() as u64) as usize] += 1;
                }
                draws.gaussian(|row| times[row])?.frechet_distance(reference)
            })
            .collect::<Result<_, _>>()?;
        let points: Vec<Vec<(usize, f64)>> = all
            .chunks(sizes.len())
            .map(|distances| sizes.iter().copied().zip(distances.iter().copied()).collect())
            .collect();
        let lines: Vec<Line> = points.iter().map(|points| line(points)).collect();
        let value = lines.iter().map(|line| line.intercept).sum::<f64>() / lines.len() as f64;
        Ok(FadInfinityResult { value, lines, points: points.into_iter().next().unwrap_or_default() })
    }

    /// Equally spaced from the smallest to all, rounded down.
    pub fn sizes(&self, count: usize) -> Result<Vec<usize>, FadInfinityError> {
        if count <= self.smallest {
            return Err(FadInfinityError::TooFewVectors { smallest: self.smallest, found: count });
        }
        let step = (count - self.smallest) as f64 / (self.points.max(2) - 1) as f64;
        let size = |point: usize| (self.smallest as f64 + point as f64 * step) as usize;
        Ok((0..self.points.max(2))
            .map(|point| if point + 1 == self.points.max(2) { count } else { size(point) })
            .collect())
    }
}

/// Least squares of distances over 1/size.
pub fn line(points: &[(usize, f64)]) -> Line {
    let count = points.len() as f64;
    let inverse = |size: usize| 1.0 / size as f64;
    let mean_x = points.iter().map(|(size, _)| inverse(*size)).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, distance)| distance).sum::<f64>() / count;
    let moment = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|(size, distance)| of(inverse(*size) - mean_x, distance - mean_y)).sum()
    };
    let (xx, xy, yy) = (moment(&|x, _| x * x), moment(&|x, y| x * y), moment(&|_, y| y * y));
    let slope = xy / xx;
    // All distances the same: the line explains all there is.
    let r2 = if yy == 0.0 { 1.0 } else { xy * xy / (xx * yy) };
    Line { intercept: mean_y - slope * mean_x, slope, r2 }
}
