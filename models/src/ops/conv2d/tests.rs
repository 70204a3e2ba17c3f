//! Both forms of the convolution against sums in double precision, over random shapes.

use burn::tensor::ops::ConvOptions;

use super::geometry::Geometry;
use super::winograd::{self, Kernels};
use super::{gathered, kernels};
use crate::random::Random;

/// Input, weights, bias and gradient of the output.
struct Values([Vec<f32>; 4]);

impl Values {
    fn new(g: &Geometry, random: &mut Random) -> Self {
        let sizes = [
            g.batch * g.channels_in * g.input_plane(),
            g.channels_out * g.depth(),
            g.channels_out,
            g.batch * g.channels_out * g.positions(),
        ];
        Self(sizes.map(|size| random.normal(size)))
    }

    fn turned_kernels(&self, g: &Geometry) -> Kernels<'_> {
        Kernels { values: &self.0[1], strides: [g.taps(), g.depth()], turned: true }
    }

    fn kernels(&self, g: &Geometry) -> Kernels<'_> {
        Kernels { values: &self.0[1], strides: [g.depth(), g.taps()], turned: false }
    }
}

/// Output and gradients of input, weights and bias.
type Results = [Vec<f64>; 4];

fn exact(g: &Geometry, values: &Values) -> Results {
    let [input, weight, bias, gradient] = &values.0;
    let mut results = values.0.each_ref().map(|values| vec![0.0; values.len()]);
    let [of_input, of_weight, of_bias, output] = &mut results;
    for (index, (output, gradient)) in output.iter_mut().zip(gradient).enumerate() {
        let (item, channel) = (index / g.positions() / g.channels_out, index / g.positions() % g.channels_out);
        let (row, column) = (index % g.positions() / g.output[1], index % g.output[1]);
        *output = f64::from(bias[channel]);
        of_bias[channel] += f64::from(*gradient);
        for tap in 0..g.depth() {
            let (plane, tap_row, tap_column) = (tap / g.taps(), tap % g.taps() / g.kernel[1], tap % g.kernel[1]);
            let row = (row * g.stride[0] + tap_row).wrapping_sub(g.padding[0]);
            let column = (column * g.stride[1] + tap_column).wrapping_sub(g.padding[1]);
            if row < g.input[0] && column < g.input[1] {
                let seen = ((item * g.channels_in + plane) * g.input[0] + row) * g.input[1] + column;
                let tap = channel * g.depth() + tap;
                *output += f64::from(input[seen]) * f64::from(weight[tap]);
                of_input[seen] += f64::from(*gradient) * f64::from(weight[tap]);
                of_weight[tap] += f64::from(*gradient) * f64::from(input[seen]);
            }
        }
    }
    let [of_input, of_weight, of_bias, output] = results;
    [output, of_input, of_weight, of_bias]
}

/// The distance, in terms of the expected values' norm.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - b)).sum();
    (difference / expected.iter().copied().map(square).sum::<f64>().max(1e-30)).sqrt()
}

/// Geometries with sizes drawn at random, kernels of 3 × 3 with stride one.
fn geometries(count: usize) -> Vec<(Geometry, Values)> {
    let mut random = Random::new(3, "geometry", 0);
    let mut below = |bound: u64| random.below(bound) as usize;
    let mut all = Vec::new();
    while all.len() < count {
        let [height, width] = [(); 2].map(|()| 1 + below(22));
        let padding = [(); 2].map(|()| (below(6), below(6)));
        if height + padding[0].0 + padding[0].1 < 3 || width + padding[1].0 + padding[1].1 < 3 {
            continue;
        }
        let options = ConvOptions::new_with_padding([1, 1], padding, [1, 1], 1);
        let shape = [1 + below(3), 1 + below(70), height, width];
        all.push(Geometry::new(shape, [1 + below(80), shape[1], 3, 3], &options));
    }
    let mut random = Random::new(3, "values", 0);
    all.into_iter().map(|g| (g, Values::new(&g, &mut random))).collect()
}

#[test]
fn both_forms_are_sums_of_products() {
    for (g, values) in geometries(60) {
        let [input, weight, bias, gradient] = values.0.each_ref().map(Vec::as_slice);
        let [output, of_input, of_weight, of_bias] = exact(&g, &values);
        // Thrice what was measured at most.
        let close = |found: &[f32], expected: &[f64], tolerance: f64, what: &str| {
            let error = error(found, expected);
            assert!(error < tolerance, "{g:?}, {what}: {error:e}");
        };
        close(&gathered::forward(&g, input, weight, bias), &output, 2e-6, "gathered output");
        close(&gathered::input_gradient(&g, gradient, weight), &of_input, 2e-6, "gathered gradient of the input");
        close(&gathered::weight_gradient(&g, input, gradient), &of_weight, 2e-6, "gathered gradient of the weights");
        close(&kernels::bias_gradient(&g, gradient), &of_bias, 2e-6, "gradient of the bias");
        close(&winograd::forward(&g, input, values.kernels(&g), bias), &output, 6e-6, "output");
        if let Some(reversed) = g.reversed() {
            let none = vec![0.0; g.channels_in];
            let found = winograd::forward(&reversed, gradient, values.turned_kernels(&g), &none);
            close(&found, &of_input, 6e-6, "gradient of the input");
        }
        close(&winograd::weight_gradient(&g, input, gradient), &of_weight, 6e-6, "gradient of the weights");
    }
}

#[test]
fn tiles_are_the_same_in_any_company() {
    for (g, values) in geometries(20) {
        let [input, _, bias, _] = values.0.each_ref().map(Vec::as_slice);
        let together = winograd::forward(&g, input, values.kernels(&g), bias);
        let alone = Geometry { batch: 1, ..g };
        // Many times the same item: enough tiles for the other way of cutting the work.
        let many = Geometry { batch: 40, ..g };
        let size = g.channels_in * g.input_plane();
        for (item, expected) in input.chunks(size).zip(together.chunks(g.channels_out * g.positions())) {
            assert_eq!(winograd::forward(&alone, item, values.kernels(&g), bias), expected);
            let found = winograd::forward(&many, &item.repeat(40), values.kernels(&g), bias);
            assert!(found.chunks(expected.len()).all(|found| found == expected));
        }
    }
}

#[test]
fn a_batch_may_be_empty() {
    let options = ConvOptions::new_with_padding([1, 1], [(1, 1); 2], [1, 1], 1);
    let g = Geometry::new([0, 16, 8, 8], [16, 16, 3, 3], &options);
    let weight = vec![1.0; 16 * g.depth()];
    assert!(winograd::pays(&g));
    assert!(kernels::forward(&g, &[], &weight, &[0.0; 16]).is_empty());
    assert!(kernels::input_gradient(&g, &[], &weight).is_empty());
    assert_eq!(kernels::weight_gradient(&g, &[], &[]), vec![0.0; weight.len()]);
}
