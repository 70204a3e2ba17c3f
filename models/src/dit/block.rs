use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use super::model::{Encodings, Surroundings};
use super::{Attention, DiTConfig, FeedForward, Modulation};
use crate::ops::{gated_sum, layer_norm, modulated_layer_norm};
use crate::recompute::recompute;

/// Attention to the tokens, to encodings if there are any, and an MLP, the first and the last under time's control.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// Shift, scale and gate of the attention, then of the MLP.
    pub modulation: Modulation,
    /// To the tokens.
    pub attn1: Attention,
    /// Normalises what asks the encodings.
    pub norm2: Option<LayerNorm>,
    /// To the encodings.
    pub attn2: Option<Attention>,
    /// The MLP.
    pub ff: FeedForward,
    /// Added to the variances.
    pub norm_eps: f64,
}

impl TransformerBlock {
    pub(super) fn new(config: &DiTConfig, device: &Device) -> Self {
        let (width, source) = (config.width(), config.cross_attention_dim);
        Self {
            modulation: Modulation::new(width, 6, device),
            attn1: Attention::new(width, config, device),
            norm2: source.map(|_| LayerNormConfig::new(width).with_epsilon(config.norm_eps).init(device)),
            attn2: source.map(|source| Attention::new(source, config, device)),
            ff: FeedForward::new(width, device),
            norm_eps: config.norm_eps,
        }
    }

    /// # Shapes
    ///
    /// tokens `[batch, token, width]` → the same
    ///
    /// # Panics
    ///
    /// If the block attends to encodings and there are none.
    pub fn forward(&self, tokens: Tensor<3>, surroundings: &Surroundings) -> Tensor<3> {
        let Surroundings { time, rotations, encodings } = surroundings.clone();
        self.forward_modulated(tokens, self.modulation.forward(time), &rotations, encodings)
    }

    /// The same; of what is computed, backward finds nothing kept and makes it again.
    pub(super) fn forward_recomputed(&self, tokens: Tensor<3>, surroundings: &Surroundings) -> Tensor<3> {
        let Surroundings { time, rotations, encodings } = surroundings.clone();
        // Small, and outside: all blocks share the time embedding, and its gradient adds up as without recomputation.
        let beside = (encodings, rotations, self.modulation.forward(time));
        recompute(self.clone(), tokens, beside, |block, tokens, (encodings, rotations, modulation)| {
            block.forward_modulated(tokens, modulation, &rotations, encodings)
        })
    }

    fn forward_modulated(
        &self,
        tokens: Tensor<3>,
        modulation: [Tensor<2>; 6],
        rotations: &Tensor<2>,
        encodings: Option<Encodings>,
    ) -> Tensor<3> {
        let [shift, scale, gate, shift_mlp, scale_mlp, gate_mlp] = modulation;
        let normalised = modulated_layer_norm(tokens.clone(), scale + 1.0, shift, self.norm_eps);
        let mut tokens = gated_sum(tokens, gate, self.attn1.to_tokens(normalised, rotations));
        if let (Some(norm), Some(attention)) = (&self.norm2, &self.attn2) {
            let (encodings, bias) = encodings.expect("encodings to attend to");
            let normalised = layer_norm(norm, self.norm_eps, tokens.clone());
            tokens = tokens + attention.to_encodings(normalised, encodings, bias);
        }
        let normalised = modulated_layer_norm(tokens.clone(), scale_mlp + 1.0, shift_mlp, self.norm_eps);
        gated_sum(tokens, gate_mlp, self.ff.forward(normalised))
    }
}
