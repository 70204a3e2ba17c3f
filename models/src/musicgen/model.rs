use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm};
use burn::tensor::{Device, Int, Tensor};

use super::filling::Filling;
use super::layer::{EPSILON, new_norm};
use super::memory::{LayerMemory, Memory, Past};
use super::positions::sinusoids;
use super::{Condition, DecoderLayer, MusicgenDecoderConfig, Projection};
use crate::ops::{Narrow, layer_norm};

/// The language model: the next token of every codebook.
#[derive(Module, Debug)]
pub struct MusicgenForCausalLm {
    /// All but the heads.
    pub model: MusicgenModel,
    /// A head for each codebook. The special token has no row in them.
    pub lm_heads: Vec<Projection>,
}

/// Only a name that checkpoints have.
#[derive(Module, Debug)]
pub struct MusicgenModel {
    /// What it names.
    pub decoder: MusicgenDecoder,
}

/// Embeddings and layers.
#[derive(Module, Debug)]
pub struct MusicgenDecoder {
    /// For each codebook a vector a token, that of the special one last.
    pub embed_tokens: Vec<Embedding>,
    /// One after the other.
    pub layers: Vec<DecoderLayer>,
    /// Normalises the output.
    pub layer_norm: LayerNorm,
}

impl MusicgenForCausalLm {
    pub(super) fn new(config: &MusicgenDecoderConfig, device: &Device) -> Self {
        let embedding = || EmbeddingConfig::new(config.vocab_size + 1, config.hidden_size).init(device);
        let head = || Projection::new([config.hidden_size, config.vocab_size], device);
        let decoder = MusicgenDecoder {
            embed_tokens: (0..config.num_codebooks).map(|_| embedding()).collect(),
            layers: (0..config.num_hidden_layers).map(|_| DecoderLayer::new(config, device)).collect(),
            layer_norm: new_norm(config, device),
        };
        Self { model: MusicgenModel { decoder }, lm_heads: (0..config.num_codebooks).map(|_| head()).collect() }
    }

    /// The same with the weights of its layers and heads in fewer bytes, for generation alone; embeddings and norms stay.
    /// Weights that it has not got yet are narrowed one after the other, as they are filled in. `None` changes nothing.
    #[must_use]
    pub fn narrowed(self, narrow: Option<Narrow>) -> Self {
        let Some(narrow) = narrow else { return self };
        let Self { model: MusicgenModel { decoder }, lm_heads } = self;
        let layers = decoder.layers.into_iter().map(|layer| layer.narrowed(narrow)).collect();
        let lm_heads = lm_heads.into_iter().map(|head| head.narrowed(narrow)).collect();
        Self { model: MusicgenModel { decoder: MusicgenDecoder { layers, ..decoder } }, lm_heads }
    }

    /// The scores of what follows every step of a sequence. `hidden` is added to the scores of the condition's tokens in
    /// every attention to them: −∞ hides those that only fill a batch, as transformers does; audiocraft hides none, and
    /// gives zeros for them.
    ///
    /// # Shapes
    ///
    /// codes `[batch, codebook, step]`, condition `[batch, token, width]`, `[batch, token]` →
    /// `[batch, codebook, step, token]`
    ///
    /// # Panics
    ///
    /// If there are other codebooks than the model's, or a code above the special one.
    pub fn forward(
        &self,
        codes: Tensor<3, Int>,
        condition: Option<Tensor<3>>,
        hidden: Option<&Tensor<2>>,
    ) -> Tensor<4> {
        let decoder = &self.model.decoder;
        let mut state = decoder.embed(codes, 0);
        for layer in &decoder.layers {
            state = layer.forward(state, condition.clone(), hidden);
        }
        self.scores(state)
    }

    /// What every layer attends to: the keys and values of encodings, computed once. Zeros stand for tokens that only fill the
    /// batch; `hidden` is added to the scores of tokens: −∞ hides one. transformers hides those that only fill the batch, so that an
    /// item is the same alone and in company; audiocraft hides none.
    ///
    /// # Shapes
    ///
    /// `[batch, token, width]`, `[batch, token]`
    ///
    /// # Panics
    ///
    /// After [`MusicgenForCausalLm::take_no_more_conditions`].
    pub fn condition(&self, states: &Tensor<3>, hidden: Option<Tensor<2>>) -> Condition {
        let layers = &self.model.decoder.layers;
        let layers = layers.iter().filter_map(|layer| layer.of_condition(states.clone())).collect();
        Condition { items: states.dims()[0], layers, hidden }
    }

    /// Lets go of the weights that only [`MusicgenForCausalLm::condition`] needs, an eighth of all: what comes is generated with the
    /// conditions that are there.
    pub fn take_no_more_conditions(&mut self) {
        let decoder = &mut self.model.decoder;
        let device = decoder.layer_norm.gamma.val().device();
        let attentions = decoder.layers.iter_mut().filter_map(|layer| layer.encoder_attn.as_mut());
        attentions.for_each(|attention| attention.take_no_more_conditions(&device));
    }

