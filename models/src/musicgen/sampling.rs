use std::cmp::Ordering;

use crate::random::Random;

/// How a token is drawn from scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the scores; 0 takes the best token.
    pub temperature: f64,
    /// Only so many of the best tokens can be drawn, and those that are equal to the last of them; 0 for all.
    pub top_k: usize,
    /// Instead, the fewest of the best tokens whose probabilities sum up to more than this; 0 for no such bound.
    pub top_p: f64,
}

impl Default for Sampling {
    /// audiocraft's.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 250, top_p: 0.0 }
    }
}

impl Sampling {
    /// The best token, always.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: 0, top_p: 0.0 };

    /// A token drawn from scores; of equally good ones the first, where the best is taken.
    ///
    /// # Panics
    ///
    /// If there is no score.
    pub fn draw(&self, scores: &[f32], random: &mut Random) -> usize {
        if self.temperature <= 0.0 {
            return best(scores);
        }
        let mut weights = probabilities(scores, self.temperature);
        if self.top_p > 0.0 {
            keep_most_likely(&mut weights, self.top_p);
        } else if self.top_k > 0 {
            keep_best(&mut weights, self.top_k);
        }
        let total: f64 = weights.iter().sum();
        let mut left = random.uniform() * total;
        for (token, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return token;
            }
        }
        // Rounding left a rest: the last that can be drawn.
        weights.iter().rposition(|weight| *weight > 0.0).unwrap_or_else(|| best(scores))
    }
}

/// Classifier-free guidance: `unconditional + scale · (conditional − unconditional)` (Ho & Salimans, 2022).
pub fn guided(conditional: &[f32], unconditional: &[f32], scale: f32) -> Vec<f32> {
    conditional.iter().zip(unconditional).map(|(with, without)| without + (with - without) * scale).collect()
}

fn best(scores: &[f32]) -> usize {
    let later_only_if_better = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1).then(b.0.cmp(&a.0));
    scores.iter().enumerate().max_by(later_only_if_better).map(|(token, _)| token).expect("a score")
}

fn probabilities(scores: &[f32], temperature: f64) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f64> = scores.iter().map(|score| libm::exp(f64::from(score - highest) / temperature)).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Leaves the `count` largest weights, and those that are equal to the last of them.
fn keep_best(weights: &mut [f64], count: usize) {
    if count >= weights.len() {
        return;
    }
    let mut sorted = weights.to_vec();
    let (_, bound, _) = sorted.select_nth_unstable_by(count - 1, |a, b| descending(*a, *b));
    let bound = *bound;
    weights.iter_mut().filter(|weight| **weight < bound).for_each(|weight| *weight = 0.0);
}

/// Leaves the largest weights up to and with the one at which their sum goes beyond `share`.
fn keep_most_likely(weights: &mut [f64], share: f64) {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| descending(weights[*a], weights[*b]));
    let mut before = 0.0;
    for token in order {
        let weight = weights[token];
        if before > share {
            weights[token] = 0.0;
        }
        before += weight;
    }
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

#[cfg(test)]
mod tests {
    use super::{Sampling, guided};
    use crate::random::Random;

    fn share(sampling: Sampling, scores: &[f32]) -> Vec<f64> {
        const DRAWS: usize = 40_000;
        let mut random = Random::new(5, "share", 0);
        let mut counts = vec![0; scores.len()];
        (0..DRAWS).for_each(|_| counts[sampling.draw(scores, &mut random)] += 1);
        counts.into_iter().map(|count| f64::from(count) / DRAWS as f64).collect()
    }

    fn near(found: &[f64], expected: &[f64]) {
        // Three standard deviations of a share of 40,000 draws are below 0.0075.
        let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.008);
        assert!(close, "{found:?}, expected {expected:?}");
    }

    /// Probabilities 0.5, 0.3, 0.15 and 0.05.
    fn scores() -> Vec<f32> {
        [0.15f32, 0.5, 0.05, 0.3].map(f32::ln).to_vec()
    }

    #[test]
    fn tokens_come_as_often_as_their_probabilities_say() {
        let all = Sampling { top_k: 0, ..Sampling::default() };
        near(&share(all, &scores()), &[0.15, 0.5, 0.05, 0.3]);
        // Squares, to the sum of one.
        let cold = Sampling { temperature: 0.5, ..all };
        near(&share(cold, &scores()), &[0.0616, 0.6849, 0.0068, 0.2466]);
    }

    #[test]
    fn only_the_best_are_drawn() {
        near(&share(Sampling { top_k: 2, ..Sampling::default() }, &scores()), &[0.0, 0.625, 0.0, 0.375]);
        // Up to 0.6: 0.5, and what takes it beyond.
        near(&share(Sampling { top_p: 0.6, ..Sampling::default() }, &scores()), &[0.0, 0.625, 0.0, 0.375]);
        near(&share(Sampling { top_p: 0.4, ..Sampling::default() }, &scores()), &[0.0, 1.0, 0.0, 0.0]);
        near(&share(Sampling { top_k: 1, ..Sampling::default() }, &[1.0, 2.0, 2.0]), &[0.0, 0.5, 0.5]);
        assert_eq!(Sampling::GREEDY.draw(&[1.0, 2.0, 2.0], &mut Random::new(0, "", 0)), 1);
    }

    #[test]
    fn guidance_goes_on_from_the_unconditional() {
        assert_eq!(guided(&[1.0, 0.0], &[0.5, 1.0], 3.0), [2.0, -2.0]);
    }
}
