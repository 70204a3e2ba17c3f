use super::store::{DESCRIPTION, Description, ROWS, file};
use super::{Latents, LatentsError};
use crate::dataset::{Dataset, DatasetError};
use crate::hash::hex;
use crate::npy::{self, Mapped};
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::files::write_atomic;
use nocturne_models::network::ConfigError;
use nocturne_models::parameters;
use nocturne_models::vae::{AutoencoderKl, AutoencoderKlConfig};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Why a dataset was not encoded.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The VAE does not take mels of this size.
    #[error("the VAE does not fit the dataset: {0}")]
    Size(#[from] ConfigError),
    /// The VAE is for another number of channels.
    #[error("the VAE takes {0} channels, expected the 1 of a mel")]
    Channels(usize),
    /// The latents cannot be read back.
    #[error(transparent)]
    Latents(#[from] LatentsError),
    /// The VAE gave something that is no number.
    #[error("example {index} ({audio_file}): the VAE's encoding is not finite")]
    NotFinite {
        /// Its place in the dataset.
        index: usize,
        /// Its recording.
        audio_file: String,
    },
    /// The job was interrupted; the next one goes on.
    #[error("interrupted")]
    Interrupted,
}

/// A dataset, and the VAE to encode it with.
pub struct EncodeLatents<'a> {
    /// The folder of the dataset; latents are written into it.
    pub folder: &'a Path,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The VAE's configuration.
    pub config: &'a AutoencoderKlConfig,
    /// The VAE.
    pub vae: &'a AutoencoderKl,
    /// Where the VAE is.
    pub device: &'a Device,
    /// Setting it ends the job between two examples; whole files stay.
    pub stop: &'a AtomicBool,
}

/// Opens the latents of a dataset, and makes those that are missing. `on_example(done, total)` is told of every one made.
pub fn encode_latents(
    job: &EncodeLatents<'_>,
    mut on_example: impl FnMut(usize, usize),
) -> Result<Latents, EncodeError> {
    let description = job.description()?;
    let folder = job.folder.join("latents").join(&description.vae_sha256[..16]);
    let path = folder.join(DESCRIPTION);
    let complete = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Description>(&text).ok());
    if complete.as_ref() == Some(&description) {
        return Ok(Latents::open(&folder, &description)?);
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| LatentsError::Io { path, source }
    };
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    for index in 0..description.rows.div_ceil(ROWS) {
        job.encode_file(&file(&folder, index), index * ROWS, &description, &mut on_example)?;
    }
    let text = serde_json::json!(description);
    write_atomic(&path, format!("{text:#}\n").as_bytes()).map_err(io(&path))?;
    Ok(Latents::open(&folder, &description)?)
}

impl EncodeLatents<'_> {
    fn description(&self) -> Result<Description, EncodeError> {
        let (height, width) = (self.dataset.height(), self.dataset.width());
        self.config.check_size([height, width])?;
        if self.config.in_channels != 1 {
            return Err(EncodeError::Channels(self.config.in_channels));
        }
        let factor = self.config.factor();
        let mut hash = Sha256::new();
        // The scale is not part of what the encoder does.
        let config = AutoencoderKlConfig { scaling_factor: 1.0, ..self.config.clone() };
        hash.update(serde_json::json!(config).to_string());
        parameters::visit(self.vae, |name, _, values| {
            hash.update(name);
            for value in values.into_data().iter::<f32>() {
                hash.update(value.to_le_bytes());
            }
        });
        Ok(Description {
            rows: self.dataset.len(),
            shape: [self.config.latent_channels, height / factor, width / factor],
            vae_sha256: hex(hash),
        })
    }

    /// Makes one file of moments, unless an interrupted job left it.
    fn encode_file(
        &self,
        path: &Path,
        first: usize,
        description: &Description,
        on_example: &mut impl FnMut(usize, usize),
    ) -> Result<(), EncodeError> {
        let [channels, height, width] = description.shape;
        let last = description.rows.min(first + ROWS);
        let shape = [last - first, 2 * channels, height, width];
        if Mapped::open(path).is_ok_and(|made| made.shape() == shape) {
            on_example(last, description.rows);
            return Ok(());
        }
        let mut moments = Vec::with_capacity(shape.iter().product());
        for index in first..last {
            if self.stop.load(Ordering::Relaxed) {
                return Err(EncodeError::Interrupted);
            }
            let example = self.dataset.get(index)?;
            let values = TensorData::new(example.values, [1, 1, example.height, example.width]);
            let posterior = self.vae.encode(Tensor::from_data(values, self.device));
            let encoded = Tensor::cat(vec![posterior.mean, posterior.logvar], 1);
            let start = moments.len();
            moments.extend(encoded.into_data().iter::<f32>());
            if moments[start..].iter().any(|value| !value.is_finite()) {
                return Err(EncodeError::NotFinite { index, audio_file: example.audio_file });
            }
            on_example(index + 1, description.rows);
        }
        Ok(npy::write(path, &shape, &moments).map_err(LatentsError::from)?)
    }
}
