use std::ops::Range;

/// A bank of filters over the bins of a spectrum: Slaney's with area normalisation, as `librosa.filters.mel(htk=False,
/// norm="slaney")` makes it in float32 ([`MelFilterbank::new`]), or any other.
///
/// Each triangle covers few bins, so only those are kept. Neighbouring triangles overlap by half, others not at all.
#[derive(Clone, Debug)]
pub struct MelFilterbank {
    bins: usize,
    bands: Vec<Band>,
    weights: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Band {
    first_bin: usize,
    weights: Range<usize>,
}

impl MelFilterbank {
    /// `n_mels` triangles between `fmin` and `fmax` Hz over the `n_fft / 2 + 1` bins of a transform.
    pub fn new(sample_rate: u32, n_fft: usize, n_mels: usize, fmin: f64, fmax: f64) -> Self {
        let bins = n_fft / 2 + 1;
        let bin_width = 1.0 / (n_fft as f64 * (1.0 / f64::from(sample_rate)));
        let edges = mel_frequencies(n_mels + 2, fmin, fmax);
        let mut weights = Vec::new();
        let bands = edges
            .windows(3)
            .map(|edge| {
                let area = 2.0 / (edge[2] - edge[0]);
                let triangle = |bin: usize| {
                    let frequency = bin as f64 * bin_width;
                    let rise = (frequency - edge[0]) / (edge[1] - edge[0]);
                    let fall = (edge[2] - frequency) / (edge[2] - edge[1]);
                    // librosa rounds the triangle to float32 before it scales it.
                    (f64::from(rise.min(fall).max(0.0) as f32) * area) as f32
                };
                let covered =
                    ((edge[0] / bin_width) as usize).min(bins)..((edge[2] / bin_width) as usize + 2).min(bins);
                let first_bin = covered.clone().find(|bin| triangle(*bin) > 0.0).unwrap_or(covered.start);
                let start = weights.len();
                weights.extend((first_bin..covered.end).map(triangle).take_while(|weight| *weight > 0.0));
                Band { first_bin, weights: start..weights.len() }
            })
            .collect();
        Self { bins, bands, weights }
    }

    /// Other triangles than Slaney's: `weight(band, bin)` for each of `n_mels` bands. What is 0 before a band's first weight
    /// and behind its last is not kept.
    pub fn from_fn(bins: usize, n_mels: usize, weight: impl Fn(usize, usize) -> f32) -> Self {
        let mut weights = Vec::new();
        let bands = (0..n_mels)
            .map(|band| {
                let counts = |bin: &usize| weight(band, *bin) != 0.0;
                let first_bin = (0..bins).find(counts).unwrap_or(0);
                let end = (first_bin..bins).rfind(counts).map_or(first_bin, |last| last + 1);
                let start = weights.len();
                weights.extend((first_bin..end).map(|bin| weight(band, bin)));
                Band { first_bin, weights: start..weights.len() }
            })
            .collect();
        Self { bins, bands, weights }
    }

    /// Frequency bins it reads.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Mel bands it gives.
    pub fn n_mels(&self) -> usize {
        self.bands.len()
    }

    /// The bins a band covers: the first of them, and their weights. Bands narrower than a bin may cover none.
    pub fn band(&self, index: usize) -> (usize, &[f32]) {
        let Band { first_bin, weights } = &self.bands[index];
        (*first_bin, &self.weights[weights.clone()])
    }

