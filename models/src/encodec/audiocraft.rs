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
        let found = of.get(field).unwrap_or(known);
        if found != known {
            return Err(unfit(field, found, known));
        }
    }
    let ratios = of.list("seanet.ratios").into_iter().map(|ratio| parsed("seanet.ratios", ratio));
    let config = EncodecConfig {
        sampling_rate: number(of, "sample_rate")?,
        audio_channels: number(of, "channels")?,
        normalize: flag(of, "encodec.renormalize")?,
        hidden_size: number(of, "seanet.dimension")?,
        num_filters: number(of, "seanet.n_filters")?,
        num_residual_layers: number(of, "seanet.n_residual_layers")?,
        upsampling_ratios: ratios.collect::<Result<_, _>>()?,
        norm_type: chosen(
            of,
            "seanet.norm",
            &[("weight_norm", NormType::WeightNorm), ("time_group_norm", NormType::TimeGroupNorm)],
        )?,
        kernel_size: number(of, "seanet.kernel_size")?,
        last_kernel_size: number(of, "seanet.last_kernel_size")?,
        residual_kernel_size: number(of, "seanet.residual_kernel_size")?,
        dilation_growth_rate: number(of, "seanet.dilation_base")?,
        use_causal_conv: flag(of, "encodec.causal")?,
        pad_mode: chosen(of, "seanet.pad_mode", &[("constant", PadMode::Constant), ("reflect", PadMode::Reflect)])?,
        compress: number(of, "seanet.compress")?,
        num_lstm_layers: number(of, "seanet.lstm")?,
        trim_right_ratio: number(of, "seanet.decoder.trim_right_ratio")?,
        codebook_size: number(of, "rvq.bins")?,
        use_conv_shortcut: !flag(of, "seanet.true_skip")?,
        ..EncodecConfig::default()
    };
    Ok(config.with_quantizers(number(of, "rvq.n_q")?))
}

fn number<T: std::str::FromStr>(of: &OmegaConf, field: &'static str) -> Result<T, ConfigError> {
    parsed(field, of.get(field).unwrap_or("nothing"))
}

fn parsed<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|_| unfit(field, text, "a number"))
}

fn flag(of: &OmegaConf, field: &'static str) -> Result<bool, ConfigError> {
    chosen(of, field, &[("true", true), ("false", false)])
}

fn chosen<T: Copy>(of: &OmegaConf, field: &'static str, known: &[(&str, T)]) -> Result<T, ConfigError> {
    let found = of.get(field).unwrap_or("nothing");
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let choice = known.iter().find(|(name, _)| *name == found);
    choice.map(|(_, value)| *value).ok_or_else(|| unfit(field, found, &names.join(" or ")))
}

fn unfit(field: &'static str, found: &str, expected: &str) -> ConfigError {
    ConfigError { field, found: found.to_owned(), expected: expected.to_owned() }
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
