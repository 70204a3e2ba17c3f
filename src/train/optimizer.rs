//! `AdamW` (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), step for step as
//! `torch.optim.AdamW` computes it. Burn's own differs: it keys its state by a random identifier, which published
//! weight files do not hold.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The constants of `AdamW`; the defaults are those of the published training scripts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment, outside the root.
    pub epsilon: f64,
    /// Decoupled: multiplied by the learning rate, not part of the gradient.
    pub weight_decay: f64,
}

/// The running moments of one parameter, flattened.
#[derive(Clone)]
pub struct Moments {
    /// Mean of the gradients (torch's `exp_avg`).
    pub first: Tensor<1>,
    /// Mean of the squared gradients (torch's `exp_avg_sq`).
    pub second: Tensor<1>,
}

/// The optimiser and its state, keyed by parameter name.
pub struct AdamW {
    config: AdamWConfig,
    /// Steps taken.
    pub step: u64,
    /// Moments by parameter name; a parameter appears with its first gradient.
    pub moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has taken no step.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, step: 0, moments: BTreeMap::new() }
    }

    /// Begins the next step: [`AdamW::update`] then applies it parameter by parameter.
    pub fn begin_step(&mut self) {
        self.step += 1;
    }

    /// The new value of one parameter, all tensors flattened to `[elements]` and without autodiff.
    pub fn update(&mut self, name: &str, value: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let square = gradient.clone().square() * (1.0 - beta2);
        let moments = match self.moments.remove(name) {
            Some(Moments { first, second }) => {
                let change = (gradient - first.clone()) * (1.0 - beta1);
                Moments { first: first + change, second: second * beta2 + square }
            }
            None => Moments { first: gradient * (1.0 - beta1), second: square },
        };

        let exponent = self.step as f64;
        let first_correction = 1.0 - libm::pow(beta1, exponent);
        let second_correction = 1.0 - libm::pow(beta2, exponent);
        let denominator = moments.second.clone().sqrt() / second_correction.sqrt() + epsilon;
        let decayed = value * (1.0 - learning_rate * weight_decay);
        let updated = decayed - moments.first.clone() / denominator * (learning_rate / first_correction);
        self.moments.insert(name.to_string(), moments);
        updated
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, TensorData};
    use safetensors::SafeTensors;

    use super::*;

    /// Ten steps on two tensors with a learning rate that moves, against `torch.optim.AdamW` with the published
    /// constants. Written by `scripts/reference/adamw.py`.
    #[test]
    fn ten_steps_match_torch() {
        let file = SafeTensors::deserialize(include_bytes!("fixtures/adamw.safetensors")).unwrap();
        let device = Device::flex();
        let read = |name: &str| -> Vec<f32> {
            file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        let tensor = |name: &str| {
            let data = read(name);
            Tensor::<1>::from_data(TensorData::new(data.clone(), [data.len()]), &device)
        };
        let config = AdamWConfig { beta1: 0.95, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-2 };
        let mut optimizer = AdamW::new(config);
        let mut weights = BTreeMap::from([("a", tensor("a.start")), ("b", tensor("b.start"))]);
        for (step, rate) in read("rates").into_iter().enumerate() {
            optimizer.begin_step();
            for name in ["a", "b"] {
                let value = weights.remove(name).unwrap();
                let gradient = tensor(&format!("{name}.gradient.{step}"));
                let value = optimizer.update(name, value, gradient, f64::from(rate));
                let found: Vec<f32> = value.to_data().try_into_vec_as().unwrap();
                for (found, expected) in found.iter().zip(read(&format!("{name}.value.{step}"))) {
                    // Float32 rounding of about a dozen operations a step.
                    assert!((found - expected).abs() <= 2e-6 * expected.abs().max(0.1), "{found} {expected}");
                }
                weights.insert(name, value);
            }
        }
        for name in ["a", "b"] {
            let Moments { first, second } = &optimizer.moments[name];
            for (tensor, key) in [(first, "exp_avg"), (second, "exp_avg_sq")] {
                let found: Vec<f32> = tensor.to_data().try_into_vec_as().unwrap();
                let expected = read(&format!("{name}.{key}"));
                // Gradients of either sign cancel: the rounding is relative to the largest, not to what is left.
                let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() <= 1e-6 * largest, "{name}.{key} {found} {expected}");
                }
            }
        }
    }
}