    /// One frame: `spectrum` (`bins` values) into `mel` (`n_mels` values).
    pub fn apply(&self, spectrum: &[f32], mel: &mut [f32]) {
        assert!(
            spectrum.len() == self.bins && mel.len() == self.bands.len(),
            "a spectrum of {} bins into {} bands, expected {} into {}",
            spectrum.len(),
            mel.len(),
            self.bins,
            self.bands.len()
        );
        for (out, band) in mel.iter_mut().zip(&self.bands) {
            let weights = &self.weights[band.weights.clone()];
            *out = dot(weights, &spectrum[band.first_bin..band.first_bin + weights.len()]);
        }
    }
}

/// Four running sums: one alone would wait for each addition.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_fours, left_rest) = left.as_chunks::<4>();
    let (right_fours, right_rest) = right.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in left_fours.iter().zip(right_fours) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// Slaney's scale (Auditory Toolbox, 1998): linear up to 1 kHz, then 27 steps for a factor of 6.4.
fn mel_frequencies(count: usize, fmin: f64, fmax: f64) -> Vec<f64> {
    let (lowest, highest) = (mel_from_hz(fmin), mel_from_hz(fmax));
    let step = (highest - lowest) / (count - 1) as f64;
    (0..count).map(|n| hz_from_mel(if n + 1 == count { highest } else { lowest + n as f64 * step })).collect()
}

const LINEAR_STEP_HZ: f64 = 200.0 / 3.0;
const LOG_START_HZ: f64 = 1000.0;
const LOG_START_MEL: f64 = LOG_START_HZ / LINEAR_STEP_HZ;

fn log_step() -> f64 {
    libm::log(6.4) / 27.0
}

fn mel_from_hz(hz: f64) -> f64 {
    if hz < LOG_START_HZ { hz / LINEAR_STEP_HZ } else { LOG_START_MEL + libm::log(hz / LOG_START_HZ) / log_step() }
}

fn hz_from_mel(mel: f64) -> f64 {
    if mel < LOG_START_MEL {
        mel * LINEAR_STEP_HZ
    } else {
        LOG_START_HZ * libm::exp(log_step() * (mel - LOG_START_MEL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_goes_there_and_back() {
        for hz in [0.0, 66.6, 440.0, 1000.0, 5000.0, 22050.0] {
            assert!((hz_from_mel(mel_from_hz(hz)) - hz).abs() < 1e-9 * hz.max(1.0));
        }
        assert!((mel_from_hz(6400.0) - 42.0).abs() < 1e-12);
    }

    #[test]
    fn applies_what_it_shows() {
        let bank = MelFilterbank::new(22050, 2048, 80, 0.0, 8000.0);
        let spectrum: Vec<f32> = (0..bank.bins()).map(|bin| ((bin * 7) % 13) as f32).collect();
        let mut mel = vec![0.0; bank.n_mels()];
        bank.apply(&spectrum, &mut mel);
        for (index, value) in mel.iter().enumerate() {
            let (first, weights) = bank.band(index);
            let expected: f32 = weights.iter().zip(&spectrum[first..]).map(|(w, x)| w * x).sum();
            assert!((value - expected).abs() <= 1e-6 * expected.abs());
        }
    }

    #[test]
    fn any_weights_are_kept_as_they_are() {
        let weight =
            |band: usize, bin: usize| [[0.0, 1.0, 0.0, 2.0, 0.0], [0.0; 5], [3.0, 0.0, 0.0, 0.0, 4.0]][band][bin];
        let bank = MelFilterbank::from_fn(5, 3, weight);
        assert_eq!(bank.band(0), (1, &[1.0, 0.0, 2.0][..]));
        assert_eq!((bank.band(1).1.len(), bank.band(2).1.len()), (0, 5));
        let mut mel = [f32::NAN; 3];
        bank.apply(&[1.0, 10.0, 100.0, 1000.0, 10_000.0], &mut mel);
        assert_eq!(mel, [2010.0, 0.0, 40_003.0]);
    }

    #[test]
    fn bands_narrower_than_a_bin_are_empty_not_wrong() {
        let bank = MelFilterbank::new(44100, 256, 256, 0.0, 22050.0);
        let mut mel = vec![f32::NAN; 256];
        bank.apply(&[1.0; 129], &mut mel);
        assert!(mel.contains(&0.0) && mel.iter().all(|value| value.is_finite()));
    }
}
