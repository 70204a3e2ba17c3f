use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::checkpoint::{Opened, tower};
use super::layer::Encoder;
use super::{ClipConfig, ClipTextConfig};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::network::NetworkError;
use crate::ops::{layer_norm, linear};

/// What fills a text up, as `OpenAI`'s tokenizer does. No token sees what is behind it, so that it makes no difference.
const PAD: u32 = 0;

/// The text transformer and its way to the common space.
#[derive(Module, Debug)]
pub struct ClipText {
    /// The transformer.
    pub text_model: TextTransformer,
    /// To the common space.
    pub text_projection: Linear,
}

/// A transformer whose tokens see those before them.
#[derive(Module, Debug)]
pub struct TextTransformer {
    /// Of each token.
    pub embeddings: TextEmbeddings,
    /// The layers.
    pub encoder: Encoder,
    /// Normalises the last tokens.
    pub final_layer_norm: LayerNorm,
    /// Added to the variances.
    pub epsilon: f64,
    /// The id of a text's end; of the older configurations' 2, the largest id stands there.
    pub eos_token_id: u32,
}

/// The sum of two embeddings of each token.
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    /// Of its id.
    pub token_embedding: Embedding,
    /// Of its position.
    pub position_embedding: Embedding,
}

impl ClipText {
    /// As [`ClipVision::open`](super::ClipVision::open), the other half.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(path: &Path, device: &Device) -> Result<(ClipTextConfig, Self), NetworkError> {
        let opened = Opened::new(path)?;
        opened.check(|config| config.validate_common().and_then(|()| config.text_config.validate()))?;
        let network = Self::load(&opened.config, &opened.weights, device)?;
        Ok((opened.config.text_config, network))
    }

    pub(super) fn load(config: &ClipConfig, weights: &Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        checkpoint::load(Self::new(config, device), &tower(weights, ["text_model.", "text_projection."])?)
    }

    /// The network of a valid configuration without values.
    pub fn new(config: &ClipConfig, device: &Device) -> Self {
        let text = &config.text_config;
        let (width, epsilon) = (text.hidden_size, text.layer_norm_eps);
        let table = |rows| EmbeddingConfig::new(rows, width).init(device);
        Self {
            text_model: TextTransformer {
                embeddings: TextEmbeddings {
                    token_embedding: table(text.vocab_size),
                    position_embedding: table(text.max_position_embeddings),
                },
                encoder: Encoder::new(text.encoder(), device),
                final_layer_norm: LayerNormConfig::new(width).with_epsilon(epsilon).init(device),
                epsilon,
                eos_token_id: text.eos_token_id,
            },
            text_projection: LinearConfig::new(width, config.projection_dim).with_bias(false).init(device),
        }
    }

    /// A vector of each text, of any length. A text is the ids of its tokens, among them that of its end.
    ///
    /// # Shapes
    ///
    /// `[text, dim]`
    ///
    /// # Panics
    ///
    /// If there are no texts, one has no end or is longer than [`ClipTextConfig::max_position_embeddings`], or an id is not
    /// below the vocabulary's size.
    pub fn forward(&self, texts: &[Vec<u32>]) -> Tensor<2> {
        let tokens = self.text_model.encoder.forward(self.text_model.embed(texts));
        linear(&self.text_projection, self.text_model.pooled(tokens, texts))
    }
}

impl TextTransformer {
    /// What goes into the first layer. All texts are filled up to the length that the network has, so that none depends on
    /// how long others are.
    ///
    /// # Shapes
    ///
    /// `[text, token, width]`
    ///
    /// # Panics
    ///
    /// As [`ClipText::forward`].
    pub fn embed(&self, texts: &[Vec<u32>]) -> Tensor<3> {
        let TextEmbeddings { token_embedding, position_embedding } = &self.embeddings;
        let positions = position_embedding.weight.val();
        let [length, _] = positions.dims();
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        assert!(longest <= length, "a text of {longest} tokens for {length} positions");
        let filled = texts.iter().flat_map(|text| text.iter().copied().chain(vec![PAD; length - text.len()]));
        let ids: Vec<i32> = filled.map(|id| id as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [texts.len(), length]), &positions.device());
        token_embedding.forward(ids) + positions.unsqueeze_dim::<3>(0)
    }

    /// What the last layer makes of the texts' ends, normalised.
    ///
    /// # Shapes
    ///
    /// `[text, token, width]` → `[text, width]`
    ///
    /// # Panics
    ///
    /// As [`ClipText::forward`].
    pub fn pooled(&self, tokens: Tensor<3>, texts: &[Vec<u32>]) -> Tensor<2> {
        let [count, length, width] = tokens.dims();
        let places = texts.iter().enumerate().map(|(index, text)| (index * length + self.end(text)) as i32);
        let places = Tensor::<1, Int>::from_data(TensorData::new(places.collect(), [count]), &tokens.device());
        let ends = tokens.reshape([count * length, width]).select(0, places);
        layer_norm(&self.final_layer_norm, self.epsilon, ends)
    }

    /// Where a text ends: the first of the ends, or of the largest ids.
    fn end(&self, text: &[u32]) -> usize {
        let end = if self.eos_token_id == ClipTextConfig::LARGEST {
            text.iter().max().copied()
        } else {
            Some(self.eos_token_id)
        };
        let place = text.iter().position(|id| Some(*id) == end);
        place.expect("a text with an end")
    }
}
