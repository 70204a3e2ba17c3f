//! What an autoencoder is trained for.

use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use nocturne_models::ops::conv2d;
use nocturne_models::patch_gan::{PatchGan, adaptive_weight, generator_loss};
use nocturne_models::perceptual::Perceptual;

use super::LossSettings;

/// How far reconstructions are from their originals.
pub struct Reconstruction {
    /// Absolute differences, summed over an item: `[batch]`.
    pub pixels: Tensor<1>,
    /// The perceptual distance: `[batch]`.
    pub perceptual: Tensor<1>,
    /// Both weighed: the distance counts once a pixel, as published. `[batch]`
    pub total: Tensor<1>,
}

/// # Shapes
///
/// Two of `[batch, channel, mel, frame]`
pub fn reconstruction(
    made: Tensor<4>,
    original: Tensor<4>,
    perceptual: &Perceptual,
    settings: &LossSettings,
) -> Reconstruction {
    let [batch, channels, mels, frames] = made.dims();
    let size = channels * mels * frames;
    let differences: Tensor<2> = (made.clone() - original.clone()).abs().reshape([batch, size]);
    let pixels = differences.sum_dim(1).squeeze_dim::<1>(1);
    let perceptual = perceptual.distance(made, original);
    let total = pixels.clone() + perceptual.clone() * (settings.perceptual_weight * size as f64);
    Reconstruction { pixels, perceptual, total }
}

/// What the discriminator asks of reconstructions.
pub struct Adversary {
    /// Its gradient at the reconstructions, weighed: `[batch, channel, mel, frame]`.
    pub gradient: Tensor<4>,
    /// Its loss, `[1]`.
    pub loss: Tensor<1>,
    /// The weight, `[1]`.
    pub weight: Tensor<1>,
}

/// The adversarial gradient, weighed by norms at the weights of `last`, the decoder's last convolution.
///
/// Both gradients at those weights follow from those at the reconstructions and from what `last` was given, so that the
/// autoencoder is passed through backward only once, for the sum of all its losses.
///
/// # Shapes
///
/// - `features`: what `last` made the reconstructions of, `[batch, in, mel, frame]`
/// - `made`: the reconstructions, without a graph
/// - `of_reconstruction`: the gradient of the reconstruction's loss at `made`
pub fn adversary(
    discriminator: &PatchGan,
    last: &Conv2d,
    features: &Tensor<4>,
    made: &Tensor<4>,
    of_reconstruction: &Tensor<4>,
    settings: &LossSettings,
) -> Adversary {
    let seen = made.clone().autodiff().require_grad();
    let loss = generator_loss(discriminator.forward(seen.clone()));
    let gradient = gradient_at(&seen, &loss);
    let [reconstructing, fooling] = [of_reconstruction, &gradient].map(|gradient| at_weights(last, features, gradient));
    let weight = adaptive_weight(reconstructing, fooling, settings.disc_weight) * settings.disc_factor;
    Adversary { gradient: gradient * weight.clone().reshape([1, 1, 1, 1]), loss: loss.without_autodiff(), weight }
}

/// The gradient of a loss at a leaf of its graph.
pub fn gradient_at(leaf: &Tensor<4>, loss: &Tensor<1>) -> Tensor<4> {
    leaf.grad_remove(&mut loss.backward()).unwrap_or_else(|| leaf.zeros_like().without_autodiff())
}

fn at_weights(layer: &Conv2d, input: &Tensor<4>, gradient: &Tensor<4>) -> Tensor<4> {
    let layer = layer.clone();
    let weight = layer.weight.map(|weight| weight.detach().require_grad());
    let layer = Conv2d { weight, ..layer };
    let output = conv2d(&layer, input.clone().detach());
    gradient_at(&layer.weight.val(), &(output * gradient.clone()).sum())
}
