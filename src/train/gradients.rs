//! Gradients by parameter name: accumulated as an average, clipped by their global norm.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

/// Flat tensors by parameter name, without autodiff.
pub type Named = BTreeMap<String, Tensor<1>>;

/// The gradients of one optimiser step: a running sum over its micro-batches.
#[derive(Default)]
pub struct Accumulator {
    sum: Named,
    micro_batches: usize,
}

impl Accumulator {
    /// Adds one micro-batch: `visit` calls back with every parameter's name and gradient.
    pub fn add(&mut self, visit: impl FnOnce(&mut dyn FnMut(&str, Tensor<1>))) {
        self.micro_batches += 1;
        visit(&mut |name, gradient| {
            let total = match self.sum.remove(name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.sum.insert(name.to_string(), total);
        });
    }

    /// The mean over the micro-batches.
    pub fn average(self) -> Named {
        match self.micro_batches {
            0 | 1 => self.sum,
            count => self.sum.into_iter().map(|(name, sum)| (name, sum / count as f64)).collect(),
        }
    }
}

/// Scales all gradients together so that their global L2 norm is at most `max_norm`, as
/// `torch.nn.utils.clip_grad_norm_` does, and gives the norm before clipping (a tensor of one number, still on the
/// device). `None` only measures.
pub fn clip_by_global_norm(gradients: Named, max_norm: Option<f64>) -> (Named, Option<Tensor<1>>) {
    let squares: Vec<Tensor<1>> = gradients.values().map(|gradient| gradient.clone().square().sum()).collect();
    if squares.is_empty() {
        return (gradients, None);
    }
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    let Some(max_norm) = max_norm else { return (gradients, Some(norm)) };
    let scale = (norm.clone() + 1e-6).recip().mul_scalar(max_norm).clamp_max(1.0);
    let clipped = gradients.into_iter().map(|(name, gradient)| (name, gradient * scale.clone())).collect();
    (clipped, Some(norm))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn named(values: &[(&str, &[f32])]) -> Named {
        let device = Device::flex();
        values.iter().map(|(name, data)| ((*name).to_string(), Tensor::from_data(*data, &device))).collect()
    }

    fn values(named: &Named, name: &str) -> Vec<f32> {
        named[name].to_data().try_into_vec_as().unwrap()
    }

    #[test]
    fn the_norm_is_over_all_tensors_together() {
        let (clipped, norm) = clip_by_global_norm(named(&[("a", &[3.0, 0.0]), ("b", &[4.0])]), Some(1.0));
        assert!((norm.unwrap().into_scalar::<f32>() - 5.0).abs() < 1e-6);
        // 3/(5 + 1e-6) and 4/(5 + 1e-6).
        assert!((values(&clipped, "a")[0] - 0.6).abs() < 1e-6);
        assert!((values(&clipped, "b")[0] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn small_gradients_stay_as_they_are() {
        let (clipped, _) = clip_by_global_norm(named(&[("a", &[0.3, -0.1])]), Some(1.0));
        assert_eq!(values(&clipped, "a"), [0.3, -0.1]);
    }

    #[test]
    fn accumulation_averages() {
        let mut accumulator = Accumulator::default();
        for gradient in [[1.0, 2.0], [3.0, -2.0]] {
            accumulator.add(|sum| sum("a", Tensor::from_data(gradient, &Device::flex())));
        }
        assert_eq!(values(&accumulator.average(), "a"), [2.0, 0.0]);
    }
}
