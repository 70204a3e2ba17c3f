use serde::{Deserialize, Serialize};

use crate::network::{ConfigError, check};

/// How fast the channels of an autoencoder grow from the largest resolution to the smallest: the three series of the
/// published sleep-music scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSize {
    /// 1, 2, 2, 4, 4, 4, 8, …
    #[default]
    Small,
    /// 1, 2, 2, 4, 4, 8, 8, 16, …
    Medium,
    /// 1, 2, 4, 4, 8, 8, 16, …
    Large,
}

impl ModelSize {
    /// Multiples of the first resolution's channels after each of `halvings`, the first resolution before them. Where the
    /// published series ends, its last multiple goes on.
    pub fn multiples(self, halvings: usize) -> Vec<usize> {
        let series: &[usize] = match self {
            Self::Small => &[1, 2, 2, 4, 4, 4, 8],
            Self::Medium => &[1, 2, 2, 4, 4, 8, 8, 16],
            Self::Large => &[1, 2, 4, 4, 8, 8, 16],
        };
        let last = series[series.len() - 1];
        (0..=halvings).map(|level| *series.get(level).unwrap_or(&last)).collect()
    }
}

/// How many halvings lead from pictures of `resolution` to latents of `latents`, both in the same order of sides: the
/// logarithm of the ratio of the longer sides, as published. All sides are halved together, so the shorter side of the
/// latents follows.
///
/// # Errors
///
/// If no number of halvings leads there.
pub fn halvings(resolution: [usize; 2], latents: [usize; 2]) -> Result<usize, ConfigError> {
    let longer = |[a, b]: [usize; 2]| a.max(b);
    let (picture, latent) = (longer(resolution), longer(latents));
    let exact = latent > 0 && picture.is_multiple_of(latent) && (picture / latent).is_power_of_two();
    let expected = format!("a longer side that is {picture} divided by a power of two");
    check("latent_dims", exact, format_args!("{latents:?}"), expected)?;
    Ok((picture / latent).ilog2() as usize)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::NetworkConfig;
    use crate::vae::DdConfig;

    #[test]
    fn the_published_example_has_its_published_sizes() {
        let parameters = |size: ModelSize| {
            let halvings = halvings([2048, 128], [512, 32]).unwrap();
            let config = DdConfig { ch: 32, ch_mult: size.multiples(halvings), ..DdConfig::default() };
            config.autoencoder(1).unwrap().parameter_count().unwrap()
        };
        assert_eq!(ModelSize::Small.multiples(2), [1, 2, 2]);
        // 1.28 and 3.5 million, rounded.
        assert_eq!((parameters(ModelSize::Small) + 5_000) / 10_000, 128);
        assert_eq!((parameters(ModelSize::Large) + 50_000) / 100_000, 35);
        assert_eq!(ModelSize::Large.multiples(8), [1, 2, 4, 4, 8, 8, 16, 16, 16]);
    }

    #[test]
    fn only_powers_of_two_lead_to_latents() {
        assert_eq!(halvings([2048, 128], [128, 32]).unwrap(), 4);
        assert_eq!(halvings([64, 64], [64, 64]).unwrap(), 0);
        for latents in [[0, 0], [100, 4], [128, 128], [24, 8]] {
            assert!(halvings([64, 64], latents).is_err(), "{latents:?}");
        }
    }
}
