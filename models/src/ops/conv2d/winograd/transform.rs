//! The one-dimensional transforms of F(4, 3), which makes four outputs of a correlation with three taps from six products,
//! and their transposes, which carry gradients.
//!
//! Toom-Cook's construction with the points 0, ±a, ±b and ∞ (Lavin and Gray, arXiv 1509.09308, have a = 1, b = 2).

use pulp::Simd;

/// Outputs of a tile, along one axis.
pub(super) const OUT: usize = 4;
/// Inputs of a tile, and products, along one axis.
pub(super) const IN: usize = 6;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;
const AA: f32 = 0.5;
const BB: f32 = 2.0;
/// a²b² is 1.
const SUM: f32 = AA + BB;
/// 1 / 2a²(a² − b²)
const CA: f32 = 1.0 / (2.0 * AA * (AA - BB));
/// 1 / 2b²(b² − a²)
const CB: f32 = 1.0 / (2.0 * BB * (BB - AA));

/// Arithmetic on the vectors of one instruction set.
#[derive(Clone, Copy)]
pub(super) struct Vectors<S>(pub S);

impl<S: Simd> Vectors<S> {
    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }

    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }

    /// `factor · a`
    #[inline(always)]
    fn mul(self, factor: f32, a: S::f32s) -> S::f32s {
        self.0.mul_f32s(self.0.splat_f32s(factor), a)
    }

    /// `factor · a + b`
    #[inline(always)]
    fn mul_add(self, factor: f32, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(self.0.splat_f32s(factor), a, b)
    }

    /// `[a + b, a − b]`
    #[inline(always)]
    fn both(self, a: S::f32s, b: S::f32s) -> [S::f32s; 2] {
        [self.add(a, b), self.sub(a, b)]
    }

    /// Six inputs → their values at the six points.
    #[inline(always)]
    pub fn of_input(self, d: [S::f32s; IN]) -> [S::f32s; IN] {
        let [at_a, below_a] = self.both(self.mul_add(-BB, d[2], d[4]), self.mul(A, self.mul_add(-BB, d[1], d[3])));
        let [at_b, below_b] = self.both(self.mul_add(-AA, d[2], d[4]), self.mul(B, self.mul_add(-AA, d[1], d[3])));
        let zero = self.mul_add(-SUM, d[2], self.add(d[0], d[4]));
        let infinity = self.mul_add(-SUM, d[3], self.add(d[1], d[5]));
        [zero, at_a, below_a, at_b, below_b, infinity]
    }

    /// Three taps → their values at the six points.
    #[inline(always)]
    pub fn of_weight(self, g: [S::f32s; 3]) -> [S::f32s; IN] {
        let [at_a, below_a] = self.both(self.mul(CA, self.mul_add(AA, g[2], g[0])), self.mul(CA * A, g[1]));
        let [at_b, below_b] = self.both(self.mul(CB, self.mul_add(BB, g[2], g[0])), self.mul(CB * B, g[1]));
        [g[0], at_a, below_a, at_b, below_b, g[2]]
    }

    /// Six products → four outputs.
    #[inline(always)]
    pub fn to_output(self, m: [S::f32s; IN]) -> [S::f32s; OUT] {
        let [sum_a, difference_a] = self.both(m[1], m[2]);
        let [sum_b, difference_b] = self.both(m[3], m[4]);
        [
            self.add(m[0], self.add(sum_a, sum_b)),
            self.mul_add(B, difference_b, self.mul(A, difference_a)),
            self.mul_add(BB, sum_b, self.mul(AA, sum_a)),
            self.mul_add(B * BB, difference_b, self.mul_add(A * AA, difference_a, m[5])),
        ]
    }

    /// The transpose of [`Self::to_output`]: gradients of the outputs → gradients of the products.
    #[inline(always)]
    pub fn of_gradient(self, y: [S::f32s; OUT]) -> [S::f32s; IN] {
        let [at_a, below_a] = self.both(self.mul_add(AA, y[2], y[0]), self.mul_add(A * AA, y[3], self.mul(A, y[1])));
        let [at_b, below_b] = self.both(self.mul_add(BB, y[2], y[0]), self.mul_add(B * BB, y[3], self.mul(B, y[1])));
        [y[0], at_a, below_a, at_b, below_b, y[3]]
    }

    /// The transpose of [`Self::of_weight`]: gradients at the points → gradients of the taps.
    #[inline(always)]
    pub fn to_weight(self, u: [S::f32s; IN]) -> [S::f32s; 3] {
        let [sum_a, difference_a] = self.both(u[1], u[2]);
        let [sum_b, difference_b] = self.both(u[3], u[4]);
        [
            self.mul_add(CB, sum_b, self.mul_add(CA, sum_a, u[0])),
            self.mul_add(CB * B, difference_b, self.mul(CA * A, difference_a)),
            self.mul_add(CB * BB, sum_b, self.mul_add(CA * AA, sum_a, u[5])),
        ]
    }
}
