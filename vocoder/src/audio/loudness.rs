//! Loudness after EBU R 128 and ITU-R BS.1770-4: measuring it, and bringing a sound to a target with one gain.

use ebur128::{EbuR128, Mode};

use super::Audio;

/// The highest true peak that [`match_loudness`] leaves, in dBTP (EBU R 128 §3 for the production of programmes).
pub const TRUE_PEAK_CEILING: f64 = -1.0;

/// What [`match_loudness`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoudnessMatch {
    /// The gain that every sample was multiplied with, in dB.
    pub gain_db: f64,
    /// Whether the ceiling kept the gain below what the target asks.
    pub limited: bool,
}

/// The integrated loudness in LUFS.
///
/// `None` for a sound without loudness: silent, shorter than one 400 ms gating block, or of a rate or channel count
/// outside of what the measurement is defined for (up to 64 channels, 16 Hz and more).
///
/// One channel counts as one loudspeaker, as ffmpeg and pyloudnorm do: a mono file is 3 LU quieter than the same
/// signal on two channels.
pub fn loudness(audio: &Audio) -> Option<f64> {
    let loudness = meter(audio, Mode::I)?.loudness_global().ok()?;
    loudness.is_finite().then_some(loudness)
}

/// The true peak in dBTP, oversampled as BS.1770-4 annex 2 asks; `None` for silence.
pub fn true_peak(audio: &Audio) -> Option<f64> {
    let meter = meter(audio, Mode::TRUE_PEAK)?;
    let peak = (0..audio.channels.len() as u32)
        .filter_map(|channel| Some(meter.true_peak(channel).ok()?.max(meter.sample_peak(channel).ok()?)))
        .fold(0.0, f64::max);
    (peak > 0.0).then(|| 20.0 * peak.log10())
}

/// Brings `audio` to `target` LUFS with one gain for all samples.
///
/// No compressor or limiter is applied: where the gain would lift the true peak over [`TRUE_PEAK_CEILING`], it is
/// reduced until the peak lies there, and the sound stays quieter than the target. A sound without loudness
/// (see [`loudness`]) is left alone and gives `None`.
pub fn match_loudness(audio: &mut Audio, target: f64) -> Option<LoudnessMatch> {
    let wanted = target - loudness(audio)?;
    let room = TRUE_PEAK_CEILING - true_peak(audio)?;
    let gain_db = wanted.min(room);
    let gain = 10f64.powf(gain_db / 20.0) as f32;
    for sample in audio.channels.iter_mut().flatten() {
        *sample *= gain;
    }
    Some(LoudnessMatch { gain_db, limited: room < wanted })
}

fn meter(audio: &Audio, mode: Mode) -> Option<EbuR128> {
    let mut meter = EbuR128::new(audio.channels.len() as u32, audio.sample_rate, mode).ok()?;
    let planes: Vec<&[f32]> = audio.channels.iter().map(Vec::as_slice).collect();
    meter.add_frames_planar_f32(&planes).ok()?;
    Some(meter)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sine(decibel: f64, frequency: f64, channels: usize) -> Audio {
        let amplitude = 10f64.powf(decibel / 20.0);
        let wave: Vec<f32> = (0..48_000 * 5)
            .map(|n| (amplitude * (std::f64::consts::TAU * frequency * f64::from(n) / 48_000.0).sin()) as f32)
            .collect();
        Audio { sample_rate: 48_000, channels: vec![wave; channels] }
    }

    /// EBU Tech 3341, test cases 1 and 2: a stereo sine of 1 kHz at −23 dBFS reads −23 LUFS, ±0.1 LU.
    #[test]
    fn a_sine_reads_as_the_standard_says() {
        for level in [-23.0, -33.0] {
            assert!((loudness(&sine(level, 1000.0, 2)).unwrap() - level).abs() < 0.1);
        }
    }

    #[test]
    fn matching_reaches_the_target() {
        let mut audio = sine(-40.0, 997.0, 2);
        let done = match_loudness(&mut audio, -16.0).unwrap();
        assert!(!done.limited);
        assert!((loudness(&audio).unwrap() + 16.0).abs() < 0.05);
    }

    /// A quarter-rate sine with phase π/4 has its true peak 3 dB over its sample peak.
    #[test]
    fn the_ceiling_holds_between_the_samples() {
        let mut wave = vec![0.0f32; 48_000];
        for (n, sample) in wave.iter_mut().enumerate() {
            *sample = 0.1 * (std::f32::consts::FRAC_PI_2 * n as f32 + std::f32::consts::FRAC_PI_4).sin();
        }
        let mut audio = Audio { sample_rate: 48_000, channels: vec![wave] };
        let done = match_loudness(&mut audio, 0.0).unwrap();
        assert!(done.limited);
        assert!((true_peak(&audio).unwrap() - TRUE_PEAK_CEILING).abs() < 0.2);
        let highest = audio.channels[0].iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        assert!(highest < 0.71, "{highest}");
    }

    #[test]
    fn silence_and_short_clips_have_no_loudness() {
        let mut silence = Audio { sample_rate: 44_100, channels: vec![vec![0.0; 44_100]] };
        assert_eq!(loudness(&silence), None);
        assert_eq!(match_loudness(&mut silence, -14.0), None);
        assert_eq!(loudness(&Audio { sample_rate: 44_100, channels: vec![vec![0.5; 1000]] }), None);
    }
}
