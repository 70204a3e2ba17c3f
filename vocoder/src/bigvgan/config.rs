use burn::tensor::{Device, Tensor};
use nocturne_models::checkpoint::{self, Checkpoint, CheckpointError};
use nocturne_models::initialise::torch_default;
use nocturne_models::network::{ConfigError, NetworkConfig, check, one_of};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use serde::{Deserialize, Serialize};

use super::{AntiAliased, Generator, filter};
use crate::mel::{LogMelConfig, MelError};

/// `config.json` of a BigVGAN: what describes the generator and its mels. The fields of its training are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BigVganConfig {
    /// The mels that it was trained on.
    #[serde(flatten)]
    pub mel: LogMelConfig,
    /// Samples of the window; only `n_fft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub win_size: Option<usize>,
    /// `1`, two convolutions for each dilation, or `2`, one.
    pub resblock: String,
    /// By how much each stage lengthens.
    pub upsample_rates: Vec<usize>,
    /// Taps of each stage's transposed convolution.
    pub upsample_kernel_sizes: Vec<usize>,
    /// Channels before the first stage; each stage halves them.
    pub upsample_initial_channel: usize,
    /// Taps of each stage's parallel blocks.
    pub resblock_kernel_sizes: Vec<usize>,
    /// Dilations of each of these blocks, one after another.
    pub resblock_dilation_sizes: Vec<Vec<usize>>,
    /// `snake` or `snakebeta`.
    pub activation: String,
    /// Whether the activations' parameters are stored as logarithms.
    pub snake_logscale: bool,
    /// Whether a hyperbolic tangent bounds the samples; they are clipped otherwise.
    #[serde(default = "yes")]
    pub use_tanh_at_final: bool,
    /// Whether the last convolution has a bias.
    #[serde(default = "yes")]
    pub use_bias_at_final: bool,
}

/// What the first version did, before the field was there.
fn yes() -> bool {
    true
}

impl BigVganConfig {
    /// One of the nine published configurations, with or without `nvidia/` before its name.
    ///
    /// # Errors
    ///
    /// Lists the known names.
    pub fn published(name: &str) -> Result<Self, MelError> {
        let mel = LogMelConfig::published(name)?;
        let second = name.contains("_v2_");
        let (rates, kernels, channels): (&[usize], &[usize], _) = match mel.hop_size {
            _ if name.contains("_base_") => (&[8, 8, 2, 2], &[16, 16, 4, 4], 512),
            512 => (&[8, 4, 2, 2, 2, 2], &[16, 8, 4, 4, 4, 4], 1536),
            _ => (&[4, 4, 2, 2, 2, 2], &[8, 8, 4, 4, 4, 4], 1536),
        };
        Ok(Self {
            mel,
            win_size: Some(mel.n_fft),
            resblock: "1".to_owned(),
            upsample_rates: rates.to_vec(),
            upsample_kernel_sizes: kernels.to_vec(),
            upsample_initial_channel: channels,
            resblock_kernel_sizes: vec![3, 7, 11],
            resblock_dilation_sizes: vec![vec![1, 3, 5]; 3],
            activation: "snakebeta".to_owned(),
            snake_logscale: true,
            use_tanh_at_final: !second,
            use_bias_at_final: !second,
        })
    }

    /// Channels behind stage `stage`.
    pub(super) fn channels(&self, stage: usize) -> usize {
        self.upsample_initial_channel >> (stage + 1)
    }

    pub(super) fn activation(&self, channels: usize, device: &Device) -> AntiAliased {
        AntiAliased::new(channels, self.activation == "snakebeta", self.snake_logscale, device)
    }

