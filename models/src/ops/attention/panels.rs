//! The layouts that the products read from front to back.

use super::shape::Rows;

/// Scalars that one step of a product takes from a panel.
pub(super) const PANEL: usize = 8;

/// Panels of [`PANEL`] positions, the last one filled up with zeros.
///
/// # Shapes
///
/// `[position, channel]` → `[panel, channel, PANEL]`
#[inline(always)]
pub(super) fn of_positions(rows: Rows) -> Vec<f32> {
    let mut panels = vec![0.0; rows.count.next_multiple_of(PANEL) * rows.width];
    for (start, panel) in (0..rows.count).step_by(PANEL).zip(panels.chunks_exact_mut(rows.width * PANEL)) {
        let panel = panel.as_chunks_mut::<PANEL>().0;
        for lane in 0..PANEL.min(rows.count - start) {
            for (values, value) in panel.iter_mut().zip(rows.row(start + lane)) {
                values[lane] = *value;
            }
        }
    }
    panels
}

/// Panels of `size` channels, the last one filled up with zeros. Positions beyond the last row are zeros too.
///
/// # Shapes
///
/// `[position, channel]` → `[panel, positions, size]`
#[inline(always)]
pub(super) fn of_channels(rows: Rows, size: usize, positions: usize, target: &mut [f32]) {
    for (start, panel) in (0..rows.width).step_by(size).zip(target.chunks_exact_mut(positions * size)) {
        let count = size.min(rows.width - start);
        for (position, values) in panel.chunks_exact_mut(size).enumerate() {
            if position >= rows.count {
                values.fill(0.0);
            } else if count == size {
                values.copy_from_slice(&rows.row(position)[start..][..size]);
            } else {
                values[..count].copy_from_slice(&rows.row(position)[start..][..count]);
                values[count..].fill(0.0);
            }
        }
    }
}

/// `factor` times `rows` with the positions in lanes, the last lanes zeros.
///
/// # Shapes
///
/// `[position, channel]` → `[channel, lane]`
#[inline(always)]
pub(super) fn turned(rows: Rows, lanes: usize, factor: f32, target: &mut [f32]) {
    for lane in 0..lanes {
        let lines = target.chunks_exact_mut(lanes);
        if lane < rows.count {
            lines.zip(rows.row(lane)).for_each(|(line, value)| line[lane] = value * factor);
        } else {
            lines.for_each(|line| line[lane] = 0.0);
        }
    }
}

/// The other way, with a factor for each lane.
///
/// # Shapes
///
/// `[channel, lane]` → `[position, channel]`
#[inline(always)]
pub(super) fn turned_back(source: &[f32], lanes: usize, factors: &[f32], width: usize, target: &mut [f32]) {
    for (lane, (row, factor)) in target.chunks_exact_mut(width).zip(factors).enumerate() {
        row.iter_mut().zip(source.chunks_exact(lanes)).for_each(|(value, line)| *value = line[lane] * factor);
    }
}

/// Memory that a task uses again and again.
#[derive(Default)]
pub(super) struct Scratch(Vec<f32>);

impl Scratch {
    /// Pieces of `lengths` values, each beginning where a vector may; what they hold is left from before.
    #[inline(always)]
    pub fn pieces<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        const LINE: usize = 16;
        let lengths = lengths.map(|length| length.next_multiple_of(LINE));
        let total = lengths.iter().sum::<usize>() + LINE;
        if self.0.len() < total {
            self.0.resize(total, 0.0);
        }
        let start = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let mut rest = &mut self.0[start..];
        lengths.map(|length| rest.split_off_mut(..length).expect("a piece of what was made to hold it"))
    }
}
