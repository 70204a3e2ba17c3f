//! What training starts from.

use std::convert::Infallible;

use super::DiT;
use crate::parameters;
use crate::random::Random;

/// The standard deviation of the time embedding's weights.
const TIME_EMBEDDING: f32 = 0.02;

/// As the paper's code does: linear layers uniform in ±√(6 / (in + out)) (Glorot & Bengio, 2010), the time embedding normal,
/// biases 0, norms 1. What opens a branch is 0, so that every block hands its input on unchanged and the network predicts
/// 0.
///
/// Each parameter has its own stream, named after it, as in [`torch_default`](crate::initialise::torch_default).
pub(super) fn adaptive_norm_zero(network: DiT, random: &mut Random) -> DiT {
    let seed = random.next_u64();
    let filled = parameters::fill(network, |name, shape| {
        let count = shape.iter().product();
        let mut values = vec![0.0; count];
        let mut stream = Random::new(seed, name, 0);
        match *shape {
            _ if closed(name) => {}
            [_, _] if name.starts_with("time_embedding.") => {
                values = stream.normal(count).into_iter().map(|value| value * TIME_EMBEDDING).collect();
            }
            [output, input] => {
                let bound = (6.0 / (input + output) as f64).sqrt();
                values.fill_with(|| ((2.0 * stream.uniform() - 1.0) * bound) as f32);
            }
            _ => values.fill(if name.ends_with(".weight") { 1.0 } else { 0.0 }),
        }
        Ok::<_, Infallible>(values)
    });
    match filled {
        Ok(network) => network,
        Err(never) => match never {},
    }
}

/// Whether a parameter starts at 0 whatever its shape: modulations, the way out of a cross-attention, the last layer.
fn closed(name: &str) -> bool {
    ["modulation.", "modulation_out.", "attn2.to_out.", "proj_out."].iter().any(|layer| name.contains(layer))
}
