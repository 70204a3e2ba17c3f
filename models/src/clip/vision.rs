use std::path::Path;

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::checkpoint::{Opened, tower};
use super::layer::Encoder;
use super::{ClipConfig, ClipVisionConfig};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::network::NetworkError;
use crate::ops::{conv2d, layer_norm, linear};

/// The vision transformer and its way to the common space.
#[derive(Module, Debug)]
pub struct ClipVision {
    /// The transformer.
    pub vision_model: VisionTransformer,
    /// To the common space.
    pub visual_projection: Linear,
}

/// A transformer over the patches of a picture (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021).
#[derive(Module, Debug)]
pub struct VisionTransformer {
    /// Of each patch.
    pub embeddings: VisionEmbeddings,
    /// Normalises the embeddings; published with this name.
    pub pre_layrnorm: LayerNorm,
    /// The layers.
    pub encoder: Encoder,
    /// Normalises the first token.
    pub post_layernorm: LayerNorm,
    /// Added to the variances.
    pub epsilon: f64,
}

/// The tokens of a picture: one for the whole of it, one for each patch.
#[derive(Module, Debug)]
pub struct VisionEmbeddings {
    /// The token of the whole, `[width]`.
    pub class_embedding: Param<Tensor<1>>,
    /// Of each patch alone.
    pub patch_embedding: Conv2d,
    /// Of their positions.
    pub position_embedding: Embedding,
}

impl ClipVision {
    /// From a folder with a `config.json` of transformers' `CLIPModel` or `CLIPVisionModelWithProjection`, or from a file with
    /// `OpenAI`'s names, which may be a part of a larger checkpoint. Such a file tells the sizes by its tensors; heads are then as
    /// wide, and the GELU is the one, of the networks that `OpenAI` published. Others are to be opened with a `config.json`. The
    /// text transformer is not read.
    ///
    /// # Errors
    ///
    /// Names the file, and in it the field or tensor, that is missing or not as it should be.
    pub fn open(path: &Path, device: &Device) -> Result<(ClipVisionConfig, Self), NetworkError> {
        let opened = Opened::new(path)?;
        opened.check(|config| config.validate_common().and_then(|()| config.vision_config.validate()))?;
        let network = Self::load(&opened.config, &opened.weights, device)?;
        Ok((opened.config.vision_config, network))
    }

    pub(super) fn load(config: &ClipConfig, weights: &Checkpoint, device: &Device) -> Result<Self, CheckpointError> {
        checkpoint::load(Self::new(config, device), &tower(weights, ["vision_model.", "visual_projection."])?)
    }

    /// The network of a valid configuration without values.
    pub fn new(config: &ClipConfig, device: &Device) -> Self {
        let vision = &config.vision_config;
        let (width, side, epsilon) = (vision.hidden_size, vision.patch_size, vision.layer_norm_eps);
        let norm = || LayerNormConfig::new(width).with_epsilon(epsilon).init(device);
        let patches = Conv2dConfig::new([vision.num_channels, width], [side; 2]).with_stride([side; 2]);
        Self {
            vision_model: VisionTransformer {
                embeddings: VisionEmbeddings {
                    class_embedding: Initializer::Zeros.init([width], device),
                    patch_embedding: patches.with_bias(false).init(device),
                    position_embedding: EmbeddingConfig::new(vision.tokens(), width).init(device),
                },
                pre_layrnorm: norm(),
                encoder: Encoder::new(vision.encoder(), device),
                post_layernorm: norm(),
                epsilon,
            },
            visual_projection: LinearConfig::new(width, config.projection_dim).with_bias(false).init(device),
        }
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.visual_projection.weight.dims()[1]
    }

    /// A vector of each picture, of any length. Pictures are as [`prepare`](super::prepare) makes them.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, side, side]` → `[batch, dim]`
    ///
    /// # Panics
    ///
    /// As [`VisionTransformer::forward`].
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        linear(&self.visual_projection, self.vision_model.forward(pictures))
    }
}

impl VisionTransformer {
    /// What the last layer makes of the whole picture, normalised.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, side, side]` → `[batch, width]`
    ///
    /// # Panics
    ///
    /// If the pictures are not of the side that the network has, or there are none.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        self.pooled(self.encoder.forward(self.embed(pictures)))
    }

    /// What goes into the first layer.
    ///
    /// # Shapes
    ///
    /// `[batch, 3, side, side]` → `[batch, token, width]`
    ///
    /// # Panics
    ///
    /// As [`VisionTransformer::forward`].
    pub fn embed(&self, pictures: Tensor<4>) -> Tensor<3> {
        layer_norm(&self.pre_layrnorm, self.epsilon, self.embeddings.forward(pictures))
    }

    /// # Shapes
    ///
    /// `[batch, token, width]` → `[batch, width]`
    pub fn pooled(&self, tokens: Tensor<3>) -> Tensor<2> {
        layer_norm(&self.post_layernorm, self.epsilon, tokens.narrow(1, 0, 1).squeeze_dim::<2>(1))
    }
}

impl VisionEmbeddings {
    /// # Shapes
    ///
    /// `[batch, 3, side, side]` → `[batch, token, width]`, the whole first, then row after row
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<3> {
        let patches = conv2d(&self.patch_embedding, pictures);
        let [batch, width, height, across] = patches.dims();
        let patches = patches.reshape([batch, width, height * across]).swap_dims(1, 2);
        let whole = self.class_embedding.val().reshape([1, 1, width]).expand([batch, 1, width]);
        Tensor::cat(vec![whole, patches], 1) + self.position_embedding.weight.val().unsqueeze_dim::<3>(0)
    }
}
