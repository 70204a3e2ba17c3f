//! Captions to encodings.

use std::path::Path;

use burn::tensor::Device;
use nocturne_models::network::{self, NetworkError};
use nocturne_models::t5::{T5Config, T5Encoder, T5Tokenizer, TokenizerError};
use thiserror::Error;

use super::Encoding;

/// Why text cannot be encoded.
#[derive(Debug, Error)]
pub enum TextError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer knows more tokens than the encoder.
    #[error("the tokenizer has {tokens} tokens, the encoder {embeddings} embeddings: they are not of one model")]
    Vocabulary {
        /// The tokenizer's.
        tokens: usize,
        /// The encoder's.
        embeddings: usize,
    },
}

/// A T5 with its tokenizer.
pub struct TextEncoder {
    tokenizer: T5Tokenizer,
    network: T5Encoder,
    width: usize,
}

impl TextEncoder {
    /// Opens a T5 folder. Longer texts are cut to `max_length` tokens: see [`T5Tokenizer::open`].
    pub fn open(folder: &Path, max_length: Option<usize>, device: &Device) -> Result<Self, TextError> {
        let tokenizer = T5Tokenizer::open(folder, max_length)?;
        let (config, network) = network::open::<T5Config>(folder, device)?;
        let (tokens, embeddings) = (tokenizer.vocab_size(), config.vocab_size);
        if tokens > embeddings {
            return Err(TextError::Vocabulary { tokens, embeddings });
        }
        Ok(Self { tokenizer, network, width: config.d_model })
    }

    /// The encoding of a text, `</s>` included, and whether the text was cut. Each is encoded alone, so that it does not
    /// depend on others.
    pub fn encode(&self, text: &str) -> Result<(Encoding, bool), TextError> {
        let tokens = self.tokenizer.encode(text)?;
        let states = self.network.encode(&self.tokenizer.batch(&[&tokens]));
        let [_, count, _] = states.dims();
        let values: Vec<f32> = states.into_data().iter::<f32>().collect();
        Ok((Encoding { tokens: count, dim: self.width, values: values.into() }, tokens.truncated))
    }
}
