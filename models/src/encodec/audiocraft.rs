//! The configuration of audiocraft's compression models, in which every part has a section of its own.

use super::{EncodecConfig, NormType, PadMode};
use crate::checkpoint::OmegaConf;
use crate::network::ConfigError;

/// # Errors
///
/// The first value that is missing, or has no counterpart here.
pub(super) fn config(of: &OmegaConf) -> Result<EncodecConfig, ConfigError> {
    for (field, known) in [
        ("encodec.autoencoder", "seanet"),
        ("encodec.quantizer", "rvq"),
        ("seanet.activation", "ELU"),
        ("seanet.decoder.final_activation", "null"),
        ("seanet.disable_norm_outer_blocks", "0"),
    ] {
        of.known(field, known)?;
    }
    let config = EncodecConfig {
        sampling_rate: of.number("sample_rate")?,
        audio_channels: of.number("channels")?,
        normalize: of.flag("encodec.renormalize")?,
        hidden_size: of.number("seanet.dimension")?,
        num_filters: of.number("seanet.n_filters")?,
        num_residual_layers: of.number("seanet.n_residual_layers")?,
        upsampling_ratios: of.numbers("seanet.ratios")?,
        norm_type: of.chosen(
            "seanet.norm",
            &[("weight_norm", NormType::WeightNorm), ("time_group_norm", NormType::TimeGroupNorm)],
        )?,
        kernel_size: of.number("seanet.kernel_size")?,
        last_kernel_size: of.number("seanet.last_kernel_size")?,
        residual_kernel_size: of.number("seanet.residual_kernel_size")?,
        dilation_growth_rate: of.number("seanet.dilation_base")?,
        use_causal_conv: of.flag("encodec.causal")?,
        pad_mode: of.chosen("seanet.pad_mode", &[("constant", PadMode::Constant), ("reflect", PadMode::Reflect)])?,
        compress: of.number("seanet.compress")?,
        num_lstm_layers: of.number("seanet.lstm")?,
        trim_right_ratio: of.number("seanet.decoder.trim_right_ratio")?,
        codebook_size: of.number("rvq.bins")?,
        use_conv_shortcut: !of.flag("seanet.true_skip")?,
        ..EncodecConfig::default()
    };
    Ok(config.with_quantizers(of.number("rvq.n_q")?))
}

impl EncodecConfig {
    /// The same in audiocraft's form: what its builder of compression models reads. For networks without segments.
    pub fn to_audiocraft(&self) -> String {
        let norm = match self.norm_type {
            NormType::WeightNorm => "weight_norm",
            NormType::TimeGroupNorm => "time_group_norm",
        };
        let pad = match self.pad_mode {
            PadMode::Constant => "constant",
            PadMode::Reflect => "reflect",
        };
        let ratios: Vec<String> = self.upsampling_ratios.iter().map(|ratio| format!("  - {ratio}\n")).collect();
        let ratios = ratios.concat();
        format!(
            "\
device: cpu
dtype: float32
solver: compression
sample_rate: {sample_rate}
channels: {channels}
compression_model: encodec
encodec:
  autoencoder: seanet
  quantizer: rvq
  sample_rate: ${{sample_rate}}
  channels: ${{channels}}
  causal: {causal}
  renormalize: {renormalize}
seanet:
  dimension: {dimension}
  channels: ${{channels}}
  causal: ${{encodec.causal}}
  n_filters: {filters}
  n_residual_layers: {residual_layers}
  ratios:
{ratios}  activation: ELU
  activation_params:
    alpha: 1.0
  norm: {norm}
  norm_params: {{}}
  kernel_size: {kernel_size}
  residual_kernel_size: {residual_kernel_size}
  last_kernel_size: {last_kernel_size}
  dilation_base: {dilation}
  pad_mode: {pad}
  true_skip: {skip}
  compress: {compress}
  lstm: {lstm}
  disable_norm_outer_blocks: 0
  encoder: {{}}
  decoder:
    trim_right_ratio: {trim:?}
    final_activation: null
    final_activation_params: null
rvq:
  n_q: {books}
  q_dropout: false
  bins: {bins}
  decay: 0.99
  kmeans_init: true
  kmeans_iters: 50
  threshold_ema_dead_code: 2
  orthogonal_reg_weight: 0.0
  orthogonal_reg_active_codes_only: false
",
            sample_rate = self.sampling_rate,
            channels = self.audio_channels,
            causal = self.use_causal_conv,
            renormalize = self.normalize,
            dimension = self.hidden_size,
            filters = self.num_filters,
            residual_layers = self.num_residual_layers,
            kernel_size = self.kernel_size,
            residual_kernel_size = self.residual_kernel_size,
            last_kernel_size = self.last_kernel_size,
            dilation = self.dilation_growth_rate,
            skip = !self.use_conv_shortcut,
            compress = self.compress,
            lstm = self.num_lstm_layers,
            trim = self.trim_right_ratio,
            books = self.num_quantizers(),
            bins = self.codebook_size,
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::NetworkConfig;

    /// Of the published 32 kHz model, cut short.
    const PUBLISHED: &str = "\
sample_rate: 32000
channels: 1
encodec:
  autoencoder: seanet
  quantizer: rvq
  causal: false
  renormalize: false
seanet:
  dimension: 128
  causal: ${encodec.causal}
  n_filters: 64
  n_residual_layers: 1
  ratios:
  - 8
  - 5
  - 4
  - 4
  activation: ELU
  norm: weight_norm
  kernel_size: 7
  residual_kernel_size: 3
  last_kernel_size: 7
  dilation_base: 2
  pad_mode: constant
  true_skip: true
  compress: 2
  lstm: 2
  decoder:
    trim_right_ratio: 1.0
    final_activation: null
rvq:
  n_q: 4
  bins: 2048
";

    #[test]
    fn sections_are_read() {
        let found = config(&OmegaConf::parse(PUBLISHED)).unwrap();
        let expected = EncodecConfig { pad_mode: PadMode::Constant, ..EncodecConfig::khz_32() };
        assert_eq!(found, expected);
        for books in 1..64 {
            let config = config(&OmegaConf::parse(&PUBLISHED.replace("n_q: 4", &format!("n_q: {books}")))).unwrap();
            assert_eq!(config.num_quantizers(), books);
            config.validate().unwrap();
            // Written, and read again.
            assert_eq!(super::config(&OmegaConf::parse(&config.to_audiocraft())).unwrap(), config);
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (from, to, field) in [
            ("n_filters: 64", "n_filters: x", "seanet.n_filters"),
            ("  - 5", "  - five", "seanet.ratios"),
            ("quantizer: rvq", "quantizer: no_quant", "encodec.quantizer"),
            ("activation: ELU", "activation: ReLU", "seanet.activation"),
            ("final_activation: null", "final_activation: Tanh", "seanet.decoder.final_activation"),
            ("norm: weight_norm", "norm: layer_norm", "seanet.norm"),
            ("causal: false", "causal: ${nothing}", "encodec.causal"),
            ("sample_rate: 32000", "", "sample_rate"),
        ] {
            let error = config(&OmegaConf::parse(&PUBLISHED.replacen(from, to, 1))).unwrap_err();
            assert_eq!(error.field, field);
        }
    }
}
