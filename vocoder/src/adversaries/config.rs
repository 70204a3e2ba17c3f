use burn::tensor::Device;
use nocturne_models::checkpoint::{self, Checkpoint, CheckpointError};
use nocturne_models::network::{ConfigError, NetworkConfig, check};
use serde::{Deserialize, Serialize};

use super::{Adversaries, ConstantQ};

/// The widest layer.
const MOST: usize = 1 << 13;

/// The fields of a BigVGAN `config.json` that describe its discriminators, with the published defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdversariesConfig {
    /// Of the waveforms, in Hz.
    pub sampling_rate: u32,
    /// The periods of the multi-period discriminator, in samples.
    pub mpd_reshapes: Vec<usize>,
    /// Multiplies the channels of the discriminators but the constant-Q one.
    pub discriminator_channel_mult: f64,
    /// Spectral norm in place of weight norm; only without.
    pub use_spectral_norm: bool,
    /// The second version's discriminator of spectra.
    pub use_cqtd_instead_of_mrd: bool,
    /// A discriminator of short-time Fourier bands; only without. No published configuration has it.
    pub use_mbd_instead_of_mrd: bool,
    /// The first version's: transform, hop and window of each resolution, in samples.
    pub resolutions: Vec<[usize; 3]>,
    /// Multiplies the channels of those, in place of `discriminator_channel_mult`.
    pub mrd_channel_mult: Option<f64>,
    /// Channels of the constant-Q discriminator.
    pub cqtd_filters: usize,
    /// A bound for them.
    pub cqtd_max_filters: usize,
    /// By how much they grow; only 1: the published network cannot be run with another.
    pub cqtd_filters_scale: usize,
    /// In time, of its strided layers.
    pub cqtd_dilations: Vec<usize>,
    /// Channels of the waveforms; only 1.
    pub cqtd_in_channels: usize,
    /// Channels of its verdict; only 1.
    pub cqtd_out_channels: usize,
    /// Whether it hears all waveforms equally loud; only without. No published configuration has it.
    pub cqtd_normalize_volume: bool,
    /// Samples, at twice the rate, between the frames of each scale.
    pub cqtd_hop_lengths: Vec<usize>,
    /// Octaves of each scale.
    pub cqtd_n_octaves: Vec<usize>,
    /// Bins an octave of each scale.
    pub cqtd_bins_per_octaves: Vec<usize>,
}

impl Default for AdversariesConfig {
    fn default() -> Self {
        Self {
            sampling_rate: 22050,
            mpd_reshapes: vec![2, 3, 5, 7, 11],
            discriminator_channel_mult: 1.0,
            use_spectral_norm: false,
            use_cqtd_instead_of_mrd: false,
            use_mbd_instead_of_mrd: false,
            resolutions: vec![[1024, 120, 600], [2048, 240, 1200], [512, 50, 240]],
            mrd_channel_mult: None,
            cqtd_filters: 32,
            cqtd_max_filters: 1024,
            cqtd_filters_scale: 1,
            cqtd_dilations: vec![1, 2, 4],
            cqtd_in_channels: 1,
            cqtd_out_channels: 1,
            cqtd_normalize_volume: false,
            cqtd_hop_lengths: vec![512, 256, 256],
            cqtd_n_octaves: vec![9, 9, 9],
            cqtd_bins_per_octaves: vec![24, 36, 48],
        }
    }
}

impl AdversariesConfig {
    /// Those of the second version's published configurations.
    pub fn second(sampling_rate: u32) -> Self {
        Self { sampling_rate, use_cqtd_instead_of_mrd: true, cqtd_filters: 128, ..Self::default() }
    }

    /// Whether PyTorch's `weight_norm` is on a weight.
    pub fn is_normed(&self, name: &str) -> bool {
        let first = name.starts_with("mrd.") && name.contains(".convs.0.");
        let plain = self.use_cqtd_instead_of_mrd && (first || name.contains(".conv_pres."));
        name.ends_with(".weight") && !plain
    }

    /// The fewest samples that all of them can judge.
    pub fn least_samples(&self) -> usize {
        let periods = self.mpd_reshapes.iter().copied();
        let reflected = self.resolutions.iter().map(|[n_fft, hop, _]| (n_fft - hop) / 2 + 1);
        let spectra = if self.use_cqtd_instead_of_mrd { None } else { reflected.max() };
        periods.chain(spectra).max().unwrap_or(1)
    }

    /// Hop, octaves and bins an octave of each scale.
    pub(super) fn scales(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let hops = self.cqtd_hop_lengths.iter().zip(&self.cqtd_n_octaves);
        hops.zip(&self.cqtd_bins_per_octaves).map(|((hop, octaves), bins)| (*hop, *octaves, *bins))
    }

