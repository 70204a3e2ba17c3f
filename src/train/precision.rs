//! Mixed precision: forward and backward in bfloat16 on copies of float32 weights.
//!
//! The cast is part of the graph, so that gradients arrive in float32 at the float32 weights, which the optimiser
//! moves. bfloat16 keeps float32's exponents: no loss scaling.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use nocturne_models::diffusion::{Condition, Network};
use serde::{Deserialize, Serialize};

/// The numbers that forward and backward compute with. Weights, optimiser and average are always float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// float32 throughout.
    #[default]
    #[serde(rename = "no")]
    F32,
    /// bfloat16 for activations and for a copy of the weights; meant for CUDA.
    Bf16,
}

/// A network as the training step sees it.
pub enum Trained<'a, N> {
    /// The network itself.
    Full(&'a N),
    /// Its bfloat16 copy.
    Half(N),
}

impl<'a, N: Module> Trained<'a, N> {
    /// Makes the copy that `precision` asks for. It serves one backward pass: the casts are part of its graph.
    pub fn new(network: &'a N, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Full(network),
            Precision::Bf16 => Self::Half(network.clone().map(&mut ToBf16::default())),
        }
    }

    /// The network itself or its copy, and the type of its inputs and outputs.
    pub fn network(&self) -> (&N, DType) {
        match self {
            Self::Full(network) => (network, DType::F32),
            Self::Half(network) => (network, DType::BF16),
        }
    }
}

impl<N: Module + Network> Network for Trained<'_, N> {
    /// # Shapes
    /// `sample` `[batch, channel, height, width]`, `timesteps` `[batch]` and the condition in float32, the result as `sample`.
    fn forward(&self, sample: Tensor<4>, timesteps: Tensor<1>, condition: Option<&Condition>) -> Tensor<4> {
        match self {
            Self::Full(network) => network.forward(sample, timesteps, condition),
            Self::Half(network) => {
                let condition = condition.map(|Condition { encodings, mask }| Condition {
                    encodings: encodings.clone().cast(DType::BF16),
                    mask: mask.clone(),
                });
                // Timesteps stay float32: bfloat16 cannot tell 998 from 999.
                network.forward(sample.cast(DType::BF16), timesteps, condition.as_ref()).cast(DType::F32)
            }
        }
    }
}

/// The modules whose parameters stay float32, because normalisation computes in their precision, and because a timestep's
/// phase is a large number.
const FLOAT32: [&str; 4] = ["Struct:GroupNorm", "Struct:LayerNorm", "Struct:RmsNorm", "Struct:FourierProjection"];

#[derive(Default)]
struct ToBf16 {
    containers: Vec<String>,
}

impl ModuleMapper for ToBf16 {
    fn enter_module(&mut self, _name: &str, container: &str) {
        self.containers.push(container.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.containers.last() {
            Some(container) if FLOAT32.contains(&&**container) => param,
            _ => param.map(|tensor| tensor.cast(DType::BF16)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::module::ModuleVisitor;
    use burn::tensor::Device;
    use nocturne_models::dit::DiTConfig;
    use nocturne_models::network::NetworkConfig;
    use nocturne_models::random::Random;
    use nocturne_models::unet::SampleSize;
    use nocturne_models::unet_condition::UNet2DConditionConfig;

    use super::*;

    /// The modules that own parameters of a type.
    struct Owners {
        dtype: DType,
        containers: Vec<String>,
        found: Vec<String>,
    }

    impl ModuleVisitor for Owners {
        fn enter_module(&mut self, _name: &str, container: &str) {
            self.containers.push(container.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.containers.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().dtype() == self.dtype {
                self.found.extend(self.containers.last().cloned());
            }
        }
    }

    fn owners<C: NetworkConfig>(config: &C, dtype: DType) -> Vec<String> {
        let network = config.init(&Device::flex(), &mut Random::new(0, "weights", 0)).unwrap();
        let trained = Trained::new(&network, Precision::Bf16);
        let mut owners = Owners { dtype, containers: Vec::new(), found: Vec::new() };
        trained.network().0.visit(&mut owners);
        owners.found.sort_unstable();
        owners.found.dedup();
        owners.found
    }

    #[test]
    fn norms_stay_in_float32_and_nothing_else_does() {
        let unet = UNet2DConditionConfig {
            block_out_channels: vec![8, 8],
            down_block_types: vec!["CrossAttnDownBlock2D".into(), "DownBlock2D".into()],
            up_block_types: vec!["UpBlock2D".into(), "CrossAttnUpBlock2D".into()],
            norm_num_groups: Some(4),
            time_embedding_type: "fourier".into(),
            ..UNet2DConditionConfig::default()
        };
        let dit = DiTConfig {
            patch_size: SampleSize::Square(2),
            num_layers: 1,
            num_attention_heads: 2,
            attention_head_dim: 8,
            cross_attention_dim: Some(6),
            ..DiTConfig::default()
        };
        let all = [owners(&unet, DType::F32), owners(&dit, DType::F32)].concat();
        for kept in FLOAT32 {
            assert!(all.iter().any(|owner| owner == kept), "no {kept} in {all:?}");
        }
        assert!(all.iter().all(|owner| FLOAT32.contains(&&**owner)), "{all:?}");
        for half in [owners(&unet, DType::BF16), owners(&dit, DType::BF16)] {
            assert!(half.iter().any(|owner| owner == "Struct:Linear"), "{half:?}");
            assert!(half.iter().all(|owner| !FLOAT32.contains(&&**owner)), "{half:?}");
        }
    }
}
