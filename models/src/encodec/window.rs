use burn::tensor::Tensor;

/// A signal that comes piece by piece, and goes through layers that see beyond the ends of what they make: keeps what is
/// needed again, and holds back what cannot be made yet. Counts in frames.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Frames that are needed before and behind those that are made.
    reach: [usize; 2],
    /// Samples of a frame.
    unit: usize,
    /// What is kept.
    kept: Option<Tensor<3>>,
    /// Where that begins.
    start: usize,
    /// Frames that are made.
    done: usize,
}

/// What goes through the layers, and the frames of the result that are right and new.
pub(super) struct Part {
    pub input: Tensor<3>,
    pub skip: usize,
    pub keep: usize,
}

impl Window {
    /// For layers that see so many samples `[before, behind]`.
    pub fn new(reach: [usize; 2], unit: usize) -> Self {
        Self { reach: reach.map(|samples| samples.div_ceil(unit)), unit, kept: None, start: 0, done: 0 }
    }

    /// Takes more of the signal, whole frames unless it is the last; gives what can be made now.
    pub fn next(&mut self, more: Option<Tensor<3>>, last: bool) -> Option<Part> {
        let signal = match (self.kept.take(), more) {
            (Some(kept), Some(more)) => Tensor::cat(vec![kept, more], 2),
            (kept, more) => kept.or(more)?,
        };
        let length = signal.dims()[2];
        let end = self.start + length.div_ceil(self.unit);
        let [before, behind] = self.reach;
        // At the start layers may see the signal backwards, as far as they see what is before.
        let enough = last || self.done > 0 || end > before + behind;
        let ready = if last { end } else { end.saturating_sub(behind) };
        if !enough || ready <= self.done {
            self.kept = Some(signal);
            return None;
        }
        let first = self.done.saturating_sub(before);
        let skipped = (first - self.start) * self.unit;
        let input = signal.clone().narrow(2, skipped, length - skipped);
        let part = Part { input, skip: self.done - first, keep: ready - self.done };
        self.done = ready;
        if !last {
            let first = ready.saturating_sub(before);
            let skipped = (first - self.start) * self.unit;
            self.kept = Some(signal.narrow(2, skipped, length - skipped));
            self.start = first;
        }
        Some(part)
    }
}
