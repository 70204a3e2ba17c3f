//! Cnn14 of PANNs, which names what is heard: its checkpoint, key for key. For inference: dropout and the masks of the
//! training are left out, batch normalisation has its running statistics.
//!
//! Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition" (2020).

mod block;
mod model;

pub use block::ConvBlock;
pub use model::{Cnn14, Heard};
