//! PyTorch's default initialisation, drawn on the host.

use std::collections::HashMap;
use std::convert::Infallible;

use burn::module::Module;

use crate::parameters;
use crate::random::Random;

/// Gives every parameter the value that PyTorch's layers start with: weights of rank two and more, and their biases,
/// uniform in ±1/√fan-in (`kaiming_uniform_` with a = √5, as `nn.Linear` and `nn.Conv2d` do); the weights of norms 1,
/// their biases 0.
///
/// Each parameter has its own stream, named after it: the same `random` gives the same network whatever the order of
/// its fields, and two networks that share layers share their values..
#[must_use]
pub fn torch_default<M: Module>(module: M, random: &mut Random) -> M {
    let seed = random.next_u64();
    let fan_in: HashMap<String, usize> = parameters::shapes(&module)
        .into_iter()
        .filter(|(_, shape)| shape.len() > 1)
        .filter_map(|(name, shape)| Some((name.strip_suffix(".weight")?.to_owned(), shape[1..].iter().product())))
        .collect();
    let filled = parameters::fill(module, |name, shape| {
        let count = shape.iter().product();
        let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
        Ok::<_, Infallible>(match fan_in.get(layer) {
            Some(fan_in) => uniform(count, 1.0 / (*fan_in as f64).sqrt(), &mut Random::new(seed, name, 0)),
            None => vec![if name.ends_with(".weight") { 1.0 } else { 0.0 }; count],
        })
    });
    match filled {
        Ok(module) => module,
        Err(never) => match never {},
    }
}

/// `count` numbers, uniform in ±`bound` with 24 random bits each, as many as an `f32` holds.
fn uniform(count: usize, bound: f64, random: &mut Random) -> Vec<f32> {
    let step = bound / f64::from(1 << 23);
    (0..count).map(|_| (f64::from(random.next_u32() >> 8) * step - bound) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_fills_its_range() {
        let values = uniform(100_000, 0.25, &mut Random::new(3, "test", 0));
        let (low, high) = values.iter().fold((0.0f32, 0.0f32), |(low, high), v| (low.min(*v), high.max(*v)));
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1e5;
        assert!((-0.25..-0.2499).contains(&low) && (0.2499..0.25).contains(&high), "{low} {high}");
        // Of a uniform variable: width²/12. Four standard errors.
        assert!((variance - 0.25 / 12.0).abs() < 4.0 * 6e-5, "{variance}");
    }
}
