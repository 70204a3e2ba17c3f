//! Captions to encodings.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use nocturne_models::network::{self, NetworkError};
use nocturne_models::t5::{T5Config, T5Encoder, T5Tokenizer, TokenizerError, Tokens};
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
}

impl TextEncoder {
    /// Opens a T5 folder. Longer texts are cut to `max_length` tokens: see [`T5Tokenizer::open`].
    pub fn open(folder: &Path, max_length: Option<usize>, device: &Device) -> Result<Self, TextError> {
        let (config, network) = network::open::<T5Config>(folder, device)?;
        Self::of(folder, max_length, &config, network)
    }

    /// The same with a network that is open, and the tokenizer in `folder`.
    pub fn of(
        folder: &Path,
        max_length: Option<usize>,
        config: &T5Config,
        network: T5Encoder,
    ) -> Result<Self, TextError> {
        let tokenizer = T5Tokenizer::open(folder, max_length)?;
        let (tokens, embeddings) = (tokenizer.vocab_size(), config.vocab_size);
        if tokens > embeddings {
            return Err(TextError::Vocabulary { tokens, embeddings });
        }
        Ok(Self { tokenizer, network })
    }

    /// The encoding of a text, `</s>` included, and whether the text was cut.
    pub fn encode(&self, text: &str) -> Result<(Encoding, bool), TextError> {
        let tokens = self.tokenizer.encode(text)?;
        let encoding = self.encode_batch(&[&tokens]).remove(0);
        Ok((encoding, tokens.truncated))
    }

    /// The encodings of texts, in their order, and whether each was cut; the same, to rounding, as [`TextEncoder::encode`]
    /// gives. They go through the network by length, `batch_size` at a time, the shorter ones of a batch filled up and what
    /// fills them hidden. `on_batch` is told how many are done, and may end it: nothing is given then.
    ///
    /// # Panics
    ///
    /// If `batch_size` is 0.
    pub fn encode_all<T: AsRef<str>>(
        &self,
        texts: &[T],
        batch_size: usize,
        mut on_batch: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Vec<(Encoding, bool)>>, TextError> {
        let tokens = texts.iter().map(|text| self.tokenizer.encode(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        // The longest first: what does not fit into memory is known at once.
        order.sort_by_key(|index| Reverse(tokens[*index].ids.len()));
        let mut encoded = vec![None; tokens.len()];
        for (batch, indices) in order.chunks(batch_size).enumerate() {
            let texts: Vec<&Tokens> = indices.iter().map(|index| &tokens[*index]).collect();
            for (index, encoding) in indices.iter().zip(self.encode_batch(&texts)) {
                encoded[*index] = Some((encoding, tokens[*index].truncated));
            }
            if on_batch(batch * batch_size + indices.len()).is_break() {
                return Ok(None);
            }
        }
        Ok(encoded.into_iter().collect())
    }

    fn encode_batch(&self, texts: &[&Tokens]) -> Vec<Encoding> {
        let batch = self.tokenizer.batch(texts);
        let states = self.network.encode(&batch);
        let [_, longest, width] = states.dims();
        let values: Vec<f32> = states.into_data().iter::<f32>().collect();
        let rows = values.chunks_exact(longest * width).zip(batch.lengths());
        rows.map(|(row, tokens)| Encoding { tokens: *tokens, dim: width, values: row[..tokens * width].into() })
            .collect()
    }
}
