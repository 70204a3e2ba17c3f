//! Chord progressions: a wander through the degrees of a mode, voiced so that each part moves as little as it can.

use nocturne_models::random::Random;

/// Semitones above the tonic of each degree: Ionian, Dorian, Lydian, Mixolydian, Aeolian.
const MODES: [[i32; 7]; 5] = [
    [0, 2, 4, 5, 7, 9, 11],
    [0, 2, 3, 5, 7, 9, 10],
    [0, 2, 4, 6, 7, 9, 11],
    [0, 2, 4, 5, 7, 9, 10],
    [0, 2, 3, 5, 7, 8, 10],
];
/// Root movements, in degrees, that sound unhurried: thirds, fourths and fifths, now and then a step.
const MOVES: [i32; 8] = [2, -2, 3, -3, 3, -2, 1, -1];
/// Chord shapes, in degrees above the root: seventh, added ninth, open ninth.
const SHAPES: [[i32; 4]; 3] = [[0, 2, 4, 6], [0, 1, 2, 4], [0, 1, 4, 6]];
const LOOP: usize = 4;
/// MIDI notes between which the four upper parts stay.
const RANGE: std::ops::RangeInclusive<i32> = 53..=77;
const CENTRE: i32 = 64;
const BASS_FLOOR: i32 = 33;

/// A voiced chord, in MIDI notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    /// The root, between A1 and G♯2.
    pub bass: i32,
    /// The upper parts, from low to high.
    pub parts: [i32; 4],
}

/// `count` chords in a key and mode drawn from `random`. A phrase of four chords is heard twice, then varied.
pub fn progression(random: &mut Random, count: usize) -> Vec<Chord> {
    let tonic = random.below(12) as i32;
    let mode = &MODES[random.below(MODES.len() as u64) as usize];
    let mut phrase = [(0, SHAPES[0]); LOOP];
    for place in 0..LOOP {
        let before = phrase[(place + LOOP - 1) % LOOP].0;
        phrase[place] = (if place == 0 { 0 } else { next_degree(random, mode, before) }, draw_shape(random));
    }
    let mut parts = [55, 60, 64, 69];
    let mut chords = Vec::with_capacity(count);
    for number in 0..count {
        if number > 0 && number % (2 * LOOP) == 0 {
            let place = 1 + random.below(LOOP as u64 - 1) as usize;
            phrase[place] = (next_degree(random, mode, phrase[place - 1].0), draw_shape(random));
        }
        let (root, shape) = phrase[number % LOOP];
        let classes = shape_classes(tonic, mode, root, shape);
        parts = nearest_voicing(parts, classes);
        chords.push(Chord { bass: BASS_FLOOR + (tonic + pitch(mode, root) - BASS_FLOOR).rem_euclid(12), parts });
    }
    chords
}

/// Semitones of a degree above the tonic; degrees go on past the octave in both directions.
fn pitch(mode: &[i32; 7], degree: i32) -> i32 {
    mode[degree.rem_euclid(7) as usize] + 12 * degree.div_euclid(7)
}

fn draw_shape(random: &mut Random) -> [i32; 4] {
    SHAPES[random.below(SHAPES.len() as u64) as usize]
}

/// A degree one move away whose fifth is perfect.
fn next_degree(random: &mut Random, mode: &[i32; 7], from: i32) -> i32 {
    loop {
        let degree = (from + MOVES[random.below(MOVES.len() as u64) as usize]).rem_euclid(7);
        if pitch(mode, degree + 4) - pitch(mode, degree) == 7 {
            return degree;
        }
    }
}

/// Pitch classes of a chord. Where the ninth would be a semitone above the root, the seventh chord is taken.
fn shape_classes(tonic: i32, mode: &[i32; 7], root: i32, shape: [i32; 4]) -> [i32; 4] {
    let harsh = shape.contains(&1) && pitch(mode, root + 1) - pitch(mode, root) == 1;
    let shape = if harsh { SHAPES[0] } else { shape };
    shape.map(|degree| (tonic + pitch(mode, root + degree)).rem_euclid(12))
}

/// The voicing of `classes` within [`RANGE`] that is nearest to `before`, well spaced, and not drifting away.
fn nearest_voicing(before: [i32; 4], classes: [i32; 4]) -> [i32; 4] {
    let places = |class: i32| RANGE.filter(move |note| note.rem_euclid(12) == class);
    let mut best = (i32::MAX, before);
    for first in places(classes[0]) {
        for second in places(classes[1]) {
            for third in places(classes[2]) {
                for fourth in places(classes[3]) {
                    let mut parts = [first, second, third, fourth];
                    parts.sort_unstable();
                    best = best.min((cost(before, parts), parts));
                }
            }
        }
    }
    best.1
}

fn cost(before: [i32; 4], parts: [i32; 4]) -> i32 {
    let movement: i32 = before.iter().zip(parts).map(|(from, to)| (to - from).abs()).sum();
    let spacing: i32 = parts.windows(2).map(|pair| spacing_cost(pair[1] - pair[0])).sum();
    let drift = (parts.iter().sum::<i32>() / 4 - CENTRE).abs();
    2 * movement + spacing + 2 * drift
}

fn spacing_cost(interval: i32) -> i32 {
    match interval {
        ..=1 => 40,
        2 => 4,
        3..=7 => 0,
        wide => 2 * (wide - 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Vec<Chord>> {
        (0..200).map(|index| progression(&mut Random::new(1, "harmony", index), 24))
    }

    #[test]
    fn parts_stay_in_range_apart_and_move_little() {
        for chords in all() {
            for chord in &chords {
                assert!(chord.parts.iter().all(|note| RANGE.contains(note)), "{chord:?}");
                assert!(chord.parts.windows(2).all(|pair| pair[1] - pair[0] >= 2), "{chord:?}");
                assert!((33..45).contains(&chord.bass), "{chord:?}");
            }
            let moved: i32 = chords
                .windows(2)
                .flat_map(|pair| (0..4).map(|part| (pair[1].parts[part] - pair[0].parts[part]).abs()))
                .sum();
            let mean = f64::from(moved) / (4 * (chords.len() - 1)) as f64;
            assert!(mean < 2.5, "parts move {mean} semitones on average");
        }
    }

    #[test]
    fn notes_belong_to_one_mode() {
        for chords in all() {
            let mut classes: Vec<i32> = chords.iter().flat_map(|c| c.parts).map(|note| note % 12).collect();
            classes.sort_unstable();
            classes.dedup();
            assert!(classes.len() <= 7, "{classes:?}");
        }
    }

    #[test]
    fn progressions_differ() {
        let mut seen: Vec<_> = all().map(|chords| format!("{chords:?}")).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 195, "only {} of 200 are distinct", seen.len());
    }
}
