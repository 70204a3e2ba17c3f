use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::memory::Past;
use super::{MusicgenDecoderConfig, Projection};
use crate::ops::{AttentionOptions, Narrow, attention};

/// Attention of several heads, without bias in its layers.
#[derive(Module, Debug)]
pub struct Attention {
    /// Keys.
    pub k_proj: Projection,
    /// Values.
    pub v_proj: Projection,
    /// Queries.
    pub q_proj: Projection,
    /// From the heads.
    pub out_proj: Projection,
    /// How many heads.
    pub heads: usize,
}

impl Attention {
    pub(super) fn new(config: &MusicgenDecoderConfig, device: &Device) -> Self {
        let layer = || Projection::new([config.hidden_size; 2], device);
        Self { k_proj: layer(), v_proj: layer(), q_proj: layer(), out_proj: layer(), heads: config.num_attention_heads }
    }

    /// The same with weights in fewer bytes.
    pub(super) fn narrowed(self, narrow: Narrow) -> Self {
        let Self { k_proj, v_proj, q_proj, out_proj, heads } = self;
        let [k_proj, v_proj, q_proj, out_proj] =
            [k_proj, v_proj, q_proj, out_proj].map(|projection| projection.narrowed(narrow));
        Self { k_proj, v_proj, q_proj, out_proj, heads }
    }

    /// Lets go of the layers that make keys and values.
    pub(super) fn take_no_more_conditions(&mut self, device: &Device) {
        // Of no size: nothing fits them.
        let layer = || Projection::new([0; 2], device);
        (self.k_proj, self.v_proj) = (layer(), layer());
    }

    /// Keys and values of what is attended to.
    ///
    /// # Shapes
    ///
    /// `[batch, position, width]` → the same, twice
    pub fn keys_and_values(&self, input: Tensor<3>) -> [Tensor<3>; 2] {
        [self.k_proj.forward(input.clone()), self.v_proj.forward(input)]
    }

    /// Attention of every position to itself and those before it.
    ///
    /// # Shapes
    ///
    /// `[batch, position, width]` → the same
    pub fn to_earlier(&self, input: Tensor<3>) -> Tensor<3> {
        let query = self.q_proj.forward(input.clone());
        let [key, value] = self.keys_and_values(input);
        let options = AttentionOptions { causal: true, ..AttentionOptions::default() };
        self.out_proj.forward(attention(query, key, value, self.heads, options))
    }

    /// The same where `past` has the keys and values of earlier positions, and receives those of the new ones. `filling` is
    /// added to the scores of all positions.
    ///
    /// # Shapes
    ///
    /// `[batch, new position, width]`, `[1, batch · head, new position, position]` → `[batch, new position, width]`
    pub(super) fn to_past(&self, input: Tensor<3>, past: &mut Past, filling: Option<&Tensor<4>>) -> Tensor<3> {
        let shape @ [batch, count, width] = input.dims();
        let query = self.q_proj.forward(input.clone());
        let [key, value] = self.keys_and_values(input);
        let side_by_side = |tensor: Tensor<3>| tensor.swap_dims(0, 1).reshape([1, count, batch * width]);
        let [key, value] = past.extend(side_by_side(key), side_by_side(value));
        let options = AttentionOptions { causal: true, bias: filling.cloned(), ..AttentionOptions::default() };
        let attended = attention(side_by_side(query), key, value, batch * self.heads, options);
        let attended = attended.reshape([count, batch, width]).swap_dims(0, 1).reshape(shape);
        self.out_proj.forward(attended)
    }

    /// Attention to given keys and values. `hidden` is added to the scores: −∞ hides a token.
    ///
    /// # Shapes
    ///
    /// `[batch, position, width]`, `[batch, token, width]` twice, `[batch, token]` → `[batch, position, width]`
    pub fn to_condition(
        &self,
        input: Tensor<3>,
        [key, value]: [Tensor<3>; 2],
        hidden: Option<&Tensor<2>>,
    ) -> Tensor<3> {
        let [batch, positions, _] = input.dims();
        let bias = hidden.map(|hidden| {
            let [_, tokens] = hidden.dims();
            hidden.clone().reshape([batch, 1, 1, tokens]).expand([batch, 1, positions, tokens])
        });
        let options = AttentionOptions { bias, ..AttentionOptions::default() };
        let query = self.q_proj.forward(input);
        self.out_proj.forward(attention(query, key, value, self.heads, options))
    }
}
