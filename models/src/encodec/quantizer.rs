use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::EncodecConfig;

/// The residual quantiser: each codebook takes the entry nearest to what those before it left.
#[derive(Module, Debug)]
pub struct Quantizer {
    /// A codebook each.
    pub layers: Vec<VectorQuantization>,
}

/// A codebook.
#[derive(Module, Debug)]
pub struct VectorQuantization {
    /// The codebook.
    pub codebook: Codebook,
}

/// Vectors to choose from.
#[derive(Module, Debug)]
pub struct Codebook {
    /// `[entry, channel]`
    pub embed: Param<Tensor<2>>,
}

impl Quantizer {
    pub(super) fn new(config: &EncodecConfig, device: &Device) -> Self {
        let embed =
            || Initializer::Normal { mean: 0.0, std: 1.0 }.init([config.codebook_size, config.hidden_size], device);
        let layers = (0..config.num_quantizers()).map(|_| VectorQuantization { codebook: Codebook { embed: embed() } });
        Self { layers: layers.collect() }
    }

    /// The codes of the first `count` codebooks.
    ///
    /// # Shapes
    ///
    /// `[batch, channel, frame]` → `[batch, codebook, frame]`
    ///
    /// # Panics
    ///
    /// If there are fewer codebooks.
    pub fn encode(&self, encodings: Tensor<3>, count: usize) -> Tensor<3, Int> {
        let items = (0..encodings.dims()[0]).map(|item| {
            // Each item alone, lest its codes depend on the others.
            let mut rest = encodings.clone().narrow(0, item, 1).squeeze_dim::<2>(0).transpose();
            let mut codes: Vec<Tensor<2, Int>> = Vec::with_capacity(count);
            for VectorQuantization { codebook } in &self.layers[..count] {
                let nearest = codebook.nearest(rest.clone());
                rest = rest - codebook.embed.val().select(0, nearest.clone());
                codes.push(nearest.unsqueeze_dim(0));
            }
            Tensor::cat(codes, 0).unsqueeze_dim::<3>(0)
        });
        Tensor::cat(items.collect(), 0)
    }

    /// The sum of the codes' entries.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, frame]` → `[batch, channel, frame]`
    ///
    /// # Panics
    ///
    /// If there are fewer codebooks, none is asked for, or a code is not below their size.
    pub fn decode(&self, codes: Tensor<3, Int>) -> Tensor<3> {
        let [batch, books, frames] = codes.dims();
        let entries = |(book, layer): (usize, &VectorQuantization)| {
            let codes = codes.clone().narrow(1, book, 1).reshape([batch * frames]);
            layer.codebook.embed.val().select(0, codes)
        };
        let sum = self.layers[..books].iter().enumerate().map(entries).reduce(|sum, more| sum + more);
        let sum = sum.expect("codes of a codebook or more");
        let channels = sum.dims()[1];
        sum.reshape([batch, frames, channels]).swap_dims(1, 2)
    }
}

impl Codebook {
    /// The entries with the least distance from vectors, each the first of its kind.
    ///
    /// # Shapes
    ///
    /// `[vector, channel]` → `[vector]`
    fn nearest(&self, vectors: Tensor<2>) -> Tensor<1, Int> {
        let entries = self.embed.val();
        let lengths = entries.clone().square().sum_dim(1).transpose();
        // ‖x‖² is the same for all entries.
        let likeness = vectors.matmul(entries.transpose()) * 2.0 - lengths;
        likeness.argmax(1).squeeze_dim::<1>(1)
    }
}
