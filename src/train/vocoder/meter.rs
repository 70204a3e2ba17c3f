//! What is measured between two log entries. Values stay on the device until they are wanted.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::train::meter::NotFinite;

/// What is measured of every step, in the order of [`Pending::values`]: the generator's loss and its parts without their
/// weights, the discriminators' loss, and the norms of the gradients before clipping.
pub const MEASURES: [&str; 8] = [
    "loss",
    "mel_spec_error",
    "feature_loss",
    "generator_loss",
    "discriminator_loss",
    "gradient_norm",
    "gradient_norm_mpd",
    "gradient_norm_mrd",
];

/// One optimiser step as recorded: nothing read back yet.
pub struct Pending {
    /// The optimiser step, from 1.
    pub step: u64,
    /// The [`MEASURES`], each `[1]`.
    pub values: [Tensor<1>; MEASURES.len()],
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Means since the last log entry. Serialisable, so that a run stopped between two entries logs the same numbers after
/// resuming.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VocoderMeter {
    sums: [f64; MEASURES.len()],
    steps: u64,
}

impl VocoderMeter {
    /// Reads back and adds steps; stops at the first that is not finite.
    pub fn read(&mut self, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        for Pending { step, values, files } in pending.drain(..) {
            let measured: Vec<f32> = Tensor::cat(values.to_vec(), 0).into_data().iter::<f32>().collect();
            if measured.iter().any(|value| !value.is_finite()) {
                return Err(NotFinite { step, files });
            }
            for (sum, value) in self.sums.iter_mut().zip(measured) {
                *sum += f64::from(value);
            }
            self.steps += 1;
        }
        Ok(())
    }

    /// The mean of each measure, by name; none where no step was taken.
    pub fn means(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        let steps = self.steps;
        MEASURES.into_iter().zip(self.sums.map(move |sum| (steps > 0).then(|| sum / steps as f64)))
    }

    /// Mean of the mel loss.
    pub fn mel_loss(&self) -> Option<f64> {
        self.means().nth(1).and_then(|(_, mean)| mean)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn pending(step: u64, value: f32) -> Pending {
        let values = [0; MEASURES.len()].map(|_| Tensor::from_floats([value], &Device::flex()));
        Pending { step, values, files: vec![format!("{step}.wav")] }
    }

    #[test]
    fn means_are_over_steps_and_what_is_not_finite_is_named() {
        let mut meter = VocoderMeter::default();
        assert_eq!(meter.mel_loss(), None);
        assert_eq!(meter.read(&mut vec![pending(1, 1.0), pending(2, 4.0)]), Ok(()));
        assert_eq!(meter.mel_loss(), Some(2.5));
        let found = meter.read(&mut vec![pending(3, 1.0), pending(4, f32::NAN)]);
        assert_eq!(found, Err(NotFinite { step: 4, files: vec!["4.wav".into()] }));
    }
}
