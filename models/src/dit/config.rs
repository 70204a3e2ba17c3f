use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{DiT, initialise};
use crate::network::{ConfigError, NetworkConfig, check, one_of};
use crate::random::Random;
use crate::unet::SampleSize;

/// `config.json` of a diffusion transformer. Where diffusers' `DiTTransformer2DModel` has the same thing, it has the name
/// that it has there. Fields that it does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiTConfig {
    /// Always `NocturneDiT`: the network is our own.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// The size of the samples that the network was trained on.
    pub sample_size: Option<SampleSize>,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// The size of a patch: bands, frames.
    pub patch_size: SampleSize,
    /// Transformer blocks.
    pub num_layers: usize,
    /// Heads of every attention.
    pub num_attention_heads: usize,
    /// Channels of one head.
    pub attention_head_dim: usize,
    /// Width of the encodings that the blocks attend to; without it they attend to the sample only.
    pub cross_attention_dim: Option<usize>,
    /// Added to the variances.
    pub norm_eps: f64,
    /// Only 0.
    pub dropout: f64,
}

impl Default for DiTConfig {
    fn default() -> Self {
        Self {
            class_name: "NocturneDiT".to_owned(),
            sample_size: None,
            in_channels: 1,
            out_channels: 1,
            patch_size: SampleSize::Rectangle([8, 4]),
            num_layers: 6,
            num_attention_heads: 4,
            attention_head_dim: 32,
            cross_attention_dim: None,
            norm_eps: 1e-6,
            dropout: 0.0,
        }
    }
}

impl NetworkConfig for DiTConfig {
    type Network = DiT;

    fn validate(&self) -> Result<(), ConfigError> {
        // A bound far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 16;
        one_of("_class_name", &self.class_name, &["NocturneDiT"])?;
        let [bands, frames] = self.patch_size.dims();
        let sizes = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("patch_size", bands),
            ("patch_size", frames),
            ("num_layers", self.num_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("attention_head_dim", self.attention_head_dim),
            ("cross_attention_dim", self.cross_attention_dim.unwrap_or(1)),
        ];
        for (field, size) in sizes {
            check(field, (1..=MOST).contains(&size), size, format!("1 to {MOST}"))?;
        }
        let values = |channels| channels * bands * frames;
        let values = values(self.in_channels).max(values(self.out_channels));
        let found = format_args!("{values} values in a patch");
        check("patch_size", values <= MOST, found, format!("at most {MOST}"))?;
        let (heads, head) = (self.num_attention_heads, self.attention_head_dim);
        check("attention_head_dim", head.is_multiple_of(2), head, "an even number, for rotary positions")?;
        let found = format_args!("{heads} heads of {head}");
        check("num_attention_heads", self.width() <= MOST, found, format!("at most {MOST} channels together"))?;
        check("norm_eps", self.norm_eps > 0.0, self.norm_eps, "a positive number")?;
        check("dropout", self.dropout == 0.0, self.dropout, "0")?;
        self.sample_size.map_or(Ok(()), |size| self.check_size(size.dims()))
    }

    fn build(&self, device: &Device) -> DiT {
        DiT::new(self, device)
    }

    fn initialise(&self, network: DiT, random: &mut Random) -> DiT {
        initialise::adaptive_norm_zero(network, random)
    }
}

impl DiTConfig {
    /// Checks the height (bands) and width (frames) of a sample: both must be whole numbers of patches.
    pub fn check_size(&self, [height, width]: [usize; 2]) -> Result<(), ConfigError> {
        let [bands, frames] = self.patch_size.dims();
        let fits = |side: usize, patch: usize| side > 0 && side.is_multiple_of(patch);
        let expected = format!("multiples of {bands} and {frames}, the patch_size");
        check("sample_size", fits(height, bands) && fits(width, frames), format_args!("{height}×{width}"), expected)
    }

    /// Channels of a token.
    pub fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }
}
