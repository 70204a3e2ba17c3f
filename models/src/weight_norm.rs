//! Weights as magnitudes and directions, one magnitude for each index of the first axis (Salimans and Kingma, "Weight
//! Normalization", 2016). A network holds the weight itself; what trains it moves these two, and needs their gradients.

use burn::tensor::Tensor;

/// The two parts of a weight.
#[derive(Clone, Debug)]
pub struct WeightNorm {
    /// `[row]`; PyTorch's `weight_g` or `original0`.
    pub magnitude: Tensor<1>,
    /// `[row · column]`, flat; PyTorch's `weight_v` or `original1`.
    pub direction: Tensor<1>,
}

impl WeightNorm {
    /// The parts that PyTorch gives a weight of so many rows: itself and its norms.
    pub fn of(weight: Tensor<1>, rows: usize) -> Self {
        Self { magnitude: norms(&by_rows(&weight, rows)).reshape([rows]), direction: weight }
    }

    /// magnitude · direction / ‖direction‖
    ///
    /// # Shapes
    ///
    /// → `[row · column]`
    pub fn weight(&self) -> Tensor<1> {
        let (directions, scales) = self.scaled();
        (directions * scales).flatten(0, 1)
    }

    /// Carries the gradient of the weight to its parts.
    ///
    /// # Shapes
    ///
    /// `[row · column]` → `[row]`, `[row · column]`
    pub fn gradients(&self, of_weight: &Tensor<1>) -> [Tensor<1>; 2] {
        let (directions, scales) = self.scaled();
        let rows = scales.dims()[0];
        let units = directions.clone() / norms(&directions);
        let of_weight = by_rows(of_weight, rows);
        let of_magnitude = (of_weight.clone() * units.clone()).sum_dim(1);
        let of_direction = (of_weight - units * of_magnitude.clone()) * scales;
        [of_magnitude.reshape([rows]), of_direction.flatten(0, 1)]
    }

    /// The directions by rows, and magnitude over norm of each.
    fn scaled(&self) -> (Tensor<2>, Tensor<2>) {
        let rows = self.magnitude.dims()[0];
        let directions = by_rows(&self.direction, rows);
        let scales = self.magnitude.clone().reshape([rows, 1]) / norms(&directions);
        (directions, scales)
    }
}

fn by_rows(values: &Tensor<1>, rows: usize) -> Tensor<2> {
    values.clone().reshape([rows, values.dims()[0] / rows])
}

fn norms(rows: &Tensor<2>) -> Tensor<2> {
    rows.clone().square().sum_dim(1).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn host(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn parts_of_a_weight_make_it_again() {
        let weight = [3.0, 4.0, 0.0, -2.0];
        let parts = WeightNorm::of(Tensor::from_floats(weight, &Device::flex()), 2);
        assert_eq!(host(parts.magnitude.clone()), [5.0, 2.0]);
        assert_eq!(host(parts.weight()), weight);
    }

    #[test]
    fn gradients_are_those_of_autodiff() {
        let device = Device::flex();
        let numbers = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let (magnitude, direction) = (numbers(&[0.5, -1.5]), numbers(&[0.3, -1.0, 2.0, 0.1, 0.2, -0.4]));
        let slope = numbers(&[1.0, -2.0, 0.5, 0.25, 3.0, -1.0]);
        let tracked = WeightNorm {
            magnitude: magnitude.clone().autodiff().require_grad(),
            direction: direction.clone().autodiff().require_grad(),
        };
        let gradients = (tracked.weight() * slope.clone().autodiff()).sum().backward();
        let found = WeightNorm { magnitude, direction }.gradients(&slope);
        for (found, part) in found.into_iter().zip([&tracked.magnitude, &tracked.direction]) {
            let expected = host(part.grad(&gradients).unwrap().without_autodiff());
            for (found, expected) in host(found).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        }
    }
}
