use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BlockSettings, Context, KDownBlock, PlainDownBlock, SkipDownBlock, Skips};
use crate::network::ConfigError;

/// A block of the way down.
#[derive(Module, Debug)]
pub enum DownBlock {
    /// `DownBlock2D`, `AttnDownBlock2D`, `CrossAttnDownBlock2D`, `ResnetDownsampleBlock2D`, `SimpleCrossAttnDownBlock2D`.
    Plain(PlainDownBlock),
    /// `KDownBlock2D`, `KCrossAttnDownBlock2D`.
    K(KDownBlock),
    /// `SkipDownBlock2D`, `AttnSkipDownBlock2D`.
    Skip(SkipDownBlock),
}

impl DownBlock {
    pub(crate) fn new(settings: &BlockSettings, device: &Device) -> Self {
        if settings.kind.is_k() {
            Self::K(KDownBlock::new(settings, device))
        } else if settings.kind.is_skip() {
            Self::Skip(SkipDownBlock::new(settings, device))
        } else {
            Self::Plain(PlainDownBlock::new(settings, device))
        }
    }

    /// Checks that the channels of a block called `name` can be shared as it shares them.
    pub(crate) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        if settings.kind.is_k() {
            KDownBlock::check(settings, name)
        } else if settings.kind.is_skip() {
            SkipDownBlock::check(settings, name)
        } else {
            PlainDownBlock::check(settings, name)
        }
    }

    /// Leaves the state behind every layer in `skips`, for the way up.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height / 2, width / 2]`
    pub fn forward(
        &self,
        hidden: Tensor<4>,
        time: &Tensor<2>,
        context: Option<&Context>,
        skips: &mut Skips,
    ) -> Tensor<4> {
        match self {
            Self::Plain(block) => block.forward(hidden, time, context, skips),
            Self::K(block) => block.forward(hidden, time, context, skips),
            Self::Skip(block) => block.forward(hidden, time, skips),
        }
    }

    pub(crate) fn set_gradient_checkpointing(&mut self, on: bool) {
        match self {
            Self::Plain(block) => block.gradient_checkpointing = on,
            Self::K(block) => block.gradient_checkpointing = on,
            Self::Skip(block) => block.gradient_checkpointing = on,
        }
    }
}
