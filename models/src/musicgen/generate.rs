use std::ops::ControlFlow;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{DelayPattern, Memory, MusicgenDecoderConfig, MusicgenForCausalLm, Sampling, guided};
use crate::random::Random;

/// What the music is to be like, in a form that a network is told in.
pub trait Conditioning {
    /// How many items it is of.
    fn items(&self) -> usize;

    /// What decoding begins with, with room for so many steps, and what is added to the scores of a condition's tokens.
    ///
    /// # Shapes
    ///
    /// `[item or twice so many, token]`
    fn begin(&self, network: &MusicgenForCausalLm, steps: usize, streams: Streams) -> (Memory, Option<Tensor<2>>);
}

/// Which of the streams of guidance go through the network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// The items with their condition.
    With,
    /// Without it.
    Without,
    /// The items twice, the second time without the condition.
    Both,
}

/// What every layer attends to beside the codes: a caption, as [`MusicgenForCausalLm::condition`] makes it.
#[derive(Clone, Debug)]
pub struct Condition {
    pub(super) items: usize,
    /// Keys and values for each layer, `[batch, token, width]`; none where the network attends to no condition.
    pub(super) layers: Vec<[Tensor<3>; 2]>,
    /// What is added to the scores of tokens, `[batch, token]`.
    pub(super) hidden: Option<Tensor<2>>,
}

impl Condition {
    /// The items twice, the second time without a condition: zeros as keys and values add nothing, hidden or not.
    fn beside_none(&self) -> Self {
        fn doubled<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
            Tensor::cat(vec![tensor.clone(), tensor.zeros_like()], 0)
        }
        let layers = self.layers.iter().map(|[keys, values]| [doubled(keys), doubled(values)]).collect();
        Self { items: 2 * self.items, layers, hidden: self.hidden.as_ref().map(doubled) }
    }
}

impl Conditioning for Condition {
    fn items(&self) -> usize {
        self.items
    }

    fn begin(&self, network: &MusicgenForCausalLm, steps: usize, streams: Streams) -> (Memory, Option<Tensor<2>>) {
        let condition = match streams {
            Streams::With => self.clone(),
            Streams::Without => return (network.memory(self.items, steps, None), None),
            Streams::Both => self.beside_none(),
        };
        (network.memory(condition.items, steps, Some(&condition)), condition.hidden)
    }
}

/// What is generated, and how.
#[derive(Clone, Copy, Debug)]
pub struct Generation<'a> {
    /// Frames of music, the prompt's included.
    pub frames: usize,
    /// Music to go on from: for each item, for each codebook, equally many codes.
    pub prompts: &'a [Vec<Vec<usize>>],
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How far to go beyond the unconditional scores; 1 for no guidance.
    pub guidance_scale: f32,
    /// The unconditional scores in a pass of their own, with the same results: audiocraft's `two_step_cfg`. The weights are read
    /// twice, and what is in memory between two operations is half as large.
    pub two_step_cfg: bool,
    /// One for each item, so that an item is the same in every batch.
    pub seeds: &'a [u64],
}

/// Why nothing can be generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerationError {
    /// There is not the same number of everything.
    #[error("{found} {what} for {items} items")]
    Items {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        items: usize,
    },
    /// A prompt has other codebooks than the model, or prompts differ in length.
    #[error("the prompt of item {item} has {found:?} codes by codebook; expected {codebooks} codebooks of {frames}")]
    Prompt {
        /// Which.
        item: usize,
        /// Its codes in each codebook.
        found: Vec<usize>,
        /// Those of the model.
        codebooks: usize,
        /// The codes of the first prompt.
        frames: usize,
    },
    /// A prompt has a code that the model has not.
    #[error("the prompt of item {item} has the code {found}; the model's go to {most}")]
    Code {
        /// Which.
        item: usize,
        /// The code.
        found: usize,
        /// The last of the model's codes.
        most: usize,
    },
    /// A prompt is longer than what is wanted.
    #[error("a prompt of {prompt} frames, where {frames} are to be made in all")]
    Long {
        /// Its frames.
        prompt: usize,
        /// All frames.
        frames: usize,
    },
    /// The model gives no numbers: its weights are broken, or too large for their precision.
    #[error("scores of frame {frame} that are not numbers")]
    NotFinite {
        /// The first such frame.
        frame: usize,
    },
}

/// Generates frames one step after another, as `MusicGen.generate` of audiocraft does. `on_frame` is told of each frame that is
/// complete, and may end it there; the frames so far are given back then.
///
/// # Shapes
///
/// codes `[item][codebook][frame]`
///
/// # Errors
///
/// See [`GenerationError`].
pub fn generate(
    network: &MusicgenForCausalLm,
    config: &MusicgenDecoderConfig,
    condition: Option<&dyn Conditioning>,
    generation: &Generation,
    mut on_frame: impl FnMut(usize, &[Vec<Vec<usize>>]) -> ControlFlow<()>,
) -> Result<Vec<Vec<Vec<usize>>>, GenerationError> {
    let Generation { frames, prompts, sampling, seeds, .. } = *generation;
    let known = check(generation, config, condition)?;
    if seeds.is_empty() {
        return Ok(Vec::new());
    }
    let pattern = config.delay_pattern();
    // Zeros stand for codes that are not made yet; no step reads them before.
    let mut codes = prompts.to_vec();
    codes.iter_mut().flatten().for_each(|codes| codes.resize(frames, 0));
    let mut decoding = Decoding::new(network, condition, generation, pattern.steps(frames));
    let mut seen = 0;
    for step in known + 1..pattern.steps(frames) {
        let scores = decoding.step(&pattern, &codes, seen..step, config.special());
        seen = step;
        for (item, (codes, scores)) in codes.iter_mut().zip(&scores).enumerate() {
            let mut random = Random::new(seeds[item], "musicgen token", step as u64);
            for (codebook, scores) in scores.chunks_exact(config.vocab_size).enumerate() {
                let Some(frame) = pattern.frame(codebook, step, frames) else { continue };
                if frame < known {
                    continue;
                }
                if scores.iter().any(|score| !score.is_finite()) {
                    return Err(GenerationError::NotFinite { frame });
                }
                codes[codebook][frame] = sampling.draw(scores, &mut random);
            }
        }
        if let Some(frame) = step.checked_sub(pattern.complete(0)).filter(|frame| *frame >= known)
            && on_frame(frame, &codes).is_break()
        {
            codes.iter_mut().flatten().for_each(|codes| codes.truncate(frame + 1));
            break;
        }
    }
    Ok(codes)
}

