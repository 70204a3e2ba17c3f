//! The signals of `scripts/reference/mel.py`, the same bit for bit.

pub fn signal(kind: &str, length: usize) -> Vec<f32> {
    let sound = match kind {
        "notes" => notes(length),
        "noise" => scaled(&noise(length), 0.25),
        "sine" => scaled(&oscillator(length, |_| 85_704_562), 0.5),
        "sweep" => scaled(&oscillator(length, |n| n as u32 * 16384), 0.5),
        "quiet" => scaled(&notes(length), 0.007_812_5),
        "short" => {
            let mut sound = notes(length / 3);
            sound.resize(length, 0.0);
            sound
        }
        _ => panic!("no signal {kind}"),
    };
    sound.into_iter().map(|value| value as f32).collect()
}

fn scaled(sound: &[f64], factor: f64) -> Vec<f64> {
    sound.iter().map(|value| factor * value).collect()
}

fn oscillator(length: usize, step: impl Fn(usize) -> u32) -> Vec<f64> {
    let mut phase = 0_u32;
    let wave = |n| {
        phase = phase.wrapping_add(step(n));
        let turn = f64::from(phase as i32) / 2_147_483_648.0;
        4.0 * turn * (1.0 - turn.abs())
    };
    (0..length).map(wave).collect()
}

fn noise(length: usize) -> Vec<f64> {
    let hash = |n: usize| {
        let mut value = (n as u32).wrapping_mul(2_654_435_761);
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            value = (value ^ (value >> shift)).wrapping_mul(factor);
        }
        f64::from((value ^ (value >> 16)) as i32) / 2_147_483_648.0
    };
    (0..length).map(hash).collect()
}

fn notes(length: usize) -> Vec<f64> {
    let mut sound = scaled(&noise(length), 0.001);
    let steps = [42_949_672, 54_112_000, 64_424_509, 85_899_345, 21_474_836, 171_798_691];
    for (index, step) in steps.into_iter().enumerate() {
        let start = index * length / 8;
        let rest = length - start;
        let wave = oscillator(rest, |_| step);
        for (n, (sample, wave)) in sound[start..].iter_mut().zip(wave).enumerate() {
            let left = 1.0 - n as f64 / rest as f64;
            *sample += 0.2 * (left * left) * wave;
        }
    }
    sound
}
