use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use tokenizers::Tokenizer;

/// As T5 was trained.
const DEFAULT_LENGTH: usize = 512;

/// What transformers writes for "no limit" is beyond any caption.
const NO_LIMIT: f64 = 1e9;

const FAST: &str = "tokenizer.json";
const SLOW: &str = "spiece.model";
const SETTINGS: &str = "tokenizer_config.json";

/// Why text cannot become tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A folder without a fast tokenizer.
    #[error("{}: found {found}, expected tokenizer.json; in Python, `transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` makes it", folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
        /// What is there instead.
        found: &'static str,
    },
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A length that holds no caption.
    #[error("a maximum length of {found} tokens, expected at least 1, for </s>")]
    Length {
        /// The length.
        found: usize,
    },
    /// The tokenizer failed on a text.
    #[error("the tokenizer cannot take {text:?}: {reason}")]
    Text {
        /// The text's beginning.
        text: String,
        /// What it said.
        reason: String,
    },
}

/// A published T5 tokenizer, read from its `tokenizer.json`.
pub struct T5Tokenizer {
    tokenizer: Tokenizer,
    max_length: usize,
    end: u32,
    pad: u32,
}

/// The tokens of a text, `</s>` last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Their ids, at least one.
    pub ids: Vec<u32>,
    /// Whether the text had more than fit.
    pub truncated: bool,
}

/// `tokenizer_config.json`, as far as it matters here.
#[derive(Default, Deserialize)]
struct Settings {
    model_max_length: Option<f64>,
}

impl T5Tokenizer {
    /// Reads the tokenizer of a model's folder. Longer texts are cut to `max_length` tokens, `</s>` included; if it is not
    /// given, to the model's own length, and to 512 where the model does not tell.
    ///
    /// # Errors
    ///
    /// Names the file that is absent, unreadable or of another format.
    pub fn open(folder: &Path, max_length: Option<usize>) -> Result<Self, TokenizerError> {
        let file = folder.join(FAST);
        if !file.is_file() {
            let found = if folder.join(SLOW).is_file() { "only spiece.model" } else { "no tokenizer" };
            return Err(TokenizerError::Absent { folder: folder.to_owned(), found });
        }
        let format = |reason: String| TokenizerError::Format { file: file.clone(), reason };
        let bytes = read(&file)?;
        let mut tokenizer = guarded(|| Tokenizer::from_bytes(&bytes)).map_err(format)?;
        // Cutting and padding are done here, whatever the file says.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| format(error.to_string()))?;
        let id = |token| tokenizer.token_to_id(token).ok_or_else(|| format(format!("no token {token}")));
        let (end, pad) = (id("</s>")?, id("<pad>")?);
        let max_length = match max_length {
            Some(0) => return Err(TokenizerError::Length { found: 0 }),
            Some(length) => length,
            None => published_length(folder)?,
        };
        Ok(Self { tokenizer, max_length, end, pad })
    }

    /// How many ids there are: the highest and one.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// Tokens of the longest text, `</s>` included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The tokens of a text.
    ///
    /// # Errors
    ///
    /// If the tokenizer has no token for a part of it, not even an unknown one.
    pub fn encode(&self, text: &str) -> Result<Tokens, TokenizerError> {
        let encoding = guarded(|| self.tokenizer.encode_fast(text, false))
            .map_err(|reason| TokenizerError::Text { text: text.chars().take(40).collect(), reason })?;
        let fitting = encoding.len().min(self.max_length - 1);
        let mut ids = encoding.get_ids()[..fitting].to_vec();
        ids.push(self.end);
        Ok(Tokens { ids, truncated: fitting < encoding.len() })
    }

    /// Texts beside one another, the shorter ones filled up to the longest.
    pub fn batch(&self, texts: &[&Tokens]) -> TokenBatch {
        let length = texts.iter().map(|tokens| tokens.ids.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(texts.len() * length);
        for tokens in texts {
            ids.extend(tokens.ids.iter().map(|id| *id as i32));
            ids.resize(ids.len() + length - tokens.ids.len(), self.pad as i32);
        }
        TokenBatch { ids, length, lengths: texts.iter().map(|tokens| tokens.ids.len()).collect() }
    }
}

/// Texts of one length, filled up where they are shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<i32>,
    length: usize,
    lengths: Vec<usize>,
}

impl TokenBatch {
    /// Tokens of each text.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// `[batch, token]`
    pub fn ids(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(self.ids.clone(), [self.lengths.len(), self.length]), device)
    }

    /// `[batch, token]`: 1 for the tokens of a text, 0 for those that fill it up; none where nothing is filled up.
    pub fn mask(&self, device: &Device) -> Option<Tensor<2>> {
        if self.lengths.iter().all(|length| *length == self.length) {
            return None;
        }
        let mask: Vec<f32> = (self.lengths.iter())
            .flat_map(|length| (0..self.length).map(move |token| if token < *length { 1.0 } else { 0.0 }))
            .collect();
        Some(Tensor::from_data(TensorData::new(mask, [self.lengths.len(), self.length]), device))
    }
}

fn published_length(folder: &Path) -> Result<usize, TokenizerError> {
    let file = folder.join(SETTINGS);
    let settings: Settings = if file.is_file() {
        serde_json::from_slice(&read(&file)?)
            .map_err(|error| TokenizerError::Format { file, reason: error.to_string() })?
    } else {
        Settings::default()
    };
    let length = settings.model_max_length.filter(|length| (1.0..NO_LIMIT).contains(length));
    Ok(length.map_or(DEFAULT_LENGTH, |length| length as usize))
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, TokenizerError> {
    std::fs::read(file).map_err(|source| TokenizerError::Io { file: file.to_owned(), source })
}

/// The library panics on some tables that contradict themselves; that is an error of the file.
pub(crate) fn guarded<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer contradicts itself".to_owned()),
    }
}
