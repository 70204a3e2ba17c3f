//! The text encoder of T5, T5 1.1 and Flan-T5: `T5EncoderModel` of transformers, key for key, and its tokenizer.
//!
//! Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (2020). Every field is
//! named as its key in a checkpoint.

mod block;
mod config;
mod feed_forward;
mod model;
mod relative_position;
mod self_attention;
pub(crate) mod tokenizer;

pub use block::{FeedForwardLayer, SelfAttentionLayer, T5Block};
pub use config::T5Config;
pub use feed_forward::FeedForward;
pub use model::{T5Encoder, T5Stack};
pub use relative_position::relative_position_bucket;
pub use self_attention::SelfAttention;
pub use tokenizer::{T5Tokenizer, TokenBatch, TokenizerError, Tokens};
