use rayon::prelude::*;

use super::task::{Plan, Task, Work};
use super::transform::{OUT, POINTS, of_weight};
use crate::ops::conv1d::correlate::{ENOUGH, RowsAtOnce};
use crate::ops::conv1d::geometry::{Direction, Geometry, Signal};
use crate::ops::conv1d::share::share;
use crate::ops::fresh::{Fresh, fresh};
use crate::ops::simd::vectorised;

/// A convolution with stride one in either direction: each output is
///
/// Σ weight\[channel, tap\] · input\[channel, t + ahead + tap · dilation\]
#[derive(Clone, Copy, Debug)]
pub(in crate::ops::conv1d) struct Filter {
    batch: usize,
    pub(super) input: Signal,
    output: Signal,
    taps: usize,
    dilation: usize,
    pub(super) ahead: isize,
    /// Distances of weights of neighbouring output channels and input channels.
    strides: [usize; 2],
    /// Whether the taps are stored from the last to the first.
    turned: bool,
}

impl Filter {
    /// The filter of a geometry, where this is the faster way. Not the batch decides, lest an item's result depend on it.
    pub fn new(g: &Geometry, direction: Direction) -> Option<Self> {
        /// Beyond it a stretch of whole columns would not stay in the cache.
        const WIDEST: usize = 48;
        let pays = g.stride == 1 && g.groups == 1 && g.dilation <= WIDEST && Self::saves(g, g.made(direction).length);
        pays.then(|| Self::of(g, direction))
    }

    /// Whether the products that are saved outweigh what carrying signals and weights to the points and back takes, measured in
    /// quarters of a product for every output sample and pair of channels.
    fn saves(g: &Geometry, length: usize) -> bool {
        /// For a sample of one channel.
        const SIGNAL: usize = 112;
        /// For all taps of a pair of channels.
        const WEIGHT: usize = 2560;
        let [rows, depth] = [g.coarse.channels, g.fine.channels];
        let saved = (OUT * g.taps).saturating_sub(POINTS * g.taps.div_ceil(OUT));
        saved * rows * depth * length > SIGNAL * (rows + depth) * length + WEIGHT * rows * depth
    }

    pub(in crate::ops::conv1d) fn of(g: &Geometry, direction: Direction) -> Self {
        let before = g.padding.cast_signed();
        let reach = ((g.taps - 1) * g.dilation).cast_signed();
        let of_coarse = g.fine.channels * g.taps;
        let (input, ahead, strides) = match direction {
            Direction::ToCoarse => (g.fine, -before, [of_coarse, g.taps]),
            Direction::ToFine => (g.coarse, before - reach, [g.taps, of_coarse]),
        };
        Self {
            batch: g.batch,
            input,
            output: g.made(direction),
            taps: g.taps,
            dilation: g.dilation,
            ahead,
            strides,
            turned: direction == Direction::ToFine,
        }
    }

    /// # Shapes
    ///
    /// signals `[batch, channel, sample]`, weights, bias `[channel]` → signals
    pub fn run(&self, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let length = self.batch * self.output.values();
        if length == 0 {
            return Vec::new();
        }
        let rows = pulp::Arch::new().dispatch(RowsAtOnce);
        let plan = Plan::new(self.dilation, self.taps.div_ceil(OUT), self.input.channels, rows);
        let weights = match rows {
            4 => self.pack::<4>(&plan, weight),
            _ => self.pack::<8>(&plan, weight),
        };
        let (output, ()) = fresh(length, |output| {
            share(
                self.tasks(&plan, output),
                || plan.scratch(),
                |scratch, task| {
                    let input = &input[task.item * self.input.values()..][..self.input.values()];
                    pulp::Arch::new().dispatch(Work {
                        filter: self,
                        plan: &plan,
                        input,
                        weights: &weights,
                        bias,
                        task,
                        scratch,
                    });
                },
            );
        });
        output
    }

    /// The weights at the points, as the inner loop reads them: for each block of rows, point, input channel and piece those
    /// of all rows.
    fn pack<const ROWS: usize>(&self, plan: &Plan, weight: &[f32]) -> Vec<f32> {
        let [of_row, of_channel] = self.strides;
        let (channels, pieces) = (self.input.channels, plan.pieces);
        let block = POINTS * channels * pieces * ROWS;
        let mut packed = vec![0.0; self.output.channels.div_ceil(ROWS) * block];
        packed.par_chunks_exact_mut(block).enumerate().for_each(|(index, packed)| {
            let rows = ROWS.min(self.output.channels - index * ROWS);
            vectorised(
                #[inline(always)]
                || {
                    for channel in 0..channels {
                        for piece in 0..pieces {
                            let mut taps = [[0.0; ROWS]; OUT];
                            for row in 0..rows {
                                let kernel =
                                    &weight[(index * ROWS + row) * of_row + channel * of_channel..][..self.taps];
                                for (number, taps) in (piece * OUT..self.taps).zip(&mut taps) {
                                    taps[row] = kernel[if self.turned { self.taps - 1 - number } else { number }];
                                }
                            }
                            let mut points = [[0.0; ROWS]; POINTS];
                            for row in 0..ROWS {
                                let found = of_weight([taps[0][row], taps[1][row], taps[2][row], taps[3][row]]);
                                for (points, found) in points.iter_mut().zip(found) {
                                    points[row] = found;
                                }
                            }
                            for (point, values) in points.iter().enumerate() {
                                let place = ((point * channels + channel) * pieces + piece) * ROWS;
                                packed[place..][..ROWS].copy_from_slice(values);
                            }
                        }
                    }
                },
            );
        });
        packed
    }

    /// Cuts the output into stretches of some blocks of rows each.
    fn tasks<'a>(&self, plan: &Plan, mut output: Fresh<'a>) -> Vec<Task<'a>> {
        /// Fewer output channels are not worth carrying the input to the points for.
        const ROWS: usize = 32;
        let Signal { channels, length } = self.output;
        let stretch = OUT * plan.columns;
        let stretches = length.div_ceil(stretch);
        let parts = (ENOUGH / stretches).clamp(1, channels.div_ceil(ROWS));
        let rows_at_once = channels.div_ceil(parts).next_multiple_of(plan.rows);
        let mut tasks: Vec<Task> = Vec::new();
        for item in 0..self.batch {
            for row in (0..channels).step_by(rows_at_once) {
                let here = tasks.len();
                tasks.extend((0..length).step_by(stretch).map(|start| Task { item, row, start, outputs: vec![] }));
                for _ in row..channels.min(row + rows_at_once) {
                    for task in &mut tasks[here..] {
                        task.outputs.push(output.split_off(stretch.min(length - task.start)));
                    }
                }
            }
        }
        tasks
    }
}
