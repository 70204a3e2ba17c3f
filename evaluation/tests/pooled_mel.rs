//! The pooled log-mel embedding.

#![allow(clippy::unwrap_used)]

use ndarray::Array2;
use nocturne_evaluation::Statistics;
use nocturne_evaluation::pooled_mel::PooledMel;
use nocturne_models::random::Random;
use nocturne_vocoder::audio::Audio;

fn tone(frequency: f64, sample_rate: u32, seconds: f64) -> Audio {
    let length = (f64::from(sample_rate) * seconds) as usize;
    let phase = |sample: usize| std::f64::consts::TAU * frequency * sample as f64 / f64::from(sample_rate);
    Audio { sample_rate, channels: vec![(0..length).map(|sample| 0.5 * phase(sample).sin() as f32).collect()] }
}

fn noise(seconds: usize, index: u64) -> Audio {
    Audio { sample_rate: 16_000, channels: vec![Random::new(1, "test", index).normal(16_000 * seconds)] }
}

fn embed(audio: &Audio) -> Array2<f32> {
    PooledMel::new().unwrap().embed(audio)
}

#[test]
fn gives_a_vector_each_half_second_and_one_for_a_short_sound() {
    for (seconds, frames) in [(0.0, 0), (0.1, 1), (0.9, 1), (1.5, 2), (3.0, 5), (10.0, 19)] {
        assert_eq!(embed(&tone(440.0, 16_000, seconds)).dim(), (frames, PooledMel::DIM), "{seconds} s");
    }
}

#[test]
fn hears_pitch_and_level() {
    let loudest = |audio: &Audio| {
        let vectors = embed(audio);
        (0..PooledMel::DIM).max_by(|a, b| vectors[(1, *a)].total_cmp(&vectors[(1, *b)])).unwrap()
    };
    assert!(loudest(&tone(220.0, 16_000, 3.0)) < loudest(&tone(880.0, 16_000, 3.0)));
    let loud = noise(3, 0);
    let soft = Audio { channels: vec![loud.channels[0].iter().map(|sample| sample * 0.1).collect()], ..loud.clone() };
    let difference = embed(&loud) - embed(&soft);
    // A tenth of the amplitude is ln 10 less in every band.
    assert!(difference.iter().all(|value| (value - 10.0_f32.ln()).abs() < 0.01));
}

#[test]
fn hears_the_same_at_any_sample_rate() {
    let (found, expected) = (embed(&tone(440.0, 44_100, 3.0)), embed(&tone(440.0, 16_000, 3.0)));
    // In the bands that sound; the others hold each resampler's noise floor.
    let sounding: Vec<usize> = (0..PooledMel::DIM).filter(|band| expected[(2, *band)] > -3.0).collect();
    assert!(!sounding.is_empty());
    for band in sounding {
        let difference = (found[(2, band)] - expected[(2, band)]).abs();
        assert!(difference < 0.05, "band {band}: {difference}");
    }
}

#[test]
fn noise_is_nearer_to_noise_than_to_a_tone() {
    let statistics = |audio: &Audio| Statistics::of(embed(audio).view());
    let reference = statistics(&noise(20, 0));
    let same = reference.frechet_distance(&statistics(&noise(20, 1))).unwrap();
    let other = reference.frechet_distance(&statistics(&tone(440.0, 16_000, 20.0))).unwrap();
    assert!(same * 100.0 < other, "{same} {other}");
}
