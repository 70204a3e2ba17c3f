//! A diffusion transformer over mel-spectrograms or latents: Peebles & Xie, "Scalable Diffusion Models with
//! Transformers" (arXiv 2212.09748), with what transformers have learned since.
//!
//! A sample is cut into patches of a few bands and frames, each a token. As in the paper, time enters by adaLN-zero: it
//! scales and shifts what goes into every layer and gates what comes out, and all gates start closed. Unlike there, frames
//! are told apart by rotary positions (Su et al., "`RoFormer`", arXiv 2104.09864), which know distances only, so that a clip
//! may have any length; bands, which are not alike and of which there is a fixed number, by sinusoids added to the tokens.
//! Queries and keys are normalised (Henry et al., "Query-Key Normalization for Transformers", arXiv 2010.04245), the MLP
//! is a `SwiGLU` (Shazeer, arXiv 2002.05202), and captions come in by cross-attention, as in `PixArt`-α (arXiv 2310.00426).

mod attention;
mod block;
mod config;
mod feed_forward;
mod initialise;
mod model;
mod modulation;
mod patches;
mod positions;

pub use attention::Attention;
pub use block::TransformerBlock;
pub use config::DiTConfig;
pub use feed_forward::FeedForward;
pub use model::{DiT, Encodings, Surroundings};
pub use modulation::Modulation;
pub use patches::PatchEmbedding;
