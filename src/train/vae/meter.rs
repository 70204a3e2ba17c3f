//! What is measured between two log entries. Values stay on the device until they are wanted.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::train::meter::NotFinite;

/// What is measured of every step, in the order of [`Pending::values`].
pub const MEASURES: [&str; 7] =
    ["loss", "pixel_loss", "perceptual_loss", "kl", "generator_loss", "discriminator_loss", "discriminator_weight"];

/// One optimiser step as recorded: nothing read back yet.
pub struct Pending {
    /// The optimiser step, from 1.
    pub step: u64,
    /// Of every micro-batch the [`MEASURES`], each `[1]`; the last three only while the discriminator plays.
    pub values: Vec<Vec<Tensor<1>>>,
    /// Global norm of the autoencoder's gradients before clipping, `[1]`.
    pub gradient_norm: Option<Tensor<1>>,
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Means since the last log entry. Serialisable, so that a run stopped between two entries logs the same numbers after
/// resuming.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VaeMeter {
    /// Sum and number of values of each measure, and of the gradient norm behind them.
    sums: [(f64, u64); MEASURES.len() + 1],
}

impl VaeMeter {
    /// Reads back and adds steps; stops at the first that is not finite.
    pub fn read(&mut self, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        for Pending { step, values, gradient_norm, files } in pending.drain(..) {
            let norm = gradient_norm.map(Tensor::into_scalar::<f32>);
            let mut measured: Vec<(usize, f32)> = norm.into_iter().map(|norm| (MEASURES.len(), norm)).collect();
            for values in values {
                let values = Tensor::cat(values, 0).into_data();
                measured.extend(values.iter::<f32>().enumerate());
            }
            if measured.iter().any(|(_, value)| !value.is_finite()) {
                return Err(NotFinite { step, files });
            }
            for (measure, value) in measured {
                let (sum, count) = &mut self.sums[measure];
                *sum += f64::from(value);
                *count += 1;
            }
        }
        Ok(())
    }

    /// The mean of each measure that was taken, by name.
    pub fn means(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        let mean = |(sum, count): (f64, u64)| (count > 0).then(|| sum / count as f64);
        MEASURES.into_iter().chain(["gradient_norm"]).zip(self.sums.map(mean))
    }

    /// Mean loss of the autoencoder, without the discriminator's part.
    pub fn loss(&self) -> Option<f64> {
        self.means().next().and_then(|(_, mean)| mean)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn pending(step: u64, values: &[f32]) -> Pending {
        let value = |value: &f32| Tensor::from_floats([*value], &Device::flex());
        let values = vec![values.iter().map(value).collect()];
        Pending { step, values, gradient_norm: Some(value(&2.0)), files: vec![format!("{step}.wav")] }
    }

    #[test]
    fn means_are_over_the_steps_that_have_the_measure() {
        let mut meter = VaeMeter::default();
        let steps = [pending(1, &[1.0, 0.5, 0.25, 8.0]), pending(2, &[2.0, 0.5, 0.25, 8.0, -1.0, 0.5, 3.0])];
        assert_eq!(meter.read(&mut steps.into()), Ok(()));
        let means: Vec<Option<f64>> = meter.means().map(|(_, mean)| mean).collect();
        let expected = [1.5, 0.5, 0.25, 8.0, -1.0, 0.5, 3.0, 2.0].map(Some);
        assert_eq!((means, meter.loss()), (expected.to_vec(), Some(1.5)));
        assert_eq!(VaeMeter::default().loss(), None);
    }

    #[test]
    fn the_step_that_is_not_finite_is_named() {
        let mut steps = vec![pending(1, &[1.0]), pending(2, &[f32::INFINITY])];
        let found = VaeMeter::default().read(&mut steps);
        assert_eq!(found, Err(NotFinite { step: 2, files: vec!["2.wav".into()] }));
    }
}
