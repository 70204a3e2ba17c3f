use ndarray::{Array2, ArrayView2, ShapeBuilder};
use nocturne_models::ops::vectorised;
use rayon::prelude::*;

use super::MelFilterbank;

/// Frames that are solved together, one in each lane of vector registers: a bin waits for the one before, so that the time of a
/// sweep hardly grows with its lanes.
const LANES: usize = 32;

/// Sweeps over all bins, if they do not converge earlier.
const MAX_SWEEPS: usize = 200;

/// A frame has converged when a sweep lowers its squared error by less than this part of its squared norm.
const TOLERANCE: f32 = 1e-12;

/// Diagonal loading of the start's normal equations, which are singular where bands are narrower than bins.
const LOADING: f64 = 1e-6;

/// The least-squares way back from a mel to a linear spectrum: the non-negative X that minimises |A X - B|² for the
/// filterbank A, the problem of `librosa.feature.inverse.mel_to_stft`.
///
/// It starts where librosa starts, at the positive part of the least-norm solution, and goes on by exact coordinate
/// descent instead of L-BFGS-B: a bin is in at most two bands, so a step costs six operations.
pub struct MelInversion {
    bins: Vec<Bin>,
    bands: usize,
    /// The LDLᵀ factors of A Aᵀ, which is tridiagonal: reciprocal pivots and multipliers.
    pivots: Vec<f64>,
    multipliers: Vec<f64>,
}

/// The column of A of one bin: its weights in a band and in the next.
#[derive(Clone, Copy, Default)]
struct Bin {
    band: usize,
    weights: [f32; 2],
    /// One over the squared norm of the column; zero for a bin in no band.
    step: f32,
}

impl MelInversion {
    /// Prepares the inversion of a filterbank.
    pub fn new(filterbank: &MelFilterbank) -> Self {
        let bands = filterbank.n_mels();
        let mut bins = vec![Bin::default(); filterbank.bins()];
        let mut diagonal = vec![0.0; bands];
        let mut beside = vec![0.0; bands];
        for band in 0..bands {
            let (first, weights) = filterbank.band(band);
            for (bin, weight) in bins[first..].iter_mut().zip(weights) {
                if bin.weights[0] == 0.0 {
                    *bin = Bin { band, weights: [*weight, 0.0], step: 0.0 };
                } else {
                    bin.weights[1] = *weight;
                    beside[band] += f64::from(*weight) * f64::from(bin.weights[0]);
                }
                diagonal[band] += f64::from(*weight).powi(2);
            }
        }
        for bin in &mut bins {
            let norm = bin.weights[0].powi(2) + bin.weights[1].powi(2);
            bin.step = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        }
        let mut pivots: Vec<f64> = Vec::with_capacity(bands);
        let mut multipliers = Vec::with_capacity(bands);
        for band in 0..bands {
            let multiplier = pivots.last().map_or(0.0, |reciprocal| beside[band] * reciprocal);
            let pivot = diagonal[band] * (1.0 + LOADING) - multiplier * beside[band];
            pivots.push(if pivot > 0.0 { 1.0 / pivot } else { 0.0 });
            multipliers.push(multiplier);
        }
        Self { bins, bands, pivots, multipliers }
    }

    /// The spectrum of a mel, both powers or both magnitudes.
    ///
    /// # Shapes
    /// `mel`: `[mel, frame]`; the result: `[bin, frame]`, the bins of a frame side by side in memory.
    pub fn solve(&self, mel: ArrayView2<f32>) -> Array2<f32> {
        let (bands, frames) = mel.dim();
        assert_eq!(bands, self.bands, "a mel of {bands} bands, expected {}", self.bands);
        let bins = self.bins.len();
        let mut spectrum = vec![0.0; bins * frames];
        spectrum.par_chunks_mut(bins * LANES).enumerate().for_each(|(block, spectrum)| {
            let mut target = vec![[0.0; LANES]; bands];
            for lane in 0..spectrum.len() / bins {
                for (lanes, value) in target.iter_mut().zip(mel.column(block * LANES + lane)) {
                    lanes[lane] = *value;
                }
            }
            let solution = vectorised(
                #[inline(always)]
                || self.descend(&mut target),
            );
            for (lane, frame) in spectrum.chunks_exact_mut(bins).enumerate() {
                for (value, lanes) in frame.iter_mut().zip(&solution) {
                    *value = lanes[lane];
                }
            }
        });
        Array2::from_shape_vec((bins, frames).f(), spectrum).expect("one value a bin and frame")
    }

