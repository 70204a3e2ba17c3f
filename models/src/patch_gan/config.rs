use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::PatchGan;
use crate::initialise::torch_default;
use crate::network::{ConfigError, NetworkConfig, check};
use crate::parameters;
use crate::random::Random;

/// The widest layer.
const MOST: usize = 1 << 12;
/// Where a latent-diffusion checkpoint holds its discriminator.
const PREFIX: &str = "state_dict.loss.discriminator.";
/// What training does not use.
const RUNNING: [&str; 3] = ["running_mean", "running_var", "num_batches_tracked"];
/// Spread of the first weights.
const SPREAD: f32 = 0.02;

/// The parameters of `NLayerDiscriminator`, with its names and defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatchGanConfig {
    /// Channels of the pictures.
    pub input_nc: usize,
    /// Channels behind the first convolution.
    pub ndf: usize,
    /// Convolutions of stride two, counting the first. A patch is 70 pixels wide with three.
    pub n_layers: usize,
}

impl Default for PatchGanConfig {
    fn default() -> Self {
        Self { input_nc: 3, ndf: 64, n_layers: 3 }
    }
}

impl NetworkConfig for PatchGanConfig {
    type Network = PatchGan;

    fn validate(&self) -> Result<(), ConfigError> {
        check("input_nc", (1..=MOST).contains(&self.input_nc), self.input_nc, format!("1 to {MOST}"))?;
        check("ndf", (1..=MOST).contains(&self.ndf), self.ndf, format!("1 to {MOST}"))?;
        check("n_layers", (1..=8).contains(&self.n_layers), self.n_layers, "1 to 8")
    }

    fn build(&self, device: &Device) -> PatchGan {
        PatchGan::new(self, device)
    }

    /// Takes the discriminator out of a latent-diffusion checkpoint; its own keys stay.
    fn current_name(&self, published: &str) -> Option<String> {
        let name = published.strip_prefix(PREFIX).unwrap_or(published);
        let wanted = name.starts_with("main.") && !RUNNING.iter().any(|statistic| name.ends_with(statistic));
        wanted.then(|| name.to_owned())
    }

    /// As the published discriminator begins: weights from N(0, 0.02²), those of norms from N(1, 0.02²), other biases as
    /// PyTorch's layers have them.
    fn initialise(&self, network: PatchGan, random: &mut Random) -> PatchGan {
        let seed = random.next_u64();
        let centre = |(name, shape): (String, Vec<usize>)| {
            let centre = if shape.len() == 1 { 1.0 } else { 0.0 };
            name.ends_with("weight").then_some((name, centre))
        };
        let centres: HashMap<String, f32> = parameters::shapes(&network).into_iter().filter_map(centre).collect();
        parameters::map(torch_default(network, random), |name, values| match centres.get(name) {
            None => values,
            Some(centre) => {
                let drawn = Random::new(seed, name, 0).normal(values.dims()[0]);
                let spread: Vec<f32> = drawn.into_iter().map(|value| centre + SPREAD * value).collect();
                Tensor::from_floats(&*spread, &values.device())
            }
        })
    }
}

impl PatchGanConfig {
    /// Checks the height and width of a picture: there must be a patch to judge.
    ///
    /// # Errors
    ///
    /// If a side is too short for the convolutions.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let least = 3 << self.n_layers;
        let expected = format!("at least {least} for {} layers of the discriminator", self.n_layers);
        check("sample_size", height >= least && width >= least, format_args!("{height}×{width}"), expected)
    }
}
