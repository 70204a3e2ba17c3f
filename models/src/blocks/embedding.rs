use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::Activation;
use crate::ops::linear;

/// Two linear layers over the sinusoids of a timestep.
#[derive(Module, Debug)]
pub struct TimestepEmbedding {
    /// From a condition to the sinusoids, where there is one: the guidance scale of distilled networks.
    pub cond_proj: Option<Linear>,
    /// First layer.
    pub linear_1: Linear,
    /// Second layer.
    pub linear_2: Linear,
    /// Between the layers.
    #[module(skip)]
    pub activation: Activation,
    /// Behind the second.
    #[module(skip)]
    pub post_activation: Option<Activation>,
}

impl TimestepEmbedding {
    pub(crate) fn new(input: usize, width: usize, device: &Device) -> Self {
        Self {
            cond_proj: None,
            linear_1: LinearConfig::new(input, width).init(device),
            linear_2: LinearConfig::new(width, width).init(device),
            activation: Activation::Silu,
            post_activation: None,
        }
    }

    /// The same with room for a condition of so many channels.
    pub(crate) fn with_condition(self, condition: usize, input: usize, device: &Device) -> Self {
        Self { cond_proj: Some(LinearConfig::new(condition, input).with_bias(false).init(device)), ..self }
    }

    /// # Shapes
    ///
    /// `[batch, input]` → `[batch, width]`
    pub fn forward(&self, sinusoids: Tensor<2>) -> Tensor<2> {
        self.layers(sinusoids.cast(self.linear_1.weight.val().dtype()))
    }

    /// # Shapes
    ///
    /// `[batch, input]`, `[batch, condition]` → `[batch, width]`
    ///
    /// # Panics
    ///
    /// If the embedding knows no condition.
    pub fn forward_with(&self, sinusoids: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let projection = self.cond_proj.as_ref().expect("an embedding that knows a condition");
        self.layers(sinusoids.cast(condition.dtype()) + linear(projection, condition))
    }

    fn layers(&self, sinusoids: Tensor<2>) -> Tensor<2> {
        let output = linear(&self.linear_2, self.activation.forward(linear(&self.linear_1, sinusoids)));
        match self.post_activation {
            Some(activation) => activation.forward(output),
            None => output,
        }
    }
}

/// The sinusoids of timesteps at `width / 2` frequencies from 1 down to 1/10000, as `get_timestep_embedding` of
/// diffusers makes them.
///
/// # Shapes
///
/// `[batch]` → `[batch, width]`
pub(crate) fn sinusoids(timesteps: Tensor<1>, width: usize, shift: f64, cosine_first: bool) -> Tensor<2> {
    let half = width / 2;
    // In f32 up to the exponential, as the published networks were trained: at t = 999 a rounding is visible.
    let step = -(10_000.0f64.ln() as f32);
    let frequencies: Vec<f32> =
        (0..half).map(|i| libm::exp(f64::from(step * i as f32 / (half as f64 - shift) as f32)) as f32).collect();
    let frequencies = Tensor::<1>::from_floats(&*frequencies, &timesteps.device()).unsqueeze_dim::<2>(0);
    let angles = timesteps.unsqueeze_dim::<2>(1) * frequencies;
    let (sines, cosines) = (angles.clone().sin(), angles.cos());
    Tensor::cat(if cosine_first { vec![cosines, sines] } else { vec![sines, cosines] }, 1)
}
