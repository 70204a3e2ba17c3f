//! The steps of each sampler: which noise levels it visits, and what the network is told there.

use super::error::invalid;
use super::sigmas::{Sigmas, karras};
use super::timesteps::{multistep_timesteps, real_timesteps, timesteps};
use super::{
    BetaSchedule, DiffusionError, FinalSigmas, NoiseLevel, NoiseSchedule, PredictionType, SamplerKind, SchedulerConfig,
};

/// How far below 1 diffusers' `UniPC` keeps the first σ of rectified flow, whose λ would be infinite.
const BELOW_ONE: f64 = 1e-6;

/// One step of a sampler: from one noise level to the next lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What the network is told.
    pub timestep: f32,
    /// The level of the state before the step.
    pub level: NoiseLevel,
    /// The level of the state after the step.
    pub next: NoiseLevel,
}

/// The steps of a sampler, as diffusers' scheduler of that kind takes them. Refuses a sampler that does not go with the
/// schedule.
pub(super) fn steps(
    config: &SchedulerConfig,
    schedule: &NoiseSchedule,
    kind: SamplerKind,
    steps: usize,
) -> Result<Vec<Step>, DiffusionError> {
    let Some(alphas_cumprod) = schedule.alphas_cumprod() else { return flow_steps(config, kind, steps) };
    let planned = match kind {
        SamplerKind::Ddpm | SamplerKind::Ddim { .. } => ancestral_steps(config, alphas_cumprod, kind, steps)?,
        SamplerKind::FlowEuler => {
            return Err(invalid(
                "scheduler",
                "flow-euler, and the network predicts no flow",
                "ddpm, ddim, euler, heun, dpm++, dpm++sde or unipc",
            ));
        }
        _ => sigma_steps(config, &Sigmas::new(alphas_cumprod), kind, steps)?,
    };
    let silent = alphas_cumprod.last() == Some(&0.0);
    let last = (alphas_cumprod.len() - 1) as f32;
    if silent && config.prediction_type == PredictionType::Epsilon && planned[0].timestep > last - 1.0 {
        return Err(invalid(
            "prediction_type",
            "epsilon at a timestep without signal, where noise says nothing of the sample",
            "v_prediction or sample with this schedule and `timestep_spacing`",
        ));
    }
    Ok(planned)
}

/// DDPM steps from each timestep of the list to the next. DDIM steps down by `num_train_timesteps / steps`, whatever the
/// next timestep is: the two differ under `linspace`, and under `trailing` when `steps` does not divide.
fn ancestral_steps(
    config: &SchedulerConfig,
    alphas_cumprod: &[f32],
    kind: SamplerKind,
    steps: usize,
) -> Result<Vec<Step>, DiffusionError> {
    let timesteps = timesteps(config, steps)?;
    let stride = config.num_train_timesteps / steps;
    let level = |timestep: usize| NoiseLevel::from_alpha_bar(alphas_cumprod[timestep]);
    let last = match kind {
        SamplerKind::Ddim { .. } if !config.set_alpha_to_one => level(0),
        _ => NoiseLevel::CLEAN,
    };
    let step = |(index, timestep): (usize, &usize)| {
        let next = match kind {
            SamplerKind::Ddim { .. } => timestep.checked_sub(stride),
            _ => timesteps.get(index + 1).copied(),
        };
        Step { timestep: *timestep as f32, level: level(*timestep), next: next.map_or(last, level) }
    };
    Ok(timesteps.iter().enumerate().map(step).collect())
}

