/// The sizes of a convolution between two signals, from the fine one to the coarse one:
///
/// coarse\[row, t\] = Σ weight\[row, channel, tap\] · fine\[channel, t · stride + tap · dilation − padding\]
///
/// over all channels of the row's group and all taps. A convolution takes the fine signal and makes the coarse one; a
/// transposed convolution takes the coarse one and makes the fine one. Each is the other's gradient. Weights are
/// `[coarse channel, fine channel / groups, tap]` for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Geometry {
    pub batch: usize,
    pub groups: usize,
    pub fine: Signal,
    pub coarse: Signal,
    pub taps: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros before the fine signal.
    pub padding: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Signal {
    pub channels: usize,
    pub length: usize,
}

/// Which of the two signals an operation makes of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Direction {
    /// A convolution.
    ToCoarse,
    /// A transposed convolution.
    ToFine,
}

impl Direction {
    pub fn reversed(self) -> Self {
        match self {
            Self::ToCoarse => Self::ToFine,
            Self::ToFine => Self::ToCoarse,
        }
    }
}

impl Geometry {
    /// The signal that is made.
    pub fn made(&self, direction: Direction) -> Signal {
        match direction {
            Direction::ToCoarse => self.coarse,
            Direction::ToFine => self.fine,
        }
    }
}

impl Signal {
    /// How many values one item of a batch has.
    pub fn values(&self) -> usize {
        self.channels * self.length
    }
}
