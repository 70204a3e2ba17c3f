use burn::tensor::{Device, Int, Tensor, TensorData};

/// What a score is lowered by where a query and a key only meet because the picture was rolled.
const HIDDEN: f32 = -100.0;

/// The windows of a picture of tokens that was rolled up and left by `shift`: what was at its upper or left edge is in the
/// last windows, with what was at the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Tokens along a side of the picture.
    pub side: usize,
    /// Tokens along a side of a window.
    pub window: usize,
    pub shift: usize,
}

impl Windows {
    /// Tokens of a window.
    pub fn tokens(&self) -> usize {
        self.window * self.window
    }

    /// How many windows.
    pub fn count(&self) -> usize {
        (self.side / self.window).pow(2)
    }

    /// For every token, window after window, its row and column in the rolled picture.
    fn places(&self) -> impl Iterator<Item = [usize; 2]> {
        let Self { side, window, .. } = *self;
        let across = side / window;
        (0..side * side).map(move |index| {
            let (of_window, token) = (index / (window * window), index % (window * window));
            [of_window / across * window + token / window, of_window % across * window + token % window]
        })
    }

    /// Puts tokens that stand row after row window after window; `back` the other way.
    ///
    /// # Shapes
    ///
    /// `[batch, side · side, width]` → the same
    pub fn reorder(&self, tokens: Tensor<3>, back: bool) -> Tensor<3> {
        let Self { side, shift, .. } = *self;
        let there = self.places().map(|[row, column]| (row + shift) % side * side + (column + shift) % side);
        let mut order: Vec<i32> = there.map(|index| index as i32).collect();
        if back {
            let mut inverse = vec![0; order.len()];
            order.iter().enumerate().for_each(|(index, place)| inverse[*place as usize] = index as i32);
            order = inverse;
        }
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [side * side]), &tokens.device());
        tokens.select(1, order)
    }

    /// What is added to the scores: 0 between tokens that are neighbours in the picture as it was. None is needed where
    /// nothing was rolled.
    ///
    /// # Shapes
    ///
    /// `[window, 1, query, key]`
    pub fn mask(&self, device: &Device) -> Option<Tensor<4>> {
        let Self { side, window, shift } = *self;
        if shift == 0 {
            return None;
        }
        // Along a side: what is in the windows before the last, in the last, and in the last from beyond the edge.
        let region = |at: usize| usize::from(at >= side - window) + usize::from(at >= side - shift);
        let regions: Vec<usize> = self.places().map(|[row, column]| 3 * region(row) + region(column)).collect();
        let score = |query: &usize, key: &usize| if query == key { 0.0 } else { HIDDEN };
        let (count, tokens) = (self.count(), self.tokens());
        let values: Vec<f32> = (regions.chunks_exact(tokens))
            .flat_map(|of_window| {
                of_window.iter().flat_map(move |query| of_window.iter().map(move |key| score(query, key)))
            })
            .collect();
        Some(Tensor::from_data(TensorData::new(values, [count, 1, tokens, tokens]), device))
    }

    /// For every query and key of a window, the row of the table of biases: their distance down, then across.
    pub fn distances(&self, device: &Device) -> Tensor<1, Int> {
        let (window, tokens) = (self.window, self.tokens());
        let apart = |query: usize, key: usize| query + window - 1 - key;
        let row = |query: usize, key: usize| {
            apart(query / window, key / window) * (2 * window - 1) + apart(query % window, key % window)
        };
        let rows: Vec<i32> = (0..tokens * tokens).map(|pair| row(pair / tokens, pair % tokens) as i32).collect();
        Tensor::from_data(TensorData::new(rows, [tokens * tokens]), device)
    }
}
