//! What is measured between two log entries: losses overall and by timestep bucket, gradient norms.
//!
//! Values stay on the device until they are wanted, so that a step does not wait for the one before.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Timesteps are counted in this many equal ranges.
pub const BUCKETS: usize = 10;

/// One optimiser step as recorded: losses and norm not read back yet.
#[derive(Default)]
pub struct Pending {
    /// The optimiser step, from 1.
    pub step: u64,
    /// Losses `[items]`, one tensor a micro-batch.
    pub losses: Vec<Tensor<1>>,
    /// The timestep of every item.
    pub timesteps: Vec<f32>,
    /// The recording of every item.
    pub files: Vec<String>,
    /// Global gradient norm before clipping, `[1]`.
    pub gradient_norm: Option<Tensor<1>>,
}

/// A step whose loss or gradient is not a finite number.
#[derive(Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The optimiser step, from 1.
    pub step: u64,
    /// The recordings in its batch.
    pub files: Vec<String>,
}

/// Sums since the last log entry. Serialisable, so that a run stopped between two entries logs the same numbers after
/// resuming.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    steps: u64,
    norm: f64,
    /// Sum of losses and number of items by bucket.
    buckets: [(f64, u64); BUCKETS],
}

impl Meter {
    /// Reads back and adds steps; stops at the first that is not finite.
    pub fn read(&mut self, pending: &mut Vec<Pending>, num_train_timesteps: usize) -> Result<(), NotFinite> {
        for Pending { step, losses, timesteps, files, gradient_norm } in pending.drain(..) {
            let losses: Vec<f32> = Tensor::cat(losses, 0).into_data().iter::<f32>().collect();
            let norm = gradient_norm.map_or(0.0, Tensor::into_scalar::<f32>);
            if !norm.is_finite() || losses.iter().any(|loss| !loss.is_finite()) {
                return Err(NotFinite { step, files });
            }
            self.steps += 1;
            self.norm += f64::from(norm);
            self.add_losses(&losses, &timesteps, num_train_timesteps);
        }
        Ok(())
    }

    /// Adds the losses of items with these timesteps.
    pub fn add_losses(&mut self, losses: &[f32], timesteps: &[f32], num_train_timesteps: usize) {
        for (loss, timestep) in losses.iter().zip(timesteps) {
            let bucket = f64::from(*timestep) * BUCKETS as f64 / num_train_timesteps as f64;
            let (sum, count) = &mut self.buckets[(bucket as usize).min(BUCKETS - 1)];
            *sum += f64::from(*loss);
            *count += 1;
        }
    }

    /// Mean loss over all items.
    pub fn loss(&self) -> Option<f64> {
        let (sum, count) = self.buckets.iter().fold((0.0, 0), |(sum, count), b| (sum + b.0, count + b.1));
        (count > 0).then(|| sum / count as f64)
    }

    /// Mean loss of each timestep bucket that any item fell into.
    pub fn bucket_losses(&self) -> [Option<f64>; BUCKETS] {
        self.buckets.map(|(sum, count)| (count > 0).then(|| sum / count as f64))
    }

    /// The timesteps of a bucket, for people to read.
    pub fn bucket_name(bucket: usize, num_train_timesteps: usize) -> String {
        let first = |bucket: usize| (bucket * num_train_timesteps).div_ceil(BUCKETS);
        format!("{}-{}", first(bucket), first(bucket + 1).saturating_sub(1))
    }

    /// Mean gradient norm over the steps.
    pub fn gradient_norm(&self) -> Option<f64> {
        (self.steps > 0).then(|| self.norm / self.steps as f64)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn pending(step: u64, losses: [f32; 2]) -> Pending {
        let device = Device::flex();
        Pending {
            step,
            losses: losses.map(|loss| Tensor::from_data([loss], &device)).to_vec(),
            timesteps: vec![0.0, 999.0],
            files: vec![format!("{step}.wav")],
            gradient_norm: Some(Tensor::from_data([2.0], &device)),
        }
    }

    #[test]
    fn averages_over_items_and_buckets() {
        let mut meter = Meter::default();
        assert_eq!(meter.loss(), None);
        assert_eq!(meter.read(&mut vec![pending(1, [1.0, 0.5]), pending(2, [2.0, 0.25])], 1000), Ok(()));
        assert_eq!(meter.loss(), Some(0.9375));
        assert_eq!(meter.gradient_norm(), Some(2.0));
        let buckets = meter.bucket_losses();
        assert_eq!((buckets[0], buckets[1], buckets[9]), (Some(1.5), None, Some(0.375)));
        assert_eq!(Meter::bucket_name(9, 1000), "900-999");
    }

    #[test]
    fn names_the_step_that_is_not_finite() {
        let mut pending = vec![pending(1, [1.0, 0.5]), pending(2, [1.0, f32::NAN]), pending(3, [f32::NAN; 2])];
        let found = Meter::default().read(&mut pending, 1000);
        assert_eq!(found, Err(NotFinite { step: 2, files: vec!["2.wav".into()] }));
    }
}
