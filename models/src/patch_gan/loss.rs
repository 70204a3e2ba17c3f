use burn::tensor::{Tensor, activation::relu};

/// Keeps the quotient of two gradient norms finite.
const STABILISER: f64 = 1e-4;
/// The adversarial loss never weighs more than this, times its own weight.
const MOST: f64 = 1e4;

/// The hinge loss of the discriminator (Lim & Ye, "Geometric GAN", 2017): half the mean of max(0, 1 − D(real)) and
/// max(0, 1 + D(made)).
///
/// # Shapes
///
/// Two judgements `[batch, 1, height, width]` → `[1]`
pub fn discriminator_loss(of_real: Tensor<4>, of_made: Tensor<4>) -> Tensor<1> {
    (relu(-of_real + 1.0).mean() + relu(of_made + 1.0).mean()) * 0.5
}

/// What the autoencoder learns from the discriminator: −mean D(made).
///
/// # Shapes
///
/// A judgement `[batch, 1, height, width]` → `[1]`
pub fn generator_loss(of_made: Tensor<4>) -> Tensor<1> {
    -of_made.mean()
}

/// The weight that gives the adversarial gradient `disc_weight` times the norm of the reconstruction's at the decoder's
/// last weights: ‖∇rec‖ / (‖∇adv‖ + 1e-4), at most 1e4, times `disc_weight`.
///
/// # Shapes
///
/// Two gradients of one weight → `[1]`
pub fn adaptive_weight(of_reconstruction: Tensor<4>, of_adversary: Tensor<4>, disc_weight: f64) -> Tensor<1> {
    let norm = |gradient: Tensor<4>| gradient.square().sum().sqrt();
    let quotient = norm(of_reconstruction) / (norm(of_adversary) + STABILISER);
    quotient.clamp(0.0, MOST) * disc_weight
}
