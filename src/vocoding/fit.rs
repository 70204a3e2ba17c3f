//! Whether mels are of the kind that a BigVGAN was trained on.

use crate::representation::Representation;
use nocturne_vocoder::mel::LogMelConfig;
use thiserror::Error;

/// Mels that a BigVGAN was not trained on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the mels are {mels}; {checkpoint} takes {takes}")]
pub struct Unfit {
    /// What the mels are.
    pub mels: String,
    /// The checkpoint.
    pub checkpoint: String,
    /// What it takes.
    pub takes: String,
}

/// Refuses log-mels of other settings than those that the BigVGAN `checkpoint` takes.
pub fn check_fit(mels: &LogMelConfig, takes: &LogMelConfig, checkpoint: &str) -> Result<(), Unfit> {
    if same(mels, takes) {
        return Ok(());
    }
    Err(Unfit { mels: described(mels), checkpoint: checkpoint.to_owned(), takes: described(takes) })
}

/// The same for a model's mels; decibel pictures are no log-mels, whatever their size.
pub fn check_model_fit(mels: &Representation, takes: &LogMelConfig, checkpoint: &str) -> Result<(), Unfit> {
    if let Some(log) = mels.log_mel() {
        return check_fit(log.config(), takes, checkpoint);
    }
    let mel = &mels.config().mel;
    let mels = format!(
        "decibel pictures of {} bands at {} Hz, n_fft {}, hop {}",
        mel.y_res, mel.sample_rate, mel.n_fft, mel.hop_length
    );
    Err(Unfit { mels, checkpoint: checkpoint.to_owned(), takes: described(takes) })
}

/// Log-mels in a few words.
pub fn described(mel: &LogMelConfig) -> String {
    let LogMelConfig { sampling_rate, num_mels, n_fft, hop_size, fmin, .. } = mel;
    let edge = mel.upper_edge();
    format!("log-mels of {num_mels} bands ({fmin} to {edge} Hz) at {sampling_rate} Hz, n_fft {n_fft}, hop {hop_size}")
}

fn same(a: &LogMelConfig, b: &LogMelConfig) -> bool {
    let sizes = |mel: &LogMelConfig| (mel.sampling_rate, mel.num_mels, mel.n_fft, mel.hop_size);
    let edges = |mel: &LogMelConfig| [mel.fmin, mel.upper_edge()];
    sizes(a) == sizes(b) && edges(a).iter().zip(edges(b)).all(|(a, b)| (a - b).abs() < 0.5)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn half_the_rate_is_the_same_as_no_edge() {
        let published = LogMelConfig::published("bigvgan_v2_24khz_100band_256x").unwrap();
        let written = LogMelConfig { fmax: Some(12_000.0), ..published };
        assert_eq!(check_fit(&published, &written, "x"), Ok(()));
        // The first version of the same rate and bands says 12 kHz.
        let first = LogMelConfig::published("bigvgan_24khz_100band").unwrap();
        assert_eq!(check_fit(&first, &published, "x"), Ok(()));
    }

    #[test]
    fn both_sides_are_named() {
        let [a, b] = ["bigvgan_v2_22khz_80band_256x", "bigvgan_v2_22khz_80band_fmax8k_256x"]
            .map(|name| LogMelConfig::published(name).unwrap());
        let text = check_fit(&a, &b, "the checkpoint").unwrap_err().to_string();
        assert!(
            text.contains("(0 to 11025 Hz)")
                && text.contains("the checkpoint takes")
                && text.contains("(0 to 8000 Hz)")
        );
    }
}
