//! The transforms of F(4, 4), which makes four outputs of a correlation with four taps from seven products: Toom-Cook's
//! construction with the points ±a, ±b, ±c and ∞ (Lavin and Gray, arXiv 1509.09308, appendix; their points are 0, ±1, ±2, …).

use pulp::Simd;

/// Outputs of a tile, and taps of a piece.
pub(super) const OUT: usize = 4;
/// Inputs of a tile, and products.
pub(super) const POINTS: usize = 7;

/// Of all triples in eighths and sixteenths near them, with the least error; their squares are exact.
const PLACES: [f32; 3] = [0.25, 0.875, 2.0];

/// The sum and the product of the squares of the other two.
const OTHERS: [[f32; 2]; 3] = {
    let [a, b, c] = SQUARES;
    [[b + c, b * c], [a + c, a * c], [a + b, a * b]]
};

const SQUARES: [f32; 3] = [PLACES[0] * PLACES[0], PLACES[1] * PLACES[1], PLACES[2] * PLACES[2]];

/// Seven inputs → their values at the seven points.
#[inline(always)]
pub(super) fn of_input<S: Simd>(simd: S, z: [S::f32s; POINTS]) -> [S::f32s; POINTS] {
    let mul_add = |factor, a, b| simd.mul_add_e_f32s(simd.splat_f32s(factor), a, b);
    let mut found = z;
    for (pair, (place, [sum, product])) in PLACES.into_iter().zip(OTHERS).enumerate() {
        let even = mul_add(product, z[0], mul_add(-sum, z[2], z[4]));
        let odd = mul_add(product, z[1], mul_add(-sum, z[3], z[5]));
        found[2 * pair] = mul_add(place, even, odd);
        found[2 * pair + 1] = mul_add(place, even, simd.neg_f32s(odd));
    }
    let ([a, _, _], [sum, product]) = (SQUARES, OTHERS[0]);
    let pairs = a * sum + product;
    found[6] = mul_add(-a * product, z[0], mul_add(pairs, z[2], mul_add(-(a + sum), z[4], z[6])));
    found
}

/// Four taps → their values at the seven points.
#[inline(always)]
pub(super) fn of_weight(taps: [f32; OUT]) -> [f32; POINTS] {
    let mut found = [taps[3]; POINTS];
    for (pair, (place, [sum, product])) in PLACES.into_iter().zip(OTHERS).enumerate() {
        let square = place * place;
        // 1 / 2a(a² − b²)(a² − c²)
        let scale = 1.0 / (2.0 * place * (square * square - sum * square + product));
        let even = scale * square.mul_add(taps[2], taps[0]);
        let odd = scale * place * square.mul_add(taps[3], taps[1]);
        found[2 * pair] = even + odd;
        found[2 * pair + 1] = even - odd;
    }
    found
}

/// Seven products → four outputs, each from `bias` on.
#[inline(always)]
pub(super) fn to_output<S: Simd>(simd: S, m: [S::f32s; POINTS], bias: S::f32s) -> [S::f32s; OUT] {
    let mul_add = |factor, a, b| simd.mul_add_e_f32s(simd.splat_f32s(factor), a, b);
    let mut found = [bias, bias, bias, simd.add_f32s(bias, m[6])];
    for (pair, place) in PLACES.into_iter().enumerate() {
        let [above, below] = [m[2 * pair], m[2 * pair + 1]];
        let (sum, difference) = (simd.add_f32s(above, below), simd.sub_f32s(above, below));
        found[0] = simd.add_f32s(sum, found[0]);
        found[1] = mul_add(place, difference, found[1]);
        found[2] = mul_add(place * place, sum, found[2]);
        found[3] = mul_add(place * place * place, difference, found[3]);
    }
    found
}
