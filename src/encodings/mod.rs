//! Encodings of captions and recordings, which networks are conditioned on.

/// A sequence of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// How many.
    pub tokens: usize,
    /// Their width.
    pub dim: usize,
    /// `[token, dim]`.
    pub values: Vec<f32>,
}
