//! σ = √((1−ᾱ)/ᾱ) over the timesteps, for the samplers that think in it.

/// What diffusers puts for an ᾱ of 0, so that σ stays finite: the least number of half precision.
const LEAST_ALPHA_BAR: f32 = 1.0 / 16_777_216.0;

/// ρ of Karras et al., arXiv 2206.00364, equation 5.
const RHO: f64 = 7.0;

/// σ of every whole timestep, rising. Between them σ is interpolated in 64 bits, as NumPy does.
pub(super) struct Sigmas(Vec<f32>);

impl Sigmas {
    pub(super) fn new(alphas_cumprod: &[f32]) -> Self {
        let sigma = |alpha_bar: &f32| {
            let alpha_bar = if *alpha_bar == 0.0 { LEAST_ALPHA_BAR } else { *alpha_bar };
            ((1.0 - alpha_bar) / alpha_bar).sqrt()
        };
        Self(alphas_cumprod.iter().map(sigma).collect())
    }

    /// σ of timestep 0.
    pub(super) fn least(&self) -> f32 {
        self.0[0]
    }

    /// σ of the last timestep.
    pub(super) fn most(&self) -> f32 {
        self.0[self.0.len() - 1]
    }

    /// σ of a timestep (`numpy.interp`).
    pub(super) fn at(&self, timestep: f64) -> f64 {
        let last = self.0.len() - 1;
        let below = (timestep.max(0.0) as usize).min(last);
        let (low, high) = (f64::from(self.0[below]), f64::from(self.0[(below + 1).min(last)]));
        (high - low) * (timestep - below as f64) + low
    }

    /// The timestep of a σ, in proportion to the logarithms of its neighbours (`_sigma_to_t`).
    pub(super) fn timestep(&self, sigma: f64) -> f64 {
        let logarithm = libm::log(sigma.max(1e-10));
        let last = self.0.len() - 1;
        if last == 0 {
            return 0.0;
        }
        let at = |index: usize| libm::logf(self.0[index]);
        let below = self.0.partition_point(|sigma| f64::from(libm::logf(*sigma)) <= logarithm);
        let below = below.saturating_sub(1).min(last - 1);
        let (low, high) = (at(below), at(below + 1));
        let share = ((f64::from(low) - logarithm) / f64::from(low - high)).clamp(0.0, 1.0);
        (1.0 - share) * below as f64 + share * (below + 1) as f64
    }

    /// How many of the last timesteps have a λ = −ln σ below this.
    pub(super) fn below_lambda(&self, lambda: f64) -> usize {
        self.0.iter().filter(|sigma| f64::from(-libm::logf(**sigma)) < lambda).count()
    }
}

/// `steps` values of σ from `most` down to `least`, evenly spaced in σ^(1/ρ).
pub(super) fn karras(most: f64, least: f64, steps: usize) -> Vec<f64> {
    let (most, least) = (libm::pow(most, 1.0 / RHO), libm::pow(least, 1.0 / RHO));
    let stride = 1.0 / (steps - 1).max(1) as f64;
    (0..steps).map(|index| libm::pow(most + index as f64 * stride * (least - most), RHO)).collect()
}
