//! The vectors of a set, clip by clip.

use ndarray::{ArrayView2, s};
use thiserror::Error;

/// A clip that does not fit into its set.
#[derive(Debug, PartialEq, Error)]
pub enum EmbeddingError {
    /// Another number of dimensions.
    #[error("vectors of {found} dimensions among vectors of {expected}")]
    Dimension {
        /// The clip's.
        found: usize,
        /// The set's.
        expected: usize,
    },
    /// NaN or infinity.
    #[error("a vector with a value that is not finite")]
    NotFinite,
    /// No vectors.
    #[error("no vectors: the sound is too short")]
    Empty,
}

/// A set: named clips, each of one vector or more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    dim: usize,
    names: Vec<String>,
    /// Where each clip's vectors end.
    ends: Vec<usize>,
    values: Vec<f32>,
}

impl Embeddings {
    /// A set without clips; the first gives its dimension.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a clip.
    ///
    /// # Shapes
    /// - vectors: `[frame, dim]`
    pub fn push(&mut self, name: impl Into<String>, vectors: ArrayView2<f32>) -> Result<(), EmbeddingError> {
        let (frames, dim) = vectors.dim();
        if frames == 0 {
            return Err(EmbeddingError::Empty);
        }
        if !self.ends.is_empty() && dim != self.dim {
            return Err(EmbeddingError::Dimension { found: dim, expected: self.dim });
        }
        if vectors.iter().any(|value| !value.is_finite()) {
            return Err(EmbeddingError::NotFinite);
        }
        self.dim = dim;
        self.values.extend(vectors.iter());
        self.ends.push(self.frames() + frames);
        self.names.push(name.into());
        Ok(())
    }

    /// Dimensions of a vector; 0 of no clips.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many clips.
    pub fn clips(&self) -> usize {
        self.ends.len()
    }

    /// How many vectors.
    pub fn frames(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The clips' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The first vector of a clip, and the one after its last.
    pub fn range(&self, clip: usize) -> std::ops::Range<usize> {
        let start = if clip == 0 { 0 } else { self.ends[clip - 1] };
        start..self.ends[clip]
    }

    /// The clip of every vector.
    pub fn clip_of_frames(&self) -> Vec<usize> {
        (0..self.clips()).flat_map(|clip| self.range(clip).map(move |_| clip)).collect()
    }

    /// All vectors: `[frame, dim]`.
    pub fn vectors(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.frames(), self.dim), &self.values).unwrap_or_else(|_| ArrayView2::from(&[[]; 0]))
    }

    /// One clip's: `[frame, dim]`.
    pub fn clip(&self, clip: usize) -> ArrayView2<'_, f32> {
        self.vectors().slice_move(s![self.range(clip), ..])
    }
}
