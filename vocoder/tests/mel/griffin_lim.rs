use ndarray::Array2;
use nocturne_vocoder::griffin_lim::{GriffinLim, Phase};
use nocturne_vocoder::mel::{Stft, pad_zero};

use crate::fixtures::Fixture;
use crate::signals::signal;

#[test]
fn from_zero_phases_the_signal_is_that_of_librosa() {
    let fixture = Fixture::open("mel_griffin_lim.safetensors");
    let magnitude = fixture.matrix("magnitude");
    let stft = Stft::new(512, 128);
    for iterations in [0, 1, 4, 32] {
        let griffin_lim = GriffinLim { iterations, ..GriffinLim::default() };
        let ours = griffin_lim.audio(&stft, magnitude.view(), Phase::Zero);
        let expected = fixture.vector(&format!("zero.{iterations}"));
        assert_eq!(ours.len(), expected.len());
        let difference: Vec<f32> = ours.iter().zip(&expected).map(|(x, y)| x - y).collect();
        let relative = norm(&difference) / norm(&expected);
        // librosa transforms in float64. The phase of a bin that is nearly zero hangs on rounding.
        assert!(relative < 1e-3, "{iterations} iterations: {relative}");
    }
}

/// Random phases reach the same accuracy as librosa's on average: within 1 % over noise, whose many bins leave little to
/// chance; over notes within three standard errors of both means.
#[test]
fn converges_as_far_as_librosa() {
    let fixture = Fixture::open("mel_griffin_lim.safetensors");
    let stft = Stft::new(1024, 256);
    for kind in ["notes", "noise"] {
        let magnitude = magnitude(&stft, &signal(kind, 120 * 256));
        for iterations in [8, 32] {
            let theirs = fixture.vector(&format!("convergence.{kind}.{iterations}"));
            let griffin_lim = GriffinLim { iterations, ..GriffinLim::default() };
            let ours: Vec<f32> = (0..theirs.len() as u64)
                .map(|seed| {
                    let sound = griffin_lim.audio(&stft, magnitude.view(), Phase::Random { seed });
                    convergence(&stft, &magnitude, &sound)
                })
                .collect();
            let ((ours, our_error), (theirs, their_error)) = (mean_and_error(&ours), mean_and_error(&theirs));
            let allowed = (0.01 * theirs).max(3.0 * our_error.hypot(their_error));
            assert!((ours - theirs).abs() <= allowed, "{kind} {iterations}: {ours} {theirs} ± {allowed}");
            assert!(kind == "notes" || allowed <= 0.0101 * theirs, "{kind} {iterations}: {allowed}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_signal_on_any_number_of_threads() {
    let stft = Stft::new(512, 128);
    let magnitude = magnitude(&stft, &signal("notes", 90 * 128));
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| GriffinLim::default().audio(&stft, magnitude.view(), Phase::Random { seed }))
    };
    let one = run(1, 7);
    assert_eq!(one, run(3, 7));
    assert_ne!(one, run(1, 8));
}

#[test]
fn any_shape_of_transform_is_inverted() {
    for (n_fft, hop, frames) in [(400, 100, 9), (15, 4, 20), (64, 64, 5), (16, 40, 3), (512, 128, 1)] {
        let stft = Stft::new(n_fft, hop);
        let magnitude = Array2::from_elem((stft.bins(), frames), 1.0);
        let sound = GriffinLim::default().audio(&stft, magnitude.view(), Phase::Random { seed: 1 });
        assert_eq!(sound.len(), (frames - 1) * hop);
        assert!(sound.iter().all(|sample| sample.is_finite()));
    }
}

fn magnitude(stft: &Stft, sound: &[f32]) -> Array2<f32> {
    let padded = pad_zero(sound, stft.n_fft() / 2);
    let mut scratch = stft.scratch();
    let mut magnitude = Array2::zeros((stft.bins(), stft.frames(padded.len())));
    for (frame, mut column) in magnitude.columns_mut().into_iter().enumerate() {
        stft.forward(&padded[frame * stft.hop_length()..][..stft.n_fft()], &mut scratch);
        for (value, bin) in column.iter_mut().zip(&scratch.spectrum) {
            *value = bin.norm();
        }
    }
    magnitude
}

fn convergence(stft: &Stft, wanted: &Array2<f32>, sound: &[f32]) -> f32 {
    let difference: Vec<f32> = magnitude(stft, sound).iter().zip(wanted).map(|(x, y)| x - y).collect();
    norm(&difference) / norm(wanted.as_slice().unwrap())
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32
}

fn mean_and_error(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}
