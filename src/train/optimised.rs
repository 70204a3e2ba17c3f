//! A network and the optimiser that moves its weights.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use nocturne_models::checkpoint::{self, Checkpoint};
use nocturne_models::parameters;

use super::error::TrainError;
use super::gradients::Named;
use super::optimizer::{AdamW, AdamWConfig, Moments};

const WEIGHTS: &str = "weights.safetensors";
/// The optimiser's state, in the shape of the network and named as in torch's.
const FIRST_MOMENTS: &str = "exp_avg.safetensors";
const SECOND_MOMENTS: &str = "exp_avg_sq.safetensors";

/// A network under training with its optimiser's state.
pub struct Optimised<N> {
    network: N,
    optimizer: AdamW,
}

impl<N: Module> Optimised<N> {
    /// Prepares a network, which is on its device and without autodiff.
    pub fn new(network: N, config: AdamWConfig) -> Self {
        Self { network: network.train(), optimizer: AdamW::new(config) }
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.optimizer.step
    }

    /// Moves every parameter that has a gradient.
    pub fn step(&mut self, mut gradients: Named, rate: f64) {
        self.optimizer.begin_step();
        self.network = parameters::map(self.network.clone(), |name, value| match gradients.remove(name) {
            Some(gradient) => self.optimizer.update(name, value, gradient, rate),
            None => value,
        });
    }

    /// Writes weights and optimiser state into `folder`, as safetensors under the network's published names, in files
    /// whose names begin with `prefix`.
    pub fn save(&self, folder: &Path, prefix: &str) -> Result<(), TrainError> {
        let file = |name: &str| folder.join(format!("{prefix}{name}"));
        checkpoint::save(&self.network, &file(WEIGHTS))?;
        let moments = |part: fn(&Moments) -> &Tensor<1>| {
            parameters::map(self.network.valid(), |name, value| match self.optimizer.moments.get(name) {
                Some(moments) => part(moments).clone(),
                None => value.zeros_like(),
            })
        };
        checkpoint::save(&moments(|moments| &moments.first), &file(FIRST_MOMENTS))?;
        Ok(checkpoint::save(&moments(|moments| &moments.second), &file(SECOND_MOMENTS))?)
    }

    /// Continues after `step` from what [`Optimised::save`] wrote.
    pub fn load(&mut self, folder: &Path, prefix: &str, step: u64) -> Result<(), TrainError> {
        let open = |name: &str| Checkpoint::open(&folder.join(format!("{prefix}{name}")));
        let load = |name: &str| -> Result<Named, TrainError> {
            Ok(values(&checkpoint::load(self.network.valid(), &open(name)?)?))
        };
        let (first, second) = (load(FIRST_MOMENTS)?, load(SECOND_MOMENTS)?);
        let pairs = first.into_iter().zip(second.into_values());
        self.optimizer.moments = pairs.map(|((name, first), second)| (name, Moments { first, second })).collect();
        self.optimizer.step = step;
        self.network = settled(checkpoint::load(self.network.clone(), &open(WEIGHTS)?)?);
        Ok(())
    }
}

/// The network with its parameters laid out in memory as a step leaves them: a matrix product rounds by the order in which
/// it finds its numbers, and a resumed run is to round as an uninterrupted one.
pub(super) fn settled<N: Module>(network: N) -> N {
    parameters::map(network, |_, value| value)
}

/// A network's parameters by name, detached from any graph.
pub(super) fn values<N: Module>(network: &N) -> Named {
    let mut values = Named::new();
    parameters::visit(network, |name, _, value| {
        values.insert(name.to_string(), value);
    });
    values
}
