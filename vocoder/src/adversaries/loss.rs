use burn::tensor::Tensor;

use super::Judgement;

/// Weight of the feature matching.
const MATCHING: f32 = 2.0;

/// What a generator learns from its adversaries.
#[derive(Clone, Debug)]
pub struct Game {
    /// How far it is from being taken for recordings, `[1]`.
    pub fooling: Tensor<1>,
    /// Twice the mean absolute differences of the layers, summed over all, `[1]`.
    pub matching: Tensor<1>,
}

/// The least-squares loss of discriminators (Mao et al., "Least Squares Generative Adversarial Networks", 2017): the sum
/// over all of the means of (1 − D(real))² and D(made)².
///
/// # Shapes
///
/// → `[1]`
///
/// # Panics
///
/// If there is no judgement.
pub fn discriminator_loss(of_real: &[Judgement], of_made: &[Judgement]) -> Tensor<1> {
    total(
        of_real
            .iter()
            .zip(of_made)
            .map(|(real, made)| (real.verdict.clone() - 1.0).square().mean() + made.verdict.clone().square().mean()),
    )
}

/// The other side of it: the sum of the means of (1 − D(made))², and the matching of features (Kumar et al., "`MelGAN`",
/// 2019).
///
/// # Panics
///
/// If there is no judgement.
pub fn generator_loss(of_real: &[Judgement], of_made: &[Judgement]) -> Game {
    let layers = of_real.iter().zip(of_made).flat_map(|(real, made)| real.features.iter().zip(&made.features));
    Game {
        fooling: total(of_made.iter().map(|made| (made.verdict.clone() - 1.0).square().mean())),
        matching: total(layers.map(|(real, made)| (real.clone() - made.clone()).abs().mean())) * MATCHING,
    }
}

fn total(terms: impl Iterator<Item = Tensor<1>>) -> Tensor<1> {
    Tensor::cat(terms.collect(), 0).sum()
}
