use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::checkpoint::Opened;
use super::{ClipConfig, ClipText, ClipVision};
use crate::network::NetworkError;

/// What keeps the direction of a vector without length defined.
const LEAST_LENGTH: f64 = 1e-12;

/// Both halves, and what their vectors' cosines are multiplied by.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Of pictures.
    pub vision: ClipVision,
    /// Of texts.
    pub text: ClipText,
    /// The logarithm of the factor.
    pub logit_scale: f32,
}

impl Clip {
    /// As [`ClipVision::open`], both halves.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(path: &Path, device: &Device) -> Result<(ClipConfig, Self), NetworkError> {
        let opened = Opened::new(path)?;
        opened.check(ClipConfig::validate)?;
        let Opened { config, weights, .. } = &opened;
        let network = Self {
            vision: ClipVision::load(config, weights, device)?,
            text: ClipText::load(config, weights, device)?,
            logit_scale: opened.logit_scale()?,
        };
        Ok((opened.config, network))
    }

    /// The scaled cosine of each picture's vector and each text's: the published logits per picture.
    ///
    /// # Shapes
    ///
    /// `[picture, dim]`, `[text, dim]` → `[picture, text]`
    ///
    /// # Panics
    ///
    /// If the vectors are not of one space.
    pub fn similarity(&self, pictures: Tensor<2>, texts: Tensor<2>) -> Tensor<2> {
        unit(pictures).matmul(unit(texts).transpose()) * f64::from(self.logit_scale).exp()
    }
}

/// # Shapes
///
/// `[batch, dim]` → the same, each of length 1
fn unit(vectors: Tensor<2>) -> Tensor<2> {
    let length = vectors.clone().square().sum_dim(1).sqrt().clamp_min(LEAST_LENGTH);
    vectors / length
}
