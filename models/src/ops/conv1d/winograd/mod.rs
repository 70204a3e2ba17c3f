//! Convolutions with stride one by minimal filtering: four outputs of four taps take seven products instead of sixteen.
//!
//! A kernel is cut into pieces of four taps. A piece is as long as a tile has outputs, so piece p of one tile reads what the
//! first piece of the pth tile after it reads: inputs are carried to the seven points once, and at every point there is a
//! convolution left with one tap a piece, four times as coarse. Its sums stay in registers like those of [`correlate`]. With
//! a dilation d, d signals with every dth sample lie between each other, in columns of d.
//!
//! [`correlate`]: super::correlate

mod filter;
mod task;
mod transform;

pub(super) use filter::Filter;
