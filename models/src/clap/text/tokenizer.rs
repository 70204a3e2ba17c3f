use std::path::Path;

use tokenizers::{Tokenizer, TruncationParams};

use crate::t5::TokenizerError;
use crate::t5::tokenizer::{guarded, read};

/// RoBERTa's tokenizer, read from its `tokenizer.json`.
pub struct ClapTokenizer {
    tokenizer: Tokenizer,
}

impl ClapTokenizer {
    /// Tokens of the longest caption that CLAP was trained with.
    pub const MAX_LENGTH: usize = 77;

    /// Longer texts are cut to `max_length` tokens, `<s>` and `</s>` included.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no such tokenizer.
    pub fn open(file: &Path, max_length: usize) -> Result<Self, TokenizerError> {
        let format = |reason: String| TokenizerError::Format { file: file.to_owned(), reason };
        let bytes = read(file)?;
        let mut tokenizer = guarded(|| Tokenizer::from_bytes(&bytes)).map_err(format)?;
        // Cutting and padding are done here, whatever the file says.
        tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| format(error.to_string()))?;
        let tokenizer = Self { tokenizer };
        // The network's result is that of the first token.
        let (empty, first) = (tokenizer.encode("")?, tokenizer.tokenizer.token_to_id("<s>"));
        if first.is_none() || empty.first().copied() != first {
            return Err(format("texts do not begin with <s>".to_owned()));
        }
        Ok(tokenizer)
    }

    /// How many ids there are: the highest and one.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// The ids of a text's tokens, `<s>` first and `</s>` last.
    ///
    /// # Errors
    ///
    /// If the tokenizer has no token for a part of it, not even an unknown one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = guarded(|| self.tokenizer.encode_fast(text, true))
            .map_err(|reason| TokenizerError::Text { text: text.chars().take(40).collect(), reason })?;
        Ok(encoding.get_ids().to_vec())
    }
}
