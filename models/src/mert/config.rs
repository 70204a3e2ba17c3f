use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Mert;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::network::{ConfigError, NetworkConfig, check, one_of};

/// `config.json` of MERT, as far as it is not about training. The default is MERT-v1-95M.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MertConfig {
    /// `mert_model`, or `hubert`.
    pub model_type: String,
    /// Width of the encodings.
    pub hidden_size: usize,
    /// Layers of the transformer.
    pub num_hidden_layers: usize,
    /// Heads of each.
    pub num_attention_heads: usize,
    /// Width between the two layers of a feed-forward network.
    pub intermediate_size: usize,
    /// Always `gelu`.
    pub hidden_act: String,
    /// Whether the features are normalised before they are projected.
    pub feat_proj_layer_norm: bool,
    /// Added to the variances, but in the convolutions.
    pub layer_norm_eps: f64,
    /// How the convolutions' results are normalised.
    pub feat_extract_norm: FeatureNorm,
    /// Always `gelu`.
    pub feat_extract_activation: String,
    /// Channels of each convolution.
    pub conv_dim: Vec<usize>,
    /// Stride of each.
    pub conv_stride: Vec<usize>,
    /// Taps of each.
    pub conv_kernel: Vec<usize>,
    /// Whether they have biases.
    pub conv_bias: bool,
    /// Whether batches were normalised before the convolution that knows positions. Not supported: no published network has it.
    pub conv_pos_batch_norm: bool,
    /// Taps of the convolution that knows positions.
    pub num_conv_pos_embeddings: usize,
    /// Its groups.
    pub num_conv_pos_embedding_groups: usize,
    /// Whether a layer normalises what it is given, and not what it makes.
    pub do_stable_layer_norm: bool,
    /// Whether a constant-Q transform is beside the convolutions. Not supported.
    pub feature_extractor_cqt: bool,
    /// Whether residual connections are scaled up. Not supported.
    pub deepnorm: bool,
    /// Where positive, attention is evened out. Not supported.
    pub attention_relax: f64,
}

/// How the results of the convolutions over a waveform are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureNorm {
    /// Those of the first alone, each channel over the whole length.
    Group,
    /// All, each frame over its channels.
    Layer,
}

impl Default for MertConfig {
    fn default() -> Self {
        Self {
            model_type: "mert_model".to_owned(),
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            feat_proj_layer_norm: true,
            layer_norm_eps: 1e-5,
            feat_extract_norm: FeatureNorm::Group,
            feat_extract_activation: "gelu".to_owned(),
            conv_dim: vec![512; 7],
            conv_stride: vec![5, 2, 2, 2, 2, 2, 2],
            conv_kernel: vec![10, 3, 3, 3, 3, 2, 2],
            conv_bias: false,
            conv_pos_batch_norm: false,
            num_conv_pos_embeddings: 128,
            num_conv_pos_embedding_groups: 16,
            do_stable_layer_norm: false,
            feature_extractor_cqt: false,
            deepnorm: false,
            attention_relax: -1.0,
        }
    }
}

impl MertConfig {
    /// Samples from one frame to the next, and of the stretch that a frame is made of.
    pub fn frame(&self) -> [usize; 2] {
        let layers = self.conv_stride.iter().zip(&self.conv_kernel).rev();
        layers.fold([1, 1], |[step, span], (stride, taps)| [step * stride, (span - 1) * stride + taps])
    }
}

impl NetworkConfig for MertConfig {
    type Network = Mert;

    const WEIGHTS: &'static str = "model.safetensors";

    fn validate(&self) -> Result<(), ConfigError> {
        // Bounds far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 16;
        one_of("model_type", &self.model_type, &["mert_model", "hubert"])?;
        one_of("hidden_act", &self.hidden_act, &["gelu"])?;
        one_of("feat_extract_activation", &self.feat_extract_activation, &["gelu"])?;
        for (field, set) in [
            ("conv_pos_batch_norm", self.conv_pos_batch_norm),
            ("feature_extractor_cqt", self.feature_extractor_cqt),
            ("deepnorm", self.deepnorm),
        ] {
            check(field, !set, set, "false")?;
        }
        check("attention_relax", self.attention_relax <= 0.0, self.attention_relax, "0 or less")?;
        let layers = self.conv_dim.len();
        check("conv_dim", (1..=16).contains(&layers), format_args!("{layers} entries"), "1 to 16 entries")?;
        for (field, list, most) in [
            ("conv_dim", &self.conv_dim, MOST),
            ("conv_stride", &self.conv_stride, 16),
            ("conv_kernel", &self.conv_kernel, 64),
        ] {
            let found = format!("{} entries", list.len());
            check(field, list.len() == layers, found, format!("{layers}, as many as conv_dim"))?;
            for size in list {
                check(field, (1..=most).contains(size), size, format!("1 to {most}"))?;
            }
        }
        // No sample is passed over, and positions of samples do not overflow.
        for (stride, taps) in self.conv_stride.iter().zip(&self.conv_kernel) {
            check("conv_stride", stride <= taps, stride, format!("at most {taps}, as conv_kernel"))?;
        }
        let step = self.conv_stride.iter().fold(1_usize, |step, stride| step.saturating_mul(*stride));
        check("conv_stride", step <= MOST, step, format!("at most {MOST} samples a frame"))?;
        for (field, size, most) in [
            ("hidden_size", self.hidden_size, MOST),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("intermediate_size", self.intermediate_size, MOST),
            ("num_conv_pos_embeddings", self.num_conv_pos_embeddings, 1 << 12),
        ] {
            check(field, (1..=most).contains(&size), size, format!("1 to {most}"))?;
        }
        let width = self.hidden_size;
        for (field, parts) in [
            ("num_attention_heads", self.num_attention_heads),
            ("num_conv_pos_embedding_groups", self.num_conv_pos_embedding_groups),
        ] {
            check(field, parts > 0 && width.is_multiple_of(parts), parts, format!("a divisor of {width}"))?;
        }
        check("layer_norm_eps", self.layer_norm_eps > 0.0, self.layer_norm_eps, "a positive number")
    }

    fn build(&self, device: &Device) -> Mert {
        Mert::new(self, device)
    }

    /// Leaves out what stands for masked frames in training.
    fn current_name(&self, published: &str) -> Option<String> {
        let name =
            ["mert_model.", "hubert."].iter().find_map(|prefix| published.strip_prefix(prefix)).unwrap_or(published);
        (name != "masked_spec_embed").then(|| name.to_owned())
    }

    fn fill(&self, network: Mert, from: Checkpoint) -> Result<Mert, CheckpointError> {
        let from = from.rename(|name| self.current_name(name))?.fold_weight_norm()?;
        crate::checkpoint::load(network, &from)
    }
}
