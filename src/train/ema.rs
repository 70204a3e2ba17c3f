//! The exponential moving average of the weights: what is published, sampled from and validated with.
//!
//! As diffusers' `EMAModel` with warm-up. The average is a second network beside the live one and is never written
//! into it.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use nocturne_models::checkpoint::{self, Checkpoint};
use nocturne_models::parameters;
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::gradients::Named;
use super::optimised::{settled, values};

/// How fast the average forgets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmaDecay {
    /// γ: larger values keep the warm-up short of its end for longer.
    pub inv_gamma: f64,
    /// p: 2/3 suits a million steps and more, 3/4 shorter runs.
    pub power: f64,
    /// The decay is never above this.
    pub max_decay: f64,
}

impl EmaDecay {
    /// The decay of update `k`, counted from 0: `min(max_decay, 1 − (1 + k/γ)^−p)`. The first update copies the live
    /// weights.
    pub fn at(&self, k: u64) -> f64 {
        let warm_up = 1.0 - libm::pow(1.0 + k as f64 / self.inv_gamma, -self.power);
        warm_up.clamp(0.0, self.max_decay)
    }
}

const FILE: &str = "ema.safetensors";

/// The average of a network under training, itself without autodiff.
pub struct Average<N> {
    network: N,
    decay: EmaDecay,
}

impl<N: Module> Average<N> {
    /// Starts from a network's weights.
    pub fn new(network: &N, decay: EmaDecay) -> Self {
        Self { network: network.valid(), decay }
    }

    /// The averaged network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The decay of update `k`, counted from 0.
    pub fn decay(&self, k: u64) -> f64 {
        self.decay.at(k)
    }

    /// Update `k`, towards the weights of `live`.
    pub fn update(&mut self, live: &N, k: u64) {
        self.network = update(self.network.clone(), &values(live), self.decay.at(k));
    }

    /// Writes it into the folder of a checkpoint.
    pub fn save(&self, folder: &Path) -> Result<(), TrainError> {
        Ok(checkpoint::save(&self.network, &folder.join(FILE))?)
    }

    /// Reads what [`Average::save`] wrote. A run that begins to average now starts from the `live` weights.
    pub fn load(&mut self, folder: &Path, live: &N) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        self.network = if path.exists() {
            settled(checkpoint::load(self.network.clone(), &Checkpoint::open(&path)?)?)
        } else {
            live.valid()
        };
        Ok(())
    }
}

/// Moves every parameter of `average` towards the one of the same name in `live`: `e − (1 − decay)·(e − w)`.
pub fn update<M: Module>(average: M, live: &Named, decay: f64) -> M {
    parameters::map(average, |name, value| match live.get(name) {
        Some(weight) if decay == 0.0 => weight.clone(),
        Some(weight) => blend(value, weight.clone(), decay),
        None => value,
    })
}

fn blend(average: Tensor<1>, weight: Tensor<1>, decay: f64) -> Tensor<1> {
    let gap = average.clone() - weight;
    average - gap * (1.0 - decay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `EMAModel.get_decay` of diffusers 0.42 with `use_ema_warmup`, for its optimisation steps 1, 2, 11, 10 001 and
    /// 400 001.
    #[test]
    fn decay_matches_diffusers() {
        let decay = EmaDecay { inv_gamma: 1.0, power: 0.75, max_decay: 0.9999 };
        let expected = [
            (0, 0.0),
            (1, 0.405_396_442_498_639_5),
            (10, 0.834_439_973_923_829_8),
            (10_000, 0.999_000_074_993_438_1),
            (400_000, 0.9999),
        ];
        for (k, value) in expected {
            assert!((decay.at(k) - value).abs() < 1e-12, "{k}: {} {value}", decay.at(k));
        }
    }
}
