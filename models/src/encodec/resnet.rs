use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Conv, Elu, EncodecConfig};

/// Two convolutions, each behind `ELU`, beside the input or a convolution of it.
#[derive(Module, Debug)]
pub struct ResnetBlock {
    /// To fewer channels, over some time; back, each sample alone.
    pub block: (Elu, Conv, Elu, Conv),
    /// Beside them, where it is not the input itself.
    pub shortcut: Option<Conv>,
}

impl ResnetBlock {
    pub(super) fn new(config: &EncodecConfig, width: usize, dilation: usize, device: &Device) -> Self {
        let inner = width / config.compress;
        let conv = |channels, sizes| Conv::new(config, channels, sizes, device);
        let first = conv([width, inner], [config.residual_kernel_size, 1, dilation]);
        Self {
            block: (Elu {}, first, Elu {}, conv([inner, width], [1, 1, 1])),
            shortcut: config.use_conv_shortcut.then(|| conv([width, width], [1, 1, 1])),
        }
    }

    /// Those of a stage.
    pub(super) fn all(config: &EncodecConfig, width: usize, device: &Device) -> impl Iterator<Item = Self> {
        let dilations =
            (0..config.num_residual_layers as u32).map(|block| config.dilation_growth_rate.saturating_pow(block));
        dilations.map(move |dilation| Self::new(config, width, dilation, device))
    }

    /// # Shapes
    ///
    /// `[batch, channel, length]` → the same
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let hidden = self.block.1.forward(input.clone(), true);
        let beside = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input, false),
            None => input,
        };
        beside + self.block.3.forward(hidden, true)
    }

    pub(super) fn needs(&self, more: [usize; 2]) -> [usize; 2] {
        self.block.1.needs(self.block.3.needs(more))
    }
}