    fn check_stages(&self) -> Result<(), ConfigError> {
        let stages = self.upsample_rates.len();
        check("upsample_rates", (1..=16).contains(&stages), format_args!("{stages} entries"), "1 to 16 entries")?;
        let kernels = self.upsample_kernel_sizes.len();
        let expected = format!("{stages} entries, as upsample_rates has");
        check("upsample_kernel_sizes", kernels == stages, format_args!("{kernels} entries"), expected)?;
        for (rate, kernel) in self.upsample_rates.iter().zip(&self.upsample_kernel_sizes) {
            check("upsample_rates", (1..=MOST_TAPS).contains(rate), rate, format!("1 to {MOST_TAPS}"))?;
            let fits = (*rate..=MOST_TAPS).contains(kernel) && (kernel - rate).is_multiple_of(2);
            let expected = format!("{rate}, its rate, and an even number more, at most {MOST_TAPS}");
            check("upsample_kernel_sizes", fits, kernel, expected)?;
        }
        let product = self.upsample_rates.iter().try_fold(1_usize, |product, rate| product.checked_mul(*rate));
        let expected = format!("rates whose product is hop_size, {}", self.mel.hop_size);
        let found = format_args!("{:?}", self.upsample_rates);
        check("upsample_rates", product == Some(self.mel.hop_size), found, expected)?;
        let (channels, least) = (self.upsample_initial_channel, 1 << stages);
        let enough = (least..=MOST_CHANNELS).contains(&channels);
        check("upsample_initial_channel", enough, channels, format!("{least} to {MOST_CHANNELS}"))
    }

    fn check_blocks(&self) -> Result<(), ConfigError> {
        let blocks = self.resblock_kernel_sizes.len();
        check(
            "resblock_kernel_sizes",
            (1..=16).contains(&blocks),
            format_args!("{blocks} entries"),
            "1 to 16 entries",
        )?;
        for kernel in &self.resblock_kernel_sizes {
            let odd = (1..=MOST_TAPS).contains(kernel) && !kernel.is_multiple_of(2);
            check("resblock_kernel_sizes", odd, kernel, format!("odd numbers up to {MOST_TAPS}"))?;
        }
        let lists = self.resblock_dilation_sizes.len();
        let expected = format!("{blocks} lists, as resblock_kernel_sizes has entries");
        check("resblock_dilation_sizes", lists == blocks, format_args!("{lists} lists"), expected)?;
        for dilations in &self.resblock_dilation_sizes {
            let right = (1..=16).contains(&dilations.len()) && dilations.iter().all(|d| (1..=MOST_TAPS).contains(d));
            let expected = format!("1 to 16 numbers from 1 to {MOST_TAPS} in each list");
            check("resblock_dilation_sizes", right, format_args!("{dilations:?}"), expected)?;
        }
        Ok(())
    }
}

/// Bounds far above any vocoder, so that no product of sizes overflows.
const MOST_TAPS: usize = 1 << 12;
const MOST_CHANNELS: usize = 1 << 14;

impl NetworkConfig for BigVganConfig {
    type Network = Generator;

