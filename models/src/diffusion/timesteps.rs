//! Which of the trained timesteps a sampler visits.

use super::error::invalid;
use super::{DiffusionError, NoiseSchedule, SamplerKind, SchedulerConfig, TimestepSpacing};

/// One step of a sampler: from the noise of `timestep` to the less noise after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What the network is told.
    pub timestep: usize,
    /// ᾱ of the state before the step.
    pub alpha_bar: f32,
    /// ᾱ of the state after the step; the papers' ᾱ of t−1.
    pub alpha_bar_previous: f32,
}

/// The timesteps of `steps` sampling steps, falling (`set_timesteps` of diffusers).
///
/// Where diffusers' `trailing` rounds its way to one timestep too many, a −1 at the end (61 of 1000 is the first), this
/// list ends before it.
pub fn timesteps(config: &SchedulerConfig, steps: usize) -> Result<Vec<usize>, DiffusionError> {
    let count = config.num_train_timesteps;
    if !(1..=count).contains(&steps) {
        return Err(invalid("num_inference_steps", steps, format!("1 to {count}")));
    }
    let stride = count as f64 / steps as f64;
    let falling = match config.timestep_spacing {
        TimestepSpacing::Leading => {
            let stride = count / steps;
            let largest = count - 1 - (steps - 1) * stride;
            if config.steps_offset > largest {
                return Err(invalid(
                    "steps_offset",
                    config.steps_offset,
                    format!("at most {largest} with {steps} steps of {count}"),
                ));
            }
            (0..steps).rev().map(|index| index * stride + config.steps_offset).collect()
        }
        TimestepSpacing::Trailing => {
            // NumPy's `arange` steps by the difference of its first two rounded values.
            let (first, second) = (count as f64, count as f64 - stride);
            let at = |index| first + index as f64 * (second - first);
            (0..steps).map(|index| at(index).round_ties_even() as usize - 1).collect()
        }
        TimestepSpacing::Linspace => {
            let stride = (count - 1) as f64 / (steps - 1).max(1) as f64;
            (0..steps).rev().map(|index| (index as f64 * stride).round_ties_even() as usize).collect()
        }
    };
    Ok(falling)
}

/// The steps of a sampler over [`timesteps`], as diffusers' scheduler of that kind takes them.
///
/// DDPM steps from each timestep of the list to the next. DDIM steps down by `num_train_timesteps / steps`, whatever the
/// next timestep is: the two differ under `linspace`, and under `trailing` when `steps` does not divide.
pub(super) fn steps(
    config: &SchedulerConfig,
    schedule: &NoiseSchedule,
    kind: SamplerKind,
    steps: usize,
) -> Result<Vec<Step>, DiffusionError> {
    let timesteps = timesteps(config, steps)?;
    let stride = config.num_train_timesteps / steps;
    let last_alpha_bar = match kind {
        SamplerKind::Ddim { .. } if !config.set_alpha_to_one => schedule.alpha_bar(0),
        _ => 1.0,
    };
    let step = |(index, timestep): (usize, &usize)| {
        let previous = match kind {
            SamplerKind::Ddpm => timesteps.get(index + 1).copied(),
            SamplerKind::Ddim { .. } => timestep.checked_sub(stride),
        };
        Step {
            timestep: *timestep,
            alpha_bar: schedule.alpha_bar(*timestep),
            alpha_bar_previous: previous.map_or(last_alpha_bar, |previous| schedule.alpha_bar(previous)),
        }
    };
    Ok(timesteps.iter().enumerate().map(step).collect())
}