    #[inline(always)]
    fn descend(&self, target: &mut [[f32; LANES]]) -> Vec<[f32; LANES]> {
        // Each frame is solved relative to its loudest band, so that squares neither overflow nor underflow.
        let mut scales = [0.0_f32; LANES];
        for lanes in &*target {
            for lane in 0..LANES {
                scales[lane] = scales[lane].max(lanes[lane]);
            }
        }
        let scales = scales.map(|scale| scale.clamp(f32::MIN_POSITIVE, f32::MAX));
        for lanes in &mut *target {
            for lane in 0..LANES {
                lanes[lane] /= scales[lane];
            }
        }
        let mut solution = self.start(target);
        // One band more than there are: the second weight of bins in the last band is zero.
        let mut residual = vec![[0.0; LANES]; self.bands + 1];
        for (lanes, target) in residual.iter_mut().zip(&*target) {
            *lanes = target.map(|value| -value);
        }
        for (bin, x) in self.bins.iter().zip(&solution) {
            for lane in 0..LANES {
                residual[bin.band][lane] += bin.weights[0] * x[lane];
                residual[bin.band + 1][lane] += bin.weights[1] * x[lane];
            }
        }
        let mut norms = [f32::MIN_POSITIVE; LANES];
        for lanes in &*target {
            for lane in 0..LANES {
                norms[lane] += lanes[lane] * lanes[lane];
            }
        }
        for _ in 0..MAX_SWEEPS {
            let gains = self.sweep(&mut solution, &mut residual);
            if gains.iter().zip(&norms).all(|(gain, norm)| *gain <= TOLERANCE * norm) {
                break;
            }
        }
        for x in &mut solution {
            for lane in 0..LANES {
                x[lane] *= scales[lane];
            }
        }
        solution
    }

    /// Moves each bin in turn to its best value. Gives how much that lowered the squared error of each lane.
    #[inline(always)]
    fn sweep(&self, solution: &mut [[f32; LANES]], residual: &mut [[f32; LANES]]) -> [f32; LANES] {
        let mut gains = [0.0; LANES];
        for (bin, x) in self.bins.iter().zip(solution) {
            let Bin { band, weights: [here, next], step } = *bin;
            if step == 0.0 {
                continue;
            }
            let [first, second] = &mut residual[band..band + 2] else { continue };
            for lane in 0..LANES {
                let slope = here * first[lane] + next * second[lane];
                let moved = (x[lane] - slope * step).max(0.0);
                let change = moved - x[lane];
                x[lane] = moved;
                first[lane] += here * change;
                second[lane] += next * change;
                // The error falls by change² / step on a free bin and by more on a bound one.
                gains[lane] -= change * (2.0 * slope + change / step);
            }
        }
        gains
    }

    /// The positive part of Aᵀ (A Aᵀ)⁻¹ B.
    #[inline(always)]
    fn start(&self, target: &[[f32; LANES]]) -> Vec<[f32; LANES]> {
        let mut dual: Vec<[f64; LANES]> = target.iter().map(|lanes| lanes.map(f64::from)).collect();
        for band in 1..self.bands {
            let before = dual[band - 1];
            for (value, before) in dual[band].iter_mut().zip(before) {
                *value -= self.multipliers[band] * before;
            }
        }
        for band in (0..self.bands).rev() {
            let above = dual.get(band + 1).copied().unwrap_or_default();
            let multiplier = self.multipliers.get(band + 1).copied().unwrap_or_default();
            for (value, above) in dual[band].iter_mut().zip(above) {
                *value = *value * self.pivots[band] - multiplier * above;
            }
        }
        dual.push([0.0; LANES]);
        self.bins
            .iter()
            .map(|bin| {
                let [here, next] = bin.weights.map(f64::from);
                let mut x = [0.0; LANES];
                for lane in 0..LANES {
                    x[lane] = (here * dual[bin.band][lane] + next * dual[bin.band + 1][lane]).max(0.0) as f32;
                }
                x
            })
            .collect()
    }
}
