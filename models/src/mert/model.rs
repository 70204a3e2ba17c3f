use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Encoder, FeatureExtractor, FeatureProjection, MertConfig};

/// From a waveform to the encodings of all layers.
#[derive(Module, Debug)]
pub struct Mert {
    /// From samples to frames.
    pub feature_extractor: FeatureExtractor,
    /// To the transformer's width.
    pub feature_projection: FeatureProjection,
    /// The transformer.
    pub encoder: Encoder,
}

impl Mert {
    pub(super) fn new(config: &MertConfig, device: &Device) -> Self {
        Self {
            feature_extractor: FeatureExtractor::new(config, device),
            feature_projection: FeatureProjection::new(config, device),
            encoder: Encoder::new(config, device),
        }
    }

    /// What goes into the first `layers` layers, and what comes out of each: published as `hidden_states`. The last of a
    /// stable network is normalised, as transformers had it until version 5.
    ///
    /// # Shapes
    ///
    /// `[1, 1, sample]` → each `[1, frame, hidden]`
    ///
    /// # Panics
    ///
    /// If the waveform is too short for a frame: see [`FeatureExtractor::frames`].
    pub fn states(&self, samples: Tensor<3>, layers: usize) -> Vec<Tensor<3>> {
        let features = self.feature_extractor.forward(samples).swap_dims(1, 2);
        self.encoder.states(self.feature_projection.forward(features), layers)
    }
}
