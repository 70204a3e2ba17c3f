use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Encodec;
use super::checkpoint::current_name;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::{ConfigError, NetworkConfig, check, one_of};
use crate::ops::Edge;

/// `config.json` of transformers' `EncodecModel`. The default is the 24 kHz model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncodecConfig {
    /// Always `encodec`.
    pub model_type: String,
    /// In kbit/s, rising; the last is that of all codebooks.
    pub target_bandwidths: Vec<f64>,
    /// In Hz.
    pub sampling_rate: u32,
    /// Channels of a waveform.
    pub audio_channels: usize,
    /// Whether a segment is divided by its loudness first.
    pub normalize: bool,
    /// Seconds of a segment, where a waveform is cut into such.
    pub chunk_length_s: Option<f64>,
    /// How much of a segment the next one repeats.
    pub overlap: Option<f64>,
    /// Channels of the encodings.
    pub hidden_size: usize,
    /// Channels of the first convolution; each stage doubles them.
    pub num_filters: usize,
    /// Residual blocks of a stage.
    pub num_residual_layers: usize,
    /// By how much each of the decoder's stages lengthens.
    pub upsampling_ratios: Vec<usize>,
    /// How convolutions are normalised.
    pub norm_type: NormType,
    /// Taps of the encoder's and the decoder's first convolution.
    pub kernel_size: usize,
    /// Taps of their last.
    pub last_kernel_size: usize,
    /// Taps in a residual block.
    pub residual_kernel_size: usize,
    /// By how much the dilation grows from one residual block of a stage to the next.
    pub dilation_growth_rate: usize,
    /// Whether a convolution sees nothing that comes later, but where it is mirrored at the start.
    pub use_causal_conv: bool,
    /// What a convolution sees beyond the ends.
    pub pad_mode: PadMode,
    /// By how much a residual block narrows the channels.
    pub compress: usize,
    /// Layers of each LSTM.
    pub num_lstm_layers: usize,
    /// How much of what a causal transposed convolution makes too many is cut off at the end.
    pub trim_right_ratio: f64,
    /// Entries of a codebook.
    pub codebook_size: usize,
    /// Width of an entry: that of the encodings.
    pub codebook_dim: Option<usize>,
    /// Whether a convolution is beside the residual blocks, in place of nothing.
    pub use_conv_shortcut: bool,
}

/// How convolutions are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormType {
    /// Their weights are.
    WeightNorm,
    /// Their results are, over all channels and the whole length.
    TimeGroupNorm,
}

/// What a convolution sees beyond the ends of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// Zeros.
    Constant,
    /// The signal backwards.
    Reflect,
}

impl PadMode {
    pub(super) fn edge(self) -> Edge {
        match self {
            Self::Constant => Edge::Zeros,
            Self::Reflect => Edge::Mirror,
        }
    }
}

impl Default for EncodecConfig {
    fn default() -> Self {
        Self {
            model_type: "encodec".to_owned(),
            target_bandwidths: vec![1.5, 3.0, 6.0, 12.0, 24.0],
            sampling_rate: 24_000,
            audio_channels: 1,
            normalize: false,
            chunk_length_s: None,
            overlap: None,
            hidden_size: 128,
            num_filters: 32,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 5, 4, 2],
            norm_type: NormType::WeightNorm,
            kernel_size: 7,
            last_kernel_size: 7,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            use_causal_conv: true,
            pad_mode: PadMode::Reflect,
            compress: 2,
            num_lstm_layers: 2,
            trim_right_ratio: 1.0,
            codebook_size: 1024,
            codebook_dim: None,
            use_conv_shortcut: true,
        }
    }
}

impl EncodecConfig {
    /// The published 48 kHz stereo model.
    pub fn khz_48() -> Self {
        Self {
            target_bandwidths: vec![3.0, 6.0, 12.0, 24.0],
            sampling_rate: 48_000,
            audio_channels: 2,
            normalize: true,
            chunk_length_s: Some(1.0),
            overlap: Some(0.01),
            norm_type: NormType::TimeGroupNorm,
            use_causal_conv: false,
            ..Self::default()
        }
    }

    /// The published 32 kHz model of `MusicGen`.
    pub fn khz_32() -> Self {
        Self {
            target_bandwidths: vec![2.2],
            sampling_rate: 32_000,
            num_filters: 64,
            upsampling_ratios: vec![8, 5, 4, 4],
            use_causal_conv: false,
            codebook_size: 2048,
            use_conv_shortcut: false,
            ..Self::default()
        }
    }

    /// Samples of a frame of codes.
    pub fn hop_length(&self) -> usize {
        self.upsampling_ratios.iter().fold(1, |hop, ratio| hop.saturating_mul(*ratio))
    }

    /// Frames a second.
    pub fn frame_rate(&self) -> usize {
        (self.sampling_rate as usize).div_ceil(self.hop_length().max(1))
    }

    /// How many codebooks there are.
    pub fn num_quantizers(&self) -> usize {
        let bits = self.codebook_size.max(2).next_power_of_two().ilog2() as usize;
        let bandwidth = self.target_bandwidths.last().copied().unwrap_or(0.0);
        (1000.0 * bandwidth / (self.frame_rate() * bits) as f64).floor() as usize
    }

