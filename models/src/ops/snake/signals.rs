//! How signals are cut into stretches for the threads of a GPU.

/// Samples of one phase that a round makes, and as many results.
pub(super) const ROUND: usize = 8;

/// Rounds of a stretch: short ones make more samples twice, long ones are fewer threads.
const ROUNDS: [usize; 2] = [4, 16];

/// Threads that keep any GPU busy.
const ENOUGH: usize = 1 << 18;

/// The longest signals, and the most threads: both are counted in 32 bits.
const MOST: usize = 1 << 30;

/// Signals `[batch, time, channel]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    pub batch: usize,
    pub time: usize,
    pub channels: usize,
}

impl Signals {
    /// Whether there is a grid of threads for them.
    pub fn fit(self) -> bool {
        let threads = (self.batch * self.channels).saturating_mul(self.stretches());
        // Items are the second dimension of the grid.
        u16::try_from(self.batch).is_ok() && self.time <= MOST && threads <= MOST
    }

    /// Rounds of a stretch.
    pub fn rounds(self) -> usize {
        (self.batch * self.time * self.channels / (ROUND * ENOUGH)).clamp(ROUNDS[0], ROUNDS[1])
    }

    /// Stretches of one signal.
    pub fn stretches(self) -> usize {
        self.time.div_ceil(ROUND * self.rounds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals([batch, channels, time]: [usize; 3]) -> Signals {
        Signals { batch, time, channels }
    }

    #[test]
    fn stretches_cover_a_signal_and_none_is_empty() {
        for shape in [[1, 1, 1], [1, 1, 32], [2, 3, 33], [16, 768, 5120], [8, 24, 1_000_003], [16, 24, 26_460_000]] {
            let signals = signals(shape);
            let stretch = ROUND * signals.rounds();
            assert!(signals.stretches() * stretch >= signals.time, "{shape:?}");
            assert!((signals.stretches() - 1) * stretch < signals.time, "{shape:?}");
        }
    }

    #[test]
    fn stretches_are_long_only_where_they_are_many() {
        assert_eq!(signals([1, 768, 3448]).rounds(), ROUNDS[0]);
        let large = signals([32, 24, 65_536]);
        assert_eq!(large.rounds(), ROUNDS[1]);
        assert!(large.batch * large.stretches() * large.channels > ENOUGH);
    }

    #[test]
    fn what_does_not_fit_is_known() {
        // Ten minutes at 44.1 kHz, sixteen of them: more samples than 32 bits count.
        let hours = signals([16, 24, 26_460_000]);
        assert!(hours.batch * hours.time * hours.channels > u32::MAX as usize && hours.fit());
        assert!(signals([65_535, 1, 100]).fit() && !signals([65_536, 1, 100]).fit());
        assert!(signals([1, 1, MOST]).fit() && !signals([1, 1, MOST + 1]).fit());
        assert!(!signals([1, MOST, 1000]).fit());
    }
}
