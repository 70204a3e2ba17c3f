use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{ClapTextConfig, Embeddings, Layer};
use crate::checkpoint;
use crate::clap::ClapConfig;
use crate::clap::checkpoint::{described, open_text};
use crate::clap::projection::{projected, projection};
use crate::network::NetworkError;
use crate::ops::linear;

/// The id of what fills a batch up, and with it the position before the first.
const PAD: i32 = 1;

/// The text branch and its way to the common space.
#[derive(Module, Debug)]
pub struct ClapText {
    /// The encoder.
    pub text_branch: Roberta,
    /// To the common space.
    pub text_projection: (Linear, Relu, Linear),
}

/// The encoder of texts.
#[derive(Module, Debug)]
pub struct Roberta {
    /// Of each token.
    pub embeddings: Embeddings,
    /// What follows them.
    pub encoder: Encoder,
    /// Of the first token.
    pub pooler: Pooler,
}

/// The layers of the encoder.
#[derive(Module, Debug)]
pub struct Encoder {
    /// One after the other.
    pub layer: Vec<Layer>,
}

/// What the encoding of a text's first token becomes.
#[derive(Module, Debug)]
pub struct Pooler {
    /// Before a hyperbolic tangent.
    pub dense: Linear,
}

impl ClapText {
    /// As [`ClapAudio::open`](crate::clap::ClapAudio::open), the other half.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(path: &Path, device: &Device) -> Result<(ClapTextConfig, Self), NetworkError> {
        let weights = open_text(path)?;
        let (file, described) = described(path)?;
        let config = described.unwrap_or_else(|| {
            let inner = weights.shape("text_projection.0.weight").and_then(<[usize]>::first).copied();
            let published = ClapConfig::default();
            ClapConfig {
                text_config: ClapTextConfig::of(&weights),
                projection_dim: inner.unwrap_or(published.projection_dim),
                ..published
            }
        });
        let validated = config.validate_common().and_then(|()| config.text_config.validate());
        validated.map_err(|source| NetworkError::Config { file, source })?;
        let network = checkpoint::load(Self::new(&config, device), &weights)?;
        Ok((config.text_config, network))
    }

    /// The network of a valid configuration without values.
    pub fn new(config: &ClapConfig, device: &Device) -> Self {
        let text = &config.text_config;
        Self {
            text_branch: Roberta {
                embeddings: Embeddings::new(text, device),
                encoder: Encoder { layer: (0..text.num_hidden_layers).map(|_| Layer::new(text, device)).collect() },
                pooler: Pooler { dense: LinearConfig::new(text.hidden_size, text.hidden_size).init(device) },
            },
            text_projection: projection(text.hidden_size, config.projection_dim, device),
        }
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.text_projection.2.weight.dims()[1]
    }

    /// Vectors of length 1 of texts, each the ids of its tokens with `<s>` first.
    ///
    /// # Shapes
    ///
    /// `[text, dim]`
    ///
    /// # Panics
    ///
    /// If there are no texts, one is empty or longer than [`ClapTextConfig::max_length`], or an id is not below the
    /// vocabulary's size.
    pub fn forward(&self, texts: &[Vec<u32>]) -> Tensor<2> {
        let states = self.text_branch.states(texts);
        projected(&self.text_projection, self.text_branch.pooled(states.last().expect("the embeddings").clone()))
    }
}

impl Roberta {
    /// The embeddings of texts that are filled up to the longest, and what each layer makes of them. What they are where
    /// a text is filled up means nothing.
    ///
    /// # Shapes
    ///
    /// each `[text, token, width]`
    ///
    /// # Panics
    ///
    /// As [`ClapText::forward`].
    pub fn states(&self, texts: &[Vec<u32>]) -> Vec<Tensor<3>> {
        let device = self.pooler.dense.weight.val().device();
        let (count, longest) = (texts.len(), texts.iter().map(Vec::len).max().unwrap_or(0));
        assert!(texts.iter().all(|text| !text.is_empty()), "a text without tokens");
        let filled = |value: &dyn Fn(usize, u32) -> i32| {
            let values: Vec<i32> = (texts.iter())
                .flat_map(|text| {
                    let of_text = text.iter().enumerate().map(|(place, id)| value(place, *id));
                    of_text.chain(std::iter::repeat_n(PAD, longest - text.len()))
                })
                .collect();
            Tensor::<2, Int>::from_data(TensorData::new(values, [count, longest]), &device)
        };
        let ids = filled(&|_, id| id as i32);
        let positions = filled(&|place, _| place as i32 + 1 + PAD);
        let mut states = vec![self.embeddings.forward(ids, positions)];
        let bias = bias(texts, longest, &device);
        for layer in &self.encoder.layer {
            states.push(layer.forward(states[states.len() - 1].clone(), bias.clone()));
        }
        states
    }

    /// # Shapes
    ///
    /// `[text, token, width]` → `[text, width]`
    pub fn pooled(&self, state: Tensor<3>) -> Tensor<2> {
        linear(&self.pooler.dense, state.narrow(1, 0, 1).squeeze_dim::<2>(1)).tanh()
    }
}

/// −∞ for the tokens that only fill a text up; none where nothing is filled up.
///
/// # Shapes
///
/// `[text, 1, query, key]`
fn bias(texts: &[Vec<u32>], longest: usize, device: &Device) -> Option<Tensor<4>> {
    if texts.iter().all(|text| text.len() == longest) {
        return None;
    }
    let score = |key: usize, text: &Vec<u32>| if key < text.len() { 0.0 } else { f32::NEG_INFINITY };
    let rows: Vec<f32> = texts.iter().flat_map(|text| (0..longest).map(move |key| score(key, text))).collect();
    let rows = Tensor::<4>::from_data(TensorData::new(rows, [texts.len(), 1, 1, longest]), device);
    Some(rows.expand([texts.len(), 1, longest, longest]))
}
