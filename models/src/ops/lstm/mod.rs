//! The recurrence of an LSTM: one step after the other, each as fast as its weights can be read. For inference: without
//! gradients of its own, what is differentiated takes the plain form.

mod kernel;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};

use super::has_kernels;
use super::primitive::{Contiguous, tensor};

/// What an LSTM remembers from one step to the next.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// Its last output, `[batch, unit]`.
    pub hidden: Tensor<2>,
    /// Its cells, `[batch, unit]`.
    pub cell: Tensor<2>,
}

/// The recurrence of a layer (Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997), from what the input and the biases
/// give to the gates, input, forget, cell and output in this order, as PyTorch has them. An item's results do not depend on
/// the others of its batch.
///
/// # Shapes
///
/// gates `[step, batch, 4 · unit]`, weights `[4 · unit, unit]` → outputs `[step, batch, unit]`
///
/// # Panics
///
/// If the shapes do not fit each other.
pub fn lstm(gates: Tensor<3>, weight: Tensor<2>, state: LstmState) -> (Tensor<3>, LstmState) {
    let LstmState { hidden, cell } = state;
    let ([steps, batch, all], [rows, units]) = (gates.dims(), weight.dims());
    assert_eq!([all, rows], [4 * units; 2], "gates of {:?}, weights of {:?}", gates.dims(), weight.dims());
    assert_eq!([hidden.dims(), cell.dims()], [[batch, units]; 2], "the state of {units} units, {batch} items");
    if has_kernels(&gates) && !gates.is_autodiff() && !weight.is_autodiff() {
        let [weight, hidden, cell] = [weight, hidden, cell].map(Tensor::into_dispatch);
        let (outputs, hidden, cell) = Dispatch::lstm_kernel(gates.into_dispatch(), weight, hidden, cell);
        let [hidden, cell] = [hidden, cell].map(Tensor::from_dispatch);
        return (Tensor::from_dispatch(outputs), LstmState { hidden, cell });
    }
    let (mut hidden, mut cell) = (hidden, cell);
    let (weight, mut outputs) = (weight.transpose(), Vec::with_capacity(steps));
    for step in 0..steps {
        let gates = gates.clone().narrow(0, step, 1).squeeze_dim::<2>(0) + hidden.matmul(weight.clone());
        let gate = |index: usize| gates.clone().narrow(1, index * units, units);
        let [input, forget, output] = [0, 1, 3].map(|index| activation::sigmoid(gate(index)));
        cell = forget * cell + input * gate(2).tanh();
        hidden = output * cell.clone().tanh();
        outputs.push(hidden.clone().unsqueeze_dim::<3>(0));
    }
    let outputs = if outputs.is_empty() { gates.narrow(2, 0, units) } else { Tensor::cat(outputs, 0) };
    (outputs, LstmState { hidden, cell })
}

/// The recurrence as one operation.
#[backend_extension(Flex)]
trait LstmKernel: Backend {
    /// Outputs, hidden state, cells.
    fn lstm_kernel(
        gates: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl LstmKernel for Flex {
    fn lstm_kernel(
        gates: FlexTensor,
        weight: FlexTensor,
        hidden: FlexTensor,
        cell: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [gates, weight, hidden, cell] = [gates, weight, hidden, cell].map(Contiguous::new);
        let ([steps, batch, _], shape @ [_, units]) = (gates.shape(), hidden.shape());
        let recurrence = kernel::Recurrence { weight: weight.values(), batch, units };
        let (outputs, cells) = recurrence.run(gates.values(), hidden.values(), cell.values());
        let last = match steps {
            0 => hidden.values(),
            _ => &outputs[(steps - 1) * batch * units..],
        };
        let last = tensor(last.to_vec(), shape);
        (tensor(outputs, [steps, batch, units]), last, tensor(cells, shape))
    }
}
