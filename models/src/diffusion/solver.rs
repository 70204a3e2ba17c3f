//! One run of a sampler: the steps, and what a multistep method remembers between them.

use burn::tensor::Tensor;

use super::{Denoiser, Network, NoiseLevel, Sampler, SamplerKind};
use super::{ddim, ddpm, dpm_solver, heun, unipc};

/// DPM-Solver++ lowers the order of the last step of runs shorter than this.
const SHORT_RUN: usize = 15;

/// An x₀ predicted in an earlier step, and the level it was predicted at.
#[derive(Clone, Debug)]
pub(super) struct Predicted {
    /// `[batch, channel, height, width]`.
    pub(super) sample: Tensor<4>,
    pub(super) level: NoiseLevel,
}

/// A run through the steps of a [`Sampler`]. It may start at any step; what comes between two steps, in-painting for
/// one, may change the state. A step that does not follow on the last one starts anew, without memory of it.
#[derive(Clone, Debug)]
pub struct Solver<'a> {
    sampler: &'a Sampler,
    /// The step that a memory is good for.
    next: usize,
    /// Newest first, as many as the next step can use.
    earlier: Vec<Predicted>,
    /// `UniPC`: the order of the last step's predictor.
    order: usize,
}

impl<'a> Solver<'a> {
    pub(super) fn new(sampler: &'a Sampler) -> Self {
        Self { sampler, next: 0, earlier: Vec::new(), order: 1 }
    }

    /// Takes step `index`. `noise` is asked for N(0, 1) of the state's shape when the step adds any.
    ///
    /// # Shapes
    /// - state, output: `[batch, channel, height, width]`
    ///
    /// # Panics
    /// When the sampler has no such step.
    pub fn step<N: Network>(
        &mut self,
        denoiser: &Denoiser<'_, N>,
        state: Tensor<4>,
        index: usize,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        let Sampler { kind, variance, clip, steps, .. } = self.sampler;
        let step = &steps[index];
        if index != self.next {
            self.earlier.clear();
        }
        self.next = index + 1;
        let mut prediction = denoiser.predict(state.clone(), step.timestep, step.level);
        let (mean, std) = match *kind {
            SamplerKind::Ddpm => {
                let sample = clip.apply(prediction.sample);
                (ddpm::posterior_mean(step, sample, state), ddpm::noise_std(step, *variance))
            }
            SamplerKind::Ddim { eta } => {
                prediction.sample = clip.apply(prediction.sample);
                (ddim::mean(step, eta, prediction), ddim::noise_std(step, eta))
            }
            SamplerKind::Euler | SamplerKind::FlowEuler => (heun::euler(step, prediction), 0.0),
            SamplerKind::Heun => {
                let start = heun::clipped(prediction, state, step.level, *clip);
                let end = heun::euler(step, start.clone());
                let Some(after) = steps.get(index + 1) else { return end };
                let prediction = denoiser.predict(end.clone(), after.timestep, step.next);
                let end = heun::clipped(prediction, end, step.next, *clip).noise;
                (heun::heun(step, start, end), 0.0)
            }
            SamplerKind::DpmSolver { algorithm } => {
                let now = Predicted { sample: clip.apply(prediction.sample), level: step.level };
                let earlier = self.earlier.first().filter(|_| self.dpm_order(index) == 2);
                let mean = dpm_solver::mean(step, algorithm, state, now.sample.clone(), earlier);
                self.remember(now, 1);
                (mean, dpm_solver::noise_std(step, algorithm))
            }
            SamplerKind::UniPc => (self.unipc(index, state, clip.apply(prediction.sample)), 0.0),
        };
        if std > 0.0 { mean + noise() * std } else { mean }
    }

    /// Corrects the state by the x₀ that was predicted in it, and predicts the next.
    fn unipc(&mut self, index: usize, mut state: Tensor<4>, sample: Tensor<4>) -> Tensor<4> {
        let Sampler { steps, solver_order, lower_order_final, .. } = self.sampler;
        if let Some(start) = self.earlier.first() {
            let earlier = self.earlier.get(1).filter(|_| self.order == 2);
            state = state + unipc::correction(&steps[index - 1], sample.clone(), start.sample.clone(), earlier);
        }
        let left = if *lower_order_final { steps.len() - index } else { usize::MAX };
        self.order = (*solver_order).min(left).min(self.earlier.len() + 1);
        let earlier = self.earlier.first().filter(|_| self.order == 2);
        let next = unipc::predict(&steps[index], state, sample.clone(), earlier);
        self.remember(Predicted { sample, level: steps[index].level }, 2);
        next
    }

    fn dpm_order(&self, index: usize) -> usize {
        let Sampler { steps, solver_order, lower_order_final, euler_at_final, .. } = self.sampler;
        let clean = steps[index].next.noise_rate == 0.0;
        let short = *lower_order_final && steps.len() < SHORT_RUN;
        let last = index + 1 == steps.len();
        if last && (*euler_at_final || short || clean) { 1 } else { *solver_order }
    }

    /// Keeps the newest predictions, for as long as a step follows.
    fn remember(&mut self, now: Predicted, most: usize) {
        self.earlier.insert(0, now);
        let more = self.next < self.sampler.steps.len();
        self.earlier.truncate(if more { most.min(self.sampler.solver_order) } else { 0 });
    }
}
