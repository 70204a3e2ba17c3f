//! Linear layers whose weights take fewer bytes than in f32: a product of few rows takes as long as its weights take to be
//! read.

mod kernel;
mod module;
mod packed;

pub use module::NarrowLinear;

/// How weights are held that are narrower than f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// bfloat16, rounded to nearest, ties to even.
    Bf16,
    /// Whole numbers up to ±127 times the scale of their group, the 32 weights of an output for successive inputs: 9 bits a
    /// weight.
    Int8,
    /// The same with −8 to 7: 5 bits a weight.
    Int4,
}

impl Narrow {
    fn bits(self) -> usize {
        match self {
            Self::Bf16 => 16,
            Self::Int8 => 8,
            Self::Int4 => 4,
        }
    }

    fn per_word(self) -> usize {
        u32::BITS as usize / self.bits()
    }

    fn lines_of_scales(self) -> usize {
        usize::from(self != Self::Bf16)
    }
}
