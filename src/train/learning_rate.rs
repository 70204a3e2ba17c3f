//! Learning rate schedules, as diffusers' `get_scheduler` computes them.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// The learning rate at which [`Schedule::Polynomial`] ends (diffusers' `lr_end`).
const POLYNOMIAL_END: f64 = 1e-7;

/// How the learning rate moves over the run. The names are diffusers' `SchedulerType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same rate from the first step to the last; ignores the warm-up, as diffusers does.
    Constant,
    /// Linear warm-up, then the same rate to the end.
    ConstantWithWarmup,
    /// Linear warm-up, then a straight line to zero.
    Linear,
    /// Linear warm-up, then half a cosine to zero.
    #[default]
    Cosine,
    /// Linear warm-up, then a straight line to 1e-7 (a polynomial of power 1).
    Polynomial,
}

/// A schedule with its numbers filled in.
#[derive(Clone, Copy, Debug)]
pub struct LearningRate {
    /// The shape after the warm-up.
    pub schedule: Schedule,
    /// The highest rate.
    pub peak: f64,
    /// Optimiser steps of linear warm-up.
    pub warmup_steps: u64,
    /// Optimiser steps of the whole run.
    pub total_steps: u64,
}

impl LearningRate {
    /// The rate of optimiser step `step`, counted from 0. With a warm-up the first step has rate 0, as in diffusers.
    pub fn at(&self, step: u64) -> f64 {
        let Self { schedule, peak, warmup_steps, total_steps } = *self;
        if schedule != Schedule::Constant && step < warmup_steps {
            return peak * step as f64 / warmup_steps as f64;
        }
        let decay_steps = total_steps.saturating_sub(warmup_steps).max(1) as f64;
        let progress = step.saturating_sub(warmup_steps) as f64 / decay_steps;
        match schedule {
            Schedule::Constant | Schedule::ConstantWithWarmup => peak,
            Schedule::Linear => peak * (1.0 - progress).max(0.0),
            // Not rising again after the end is ours: diffusers' cosine would.
            Schedule::Cosine => peak * 0.5 * (1.0 + libm::cos(PI * progress.min(1.0))),
            Schedule::Polynomial => (peak - POLYNOMIAL_END) * (1.0 - progress).max(0.0) + POLYNOMIAL_END,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every schedule against `diffusers.optimization.get_scheduler`, at each of 40 steps.
    /// Written by `scripts/reference/learning_rate.py`.
    #[test]
    fn matches_diffusers() {
        let text = include_str!("fixtures/learning_rate.json");
        let runs: Vec<Run> = serde_json::from_str(text).unwrap();
        assert_eq!(runs.len(), 10);
        for run in runs {
            let rate = LearningRate {
                schedule: run.schedule,
                peak: run.peak,
                warmup_steps: run.warmup_steps,
                total_steps: run.total_steps,
            };
            for (step, expected) in run.rates.iter().enumerate() {
                let found = rate.at(step as u64);
                // Both sides are a few double operations; only their order differs.
                assert!(
                    (found - expected).abs() <= 1e-12 * run.peak,
                    "{:?} step {step}: {found} {expected}",
                    run.schedule
                );
            }
        }
    }

    #[derive(Deserialize)]
    struct Run {
        schedule: Schedule,
        peak: f64,
        warmup_steps: u64,
        total_steps: u64,
        rates: Vec<f64>,
    }

    #[test]
    fn stays_finite_when_the_warm_up_is_longer_than_the_run() {
        for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine, Schedule::Polynomial] {
            let rate = LearningRate { schedule, peak: 1e-4, warmup_steps: 500, total_steps: 20 };
            assert!((0..1000).all(|step| (0.0..=1e-4).contains(&rate.at(step))), "{schedule:?}");
        }
    }
}
