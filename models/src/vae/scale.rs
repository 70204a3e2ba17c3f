/// The spread of latents drawn from posteriors, gathered item by item.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatentSpread {
    count: f64,
    sum: f64,
    squares: f64,
}

impl LatentSpread {
    /// Adds a posterior by its means and the logarithms of its variances.
    pub fn add(&mut self, means: impl IntoIterator<Item = f32>, logvars: impl IntoIterator<Item = f32>) {
        for (mean, logvar) in means.into_iter().zip(logvars) {
            let (mean, variance) = (f64::from(mean), libm::exp(f64::from(logvar)));
            self.count += 1.0;
            self.sum += mean;
            self.squares += mean * mean + variance;
        }
    }

    /// What the latents are multiplied by to have a standard deviation of one: `scaling_factor` of diffusers (Rombach et
    /// al., arXiv 2112.10752, §G). None where there are no latents, or none that differ.
    pub fn scaling_factor(&self) -> Option<f64> {
        let mean = self.sum / self.count;
        let variance = self.squares / self.count - mean * mean;
        (variance > 1e-12 && variance.is_finite()).then(|| 1.0 / variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::LatentSpread;
    use crate::random::Random;

    /// The law of total variance: against numbers really drawn from the posteriors.
    #[test]
    fn the_factor_gives_drawn_latents_a_spread_of_one() {
        let means = [-1.0, 0.5, 3.0_f32];
        let logvars = [-2.0, 0.0, 1.0_f32];
        let mut spread = LatentSpread::default();
        spread.add(means, logvars);
        let factor = spread.scaling_factor().unwrap();
        let mut drawn = Vec::new();
        for (index, (mean, logvar)) in means.iter().zip(logvars).enumerate() {
            let noise = Random::new(3, "latent", index as u64).normal(20_000);
            drawn.extend(noise.into_iter().map(|noise| f64::from(mean + (0.5 * logvar).exp() * noise) * factor));
        }
        let count = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / count;
        let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn latents_that_are_all_the_same_have_no_factor() {
        let mut spread = LatentSpread::default();
        assert_eq!(spread.scaling_factor(), None);
        spread.add([2.0; 4], [-30.0; 4]);
        assert_eq!(spread.scaling_factor(), None);
        spread.add([f32::NAN], [0.0]);
        assert_eq!(spread.scaling_factor(), None);
    }
}
