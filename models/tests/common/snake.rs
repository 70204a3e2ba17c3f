//! What goes into the anti-aliased snake, on any device.

use burn::tensor::{DType, Device, Tensor};
use nocturne_models::ops::anti_aliased_snake;
use nocturne_models::random::Random;

use crate::common::normal;

/// `BigVGAN`'s filter, half of it.
const HALF: [f32; 6] = [0.002_028_97, 0.009_389_46, -0.025_543_46, -0.057_657_38, 0.128_572_61, 0.443_209_8];

/// Batch, channels, time: one of everything, shorter than the filter, around a strip, several strips, several stretches.
pub const CASES: [[usize; 3]; 13] = [
    [1, 1, 1],
    [2, 3, 2],
    [1, 2, 3],
    [2, 2, 5],
    [3, 5, 11],
    [2, 3, 100],
    [1, 2, 1018],
    [1, 1, 1021],
    [2, 1, 1024],
    [1, 3, 1025],
    [1, 1, 1030],
    [2, 2, 2050],
    [1, 2, 33_000],
];

/// Cases of random sizes.
pub fn drawn(count: u64) -> impl Iterator<Item = [usize; 3]> {
    (0..count).map(|index| {
        let mut random = Random::new(9, "case", index);
        [3, 8, [12, 300, 3000][index as usize % 3]].map(|most| 1 + random.below(most) as usize)
    })
}

/// What goes into the operation.
#[derive(Clone)]
pub struct Inputs {
    pub x: Tensor<3>,
    pub alpha: Tensor<1>,
    pub beta: Tensor<1>,
    pub filters: [Tensor<1>; 2],
}

impl Inputs {
    /// The filters are not symmetric, lest a turned one stay unseen.
    pub fn new(shape: [usize; 3], device: &Device) -> Self {
        let mut filters = ["up", "down"].map(|name| normal([12], name, device) * 0.3);
        if shape[0] == 1 {
            let whole: Vec<f32> = HALF.into_iter().chain(HALF.into_iter().rev()).collect();
            filters = [(); 2].map(|()| Tensor::from_floats(whole.as_slice(), device));
        }
        Self {
            x: normal(shape, "x", device),
            alpha: normal([shape[1]], "alpha", device).exp(),
            beta: normal([shape[1]], "beta", device).exp(),
            filters,
        }
    }

    pub fn to(self, dtype: DType) -> Self {
        let Self { x, alpha, beta, filters } = self;
        Self {
            x: x.cast(dtype),
            alpha: alpha.cast(dtype),
            beta: beta.cast(dtype),
            filters: filters.map(|f| f.cast(dtype)),
        }
    }

    pub fn run(&self) -> Tensor<3> {
        let Self { x, alpha, beta, filters: [up, down] } = self.clone();
        anti_aliased_snake(x, alpha, beta, up, down)
    }

    /// The output, then the gradients of input, alpha and beta.
    pub fn everything(self) -> Vec<Vec<f32>> {
        let Self { x, alpha, beta, filters } = self;
        let tracked = Self { x: x.require_grad(), alpha: alpha.require_grad(), beta: beta.require_grad(), filters };
        let output = tracked.run();
        let weight = normal(output.dims(), "gradient", &output.device()).cast(output.dtype());
        let gradients = (output.clone() * weight).sum().backward();
        let in_f32 = |values: Tensor<1>| values.cast(DType::F32).into_data().try_to_vec().unwrap();
        vec![
            in_f32(output.flatten(0, 2)),
            in_f32(tracked.x.grad(&gradients).unwrap().flatten(0, 2)),
            in_f32(tracked.alpha.grad(&gradients).unwrap()),
            in_f32(tracked.beta.grad(&gradients).unwrap()),
        ]
    }
}
