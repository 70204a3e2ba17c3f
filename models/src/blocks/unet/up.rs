use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BlockSettings, Context, KUpBlock, PlainUpBlock, SkipUpBlock, Skips};
use crate::network::ConfigError;

/// A block of the way up.
#[derive(Module, Debug)]
pub enum UpBlock {
    /// `UpBlock2D`, `AttnUpBlock2D`, `CrossAttnUpBlock2D`, `ResnetUpsampleBlock2D`, `SimpleCrossAttnUpBlock2D`.
    Plain(PlainUpBlock),
    /// `KUpBlock2D`, `KCrossAttnUpBlock2D`.
    K(KUpBlock),
    /// `SkipUpBlock2D`, `AttnSkipUpBlock2D`.
    Skip(SkipUpBlock),
}

impl UpBlock {
    pub(crate) fn new(settings: &BlockSettings, device: &Device) -> Self {
        if settings.kind.is_k() {
            Self::K(KUpBlock::new(settings, device))
        } else if settings.kind.is_skip() {
            Self::Skip(SkipUpBlock::new(settings, device))
        } else {
            Self::Plain(PlainUpBlock::new(settings, device))
        }
    }

    /// Checks that the channels of a block called `name` can be shared as it shares them.
    pub(crate) fn check(settings: &BlockSettings, name: &str) -> Result<(), ConfigError> {
        if settings.kind.is_k() {
            KUpBlock::check(settings, name)
        } else if settings.kind.is_skip() {
            SkipUpBlock::check(settings, name)
        } else {
            PlainUpBlock::check(settings, name)
        }
    }

    /// Takes its states from `skips`.
    ///
    /// # Shapes
    ///
    /// `[batch, in, height, width]`, time embedding `[batch, embedding]` → `[batch, out, height', width']`, twice the size,
    /// or that of the last state that stays in `skips`
    ///
    /// # Panics
    ///
    /// If `skips` runs out.
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
