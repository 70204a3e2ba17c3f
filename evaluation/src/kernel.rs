//! Kernel distances: the squared maximum mean discrepancy, unbiased (Gretton and others, "A kernel two-sample test", 2012).

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::Serialize;

use crate::pairs::Vectors;
use crate::{Bootstrap, Embeddings, Interval};

/// How alike two vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// exp(−‖a−b‖² / (2σ² + 1e-8)), as in KAD.
    Gaussian {
        /// σ.
        bandwidth: f64,
    },
    /// (a·b / dim + 1)³, as in KID (Bińkowski and others, "Demystifying MMD GANs", 2018).
    Cubic,
}

impl Kernel {
    fn of(self, dim: usize, squared_distance: f64, product: f64) -> f64 {
        match self {
            Self::Gaussian { bandwidth } => (-squared_distance / (2.0 * bandwidth * bandwidth + 1e-8)).exp(),
            Self::Cubic => (product / dim as f64 + 1.0).powi(3),
        }
    }
}

/// The median of the distances between all vectors of a set, the lower of two: KAD's bandwidth, of the reference (as its
/// authors describe it) or of the generated set (as their toolkit does it).
///
/// Found by counting, in two passes over all pairs, so that memory does not grow with the set; to the precision of 32 bits. A
/// set of fewer than two vectors has none.
///
/// # Shapes
/// - vectors: `[frame, dim]`
pub fn median_distance(vectors: ArrayView2<f32>) -> Option<f64> {
    let vectors = Vectors::new(vectors);
    let count = vectors.len();
    if count < 2 {
        return None;
    }
    let mut rank = ((count * (count - 1) / 2 - 1) / 2) as u64;
    // The bits of positive floats are in the floats' order: first the upper half of the median's, then the lower.
    let high = counted(&vectors, |bits| Some(bits >> 16)).pick(&mut rank);
    let low = counted(&vectors, |bits| (bits >> 16 == high).then_some(bits & 0xFFFF)).pick(&mut rank);
    Some(f64::from(f32::from_bits(high << 16 | low)))
}

struct Counts(Vec<u64>);

impl Counts {
    /// The slot of the value of this rank, which becomes its rank within the slot.
    fn pick(&self, rank: &mut u64) -> u32 {
        for (slot, count) in self.0.iter().enumerate() {
            if *rank < *count {
                return slot as u32;
            }
            *rank -= count;
        }
        unreachable!("a rank beyond all values")
    }
}

fn counted(vectors: &Vectors, slot: impl Fn(u32) -> Option<u32> + Sync) -> Counts {
    let add = |mut sum: Vec<u64>, other: Vec<u64>| {
        sum.iter_mut().zip(other).for_each(|(sum, count)| *sum += count);
        sum
    };
    let none = || vec![0_u64; 1 << 16];
    let count = |mut counts: Vec<u64>, start: usize| {
        vectors.against(start, vectors, start, |i, j, squared, _| {
            if let (true, Some(slot)) = (i < j, slot((squared.sqrt() as f32).to_bits())) {
                counts[slot as usize] += 1;
            }
        });
        counts
    };
    Counts(vectors.blocks().into_par_iter().fold(none, count).reduce(none, add))
}

/// Sums of a kernel over all pairs, by clip: memory grows with the square of the generated clips, not of their vectors.
#[derive(Clone, Debug)]
pub struct KernelDistance {
    /// The mean over pairs of different reference vectors.
    reference: f64,
    reference_frames: f64,
    /// By generated clip: the sum over pairs with the reference.
    cross: Vec<f64>,
    /// By two generated clips: the sum over pairs of different vectors.
    within: Array2<f64>,
    /// Vectors of each generated clip.
    frames: Vec<f64>,
}

impl KernelDistance {
    /// Of two sets of one dimension; nothing where one has fewer than two vectors.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn new(reference: &Embeddings, generated: &Embeddings, kernel: Kernel) -> Option<Self> {
        assert_eq!(reference.dim(), generated.dim(), "sets of different dimensions");
        if reference.frames() < 2 || generated.frames() < 2 {
            return None;
        }
        let dim = generated.dim();
        let ours = Vectors::new(generated.vectors());
        let theirs = Vectors::new(reference.vectors());
        let clip_of = generated.clip_of_frames();
        let among: Vec<f64> = theirs
            .blocks()
            .into_par_iter()
            .map(|start| {
                let mut sum = 0.0;
                theirs.against(start, &theirs, start, |i, j, squared, product| {
                    if i < j {
                        sum += kernel.of(theirs.dim(), squared, product);
                    }
                });
                sum
            })
            .collect();
        let blocks: Vec<(usize, Vec<f64>, Array2<f64>)> = ours
            .blocks()
            .into_par_iter()
            .map(|start| {
                let mut cross = vec![0.0; generated.clips()];
                ours.against(start, &theirs, 0, |i, _, squared, product| {
                    cross[clip_of[i]] += kernel.of(dim, squared, product);
                });
                let (first, last) = (clip_of[start], clip_of[start + ours.block_len(start) - 1]);
                let mut within = Array2::zeros((last - first + 1, generated.clips()));
                ours.against(start, &ours, start, |i, j, squared, product| {
                    if i < j {
                        within[(clip_of[i] - first, clip_of[j])] += kernel.of(dim, squared, product);
                    }
                });
                (first, cross, within)
            })
            .collect();
        let mut cross = vec![0.0; generated.clips()];
        let mut within = Array2::zeros((generated.clips(), generated.clips()));
        for (first, block, pairs) in blocks {
            cross.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
            for ((row, two), value) in pairs.indexed_iter().filter(|(_, value)| **value != 0.0) {
                // Each pair in both orders.
                within[(first + row, two)] += value;
                within[(two, first + row)] += value;
            }
        }
        let frames = (0..generated.clips()).map(|clip| generated.range(clip).len() as f64).collect();
        let count = theirs.len() as f64;
        let reference = 2.0 * among.iter().sum::<f64>() / (count * (count - 1.0));
        Some(Self { reference, reference_frames: count, cross, within, frames })
    }

    /// Σ k(x,x′)/m(m−1) + Σ k(y,y′)/n(n−1) − 2 Σ k(x,y)/mn, over different vectors. May be below zero.
    pub fn value(&self) -> f64 {
        self.resampled(&vec![1; self.frames.len()]).unwrap_or(f64::NAN)
    }

    /// Where the value probably is: the reference stays, the generated clips are drawn again.
    pub fn interval(&self, bootstrap: &Bootstrap) -> Option<Interval> {
        bootstrap.interval(self.frames.len(), self.value(), |times| self.resampled(times))
    }

    /// The value with each clip counted so often. A vector is never paired with its own copy.
    fn resampled(&self, times: &[u32]) -> Option<f64> {
        let weights: Vec<f64> = times.iter().map(|times| f64::from(*times)).collect();
        let drawn = weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let (mut within, mut cross, mut frames, mut copies) = (0.0, 0.0, 0.0, 0.0);
        for (clip, weight) in drawn {
            let row: f64 = self.within.row(clip).iter().zip(&weights).map(|(sum, other)| sum * other).sum();
            within += weight * row;
            cross += weight * self.cross[clip];
            frames += weight * self.frames[clip];
            copies += weight * weight * self.frames[clip];
        }
        let pairs = frames * frames - copies;
        (pairs > 0.0).then(|| self.reference + within / pairs - 2.0 * cross / (self.reference_frames * frames))
    }
}

/// KAD is given as a hundred times the squared discrepancy (Chung and others, "KAD: No More FAD!", 2025).
pub const KAD_SCALE: f64 = 100.0;
