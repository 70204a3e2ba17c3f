use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::AudioEncoder;
use crate::network::{ConfigError, NetworkConfig, check, one_of};

/// `config.json` of a folder of the audio encoder. The published file has the class name alone; the sizes are then those of
/// the published network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AudioEncoderConfig {
    /// Always `AudioEncoder`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Frames of a picture.
    pub x_res: usize,
    /// Mel bands of a picture.
    pub y_res: usize,
    /// Channels after each convolution; each halves the picture's sides.
    pub conv_channels: Vec<usize>,
    /// Width of the layer before the last.
    pub dense_features: usize,
    /// Width of the encoding.
    pub embedding_features: usize,
}

impl Default for AudioEncoderConfig {
    fn default() -> Self {
        Self {
            class_name: "AudioEncoder".to_owned(),
            x_res: 216,
            y_res: 96,
            conv_channels: vec![32, 64, 128],
            dense_features: 1024,
            embedding_features: 100,
        }
    }
}

impl NetworkConfig for AudioEncoderConfig {
    type Network = AudioEncoder;

    fn validate(&self) -> Result<(), ConfigError> {
        // A bound far above any network, so that no product of sizes overflows.
        const MOST: usize = 1 << 13;
        one_of("_class_name", &self.class_name, &["AudioEncoder"])?;
        let levels = self.conv_channels.len();
        check("conv_channels", (1..=8).contains(&levels), format_args!("{levels} entries"), "1 to 8 entries")?;
        let channels = self.conv_channels.iter().map(|channels| ("conv_channels", *channels));
        let sizes = [
            ("x_res", self.x_res),
            ("y_res", self.y_res),
            ("dense_features", self.dense_features),
            ("embedding_features", self.embedding_features),
        ];
        for (field, size) in sizes.into_iter().chain(channels) {
            check(field, (1..=MOST).contains(&size), size, format!("1 to {MOST}"))?;
        }
        for (field, side) in [("x_res", self.x_res), ("y_res", self.y_res)] {
            check(field, side >> levels > 0, side, format!("at least {}, for {levels} halvings", 1 << levels))?;
        }
        Ok(())
    }

    fn build(&self, device: &Device) -> AudioEncoder {
        AudioEncoder::new(self, device)
    }

    /// Leaves out how many batches a normalisation was trained on, which its results do not depend on.
    fn current_name(&self, published: &str) -> Option<String> {
        (!published.ends_with(".num_batches_tracked")).then(|| published.to_owned())
    }
}

impl AudioEncoderConfig {
    /// Numbers that the convolutions leave of a picture.
    pub(super) fn flattened(&self) -> usize {
        let levels = self.conv_channels.len();
        (self.x_res >> levels) * (self.y_res >> levels) * self.conv_channels[levels - 1]
    }
}