    fn check_sub_bands(&self) -> Result<(), ConfigError> {
        let width = self.cqtd_filters;
        check("cqtd_filters", (1..=MOST).contains(&width), width, format!("1 to {MOST}"))?;
        let most = self.cqtd_max_filters;
        check("cqtd_max_filters", most >= width, most, format!("{width} or more, as cqtd_filters"))?;
        check("cqtd_filters_scale", self.cqtd_filters_scale == 1, self.cqtd_filters_scale, "1")?;
        check("cqtd_in_channels", self.cqtd_in_channels == 1, self.cqtd_in_channels, "1")?;
        check("cqtd_out_channels", self.cqtd_out_channels == 1, self.cqtd_out_channels, "1")?;
        check("cqtd_normalize_volume", !self.cqtd_normalize_volume, true, "false")?;
        let dilations = &self.cqtd_dilations;
        let right = dilations.len() <= 8 && dilations.iter().all(|dilation| (1..=64).contains(dilation));
        check("cqtd_dilations", right, format_args!("{dilations:?}"), "at most 8 numbers from 1 to 64")?;
        let scales = self.cqtd_hop_lengths.len();
        check("cqtd_hop_lengths", (1..=8).contains(&scales), format_args!("{scales} entries"), "1 to 8 entries")?;
        let lists = [("cqtd_n_octaves", &self.cqtd_n_octaves), ("cqtd_bins_per_octaves", &self.cqtd_bins_per_octaves)];
        for (field, list) in lists {
            let expected = format!("{scales} entries, as cqtd_hop_lengths");
            check(field, list.len() == scales, format_args!("{} entries", list.len()), expected)?;
        }
        self.scales().try_for_each(|(hop, octaves, bins)| ConstantQ::check(self.sampling_rate, hop, octaves, bins))
    }

    fn check_resolutions(&self) -> Result<(), ConfigError> {
        let count = self.resolutions.len();
        check("resolutions", (1..=8).contains(&count), format_args!("{count} entries"), "1 to 8 entries")?;
        self.resolutions.iter().try_for_each(|&[n_fft, hop, window]| {
            let right = (4..=1 << 14).contains(&n_fft) && (1..=n_fft).contains(&hop) && (1..=n_fft).contains(&window);
            let expected = "a transform of 4 to 16384 samples, and hop and window from 1 to it";
            check("resolutions", right, format_args!("[{n_fft}, {hop}, {window}]"), expected)
        })
    }
}

impl NetworkConfig for AdversariesConfig {
    type Network = Adversaries;

    const WEIGHTS: &'static str = "bigvgan_discriminator.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        let rate = self.sampling_rate;
        check("sampling_rate", (1_000..=768_000).contains(&rate), rate, "1000 to 768000")?;
        let periods = &self.mpd_reshapes;
        let right = (1..=16).contains(&periods.len()) && periods.iter().all(|period| (1..=1024).contains(period));
        check("mpd_reshapes", right, format_args!("{periods:?}"), "1 to 16 numbers from 1 to 1024")?;
        let multiples = [
            ("discriminator_channel_mult", Some(self.discriminator_channel_mult)),
            ("mrd_channel_mult", self.mrd_channel_mult),
        ];
        for (field, multiple) in multiples {
            let Some(multiple) = multiple else { continue };
            check(field, (1.0 / 32.0..=8.0).contains(&multiple), multiple, "1/32 to 8")?;
        }
        check("use_spectral_norm", !self.use_spectral_norm, true, "false")?;
        check("use_mbd_instead_of_mrd", !self.use_mbd_instead_of_mrd, true, "false")?;
        if self.use_cqtd_instead_of_mrd { self.check_sub_bands() } else { self.check_resolutions() }
    }

    fn build(&self, device: &Device) -> Adversaries {
        Adversaries::new(self, device)
    }

    /// Takes the discriminators out of a file that holds optimisers as well; the filters of the constant-Q transform, which
    /// follow from the configuration, are left out.
    fn current_name(&self, published: &str) -> Option<String> {
        let wanted = published.starts_with("mpd.") || published.starts_with("mrd.");
        let filters = published.contains(".cqt_transform.") || published.contains(".resample.");
        (wanted && !filters).then(|| published.to_owned())
    }

    /// With the weight norm folded into the weights.
    fn fill(&self, network: Adversaries, from: Checkpoint) -> Result<Adversaries, CheckpointError> {
        let folded = from.rename(|name| self.current_name(name))?.fold_weight_norm()?;
        checkpoint::load(network, &folded)
    }
}
/// Channels of a layer, rounded down as published.
pub(super) fn width(channels: usize, multiple: f64) -> usize {
    (channels as f64 * multiple) as usize
}