    /// The same with so many codebooks: of other bandwidths than the published ones, theirs alone.
    pub(super) fn with_quantizers(self, count: usize) -> Self {
        if self.num_quantizers() == count {
            return self;
        }
        let of_one = self.frame_rate() * self.codebook_size.max(2).next_power_of_two().ilog2() as usize;
        let mut bandwidth = (count * of_one) as f64 / 1000.0;
        if 1000.0 * bandwidth < (count * of_one) as f64 {
            bandwidth = bandwidth.next_up();
        }
        Self { target_bandwidths: vec![bandwidth], ..self }
    }

    /// How many codebooks a bandwidth in kbit/s is enough for.
    ///
    /// # Errors
    ///
    /// If it is none of the published ones.
    pub fn quantizers_of(&self, bandwidth: f64) -> Result<usize, ConfigError> {
        let known = format!("one of {:?}", self.target_bandwidths);
        check("bandwidth", self.target_bandwidths.contains(&bandwidth), bandwidth, known)?;
        let of_one = (self.codebook_size as f64).log2() * self.frame_rate() as f64;
        Ok(((1000.0 * bandwidth / of_one).floor() as usize).clamp(1, self.num_quantizers()))
    }

    /// Samples of a segment, and from one to the next; none where a waveform stays whole.
    pub fn segments(&self) -> Option<[usize; 2]> {
        let length = (self.chunk_length_s? * f64::from(self.sampling_rate)) as usize;
        let step = ((1.0 - self.overlap.unwrap_or(0.0)) * length as f64) as usize;
        Some([length, step.max(1)])
    }
}

impl NetworkConfig for EncodecConfig {
    type Network = Encodec;

    const WEIGHTS: &'static str = "model.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 12;
        const MOST_SAMPLES: f64 = 1e9;
        one_of("model_type", &self.model_type, &["encodec"])?;
        let stages = self.upsampling_ratios.len();
        check("upsampling_ratios", (1..=8).contains(&stages), format_args!("{stages} entries"), "1 to 8 entries")?;
        let ratios = self.upsampling_ratios.iter().map(|ratio| ("upsampling_ratios", *ratio, 1, 64));
        let sizes = [
            ("sampling_rate", self.sampling_rate as usize, 1, 1 << 20),
            ("audio_channels", self.audio_channels, 1, 2),
            ("hidden_size", self.hidden_size, 1, MOST),
            ("num_filters", self.num_filters, 1, MOST),
            ("num_residual_layers", self.num_residual_layers, 0, 16),
            ("kernel_size", self.kernel_size, 1, 64),
            ("last_kernel_size", self.last_kernel_size, 1, 64),
            ("residual_kernel_size", self.residual_kernel_size, 1, 64),
            ("dilation_growth_rate", self.dilation_growth_rate, 1, 8),
            ("compress", self.compress, 1, self.num_filters.max(1)),
            ("num_lstm_layers", self.num_lstm_layers, 0, 16),
            ("codebook_size", self.codebook_size, 2, 1 << 20),
        ];
        for (field, size, least, most) in sizes.into_iter().chain(ratios) {
            check(field, (least..=most).contains(&size), size, format!("{least} to {most}"))?;
        }
        let widest = self.dilation_growth_rate.saturating_pow(self.num_residual_layers.saturating_sub(1) as u32);
        check("dilation_growth_rate", widest <= MOST, widest, format!("at most {MOST} in the last block of a stage"))?;
        let two = self.codebook_size.is_power_of_two();
        check("codebook_size", two, self.codebook_size, "a power of 2")?;
        let width = self.codebook_dim.unwrap_or(self.hidden_size);
        check("codebook_dim", width == self.hidden_size, width, format!("{}, as hidden_size", self.hidden_size))?;
        let ratio = self.trim_right_ratio;
        check("trim_right_ratio", (0.0..=1.0).contains(&ratio), ratio, "0 to 1")?;
        let whole = self.use_causal_conv || ratio == 1.0;
        check("trim_right_ratio", whole, ratio, "1, where use_causal_conv is false")?;
        let norm = !(self.use_causal_conv && self.norm_type == NormType::TimeGroupNorm);
        check("norm_type", norm, "time_group_norm", "weight_norm, where use_causal_conv is true")?;
        let rising = self.target_bandwidths.iter().all(|bandwidth| *bandwidth > 0.0 && *bandwidth < 1e6);
        check("target_bandwidths", rising, format_args!("{:?}", self.target_bandwidths), "positive numbers")?;
        let (books, kept) = (self.num_quantizers(), format!("{:?}", self.target_bandwidths));
        check("target_bandwidths", (1..=1024).contains(&books), kept, "bandwidths of 1 to 1024 codebooks")?;
        let seconds = self.chunk_length_s.unwrap_or(1.0);
        let samples = seconds * f64::from(self.sampling_rate);
        check("chunk_length_s", (1.0..MOST_SAMPLES).contains(&samples), seconds, "a sample or more")?;
        let overlap = self.overlap.unwrap_or(0.0);
        check("overlap", (0.0..1.0).contains(&overlap), overlap, "0 to 1")
    }

    fn build(&self, device: &Device) -> Encodec {
        Encodec::new(self, device)
    }

    fn current_name(&self, published: &str) -> Option<String> {
        current_name(published)
    }

    fn fill(&self, network: Encodec, from: Checkpoint) -> Result<Encodec, CheckpointError> {
        let from = from.rename(|name| self.current_name(name))?.fold_weight_norm()?;
        crate::checkpoint::load(network, &from)
    }
}
