use std::ops::ControlFlow;

use nocturne_models::musicgen::{Generation, GenerationError, generate};

use super::Job;
use super::model::Captions;

/// What is made together.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub job: &'a Job<'a>,
    pub captions: &'a Captions,
    /// One for each item.
    pub seeds: &'a [u64],
    /// What every item begins with, `[codebook][frame]`: less than a window, and less than what is wanted.
    pub beginning: &'a [Vec<usize>],
}

/// Codes of any length, `[item][codebook][frame]`: what is longer than the models were trained on is made in windows, each of
/// which goes on from the end of the one before it, as `MusicGen._generate_tokens` of audiocraft does. `on_frame` is given each
/// new frame, of all items in turn `[item · codebook]`, and may end it there.
pub(super) fn in_windows(
    batch: &Batch,
    mut on_frame: impl FnMut(usize, Vec<usize>) -> ControlFlow<()>,
) -> Result<Vec<Vec<Vec<usize>>>, GenerationError> {
    let Batch { job, captions, seeds, beginning } = *batch;
    let Job { model, settings, .. } = job;
    let (wanted, window) = (model.frames(settings.duration), model.frames(model.window));
    let stride = model.frames(settings.extend_stride).min(window.saturating_sub(1)).max(1);
    let mut all = vec![beginning.to_vec(); seeds.len()];
    let mut start = 0;
    loop {
        let prompts: Vec<Vec<Vec<usize>>> =
            all.iter().map(|item| item.iter().map(|codes| codes[start..].to_vec()).collect()).collect();
        let known = prompts.first().and_then(|prompt| prompt.first()).map_or(0, Vec::len);
        // Windows draw from streams of their own.
        let own: Vec<u64> = seeds.iter().map(|seed| seed.wrapping_add((start as u64) << 32)).collect();
        let generation = Generation {
            frames: window.min(wanted - start),
            prompts: &prompts,
            sampling: settings.tokens(),
            guidance_scale: settings.guidance_scale as f32,
            two_step_cfg: settings.two_step_cfg,
            seeds: &own,
        };
        let mut ended = false;
        let (decoder, config, condition) =
            (&model.network.decoder, &model.config.decoder, job.condition(captions, start));
        let made = generate(decoder, config, Some(&*condition), &generation, |frame, codes| {
            let of_all = codes.iter().flatten().map(|codes| codes[frame]).collect();
            let flow = on_frame(start + frame, of_all);
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
