//! Where a token is.

use burn::tensor::{Device, Tensor};

use crate::blocks::sinusoids;

/// The slowest pair of a head turns by one radian in about this many patches.
const BASE: f64 = 10_000.0;

/// The cosines, then the sines, of every token's rotation in time, for [`crate::ops::rotary`]; tokens as
/// [`super::PatchEmbedding`] orders them.
///
/// # Shapes
///
/// `[frame · band, head]`
pub(super) fn rotations([bands, frames]: [usize; 2], head: usize, device: &Device) -> Tensor<2> {
    let half = head / 2;
    let frequencies: Vec<f64> = (0..half).map(|pair| libm::pow(BASE, -(pair as f64) / half as f64)).collect();
    let mut table = Vec::with_capacity(frames * head);
    for frame in 0..frames {
        let turns = frequencies.iter().map(|frequency| libm::sincos(frame as f64 * frequency));
        let (sines, cosines): (Vec<f64>, Vec<f64>) = turns.unzip();
        table.extend(cosines.into_iter().chain(sines).map(|value| value as f32));
    }
    let table = Tensor::<1>::from_floats(&*table, device).reshape([frames, 1, head]);
    table.expand([frames, bands, head]).reshape([frames * bands, head])
}

/// The sinusoids of every token's band; tokens as [`super::PatchEmbedding`] orders them.
///
/// # Shapes
///
/// `[1, frame · band, width]`
pub(super) fn band_sinusoids([bands, frames]: [usize; 2], width: usize, device: &Device) -> Tensor<3> {
    let index: Vec<f32> = (0..bands).map(|band| band as f32).collect();
    let of_bands = sinusoids(Tensor::from_floats(&*index, device), width, 0.0, true);
    of_bands.unsqueeze_dim::<3>(0).expand([frames, bands, width]).reshape([1, frames * bands, width])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::rotary;
    use crate::random::Random;

    #[test]
    fn scores_depend_on_distances_in_time_only() {
        const HEAD: usize = 16;
        let device = Device::flex();
        let [query, key] = ["query", "key"].map(|name| {
            let values = Random::new(1, name, 0).normal(HEAD);
            Tensor::<1>::from_floats(&*values, &device).reshape([1, 1, HEAD]).expand([1, 100, HEAD])
        });
        let table = rotations([1, 100], HEAD, &device);
        let scores = rotary(query, table.clone()).matmul(rotary(key, table).swap_dims(1, 2));
        let scores: Vec<f32> = scores.into_data().try_to_vec().unwrap();
        for (query, row) in scores.chunks(100).enumerate() {
            for (key, score) in row.iter().enumerate() {
                let least = query.min(key);
                let same = scores[(query - least) * 100 + key - least];
                assert!((score - same).abs() < 2e-5, "{query} {key}: {score} {same}");
            }
        }
        assert!((scores[0] - scores[1]).abs() > 1e-2, "distance matters");
    }
}
