use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use super::memory::LayerMemory;
use super::{Attention, MusicgenDecoderConfig, Projection};
use crate::ops::{Narrow, gelu, layer_norm};

/// Added to the variances.
pub(super) const EPSILON: f64 = 1e-5;

/// Attention to earlier positions, attention to the condition (where that does not go before the codes), a feed-forward
/// network; each of the normalised input, and added to it.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// To earlier positions.
    pub self_attn: Attention,
    /// Normalises its input.
    pub self_attn_layer_norm: LayerNorm,
    /// To the condition.
    pub encoder_attn: Option<Attention>,
    /// Normalises its input.
    pub encoder_attn_layer_norm: Option<LayerNorm>,
    /// To the wide space.
    pub fc1: Projection,
    /// Back.
    pub fc2: Projection,
    /// Normalises the input of the feed-forward network.
    pub final_layer_norm: LayerNorm,
}

impl DecoderLayer {
    pub(super) fn new(config: &MusicgenDecoderConfig, device: &Device) -> Self {
        let (width, inner) = (config.hidden_size, config.ffn_dim);
        let crosses = config.has_cross_attention();
        Self {
            self_attn: Attention::new(config, device),
            self_attn_layer_norm: new_norm(config, device),
            encoder_attn: crosses.then(|| Attention::new(config, device)),
            encoder_attn_layer_norm: crosses.then(|| new_norm(config, device)),
            fc1: Projection::new([width, inner], device),
            fc2: Projection::new([inner, width], device),
            final_layer_norm: new_norm(config, device),
        }
    }

    /// The same with weights in fewer bytes.
    pub(super) fn narrowed(self, narrow: Narrow) -> Self {
        Self {
            self_attn: self.self_attn.narrowed(narrow),
            encoder_attn: self.encoder_attn.map(|attention| attention.narrowed(narrow)),
            fc1: self.fc1.narrowed(narrow),
            fc2: self.fc2.narrowed(narrow),
            ..self
        }
    }

    /// Without a condition nothing is attended to but earlier positions. `hidden` is added to the scores of the condition's
    /// tokens.
    ///
    /// # Shapes
    ///
    /// `[batch, position, width]`, `[batch, token, width]`, `[batch, token]` → `[batch, position, width]`
    pub fn forward(&self, input: Tensor<3>, condition: Option<Tensor<3>>, hidden: Option<&Tensor<2>>) -> Tensor<3> {
        let attended = self.self_attn.to_earlier(layer_norm(&self.self_attn_layer_norm, EPSILON, input.clone()));
        let condition = condition.and_then(|condition| self.of_condition(condition));
        self.rest(input + attended, condition, hidden)
    }

    /// Keys and values of a condition; none in a layer that does not attend to one.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]` → the same, twice
    pub(super) fn of_condition(&self, condition: Tensor<3>) -> Option<[Tensor<3>; 2]> {
        self.encoder_attn.as_ref().map(|attention| attention.keys_and_values(condition))
    }

    /// The same for new positions behind those that `memory` has seen. `filling` is added to the scores of all positions.
    ///
    /// # Shapes
    ///
    /// `[batch, new position, width]`, `[batch, token]`, `[1, batch · head, new position, position]` →
    /// `[batch, new position, width]`
    pub(super) fn step(
        &self,
        input: Tensor<3>,
        memory: &mut LayerMemory,
        hidden: Option<&Tensor<2>>,
        filling: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let normed = layer_norm(&self.self_attn_layer_norm, EPSILON, input.clone());
        let attended = self.self_attn.to_past(normed, &mut memory.own, filling);
        self.rest(input + attended, memory.condition.clone(), hidden)
    }

    /// What follows the attention to earlier positions.
    fn rest(&self, input: Tensor<3>, condition: Option<[Tensor<3>; 2]>, hidden: Option<&Tensor<2>>) -> Tensor<3> {
        let input = match (condition, &self.encoder_attn, &self.encoder_attn_layer_norm) {
            (Some(condition), Some(attention), Some(norm)) => {
                let normed = layer_norm(norm, EPSILON, input.clone());
                input + attention.to_condition(normed, condition, hidden)
            }
            _ => input,
        };
        let normed = layer_norm(&self.final_layer_norm, EPSILON, input.clone());
        input + self.fc2.forward(gelu(self.fc1.forward(normed)))
    }
}

pub(super) fn new_norm(config: &MusicgenDecoderConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(EPSILON).init(device)
}
