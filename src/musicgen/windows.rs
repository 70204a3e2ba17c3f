use std::ops::ControlFlow;

use nocturne_models::musicgen::{Conditioning, Generation, GenerationError, generate};

use super::{Model, MusicgenSampling};

/// Codes of any length, `[item][codebook][frame]`: what is longer than the models were trained on is made in windows, each of
/// which goes on from the end of the one before it, as `MusicGen._generate_tokens` of audiocraft does. `condition` gives what a
/// window that begins at a frame is to be like. `on_frame` is told of each new frame, and may end it there.
pub(super) fn in_windows(
    model: &Model,
    condition: impl Fn(usize) -> Box<dyn Conditioning>,
    settings: &MusicgenSampling,
    seeds: &[u64],
    mut on_frame: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<Vec<usize>>>, GenerationError> {
    let (wanted, window) = (model.frames(settings.duration), model.frames(model.window));
    let stride = model.frames(settings.extend_stride).min(window.saturating_sub(1)).max(1);
    let books = model.config.decoder.num_codebooks;
    let mut all = vec![vec![Vec::with_capacity(wanted); books]; seeds.len()];
    let mut start = 0;
    loop {
        let prompts: Vec<Vec<Vec<usize>>> = all
            .iter()
            .map(|item: &Vec<Vec<usize>>| item.iter().map(|codes| codes[start..].to_vec()).collect())
            .collect();
        let known = prompts.first().and_then(|prompt| prompt.first()).map_or(0, Vec::len);
        // Windows draw from streams of their own.
        let own: Vec<u64> = seeds.iter().map(|seed| seed.wrapping_add((start as u64) << 32)).collect();
        let generation = Generation {
            frames: window.min(wanted - start),
            prompts: &prompts,
            sampling: settings.tokens(),
            guidance_scale: settings.guidance_scale as f32,
            seeds: &own,
        };
        let mut ended = false;
        let condition = condition(start);
        let made =
            generate(&model.network.decoder, &model.config.decoder, Some(&*condition), &generation, |frame, _| {
                let flow = on_frame(start + frame);
                ended |= flow.is_break();
                flow
            })?;
        for (all, made) in all.iter_mut().flatten().zip(made.iter().flatten()) {
            all.extend_from_slice(&made[known..]);
        }
        let done = all.first().and_then(|item| item.first()).map_or(wanted, Vec::len);
        if ended || done >= wanted {
            return Ok(all);
        }
        start += stride;
    }
}
