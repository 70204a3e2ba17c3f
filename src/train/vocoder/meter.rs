//! What is measured between two log entries. Values stay on the device until they are wanted.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::train::meter::NotFinite;

/// What is measured of every step, in the order of [`Pending::values`]: the generator's loss, its gradient's norm before
/// clipping, and the parts of the loss without their weights; the discriminators' loss, and the norms of their gradients.
pub const MEASURES: [&str; 8] = [
    "loss",
    "gradient_norm",
    "mel_spec_error",
    "feature_loss",
    "generator_loss",
    "discriminator_loss",
    "gradient_norm_mpd",
    "gradient_norm_mrd",
];

/// One optimiser step as recorded: nothing read back yet.
pub struct Pending {
    /// The optimiser step, from 1.
    pub step: u64,
    /// The [`MEASURES`], each `[1]`; the first three while the discriminators wait.
    pub values: Vec<Tensor<1>>,
    /// The recording of every item.
    pub files: Vec<String>,
}

/// Means since the last log entry. Serialisable, so that a run stopped between two entries logs the same numbers after
/// resuming.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VocoderMeter {
    sums: [f64; MEASURES.len()],
    steps: [u64; MEASURES.len()],
}

impl VocoderMeter {
    /// Reads back and adds steps; stops at the first that is not finite.
    pub fn read(&mut self, pending: &mut Vec<Pending>) -> Result<(), NotFinite> {
        for Pending { step, values, files } in pending.drain(..) {
            let measured: Vec<f32> = Tensor::cat(values, 0).into_data().iter::<f32>().collect();
            if measured.iter().any(|value| !value.is_finite()) {
                return Err(NotFinite { step, files });
            }
            for ((sum, steps), value) in self.sums.iter_mut().zip(&mut self.steps).zip(measured) {
                *sum += f64::from(value);
                *steps += 1;
            }
        }
        Ok(())
    }

    /// The mean of each measure, by name; none where no step had it.
    pub fn means(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        let means = self.sums.into_iter().zip(self.steps).map(|(sum, steps)| (steps > 0).then(|| sum / steps as f64));
        MEASURES.into_iter().zip(means)
    }

    /// Mean of the mel loss.
    pub fn mel_loss(&self) -> Option<f64> {
        self.means().nth(2).and_then(|(_, mean)| mean)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn pending(step: u64, value: f32, measures: usize) -> Pending {
        let values = vec![Tensor::from_floats([value], &Device::flex()); measures];
        Pending { step, values, files: vec![format!("{step}.wav")] }
    }

    #[test]
    fn means_are_over_steps_and_what_is_not_finite_is_named() {
        let mut meter = VocoderMeter::default();
        assert_eq!(meter.mel_loss(), None);
        assert_eq!(meter.read(&mut vec![pending(1, 1.0, 3), pending(2, 4.0, 3)]), Ok(()));
        assert_eq!(meter.mel_loss(), Some(2.5));
        assert_eq!(meter.means().last(), Some(("gradient_norm_mrd", None)));
        assert_eq!(meter.read(&mut vec![pending(3, 1.0, MEASURES.len())]), Ok(()));
        assert_eq!(meter.mel_loss(), Some(2.0));
        assert_eq!(meter.means().last(), Some(("gradient_norm_mrd", Some(1.0))));
        let found = meter.read(&mut vec![pending(4, f32::NAN, 3)]);
        assert_eq!(found, Err(NotFinite { step: 4, files: vec!["4.wav".into()] }));
    }
}
