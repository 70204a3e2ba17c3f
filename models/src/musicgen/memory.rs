use burn::tensor::{Device, Tensor};

use super::filling::Filling;

/// What one decoding remembers: the keys and values of all positions so far, in memory taken once, and those of the
/// condition, computed once.
#[derive(Debug)]
pub struct Memory {
    pub(super) layers: Vec<LayerMemory>,
    /// Positions that went through.
    pub(super) positions: usize,
    pub(super) capacity: usize,
    /// What of a prefix is no part of it.
    pub(super) filling: Option<Filling>,
}

impl Memory {
    /// How many positions went through.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// How many more fit.
    pub fn room(&self) -> usize {
        self.capacity - self.positions
    }
}

/// That of one layer.
#[derive(Debug)]
pub(super) struct LayerMemory {
    /// Of the positions.
    pub own: Past,
    /// Keys and values of the condition, `[batch, token, width]`; none without a condition.
    pub condition: Option<[Tensor<3>; 2]>,
}

/// Keys and values of the positions so far. Items of the batch lie side by side, as if they were more heads of one item:
/// so the positions that are filled are one piece of memory, which is attended to where it lies.
#[derive(Debug)]
pub(super) struct Past {
    /// `[1, capacity, batch · width]`; absent only while a new position is written.
    keys: Option<Tensor<3>>,
    values: Option<Tensor<3>>,
    filled: usize,
}

impl Past {
    pub fn new([batch, capacity, width]: [usize; 3], device: &Device) -> Self {
        let empty = || Some(Tensor::zeros([1, capacity, batch * width], device));
        Self { keys: empty(), values: empty(), filled: 0 }
    }

    /// Adds new keys and values behind the others, and gives all.
    ///
    /// # Shapes
    ///
    /// `[1, position, batch · width]`, twice → the same with all positions
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn extend(&mut self, keys: Tensor<3>, values: Tensor<3>) -> [Tensor<3>; 2] {
        let [_, count, width] = keys.dims();
        let filled = self.filled..self.filled + count;
        self.filled = filled.end;
        let write = |place: &mut Option<Tensor<3>>, new: Tensor<3>| {
            // Taken out: what nobody else holds is written in place.
            let all =
                place.take().expect("a tensor between two calls").slice_assign([0..1, filled.clone(), 0..width], new);
            let view = all.clone().narrow(1, 0, filled.end);
            *place = Some(all);
            view
        };
        [write(&mut self.keys, keys), write(&mut self.values, values)]
    }
}
