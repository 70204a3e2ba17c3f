//! How long a step takes, once warm.

use std::time::Duration;

/// Times of steps, averaged between log entries: only there does the host know that the device has finished.
#[derive(Debug, Default)]
pub struct StepTimes {
    current: Duration,
    steps: u32,
    /// Seconds a step of each closed interval.
    intervals: Vec<f64>,
}

impl StepTimes {
    /// Adds one step.
    pub fn add(&mut self, time: Duration) {
        self.current += time;
        self.steps += 1;
    }

    /// Ends an interval.
    pub fn close(&mut self) {
        if self.steps > 0 {
            self.intervals.push(self.current.as_secs_f64() / f64::from(self.steps));
        }
        (self.current, self.steps) = (Duration::ZERO, 0);
    }

    /// Seconds a step in the last interval.
    pub fn last(&self) -> Option<f64> {
        self.intervals.last().copied()
    }

    /// The median over the intervals but the first, which warms up; over the first where there is no other.
    pub fn median(&self) -> Option<f64> {
        let mut warm = match &*self.intervals {
            [_, warm @ ..] if !warm.is_empty() => warm.to_vec(),
            all => all.to_vec(),
        };
        warm.sort_by(f64::total_cmp);
        let (low, high) = (warm.get(warm.len().saturating_sub(1) / 2)?, warm.get(warm.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_leaves_out_the_first_interval() {
        let mut times = StepTimes::default();
        assert_eq!(times.median(), None);
        for (seconds, expected) in [(9, 9.0), (1, 1.0), (3, 2.0), (2, 2.0)] {
            times.add(Duration::from_secs(seconds - 1));
            times.add(Duration::from_secs(seconds + 1));
            times.close();
            assert_eq!(times.median(), Some(expected));
        }
    }
}
