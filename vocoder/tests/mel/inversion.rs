use nocturne_vocoder::mel::{MelFilterbank, MelInversion};

use crate::fixtures::Fixture;

const CASES: [(usize, usize); 2] = [(512, 40), (2048, 256)];

#[test]
fn residuals_are_at_most_those_of_librosa() {
    let fixture = Fixture::open("mel_nnls.safetensors");
    for (n_fft, n_mels) in CASES {
        let bank = MelFilterbank::new(22050, n_fft, n_mels, 0.0, 11025.0);
        for kind in ["exact", "disturbed"] {
            let mel = fixture.matrix(&format!("{n_mels}.{kind}.mel"));
            let spectrum = MelInversion::new(&bank).solve(mel.view());
            assert!(spectrum.iter().all(|power| *power >= 0.0));
            let theirs = fixture.vector(&format!("{n_mels}.{kind}.error"));
            for (frame, theirs) in theirs.into_iter().enumerate() {
                let column = mel.column(frame);
                let norm = column.iter().map(|value| value * value).sum::<f32>();
                let ours = squared_error(&bank, &spectrum.column(frame).to_vec(), &column.to_vec());
                // 1e-10 of the squared norm is the rounding of float32, where the mel can be had exactly.
                assert!(ours <= 1.001 * theirs + 1e-10 * norm, "{n_mels} {kind} {frame}: {ours} {theirs} {norm}");
            }
        }
    }
}

#[test]
fn an_attainable_mel_is_attained() {
    let fixture = Fixture::open("mel_nnls.safetensors");
    for (n_fft, n_mels) in CASES {
        let bank = MelFilterbank::new(22050, n_fft, n_mels, 0.0, 11025.0);
        let mel = fixture.matrix(&format!("{n_mels}.exact.mel"));
        let spectrum = MelInversion::new(&bank).solve(mel.view());
        for (column, solution) in mel.columns().into_iter().zip(spectrum.columns()) {
            let norm = column.iter().map(|value| value * value).sum::<f32>();
            let error = squared_error(&bank, &solution.to_vec(), &column.to_vec());
            // 60 dB below the frame, where librosa's descent stops at 19 dB (40 bands) and 51 dB (256 bands).
            assert!(error <= 1e-6 * norm, "{n_mels}: {}", error / norm);
        }
    }
}

#[test]
fn a_scaled_mel_has_a_scaled_spectrum() {
    let fixture = Fixture::open("mel_nnls.safetensors");
    let inversion = MelInversion::new(&MelFilterbank::new(22050, 2048, 256, 0.0, 11025.0));
    let mel = fixture.matrix("256.disturbed.mel");
    let spectrum = inversion.solve(mel.view());
    for exponent in [-60, 60] {
        let scale = f32::powi(2.0, exponent);
        let scaled = inversion.solve((&mel * scale).view());
        for (x, y) in spectrum.iter().zip(&scaled) {
            assert!((x * scale - y).abs() <= 1e-3 * y, "{x} {y}");
        }
    }
}

fn squared_error(bank: &MelFilterbank, spectrum: &[f32], mel: &[f32]) -> f32 {
    let mut rebuilt = vec![0.0; bank.n_mels()];
    bank.apply(spectrum, &mut rebuilt);
    rebuilt.iter().zip(mel).map(|(x, y)| (x - y).powi(2)).sum()
}
