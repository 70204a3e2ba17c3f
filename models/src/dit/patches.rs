use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::ops::linear;

/// A token for each patch: time in the outer order, bands in the inner.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    /// From a patch's values (channel, band, frame) to a token.
    pub proj: Linear,
    /// Bands and frames of a patch.
    pub patch: [usize; 2],
}

impl PatchEmbedding {
    pub(super) fn new(channels: usize, patch @ [bands, frames]: [usize; 2], width: usize, device: &Device) -> Self {
        Self { proj: LinearConfig::new(channels * bands * frames, width).init(device), patch }
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]` → `[batch, token, width of a token]`
    pub fn forward(&self, sample: Tensor<4>) -> Tensor<3> {
        linear(&self.proj, patches(sample, self.patch))
    }
}

/// # Shapes
///
/// `[batch, channel, height, width]` → `[batch, frame · band, channel · height of a patch · width of a patch]`
fn patches(sample: Tensor<4>, [bands, frames]: [usize; 2]) -> Tensor<3> {
    let [batch, channels, height, width] = sample.dims();
    let [rows, columns] = [height / bands, width / frames];
    let cut: Tensor<6> = sample.reshape([batch, channels, rows, bands, columns, frames]);
    cut.permute([0, 4, 2, 1, 3, 5]).reshape([batch, columns * rows, channels * bands * frames])
}

/// The inverse of cutting a sample of `height` into patches.
///
/// # Shapes
///
/// `[batch, frame · band, channel · height of a patch · width of a patch]` → `[batch, channel, height, width]`
pub(super) fn joined(patches: Tensor<3>, height: usize, [bands, frames]: [usize; 2]) -> Tensor<4> {
    let [batch, tokens, values] = patches.dims();
    let (rows, channels) = (height / bands, values / (bands * frames));
    let columns = tokens / rows;
    let cut: Tensor<6> = patches.reshape([batch, columns, rows, channels, bands, frames]);
    cut.permute([0, 3, 2, 4, 1, 5]).reshape([batch, channels, height, columns * frames])
}