/// The samplers that step through a list of σ.
fn sigma_steps(
    config: &SchedulerConfig,
    sigmas: &Sigmas,
    kind: SamplerKind,
    steps: usize,
) -> Result<Vec<Step>, DiffusionError> {
    let count = config.num_train_timesteps;
    let euler = matches!(kind, SamplerKind::Euler | SamplerKind::Heun);
    let mut timesteps = match (kind, config.lambda_min_clipped) {
        _ if euler => real_timesteps(config, steps)?,
        (SamplerKind::DpmSolver { .. }, Some(lambda)) => {
            whole(multistep_timesteps(config, count - sigmas.below_lambda(lambda), steps)?)
        }
        _ => whole(multistep_timesteps(config, count, steps)?),
    };
    let mut values: Vec<f64> = timesteps.iter().map(|timestep| sigmas.at(f64::from(*timestep))).collect();
    if config.use_karras_sigmas {
        // Euler and Heun keep the ends of their spacing, the others take those of the whole schedule.
        let (most, least) = if euler {
            (values[0], values[values.len() - 1])
        } else {
            (f64::from(sigmas.most()), f64::from(sigmas.least()))
        };
        values = karras(most, least, steps);
        let truncates =
            matches!(kind, SamplerKind::DpmSolver { .. }) && config.beta_schedule == BetaSchedule::SquaredCos;
        let timestep = |sigma: &f64| match sigmas.timestep(*sigma) {
            timestep if euler => timestep,
            timestep if truncates => timestep.trunc(),
            timestep => timestep.round_ties_even(),
        };
        timesteps = values.iter().map(|sigma| timestep(sigma) as f32).collect();
    }
    let last = match config.final_sigmas_type {
        FinalSigmas::SigmaMin if kind != SamplerKind::Heun => NoiseLevel::from_sigma(sigmas.least()),
        _ => NoiseLevel::CLEAN,
    };
    Ok(join(&timesteps, values.iter().map(|sigma| NoiseLevel::from_sigma(*sigma as f32)), last))
}

fn flow_steps(config: &SchedulerConfig, kind: SamplerKind, steps: usize) -> Result<Vec<Step>, DiffusionError> {
    let count = config.num_train_timesteps;
    if !(1..=count).contains(&steps) {
        return Err(invalid("num_inference_steps", steps, format!("1 to {count}")));
    }
    let shift = |sigma: f64| shifted(config.shift, sigma);
    let least = 1.0 / count as f64;
    // From 1 to the least, and one more that is left out.
    let falling = |index: usize| 1.0 + index as f64 * ((least - 1.0) / steps as f64);
    let mut sigmas: Vec<f64> = match kind {
        SamplerKind::FlowEuler => {
            // The ends come shifted already, and are shifted again.
            let least = f64::from(shift(least) as f32) * count as f64;
            let stride = (least - count as f64) / (steps - 1).max(1) as f64;
            let timestep =
                |index| if index > 0 && index == steps - 1 { least } else { count as f64 + index as f64 * stride };
            (0..steps).map(|index| shift(timestep(index) / count as f64)).collect()
        }
        SamplerKind::DpmSolver { .. } => (1..=steps).rev().map(|index| shift(1.0 - falling(index))).collect(),
        SamplerKind::UniPc => (0..steps).map(|index| shift(falling(index))).collect(),
        _ => {
            return Err(invalid(
                "scheduler",
                format!("{}, and the network predicts flow", kind.name()),
                "flow-euler, dpm++, dpm++sde or unipc",
            ));
        }
    };
    if kind == SamplerKind::UniPc && (sigmas[0] - 1.0).abs() < BELOW_ONE {
        sigmas[0] -= BELOW_ONE;
    }
    let timestep = |sigma: &f64| match kind {
        SamplerKind::FlowEuler => *sigma as f32 * count as f32,
        // Their timesteps are whole numbers, whatever the schedule.
        _ => (sigma * count as f64).trunc() as f32,
    };
    let timesteps: Vec<f32> = sigmas.iter().map(timestep).collect();
    Ok(join(&timesteps, sigmas.iter().map(|sigma| NoiseLevel::from_flow(*sigma as f32)), NoiseLevel::CLEAN))
}

/// shift·σ / (1 + (shift−1)·σ): more of the way at high noise, for a shift above 1 (arXiv 2403.03206, equation 23).
pub(super) fn shifted(shift: f64, sigma: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

fn whole(timesteps: Vec<usize>) -> Vec<f32> {
    timesteps.into_iter().map(|timestep| timestep as f32).collect()
}

fn join(timesteps: &[f32], levels: impl Iterator<Item = NoiseLevel> + Clone, last: NoiseLevel) -> Vec<Step> {
    let next = levels.clone().skip(1).chain([last]);
    timesteps
        .iter()
        .zip(levels.zip(next))
        .map(|(timestep, (level, next))| Step { timestep: *timestep, level, next })
        .collect()
}
