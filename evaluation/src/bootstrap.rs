//! How far a number would be from itself, had other clips of the same kind been scored.

use std::ops::RangeInclusive;

use nocturne_models::random::Random;
use rayon::prelude::*;
use serde::Serialize;

/// How intervals are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Sets that are drawn.
    pub replicates: usize,
    /// The share of them that the interval holds.
    pub confidence: f64,
    /// Of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 200, confidence: 0.95, seed: 0 }
    }
}

/// Where a number probably is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The standard deviation of the replicates.
    pub standard_error: f64,
}

impl Interval {
    /// What of it a number that is never elsewhere can have.
    #[must_use]
    pub fn within(self, bounds: RangeInclusive<f64>) -> Self {
        let [low, high] = [self.low, self.high].map(|end| end.clamp(*bounds.start(), *bounds.end()));
        Self { low, high, ..self }
    }
}

impl Bootstrap {
    /// The percentile interval (Davison and Hinkley, "Bootstrap methods and their application", 1997, §5.3), moved so that the
    /// replicates' mean is the `estimate`. A replicate has fewer different clips than the set, and distances between sets grow
    /// as clips become fewer: unmoved, their interval can lie beside the number that it is of. The bias of few clips itself
    /// stays in both; [`FadInfinity`](crate::FadInfinity) is about that.
    ///
    /// A replicate draws as many clips as there are, with replacement; `statistic` has how often each was drawn. Whole clips,
    /// because the vectors of one clip are alike. A replicate that has no number is left out; of fewer than two nothing is known.
    pub fn interval(
        &self,
        clips: usize,
        estimate: f64,
        statistic: impl Fn(&[u32]) -> Option<f64> + Sync,
    ) -> Option<Interval> {
        let mut replicates: Vec<f64> = (0..self.replicates)
            .into_par_iter()
            .filter_map(|replicate| {
                let mut random = Random::new(self.seed, "bootstrap", replicate as u64);
                let mut times = vec![0_u32; clips];
                for _ in 0..clips {
                    times[random.below(clips as u64) as usize] += 1;
                }
                statistic(&times).filter(|value| value.is_finite())
            })
            .collect();
        if clips < 2 || replicates.len() < 2 {
            return None;
        }
        replicates.sort_unstable_by(f64::total_cmp);
        let count = replicates.len() as f64;
        let mean = replicates.iter().sum::<f64>() / count;
        let variance = replicates.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            low: estimate + quantile(&replicates, tail) - mean,
            high: estimate + quantile(&replicates, 1.0 - tail) - mean,
            standard_error: variance.sqrt(),
        })
    }
}

/// Between the two nearest of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
