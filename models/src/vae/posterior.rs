use burn::tensor::Tensor;

/// Beyond these a variance is no longer a useful float32.
const LOGVAR_RANGE: [f32; 2] = [-30.0, 20.0];

/// A normal distribution for every latent value of a sample, all independent.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// `[batch, latent, height, width]`; also the latents where nothing random is wanted.
    pub mean: Tensor<4>,
    /// The logarithm of the variance, of the same shape, in −30…20.
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// # Shapes
    ///
    /// Mean and log-variance side by side: `[batch, 2 · latent, height, width]`
    pub(super) fn of(moments: Tensor<4>) -> Self {
        let latent = moments.dims()[1] / 2;
        let [least, most] = LOGVAR_RANGE;
        Self {
            mean: moments.clone().narrow(1, 0, latent),
            logvar: moments.narrow(1, latent, latent).clamp(least, most),
        }
    }

    /// mean + σ · `noise`.
    ///
    /// # Shapes
    ///
    /// `[batch, latent, height, width]` → the same
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }

    /// The Kullback-Leibler divergence from N(0, 1), in nats, summed over all values of an item.
    ///
    /// # Shapes
    ///
    /// `[batch]`
    pub fn kl(&self) -> Tensor<1> {
        let [batch, ..] = self.mean.dims();
        let each = self.mean.clone().square() + self.logvar.clone().exp() - 1.0 - self.logvar.clone();
        (each * 0.5).reshape([batch as i32, -1]).sum_dim(1).squeeze_dim::<1>(1)
    }
}
