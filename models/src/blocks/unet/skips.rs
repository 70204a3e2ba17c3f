use burn::tensor::Tensor;

/// What the way down leaves for the way up.
#[derive(Clone, Debug)]
pub struct Skips {
    /// A state of each layer, but where a K block leaves none.
    states: Vec<Option<Tensor<4>>>,
    /// The picture beside the states of the way down, in the size that skip blocks brought it to.
    pub(super) down: Tensor<4>,
    /// The picture that skip blocks make on the way up.
    pub(super) up: Option<Tensor<4>>,
}

impl Skips {
    /// Before the first block: its input, and the picture that goes in.
    pub fn new(first: Tensor<4>, picture: Tensor<4>) -> Self {
        Self { states: vec![Some(first)], down: picture, up: None }
    }

    /// The picture that skip blocks made on the way up, if there were any.
    pub fn into_picture(self) -> Option<Tensor<4>> {
        self.up
    }

    pub(super) fn push(&mut self, state: Option<Tensor<4>>) {
        self.states.push(state);
    }

    /// The last that was left.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(super) fn pop(&mut self) -> Tensor<4> {
        self.states.pop().flatten().expect("a state of the down blocks for every layer")
    }

    /// The last of the states that a K block of so many layers takes; the others are lost, as in diffusers.
    pub(super) fn pop_last_of(&mut self, layers: usize) -> Option<Tensor<4>> {
        let rest = self.states.len().saturating_sub(layers);
        self.states.drain(rest..).next_back().flatten()
    }

    /// Height and width of the last state.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(super) fn size(&self) -> [usize; 2] {
        let [.., height, width] = self.states.last().and_then(Option::as_ref).expect("a state of the next size").dims();
        [height, width]
    }
}
