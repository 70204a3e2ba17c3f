use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::Layer;
use super::{BlockAttention, BlockSettings, Context};
use crate::blocks::{Resample, ResnetBlock};
use crate::network::ConfigError;

/// Residual blocks at the smallest resolution, attention behind the first where there is any; or nothing at all.
#[derive(Module, Debug)]
pub struct MidBlock {
    /// One, or none.
    pub attentions: Vec<BlockAttention>,
    /// Two, one, or none.
    pub resnets: Vec<ResnetBlock>,
    /// Whether backward makes the activations of each layer again, instead of finding them kept.
    pub gradient_checkpointing: bool,
}

impl MidBlock {
    pub(crate) fn new(settings: Option<&BlockSettings>, device: &Device) -> Self {
        let resnets = settings.into_iter().flat_map(|settings| {
            let resnet = settings.resnet([settings.channels; 2], Resample::Keep);
            (0..settings.layers).map(move |_| ResnetBlock::new(resnet, device))
        });
        Self {
            attentions: settings.and_then(|settings| settings.attention(device)).into_iter().collect(),
            resnets: resnets.collect(),
            gradient_checkpointing: false,
        }
    }

    pub(crate) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        settings.resnet([settings.channels; 2], Resample::Keep).check()?;
        settings.check_attention(name, settings.channels)
    }

    /// # Shapes
    ///
    /// `[batch, channel, height, width]`, time embedding `[batch, embedding]` → the same as the first
    pub fn forward(&self, mut hidden: Tensor<4>, time: &Tensor<2>, context: Option<&Context>) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let layer = Layer { resnet, attention: self.attentions.get(layer), recompute: self.gradient_checkpointing };
            hidden = layer.forward(hidden, None, time, context);
        }
        hidden
    }
}
