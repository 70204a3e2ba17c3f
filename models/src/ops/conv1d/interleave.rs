/// Writes the values of `phases`, rows of `pitch` values, in turns: one of each, then the next of each, without the first
/// `skipped`, fewer than there are phases.
#[inline(always)]
pub(super) fn interleave(phases: &[f32], pitch: usize, skipped: usize, output: &mut [f32]) {
    match phases.len() / pitch {
        // Constant strides become shuffles of whole vectors.
        2 => interleave_each::<2>(phases, pitch, skipped, output),
        4 => interleave_each::<4>(phases, pitch, skipped, output),
        stride => {
            for (phase, values) in phases.chunks_exact(pitch).enumerate() {
                let (first, values) = if phase < skipped { (stride, &values[1..]) } else { (0, values) };
                let places = output.iter_mut().skip(first + phase - skipped).step_by(stride);
                for (place, value) in places.zip(values) {
                    *place = *value;
                }
            }
        }
    }
}

#[inline(always)]
fn interleave_each<const STRIDE: usize>(phases: &[f32], pitch: usize, skipped: usize, output: &mut [f32]) {
    let value = |index: usize| phases[index % STRIDE * pitch + index / STRIDE];
    let begun = if skipped == 0 { 0 } else { (STRIDE - skipped).min(output.len()) };
    let (before, output) = output.split_at_mut(begun);
    for (index, place) in before.iter_mut().enumerate() {
        *place = value(skipped + index);
    }
    let first = usize::from(skipped > 0);
    let (whole, rest) = output.as_chunks_mut::<STRIDE>();
    let rows: [&[f32]; STRIDE] = std::array::from_fn(|phase| &phases[phase * pitch + first..][..whole.len()]);
    for (index, places) in whole.iter_mut().enumerate() {
        for (place, row) in places.iter_mut().zip(rows) {
            *place = row[index];
        }
    }
    let done = (first + whole.len()) * STRIDE;
    for (index, place) in rest.iter_mut().enumerate() {
        *place = value(done + index);
    }
}
