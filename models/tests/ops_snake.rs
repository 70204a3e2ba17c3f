//! The anti-aliased snake against its plain form: values, gradients, ends, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/snake.rs"]
mod snake;

use burn::tensor::{DType, Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use snake::{CASES, Inputs, drawn};

#[test]
fn values_and_gradients_are_those_of_the_plain_form_in_float64() {
    for shape in CASES.into_iter().chain(drawn(60)) {
        let inputs = Inputs::new(shape, &Device::flex().autodiff());
        // There is no kernel for this type.
        let plain = inputs.clone().to(DType::F64).everything();
        let names = ["output", "x", "alpha", "beta"];
        for ((name, ours), plain) in names.into_iter().zip(inputs.everything()).zip(plain) {
            // Gradients are sums of terms of either sign: of the whole signal, or where it is short of all its results.
            let tolerance = if name == "output" { 1e-6 } else { 1e-5 };
            assert_close(&ours, &plain, tolerance, &format!("{shape:?}, {name}"));
        }
    }
}

#[test]
fn gradients_are_limits_of_differences() {
    let device = Device::flex();
    let step = 1e-6;
    for shape in [[1, 1, 1], [2, 2, 4], [2, 3, 13]] {
        let found = Inputs::new(shape, &device.clone().autodiff()).everything();
        let inputs = Inputs::new(shape, &device).to(DType::F64);
        let weight = normal(shape, "gradient", &device).cast(DType::F64);
        let loss = |inputs: Inputs| -> f64 { (inputs.run() * weight.clone()).sum().into_scalar() };
        let slope = |inputs: &Inputs, change: &dyn Fn(&mut Inputs, f64)| {
            let [above, below] = [step, -step].map(|by| {
                let mut changed = inputs.clone();
                change(&mut changed, by);
                loss(changed)
            });
            ((above - below) / (2.0 * step)) as f32
        };
        let unit = |count: usize, index: usize| {
            let mut values = vec![0.0f32; count];
            values[index] = 1.0;
            Tensor::<1>::from_floats(values.as_slice(), &device).cast(DType::F64)
        };
        let (count, channels) = (shape.iter().product(), shape[1]);
        let of_x = (0..count).map(|index| {
            slope(&inputs, &|inputs, by| {
                inputs.x = inputs.x.clone() + unit(count, index).reshape(shape) * by;
            })
        });
        let of_alpha = (0..channels).map(|index| {
            slope(&inputs, &|inputs, by| inputs.alpha = inputs.alpha.clone() + unit(channels, index) * by)
        });
        let of_beta = (0..channels)
            .map(|index| slope(&inputs, &|inputs, by| inputs.beta = inputs.beta.clone() + unit(channels, index) * by));
        let expected: [Vec<f32>; 3] = [of_x.collect(), of_alpha.collect(), of_beta.collect()];
        for ((name, found), expected) in ["x", "alpha", "beta"].into_iter().zip(&found[1..]).zip(&expected) {
            assert_close(found, expected, 5e-6, &format!("{shape:?}, {name}"));
        }
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for shape in CASES {
        let output = Inputs::new(shape, &Device::flex()).run();
        assert_eq!(values(output), Inputs::new(shape, &Device::flex().autodiff()).everything()[0]);
    }
}

#[test]
fn filters_get_no_gradient() {
    let mut inputs = Inputs::new([1, 2, 30], &Device::flex().autodiff());
    inputs.x = inputs.x.require_grad();
    inputs.filters = inputs.filters.map(Tensor::require_grad);
    for inputs in [inputs.clone(), inputs.to(DType::F64)] {
        let gradients = inputs.run().sum().backward();
        assert!(inputs.filters.iter().all(|filter| filter.grad(&gradients).is_none()));
    }
}

#[test]
fn a_constant_passes_with_its_snake() {
    let device = Device::flex();
    let inputs = Inputs { x: Tensor::full([1, 2, 40], 0.7, &device), ..Inputs::new([1, 2, 40], &device) };
    let [alpha, beta] = [&inputs.alpha, &inputs.beta].map(|vector| values(vector.clone()));
    for (channel, output) in values(inputs.run()).chunks_exact(40).enumerate() {
        let wave = (f64::from(alpha[channel]) * 0.7).sin();
        let expected = (0.7 + wave * wave / (f64::from(beta[channel]) + 1e-9)) as f32;
        assert_close(output, &[expected; 40], 1e-6, "a constant");
    }
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for shape in [[3, 5, 11], [2, 3, 1025], [4, 2, 2050]] {
        let inputs = Inputs::new(shape, &Device::flex());
        let alone = inputs.x.clone().split(1, 0).into_iter().map(|x| Inputs { x, ..inputs.clone() }.run()).collect();
        assert_eq!(values(inputs.run()), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn a_part_of_a_signal_has_the_same_bits() {
    let inputs = Inputs::new([1, 2, 5000], &Device::flex());
    let whole = inputs.run();
    for (start, end) in [(0, 6), (0, 1100), (3, 1500), (1000, 1040), (1019, 5000), (4990, 5000)] {
        let x = inputs.x.clone().narrow(2, start, end - start);
        let part = Inputs { x, ..inputs.clone() }.run();
        // Five samples to each side are heard, unless the signal ends there.
        let first = if start == 0 { 0 } else { 5 };
        let count = end - start - first - if end == 5000 { 0 } else { 5 };
        let expected = whole.clone().narrow(2, start + first, count);
        assert_eq!(values(part.narrow(2, first, count)), values(expected), "{start}..{end}");
    }
}

#[test]
fn all_five_samples_to_each_side_are_heard() {
    // The second item of two: filters without a tap that is nearly zero.
    let inputs = Inputs::new([2, 1, 100], &Device::flex());
    let louder = inputs.x.clone().slice([1..2, 0..1, 50..51]) + 1.0;
    let other = Inputs { x: inputs.x.clone().slice_assign([1..2, 0..1, 50..51], louder), ..inputs.clone() };
    let changed = values(inputs.run()).into_iter().zip(values(other.run())).enumerate();
    let changed: Vec<usize> = changed.filter(|(_, (before, after))| before != after).map(|(at, _)| at).collect();
    assert_eq!(changed, (145..=155).collect::<Vec<_>>());
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for shape in CASES {
        let all = || Inputs::new(shape, &Device::flex().autodiff()).everything();
        assert_eq!(on_threads(1, all), on_threads(3, all));
    }
}

#[test]
fn loud_signals_are_right_and_what_is_no_number_stays_none() {
    for loudness in [1e3, 1e5, 1e7, 1e12] {
        let mut inputs = Inputs::new([2, 3, 1500], &Device::flex());
        inputs.x = inputs.x * loudness;
        // Passes the samples themselves: u is x, or twice a sample where the other phase has none.
        let mut tap = [0.0f32; 12];
        tap[5] = 0.5;
        inputs.filters = [(); 2].map(|()| Tensor::from_floats(tap, &Device::flex()));
        let x = values(inputs.x.clone());
        let [alpha, beta] = [&inputs.alpha, &inputs.beta].map(|vector| values(vector.clone()));
        for (index, found) in values(inputs.run()).into_iter().enumerate() {
            let channel = index / 1500 % 3;
            let wave = (f64::from(alpha[channel]) * f64::from(x[index])).sin();
            let expected = 0.5 * (f64::from(x[index]) + wave * wave / (f64::from(beta[channel]) + 1e-9));
            let error = (f64::from(found) - expected).abs() / expected.abs().max(0.5 / f64::from(beta[channel]));
            assert!(error < 3e-7, "{loudness:e}, {index}: {found} for {expected}");
        }
    }
    let mut inputs = Inputs::new([1, 1, 40], &Device::flex());
    let gap = Tensor::from_floats([[[f32::NAN]]], &Device::flex());
    inputs.x = inputs.x.slice_assign([0..1, 0..1, 20..21], gap);
    let output = values(inputs.run());
    assert!((15..=25).all(|t| output[t].is_nan()));
    assert!((0..15).chain(26..40).all(|t| output[t].is_finite()));
}

#[test]
fn views_are_read_where_they_lie() {
    let inputs = Inputs::new([2, 40, 40], &Device::flex());
    let turned = Inputs { x: inputs.x.clone().swap_dims(1, 2), ..inputs.clone() };
    let copied = Inputs { x: Tensor::from_data(turned.x.to_data(), &Device::flex()), ..inputs };
    assert_eq!(values(turned.run()), values(copied.run()));
}

#[test]
fn filters_of_any_even_length_have_their_centre_in_the_middle() {
    let inputs = Inputs::new([2, 3, 50], &Device::flex());
    for more in 1..4 {
        let zeros = || Tensor::zeros([more], &Device::flex());
        let filters = inputs.filters.clone().map(|filter| Tensor::cat(vec![zeros(), filter, zeros()], 0));
        let longer = Inputs { filters, ..inputs.clone() }.run();
        assert_close(&values(longer), &values(inputs.run()), 1e-6, "longer by zeros");
    }
    let filters = [(); 2].map(|()| Tensor::from_floats([0.5, 0.5], &Device::flex()));
    let held = Inputs { filters, ..inputs.clone() }.run();
    let [alpha, beta]: [Tensor<3>; 2] = [inputs.alpha, inputs.beta].map(|vector| vector.unsqueeze_dims(&[0, 2]));
    let snake = inputs.x.clone() + (inputs.x * alpha).sin().square() / beta;
    assert_close(&values(held), &values(snake), 1e-6, "every sample twice");
}

#[test]
fn nothing_comes_of_nothing() {
    for shape in [[0, 2, 9], [2, 2, 0], [1, 0, 5]] {
        assert_eq!(Inputs::new(shape, &Device::flex()).run().dims(), shape);
    }
}

#[test]
#[should_panic(expected = "alpha and beta of 3 channels")]
fn other_channels_are_refused() {
    let device = Device::flex();
    Inputs { x: Tensor::zeros([1, 3, 9], &device), ..Inputs::new([1, 2, 9], &device) }.run();
}

#[test]
#[should_panic(expected = "filters of [12, 3] taps, expected even numbers")]
fn odd_filters_are_refused() {
    let device = Device::flex();
    let mut inputs = Inputs::new([1, 2, 9], &device);
    inputs.filters[1] = Tensor::zeros([3], &device);
    inputs.run();
}
