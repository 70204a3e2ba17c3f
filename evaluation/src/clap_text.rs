//! LAION's CLAP, its text branch: captions in the space of [`crate::clap::Clap`]'s vectors.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ndarray::Array2;
use nocturne_models::clap::{ClapText, ClapTokenizer};
use nocturne_models::t5::TokenizerError;

use crate::batches::values;
use crate::clap::Training;
use crate::weights::{Published, WeightsError, files_of};

/// Captions that go through the network together.
const BATCH: usize = 32;

/// CLAP's text branch with its tokenizer.
pub struct ClapCaptions {
    network: ClapText,
    tokenizer: ClapTokenizer,
}

impl ClapCaptions {
    /// From the weights that [`crate::clap::Clap::open`] opens, with RoBERTa's `tokenizer.json` beside them.
    ///
    /// # Errors
    ///
    /// If a file is absent (the message then says where it is published) or not usable.
    pub fn open(training: Training, weights: &Path, device: &Device) -> Result<Self, WeightsError> {
        let path = training.find(weights)?;
        let file = tokenizer(&path)?;
        let (text, network) = ClapText::open(&path, device)?;
        let tokenizer = ClapTokenizer::open(&file, ClapTokenizer::MAX_LENGTH.min(text.max_length()))?;
        let (found, most) = (tokenizer.vocab_size(), text.vocab_size);
        if found > most {
            let (found, expected) = (found.to_string(), format!("at most the network's {most}"));
            return Err(WeightsError::FrontEnd { file, what: "tokens", found, expected });
        }
        Ok(Self { network, tokenizer })
    }

    /// The files that captions' vectors depend on, that of the weights first. None is read.
    ///
    /// # Errors
    ///
    /// If a file is absent (the message then says where it is published).
    pub fn files(training: Training, weights: &Path) -> Result<Vec<PathBuf>, WeightsError> {
        let path = training.find(weights)?;
        let mut files = files_of(&path)?;
        files.push(tokenizer(&path)?);
        Ok(files)
    }

    /// A vector of length 1 for each caption.
    ///
    /// # Shapes
    /// - output: `[caption, dim]`
    ///
    /// # Errors
    ///
    /// If the tokenizer cannot take a caption.
    pub fn embed(&self, captions: &[&str]) -> Result<Array2<f32>, TokenizerError> {
        let ids: Vec<Vec<u32>> =
            captions.iter().map(|caption| self.tokenizer.encode(caption)).collect::<Result<_, _>>()?;
        let vectors: Vec<f32> = ids.chunks(BATCH).flat_map(|ids| values(self.network.forward(ids))).collect();
        Ok(Array2::from_shape_vec((captions.len(), self.network.dim()), vectors).expect("one vector a caption"))
    }
}

/// RoBERTa's, in the folder of the weights.
fn tokenizer(weights: &Path) -> Result<PathBuf, WeightsError> {
    let folder = if weights.is_dir() { weights } else { weights.parent().unwrap_or(Path::new("")) };
    let published = Published {
        model: "the text branch of CLAP",
        file: "tokenizer.json",
        address: "https://huggingface.co/FacebookAI/roberta-base",
    };
    published.find(&folder.join(published.file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::file;

    fn folder() -> PathBuf {
        file("../models/tests/fixtures/clap/transformers")
    }

    #[test]
    fn captions_become_vectors_in_order() {
        let captions = ClapCaptions::open(Training::Music, &folder(), &Device::flex()).unwrap();
        let texts = ["A soft piano melody over warm strings.", "", "rain"];
        let together = captions.embed(&texts).unwrap();
        assert_eq!(together.dim(), (3, 12));
        for (text, vector) in texts.iter().zip(together.rows()) {
            let alone = captions.embed(&[text]).unwrap();
            assert!((1.0 - alone.row(0).dot(&vector)).abs() < 1e-5, "{text:?}");
        }
        assert!(together.row(0).dot(&together.row(2)) < 0.9999);
        assert_eq!(captions.embed(&[]).unwrap().dim(), (0, 12));
    }

    #[test]
    fn a_missing_tokenizer_is_asked_for() {
        let weights = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(folder().join(name), weights.path().join(name)).unwrap();
        }
        let open = || ClapCaptions::open(Training::Music, weights.path(), &Device::flex()).err().unwrap().to_string();
        let message = open();
        assert!(message.contains("tokenizer.json") && message.contains("roberta-base"), "{message}");
        std::fs::write(weights.path().join("tokenizer.json"), "{}").unwrap();
        assert!(open().contains("tokenizer.json"));
    }
}