    /// An empty memory for sequences of up to `capacity` steps.
    pub fn memory(&self, batch: usize, capacity: usize, condition: Option<&Condition>) -> Memory {
        let decoder = &self.model.decoder;
        let [_, width] = decoder.embed_tokens[0].weight.dims();
        let device = decoder.layer_norm.gamma.val().device();
        let layer = |index: usize| LayerMemory {
            own: Past::new([batch, capacity, width], &device),
            condition: condition.and_then(|condition| condition.layers.get(index).cloned()),
        };
        Memory { layers: (0..decoder.layers.len()).map(layer).collect(), positions: 0, capacity, filling: None }
    }

    /// A memory that a prefix went through, with room for `capacity` steps behind it. The last tokens of an item, `filling` of
    /// them, only fill the batch: no step attends to them, and positions are counted as if they were not there.
    ///
    /// # Shapes
    ///
    /// prefix `[batch, token, width]`, filling `[batch]`
    pub fn memory_behind(&self, prefix: Tensor<3>, filling: &[usize], capacity: usize) -> Memory {
        let ([batch, tokens, _], device) = (prefix.dims(), prefix.device());
        let decoder = &self.model.decoder;
        let mut memory = self.memory(batch, tokens + capacity, None);
        self.advance(prefix + decoder.positions(0, tokens), &mut memory, None);
        memory.filling = Filling::new(filling, tokens, decoder.layers[0].self_attn.heads, &device);
        memory
    }

    /// The scores of what follows the last of some new steps, behind those that `memory` has seen.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, new step]`, `[batch, token]` → `[batch, codebook, token]`
    ///
    /// # Panics
    ///
    /// If there is no room for them in `memory`; otherwise as [`MusicgenForCausalLm::forward`].
    pub fn step(&self, codes: Tensor<3, Int>, memory: &mut Memory, hidden: Option<&Tensor<2>>) -> Tensor<3> {
        let [batch, codebooks, count] = codes.dims();
        assert!(count <= memory.room(), "{count} steps in a memory with room for {}", memory.room());
        let on_processor = codes.device() == Device::flex();
        let step = || {
            let decoder = &self.model.decoder;
            let positions = match &memory.filling {
                None => decoder.positions(memory.positions, count),
                Some(filling) => filling.positions(memory.positions, |start| decoder.positions(start, count)),
            };
            let state = self.advance(decoder.embed_at(codes, positions), memory, hidden);
            self.scores(state.narrow(1, count - 1, 1))
        };
        // Hundreds of short operations: from outside the pool, each of them would wake it anew.
        let scores = if on_processor { rayon::scope(|_| step()) } else { step() };
        let [.., tokens] = scores.dims();
        scores.reshape([batch, codebooks, tokens])
    }

    /// New positions through all layers, behind those that `memory` has seen.
    ///
    /// # Shapes
    ///
    /// `[batch, new position, width]`, `[batch, token]` → `[batch, new position, width]`
    fn advance(&self, mut state: Tensor<3>, memory: &mut Memory, hidden: Option<&Tensor<2>>) -> Tensor<3> {
        let [_, count, _] = state.dims();
        memory.positions += count;
        let filling = memory.filling.as_ref().map(|filling| filling.hidden(count, memory.positions));
        for (layer, memory) in self.model.decoder.layers.iter().zip(&mut memory.layers) {
            state = layer.step(state, memory, hidden, filling.as_ref());
        }
        state
    }

    /// # Shapes
    ///
    /// `[batch, step, width]` → `[batch, codebook, step, token]`
    fn scores(&self, state: Tensor<3>) -> Tensor<4> {
        let state = layer_norm(&self.model.decoder.layer_norm, EPSILON, state);
        let scores = self.lm_heads.iter().map(|head| head.forward(state.clone()).unsqueeze_dim::<4>(1));
        Tensor::cat(scores.collect(), 1)
    }
}

impl MusicgenDecoder {
    /// The sum of all codebooks' vectors, and that of the position, counted from `start`.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, step]` → `[batch, step, width]`
    pub fn embed(&self, codes: Tensor<3, Int>, start: usize) -> Tensor<3> {
        let positions = self.positions(start, codes.dims()[2]);
        self.embed_at(codes, positions)
    }

    /// The vectors of positions, counted from `start`.
    ///
    /// # Shapes
    ///
    /// `[1, count, width]`
    pub fn positions(&self, start: usize, count: usize) -> Tensor<3> {
        let table = self.embed_tokens[0].weight.val();
        sinusoids(start, count, table.dims()[1], &table.device())
    }

    /// [`MusicgenDecoder::embed`] with the vectors of any positions.
    ///
    /// # Shapes
    ///
    /// `[batch, codebook, step]`, `[1 or batch, step, width]` → `[batch, step, width]`
    fn embed_at(&self, codes: Tensor<3, Int>, positions: Tensor<3>) -> Tensor<3> {
        let [batch, codebooks, steps] = codes.dims();
        assert_eq!(codebooks, self.embed_tokens.len(), "codebooks of codes and model");
        let [.., width] = positions.dims();
        self.embed_tokens.iter().enumerate().fold(positions.expand([batch, steps, width]), |sum, (index, table)| {
            let of_codebook = codes.clone().narrow(1, index, 1).reshape([batch, steps]);
            sum + table.forward(of_codebook)
        })
    }
}
