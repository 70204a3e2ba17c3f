//! Which of the trained timesteps a sampler visits.

use super::error::invalid;
use super::{DiffusionError, SchedulerConfig, TimestepSpacing};

/// The timesteps of `steps` sampling steps of DDPM and DDIM, falling (`set_timesteps` of diffusers).
///
/// Where diffusers' `trailing` rounds its way to one timestep too many, a −1 at the end (61 of 1000 is the first), this
/// list ends before it.
pub fn timesteps(config: &SchedulerConfig, steps: usize) -> Result<Vec<usize>, DiffusionError> {
    let count = config.num_train_timesteps;
    check_steps(steps, count)?;
    Ok(match config.timestep_spacing {
        TimestepSpacing::Leading => leading(config, count / steps, 0..steps)?,
        TimestepSpacing::Trailing => trailing(count, count as f64 / steps as f64, steps),
        TimestepSpacing::Linspace => {
            let stride = (count - 1) as f64 / (steps - 1).max(1) as f64;
            (0..steps).rev().map(|index| (index as f64 * stride).round_ties_even() as usize).collect()
        }
    })
}

/// The same of Euler and Heun, which do not round where the spacing is `linspace`.
pub(super) fn real_timesteps(config: &SchedulerConfig, steps: usize) -> Result<Vec<f32>, DiffusionError> {
    let last = config.num_train_timesteps - 1;
    if config.timestep_spacing != TimestepSpacing::Linspace || steps < 2 || steps > last {
        return Ok(timesteps(config, steps)?.into_iter().map(|timestep| timestep as f32).collect());
    }
    let stride = last as f64 / (steps - 1) as f64;
    let at = |index| if index == steps - 1 { last as f64 } else { index as f64 * stride };
    Ok((0..steps).rev().map(|index| at(index) as f32).collect())
}

/// The same of DPM-Solver++ and `UniPC`, which leave out the last value of one step more. `count` of the timesteps are used.
pub(super) fn multistep_timesteps(
    config: &SchedulerConfig,
    count: usize,
    steps: usize,
) -> Result<Vec<usize>, DiffusionError> {
    if config.timestep_spacing == TimestepSpacing::Trailing {
        check_steps(steps, count)?;
        return Ok(trailing(count, config.num_train_timesteps as f64 / steps as f64, steps));
    }
    check_steps(steps, count.saturating_sub(1))?;
    if config.timestep_spacing == TimestepSpacing::Leading {
        return leading(config, count / (steps + 1), 1..steps + 1);
    }
    let stride = (count - 1) as f64 / steps as f64;
    Ok((1..=steps).rev().map(|index| (index as f64 * stride).round_ties_even() as usize).collect())
}

fn check_steps(steps: usize, most: usize) -> Result<(), DiffusionError> {
    if (1..=most).contains(&steps) {
        Ok(())
    } else {
        Err(invalid("num_inference_steps", steps, format!("1 to {most}")))
    }
}

/// Multiples of a stride, and the offset, falling.
fn leading(
    config: &SchedulerConfig,
    stride: usize,
    multiples: std::ops::Range<usize>,
) -> Result<Vec<usize>, DiffusionError> {
    let (count, steps) = (config.num_train_timesteps, multiples.len());
    let largest = count - 1 - (multiples.end - 1) * stride;
    if config.steps_offset > largest {
        return Err(invalid(
            "steps_offset",
            config.steps_offset,
            format!("at most {largest} with {steps} steps of {count}"),
        ));
    }
    Ok(multiples.rev().map(|index| index * stride + config.steps_offset).collect())
}

/// From `count` down by a stride, each less one.
fn trailing(count: usize, stride: f64, steps: usize) -> Vec<usize> {
    // NumPy's `arange` steps by the difference of its first two rounded values.
    let (first, second) = (count as f64, count as f64 - stride);
    let at = |index| first + index as f64 * (second - first);
    let rounded = (0..steps).map(|index| at(index).round_ties_even());
    rounded.take_while(|timestep| *timestep >= 1.0).map(|timestep| timestep as usize - 1).collect()
}
