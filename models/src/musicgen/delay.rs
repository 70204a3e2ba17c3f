/// How far each codebook lags behind the first: step `s` of codebook `k` has frame `s − 1 − delay[k]`, and the special token
/// where there is no such frame (Copet et al., section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayPattern {
    delays: Vec<usize>,
}

impl DelayPattern {
    /// That of the published models: each codebook a step behind the one before it; with two channels, left and right of the same
    /// book together.
    pub fn new(codebooks: usize, channels: usize) -> Self {
        Self { delays: (0..codebooks).map(|codebook| codebook / channels).collect() }
    }

    /// By codebook.
    pub fn delays(&self) -> &[usize] {
        &self.delays
    }

    /// How many codebooks.
    pub fn codebooks(&self) -> usize {
        self.delays.len()
    }

    /// How many steps so many frames take: an empty one first, and at the end those of the last codebook.
    pub fn steps(&self, frames: usize) -> usize {
        1 + frames + self.delays.iter().max().copied().unwrap_or(0)
    }

    /// Which frame a step of a codebook has, of `frames`.
    pub fn frame(&self, codebook: usize, step: usize, frames: usize) -> Option<usize> {
        step.checked_sub(1 + self.delays[codebook]).filter(|frame| *frame < frames)
    }

    /// The step at which a frame is complete.
    pub fn complete(&self, frame: usize) -> usize {
        self.steps(frame + 1) - 1
    }

    /// The codes of one step of all codebooks, `special` where there is no frame.
    ///
    /// # Shapes
    ///
    /// `codes` `[codebook][frame]` → `[codebook]`
    pub fn step(&self, codes: &[Vec<usize>], step: usize, special: usize) -> Vec<usize> {
        let code = |(codebook, codes): (usize, &Vec<usize>)| {
            self.frame(codebook, step, codes.len()).map_or(special, |frame| codes[frame])
        };
        codes.iter().enumerate().map(code).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::DelayPattern;

    /// The layout that audiocraft's `DelayedPatternProvider` prints for six frames of four codebooks.
    #[test]
    fn codebooks_lag_by_one_each() {
        let pattern = DelayPattern::new(4, 1);
        assert_eq!(pattern.steps(6), 10);
        for codebook in 0..4 {
            let frames: Vec<_> = (0..10).map(|step| pattern.frame(codebook, step, 6)).collect();
            let expected: Vec<_> = (0..10).map(|step| (0..6).find(|frame| frame + 1 + codebook == step)).collect();
            assert_eq!(frames, expected, "codebook {codebook}");
        }
        assert_eq!(pattern.complete(5), 9);
    }

    #[test]
    fn left_and_right_lag_together() {
        let pattern = DelayPattern::new(8, 2);
        let first: Vec<_> =
            (0..8).map(|codebook| (0..9).find(|step| pattern.frame(codebook, *step, 4) == Some(0))).collect();
        assert_eq!(first, [1, 1, 2, 2, 3, 3, 4, 4].map(Some));
        assert_eq!(pattern.steps(4), 8);
    }
}