/// Checks what was asked for; gives the frames of the prompts.
fn check(
    generation: &Generation,
    config: &MusicgenDecoderConfig,
    condition: Option<&dyn Conditioning>,
) -> Result<usize, GenerationError> {
    let (items, frames) = (generation.seeds.len(), generation.frames);
    let conditions = condition.map_or(items, Conditioning::items);
    for (what, found) in [("prompts", generation.prompts.len()), ("conditions", conditions)] {
        if found != items {
            return Err(GenerationError::Items { what, found, items });
        }
    }
    let known = generation.prompts.first().and_then(|prompt| prompt.first()).map_or(0, Vec::len);
    for (item, prompt) in generation.prompts.iter().enumerate() {
        let found: Vec<usize> = prompt.iter().map(Vec::len).collect();
        if found != vec![known; config.num_codebooks] {
            return Err(GenerationError::Prompt { item, found, codebooks: config.num_codebooks, frames: known });
        }
        if let Some(&found) = prompt.iter().flatten().find(|code| **code >= config.vocab_size) {
            return Err(GenerationError::Code { item, found, most: config.vocab_size - 1 });
        }
    }
    if known > frames { Err(GenerationError::Long { prompt: known, frames }) } else { Ok(known) }
}

/// The network and what it remembers.
struct Decoding<'a> {
    network: &'a MusicgenForCausalLm,
    passes: Vec<Pass>,
    /// Where there is guidance.
    scale: Option<f32>,
    device: Device,
}

/// What goes through the network together.
struct Pass {
    memory: Memory,
    hidden: Option<Tensor<2>>,
    /// How often it has every item.
    times: usize,
}

impl<'a> Decoding<'a> {
    fn new(
        network: &'a MusicgenForCausalLm,
        condition: Option<&dyn Conditioning>,
        generation: &Generation,
        steps: usize,
    ) -> Self {
        let &Generation { guidance_scale, two_step_cfg, seeds, .. } = generation;
        let device = network.model.decoder.layer_norm.gamma.val().device();
        let scale = condition.and(Some(guidance_scale)).filter(|scale| (scale - 1.0).abs() > 0.0);
        let streams: &[Streams] = match (scale, two_step_cfg) {
            (None, _) => &[Streams::With],
            (Some(_), true) => &[Streams::With, Streams::Without],
            (Some(_), false) => &[Streams::Both],
        };
        let pass = |streams: &Streams| {
            let (memory, hidden) = match condition {
                Some(condition) => condition.begin(network, steps, *streams),
                None => (network.memory(seeds.len(), steps, None), None),
            };
            Pass { memory, hidden, times: if *streams == Streams::Both { 2 } else { 1 } }
        };
        Self { network, passes: streams.iter().map(pass).collect(), scale, device }
    }

    /// The scores of the step after `steps`, for each item `[codebook · token]`.
    fn step(
        &mut self,
        pattern: &DelayPattern,
        codes: &[Vec<Vec<usize>>],
        steps: std::ops::Range<usize>,
        special: usize,
    ) -> Vec<Vec<f32>> {
        let count = steps.len();
        let of_item = |codes: &Vec<Vec<usize>>| {
            let by_step: Vec<_> = steps.clone().map(|step| pattern.step(codes, step, special)).collect();
            (0..pattern.codebooks())
                .flat_map(|book| by_step.iter().map(|step| step[book] as i32).collect::<Vec<_>>())
                .collect()
        };
        let input: Vec<i32> = codes.iter().flat_map(|codes| -> Vec<i32> { of_item(codes) }).collect();
        let mut values: Vec<f32> = Vec::new();
        for Pass { memory, hidden, times } in &mut self.passes {
            let shape = [*times * codes.len(), pattern.codebooks(), count];
            let input = Tensor::<3, Int>::from_data(TensorData::new(input.repeat(*times), shape), &self.device);
            let scores = self.network.step(input, memory, hidden.as_ref());
            values.extend(scores.into_data().convert::<f32>().iter::<f32>());
        }
        let streams: usize = self.passes.iter().map(|pass| pass.times).sum();
        let length = values.len() / (streams * codes.len());
        let (with, without) = values.split_at(codes.len() * length);
        let with = with.chunks_exact(length);
        match self.scale {
            None => with.map(<[f32]>::to_vec).collect(),
            Some(scale) => with.zip(without.chunks_exact(length)).map(|(a, b)| guided(a, b, scale)).collect(),
        }
    }
}
