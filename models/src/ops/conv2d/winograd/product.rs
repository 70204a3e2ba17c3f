//! The products at one point, over channels for outputs, over tiles for gradients of weights. Every sum is one chain in
//! one order, whatever is computed beside it.

use pulp::Simd;

use super::tiles::{GROUP, Group};

/// Output channels that are computed together.
pub(super) const PANEL: usize = 2 * GROUP;

/// Values of a panel of output channels.
pub(super) type Panel = [Group; 2];

/// `products[t] = Σ left[c, t] · right[c]` over the channels c, of which the groups begin every `pitch` in `left`.
#[inline(always)]
pub(super) fn over_channels<S: Simd>(simd: S, left: &[Group], pitch: usize, right: &[Panel], products: &mut [Panel]) {
    // As many sums as fit into the registers.
    let wide = S::REGISTER_COUNT >= 32;
    let mut first = 0;
    while first < products.len() {
        let rest = &mut products[first..];
        if wide && rest.len() >= 12 {
            first += tiles::<S, 12>(simd, left, pitch, first, right, rest);
        } else if wide && rest.len() >= 8 {
            first += tiles::<S, 8>(simd, left, pitch, first, right, rest);
        } else if rest.len() >= 4 {
            first += tiles::<S, 4>(simd, left, pitch, first, right, rest);
        } else {
            first += tiles::<S, 1>(simd, left, pitch, first, right, rest);
        }
    }
}

#[inline(always)]
fn tiles<S: Simd, const TILES: usize>(
    simd: S,
    left: &[Group],
    pitch: usize,
    first: usize,
    right: &[Panel],
    products: &mut [Panel],
) -> usize {
    for part in 0..GROUP / S::F32_LANES {
        let mut sums = [[simd.splat_f32s(0.0); 2]; TILES];
        for (left, right) in left.chunks(pitch).zip(right.as_chunks::<GROUP>().0) {
            let left: &[Group; TILES] = left[first..].first_chunk().expect("as many tiles as products");
            for channel in 0..GROUP {
                let weights =
                    [S::as_simd_f32s(&right[channel][0].0).0[part], S::as_simd_f32s(&right[channel][1].0).0[part]];
                for tile in 0..TILES {
                    let value = simd.splat_f32s(left[tile].0[channel]);
                    for half in 0..2 {
                        sums[tile][half] = simd.mul_add_e_f32s(value, weights[half], sums[tile][half]);
                    }
                }
            }
        }
        for tile in 0..TILES {
            for half in 0..2 {
                S::as_mut_simd_f32s(&mut products[tile][half].0).0[part] = sums[tile][half];
            }
        }
    }
    TILES
}

/// `products[c] = Σ left[t, c] · right[t]` over the tiles t, for a group of input channels c and one or two groups of output
/// channels.
#[inline(always)]
pub(super) fn over_tiles<S: Simd, const GROUPS: usize>(
    simd: S,
    left: &[Group],
    right: [&[Group]; GROUPS],
    products: &mut [Group],
) {
    if S::REGISTER_COUNT >= 32 {
        for first in [0, 8] {
            channels::<S, GROUPS, 8>(simd, left, right, products, first);
        }
    } else {
        for first in [0, 4, 8, 12] {
            channels::<S, GROUPS, 4>(simd, left, right, products, first);
        }
    }
}

#[inline(always)]
fn channels<S: Simd, const GROUPS: usize, const CHANNELS: usize>(
    simd: S,
    left: &[Group],
    right: [&[Group]; GROUPS],
    products: &mut [Group],
    first: usize,
) {
    for part in 0..GROUP / S::F32_LANES {
        let mut sums = [[simd.splat_f32s(0.0); GROUPS]; CHANNELS];
        for tile in 0..left.len() {
            let values: &[f32; CHANNELS] = left[tile].0[first..].first_chunk().expect("a part of the group");
            let mut gradients = [simd.splat_f32s(0.0); GROUPS];
            for group in 0..GROUPS {
                gradients[group] = S::as_simd_f32s(&right[group][tile].0).0[part];
            }
            for channel in 0..CHANNELS {
                let value = simd.splat_f32s(values[channel]);
                for group in 0..GROUPS {
                    sums[channel][group] = simd.mul_add_e_f32s(value, gradients[group], sums[channel][group]);
                }
            }
        }
        for channel in 0..CHANNELS {
            for group in 0..GROUPS {
                let product = &mut products[(first + channel) * 2 + group];
                S::as_mut_simd_f32s(&mut product.0).0[part] = sums[channel][group];
            }
        }
    }
}
