use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{ConfigError, UNet2D, UNet2DConfig};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::files;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Why a U-Net cannot be opened or saved.
#[derive(Debug, thiserror::Error)]
pub enum UNetError {
    /// `config.json` cannot be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// `config.json` is not of the right form.
    #[error("{}: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `config.json` describes no network of ours.
    #[error("{}: {source}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The field.
        source: ConfigError,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl UNet2DConfig {
    /// The network with the weights of `from`, by today's or by the first keys of diffusers.
    ///
    /// # Errors
    ///
    /// If the weights are not those of this network: see [`checkpoint::load`].
    ///
    /// # Panics
    ///
    /// If the configuration is not valid; [`UNet2DConfig::validate`] tells before.
    pub fn load(&self, from: Checkpoint, device: &Device) -> Result<UNet2D, CheckpointError> {
        let module = self.build(device).unwrap_or_else(|error| panic!("{error}"));
        checkpoint::load(module, &from.rename(|name| Some(current_name(name)))?)
    }
}

impl UNet2D {
    /// Opens a folder of diffusers (`unet/` of a model folder): `config.json` and weights.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(folder: &Path, device: &Device) -> Result<(UNet2DConfig, Self), UNetError> {
        let file = folder.join(CONFIG);
        let text = std::fs::read(&file).map_err(|source| UNetError::Io { file: file.clone(), source })?;
        let config: UNet2DConfig =
            serde_json::from_slice(&text).map_err(|source| UNetError::Json { file: file.clone(), source })?;
        config.validate().map_err(|source| UNetError::Config { file, source })?;
        let network = config.load(Checkpoint::open(folder)?, device)?;
        Ok((config, network))
    }

    /// Writes a folder that `UNet2DModel.from_pretrained` and [`UNet2D::open`] open.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, config: &UNet2DConfig, folder: &Path) -> Result<(), UNetError> {
        let file = folder.join(CONFIG);
        let written = std::fs::create_dir_all(folder).and_then(|()| {
            let text = serde_json::to_string_pretty(config)?;
            files::write_atomic(&file, text.as_bytes())
        });
        written.map_err(|source| UNetError::Io { file, source })?;
        Ok(checkpoint::save(self, &folder.join(WEIGHTS))?)
    }
}

/// diffusers named the layers of its attention otherwise until version 0.12; published weights still have those keys.
fn current_name(name: &str) -> String {
    const RENAMED: [(&str, &str); 4] =
        [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    if let Some((layer, kind)) = name.rsplit_once('.')
        && let Some((attention, old)) = layer.rsplit_once('.')
        && attention.contains("attentions.")
        && let Some((_, new)) = RENAMED.iter().find(|(known, _)| *known == old)
    {
        return format!("{attention}.{new}.{kind}");
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::current_name;

    #[test]
    fn only_the_layers_of_attentions_are_renamed() {
        let renamed = |name, expected: &str| assert_eq!(current_name(name), expected);
        renamed("down_blocks.4.attentions.0.query.weight", "down_blocks.4.attentions.0.to_q.weight");
        renamed("mid_block.attentions.0.proj_attn.bias", "mid_block.attentions.0.to_out.0.bias");
        for kept in
            ["mid_block.attentions.0.group_norm.weight", "mid_block.attentions.0.to_q.weight", "key.weight", "a"]
        {
            renamed(kept, kept);
        }
    }
}
