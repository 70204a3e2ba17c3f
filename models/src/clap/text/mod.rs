//! The text branch: RoBERTa (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019), and its tokenizer.

// Fields are named as their keys, and so are the variables that deriving makes of them.
#![allow(non_snake_case)]

mod config;
mod embeddings;
mod layer;
mod model;
mod tokenizer;

pub use config::ClapTextConfig;
pub use embeddings::Embeddings;
pub use layer::{Attention, Intermediate, Layer, Output};
pub use model::{ClapText, Encoder, Pooler, Roberta};
pub use tokenizer::ClapTokenizer;
