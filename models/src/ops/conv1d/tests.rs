//! Both forms of the convolution against sums in double precision, over random shapes.

use super::correlate::{to_coarse, to_fine};
use super::geometry::{Direction, Geometry, Signal};
use super::winograd::Filter;
use crate::random::Random;

/// The output of a convolution without groups, with stride one.
fn exact(g: &Geometry, direction: Direction, input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let made = g.made(direction);
    let mut output: Vec<f64> =
        (0..g.batch * made.values()).map(|index| f64::from(bias[index / made.length % made.channels])).collect();
    for (index, weight) in weight.iter().enumerate() {
        let (row, channel) = (index / g.taps / g.fine.channels, index / g.taps % g.fine.channels);
        for (item, t) in (0..g.batch).flat_map(|item| (0..g.coarse.length).map(move |t| (item, t))) {
            let sample = (t + index % g.taps * g.dilation).wrapping_sub(g.padding);
            if sample < g.fine.length {
                let coarse = item * g.coarse.values() + row * g.coarse.length + t;
                let fine = item * g.fine.values() + channel * g.fine.length + sample;
                let (from, to) = match direction {
                    Direction::ToCoarse => (fine, coarse),
                    Direction::ToFine => (coarse, fine),
                };
                output[to] += f64::from(*weight) * f64::from(input[from]);
            }
        }
    }
    output
}

/// The distance, in terms of the expected values' norm.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - b)).sum();
    (difference / expected.iter().copied().map(square).sum::<f64>().max(1e-30)).sqrt()
}

fn geometries(count: u64) -> impl Iterator<Item = Geometry> {
    (0..count).map(|index| {
        let mut random = Random::new(3, "geometry", index);
        let mut below = |bound: u64| random.below(bound) as usize;
        let (taps, dilation) = (1 + below(13), [1, 1, 2, 3, 5, 48][below(6)]);
        let span = (taps - 1) * dilation + 1;
        let padding = below(20);
        let length = span + below(300);
        Geometry {
            batch: 1 + below(2),
            groups: 1,
            fine: Signal { channels: 1 + below(20), length },
            // Less than as many zeros behind the signal as before it.
            coarse: Signal { channels: 1 + below(20), length: length + padding + below(20) - span + 1 },
            taps,
            stride: 1,
            dilation,
            padding,
        }
    })
}

#[test]
fn both_forms_are_sums_of_products() {
    for (index, g) in geometries(80).enumerate() {
        for direction in [Direction::ToCoarse, Direction::ToFine] {
            let mut random = Random::new(3, "values", index as u64);
            let (heard, made) = (g.made(direction.reversed()), g.made(direction));
            let sizes = [g.batch * heard.values(), g.coarse.channels * g.fine.channels * g.taps, made.channels];
            let [input, weight, bias] = sizes.map(|size| random.normal(size));
            let expected = exact(&g, direction, &input, &weight, &bias);
            let direct = match direction {
                Direction::ToCoarse => to_coarse(&g, &input, &weight, Some(&bias)),
                Direction::ToFine => to_fine(&g, &input, &weight, Some(&bias)),
            };
            let filtered = Filter::of(&g, direction).run(&input, &weight, Some(&bias));
            for (form, found) in [("direct", direct), ("filtered", filtered)] {
                let error = error(&found, &expected);
                assert!(error < 2e-6, "{form}, {direction:?}, {g:?}: {error:e}");
            }
        }
    }
}