    const WEIGHTS: &'static str = "bigvgan_generator.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        self.mel.validate().map_err(|error| match error {
            MelError::Field { field, found, expected } => ConfigError { field, found, expected },
            other => ConfigError { field: "num_mels", found: other.to_string(), expected: "a log-mel".to_owned() },
        })?;
        let (window, n_fft) = (self.win_size.unwrap_or(self.mel.n_fft), self.mel.n_fft);
        check("win_size", window == n_fft, window, format!("{n_fft}, as n_fft"))?;
        one_of("resblock", &self.resblock, &["1", "2"])?;
        one_of("activation", &self.activation, &["snake", "snakebeta"])?;
        self.check_stages()?;
        self.check_blocks()
    }

    fn build(&self, device: &Device) -> Generator {
        Generator::new(self, device)
    }

    /// Takes the generator out of what holds it; the filters, which are no parameters, are left out.
    fn current_name(&self, published: &str) -> Option<String> {
        let name = published.strip_prefix("generator.").unwrap_or(published);
        (!filter::is_name(name)).then(|| name.to_owned())
    }

    /// PyTorch's values, and activations that start with 1. (The published code draws the convolutions' weights anew, but
    /// behind the weight norm, which overwrites what it drew.)
    fn initialise(&self, network: Generator, random: &mut Random) -> Generator {
        let first = if self.snake_logscale { 0.0 } else { 1.0 };
        parameters::map(torch_default(network, random), |name, values| {
            let activation = matches!(name.rsplit_once('.'), Some((_, "alpha" | "beta")));
            if activation { Tensor::full(values.dims(), first, &values.device()) } else { values }
        })
    }

    /// With the weight norm folded into the weights.
    fn fill(&self, network: Generator, from: Checkpoint) -> Result<Generator, CheckpointError> {
        filter::check_stored(&from)?;
        let folded = from.rename(|name| self.current_name(name))?.fold_weight_norm()?;
        checkpoint::load(network, &folded)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_published_generators_have_the_published_sizes() {
        let counts = [
            ("bigvgan_v2_44khz_128band_512x", 122_152_752),
            ("bigvgan_v2_44khz_128band_256x", 112_715_568),
            ("bigvgan_v2_24khz_100band_256x", 112_414_512),
            ("bigvgan_v2_22khz_80band_256x", 112_199_472),
            ("bigvgan_v2_22khz_80band_fmax8k_256x", 112_199_472),
            ("bigvgan_24khz_100band", 112_414_513),
            ("bigvgan_22khz_80band", 112_199_473),
            ("bigvgan_base_24khz_100band", 14_015_041),
            ("bigvgan_base_22khz_80band", 13_943_361),
        ];
        assert_eq!(counts.len(), LogMelConfig::names().count());
        for (name, count) in counts {
            let config = BigVganConfig::published(name).unwrap();
            assert_eq!(config.parameter_count(), Ok(count), "{name}");
        }
        assert!(BigVganConfig::published("bigvgan_v3").is_err());
    }

    #[test]
    fn absent_fields_are_those_of_the_first_version() {
        let text = r#"{"resblock": "1", "num_gpus": 0, "upsample_rates": [8,8,2,2], "upsample_kernel_sizes": [16,16,4,4],
            "upsample_initial_channel": 512, "resblock_kernel_sizes": [3,7,11],
            "resblock_dilation_sizes": [[1,3,5], [1,3,5], [1,3,5]], "activation": "snakebeta", "snake_logscale": true,
            "num_mels": 80, "num_freq": 1025, "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050,
            "fmin": 0, "fmax": 8000, "fmax_for_loss": null, "dist_config": {"world_size": 1}}"#;
        let config: BigVganConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config, BigVganConfig::published("bigvgan_base_22khz_80band").unwrap());
        let again: BigVganConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn what_cannot_be_built_names_its_field() {
        let good = BigVganConfig::published("bigvgan_base_22khz_80band").unwrap();
        let field = |change: fn(&mut BigVganConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|error| error.field)
        };
        assert_eq!(field(|_| ()), Ok(()));
        assert_eq!(field(|c| c.resblock = "3".to_owned()), Err("resblock"));
        assert_eq!(field(|c| c.activation = "relu".to_owned()), Err("activation"));
        assert_eq!(field(|c| c.mel.num_mels = 0), Err("num_mels"));
        assert_eq!(field(|c| c.mel.sampling_rate = 0), Err("sampling_rate"));
        assert_eq!(field(|c| c.win_size = Some(800)), Err("win_size"));
        assert_eq!(field(|c| c.upsample_rates = vec![]), Err("upsample_rates"));
        assert_eq!(field(|c| c.upsample_rates[0] = 4), Err("upsample_rates"));
        assert_eq!(field(|c| c.upsample_kernel_sizes[1] = 15), Err("upsample_kernel_sizes"));
        assert_eq!(field(|c| c.upsample_kernel_sizes[1] = 6), Err("upsample_kernel_sizes"));
        assert_eq!(field(|c| c.upsample_kernel_sizes.truncate(1)), Err("upsample_kernel_sizes"));
        assert_eq!(field(|c| c.upsample_initial_channel = 15), Err("upsample_initial_channel"));
        assert_eq!(field(|c| c.resblock_kernel_sizes[0] = 4), Err("resblock_kernel_sizes"));
        assert_eq!(field(|c| c.resblock_dilation_sizes.truncate(1)), Err("resblock_dilation_sizes"));
        assert_eq!(field(|c| c.resblock_dilation_sizes[2][1] = 0), Err("resblock_dilation_sizes"));
    }
}
