//! What the fields of a scheduler's configuration choose from, by their published names.

use serde::{Deserialize, Serialize};

/// A diffusers scheduler class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerClass {
    /// Ancestral sampling (Ho et al., arXiv 2006.11239).
    #[default]
    #[serde(rename = "DDPMScheduler")]
    Ddpm,
    /// Implicit sampling (Song et al., arXiv 2010.02502).
    #[serde(rename = "DDIMScheduler")]
    Ddim,
    /// Euler's method in σ (Karras et al., arXiv 2206.00364).
    #[serde(rename = "EulerDiscreteScheduler")]
    Euler,
    /// Heun's method in σ (the same, algorithm 1).
    #[serde(rename = "HeunDiscreteScheduler")]
    Heun,
    /// DPM-Solver++ (Lu et al., arXiv 2211.01095).
    #[serde(rename = "DPMSolverMultistepScheduler")]
    DpmSolver,
    /// `UniPC` (Zhao et al., arXiv 2302.04867).
    #[serde(rename = "UniPCMultistepScheduler")]
    UniPc,
    /// Euler's method for rectified flow (Esser et al., arXiv 2403.03206).
    #[serde(rename = "FlowMatchEulerDiscreteScheduler")]
    FlowEuler,
}

impl SchedulerClass {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "DDPMScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::Heun => "HeunDiscreteScheduler",
            Self::DpmSolver => "DPMSolverMultistepScheduler",
            Self::UniPc => "UniPCMultistepScheduler",
            Self::FlowEuler => "FlowMatchEulerDiscreteScheduler",
        }
    }
}

/// The shape of β over the timesteps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly spaced β (DDPM).
    #[default]
    Linear,
    /// Evenly spaced √β (latent diffusion).
    ScaledLinear,
    /// ᾱ falls as a squared cosine (Nichol and Dhariwal, arXiv 2102.09672); ignores `beta_start` and `beta_end`.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCos,
    /// β rises as a sigmoid (GeoDiff).
    Sigmoid,
}

/// What a network predicts from a noisy sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionType {
    /// The noise ε.
    #[default]
    #[serde(rename = "epsilon")]
    Epsilon,
    /// The clean sample x₀.
    #[serde(rename = "sample")]
    Sample,
    /// The velocity v = √ᾱ·ε − √(1−ᾱ)·x₀ (Salimans and Ho, arXiv 2202.00512).
    #[serde(rename = "v_prediction")]
    V,
    /// The velocity ε − x₀ of rectified flow, (1−σ)·x₀ + σ·ε (Liu et al., arXiv 2209.03003).
    #[serde(rename = "flow_prediction")]
    Flow,
}

/// The variance of the noise that a DDPM step adds. The learned variances are not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VarianceType {
    /// The posterior variance β̃.
    #[default]
    FixedSmall,
    /// β̃ by way of its logarithm.
    FixedSmallLog,
    /// β.
    FixedLarge,
    /// β by way of its logarithm. (diffusers takes the square root of the logarithm here, which is NaN.)
    FixedLargeLog,
}

/// How a sampler spreads its timesteps (arXiv 2305.08891, table 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// Multiples of a whole stride from 0: never reaches the last timestep.
    #[default]
    Leading,
    /// From the last timestep down.
    Trailing,
    /// Both ends.
    Linspace,
}

/// What a DPM-Solver++ integrates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlgorithmType {
    /// The ordinary differential equation: no noise is added.
    #[default]
    #[serde(rename = "dpmsolver++")]
    Ode,
    /// The stochastic one.
    #[serde(rename = "sde-dpmsolver++")]
    Sde,
}

/// The noise after the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigmas {
    /// None.
    #[default]
    Zero,
    /// As much as at timestep 0.
    SigmaMin,
}
