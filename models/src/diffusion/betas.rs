//! β over the timesteps, each value as diffusers computes it in 32 bits.

use std::f64::consts::FRAC_PI_2;

use super::{BetaSchedule, SchedulerConfig};

/// The largest β of the squared cosine, whose last would be 1.
const MAX_BETA: f64 = 0.999;

/// β of every timestep, in rising order of noise. `config` must be valid.
pub(super) fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let &SchedulerConfig { beta_start: start, beta_end: end, num_train_timesteps: count, .. } = config;
    let betas = if let Some(betas) = &config.trained_betas {
        betas.iter().map(|beta| *beta as f32).collect()
    } else {
        match config.beta_schedule {
            BetaSchedule::Linear => linspace(start, end, count),
            BetaSchedule::ScaledLinear => {
                linspace(start.sqrt(), end.sqrt(), count).into_iter().map(|root| root * root).collect()
            }
            BetaSchedule::SquaredCos => squared_cosine(count),
            BetaSchedule::Sigmoid => linspace(-6.0, 6.0, count)
                .into_iter()
                .map(|x| sigmoid(x) * ((end - start) as f32) + start as f32)
                .collect(),
        }
    };
    if config.rescale_betas_zero_snr { rescale_zero_terminal_snr(&betas) } else { betas }
}

/// ᾱ of every timestep: the running product of 1−β, kept in 64 bits and rounded at each timestep (`torch.cumprod`).
pub(super) fn alphas_cumprod(betas: &[f32]) -> Vec<f32> {
    betas
        .iter()
        .scan(1.0_f64, |product, beta| {
            *product *= f64::from(1.0 - beta);
            Some(*product as f32)
        })
        .collect()
}

/// Shifts and scales √ᾱ so that the last is 0 and the first stays (Lin et al., arXiv 2305.08891, algorithm 1).
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas_cumprod(betas).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let scale = first / (first - last);
    let alphas_bar: Vec<f32> = roots.into_iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let ratios = alphas_bar.windows(2).map(|pair| pair[1] / pair[0]);
    alphas_bar.first().copied().into_iter().chain(ratios).map(|alpha| 1.0 - alpha).collect()
}

/// `torch.linspace` in 32 bits, which counts from both ends towards the middle with one rounding a value.
fn linspace(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    if count == 1 {
        return vec![start];
    }
    let step = (end - start) / (count - 1) as f32;
    let at = |index: usize| {
        if index < count / 2 {
            step.mul_add(index as f32, start)
        } else {
            (-step).mul_add((count - 1 - index) as f32, end)
        }
    };
    (0..count).map(at).collect()
}

fn squared_cosine(count: usize) -> Vec<f32> {
    let alpha_bar = |index: usize| {
        let time = index as f64 / count as f64;
        libm::cos((time + 0.008) / 1.008 * FRAC_PI_2).powi(2)
    };
    (0..count).map(|index| (1.0 - alpha_bar(index + 1) / alpha_bar(index)).min(MAX_BETA) as f32).collect()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::exp(f64::from(-x)) as f32)
}
