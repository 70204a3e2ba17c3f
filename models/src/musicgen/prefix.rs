use burn::tensor::{Tensor, TensorData};

use super::generate::{Conditioning, Streams};
use super::{Memory, Musicgen, MusicgenForCausalLm, Padding};
use crate::ops::linear;

/// The pitch class that stands where no melody is given, in training as in both published libraries: audiocraft finds the
/// strongest class of silence, which is the first.
pub const NO_MELODY: usize = 0;

/// What goes through the network before the codes: a melody, then a caption.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// Both at the model's width, `[batch, token, width]`.
    pub states: Tensor<3>,
    /// The same of no melody and no caption, which guidance leads away from. It is not zeros: [`NO_MELODY`] goes through the
    /// projection as any other class does.
    pub absent: Tensor<3>,
    /// Tokens at the end of each item that only fill the batch, and are hidden.
    pub filling: Vec<usize>,
}

/// Pitch classes of a length: cut, or repeated from the start as often as they fit. Of none, those of no melody.
pub fn as_long_as(length: usize, classes: &[usize]) -> Vec<usize> {
    let classes = if classes.is_empty() { &[NO_MELODY] } else { classes };
    classes.iter().copied().cycle().take(length).collect()
}

impl Musicgen {
    /// What melodies and captions ask for: each melody a pitch class a frame, all of one length; `lengths` are the captions'
    /// tokens, 0 for an absent caption, which is one token of zeros.
    ///
    /// # Shapes
    ///
    /// melodies `[batch][frame]`, encodings `[batch, token, caption width]`, lengths `[batch]`
    ///
    /// # Panics
    ///
    /// If the model hears no melody, or a pitch class is beyond its own.
    pub fn prefix(&self, melodies: &[Vec<usize>], encodings: Tensor<3>, lengths: &[usize], padding: Padding) -> Prefix {
        let [_, tokens, _] = encodings.dims();
        let caption = self.caption(encodings, lengths);
        let nothing = vec![vec![NO_MELODY; melodies[0].len()]; melodies.len()];
        let absent = Tensor::cat(vec![self.melody(&nothing), caption.zeros_like()], 1);
        let states = Tensor::cat(vec![self.melody(melodies), caption], 1);
        let of_item = |length: &usize| if padding == Padding::Hidden { tokens - length.max(&1) } else { 0 };
        Prefix { states, absent, filling: lengths.iter().map(of_item).collect() }
    }

    /// # Shapes
    ///
    /// `[batch][frame]` → `[batch, frame, width]`
    fn melody(&self, classes: &[Vec<usize>]) -> Tensor<3> {
        let projection = self.audio_enc_to_dec_proj.as_ref().expect("a model that hears melodies");
        let (weight, frames) = (projection.weight.val(), classes[0].len());
        let [count, _] = weight.dims();
        let mut values = vec![0.0f32; classes.len() * frames * count];
        for (class, row) in classes.iter().flatten().zip(values.chunks_exact_mut(count)) {
            row[*class] = 1.0;
        }
        let one_hot = TensorData::new(values, [classes.len(), frames, count]);
        linear(projection, Tensor::from_data(one_hot, &weight.device()))
    }
}

impl Conditioning for Prefix {
    fn items(&self) -> usize {
        self.filling.len()
    }

    fn begin(&self, network: &MusicgenForCausalLm, steps: usize, streams: Streams) -> (Memory, Option<Tensor<2>>) {
        let Self { states, absent, mut filling } = self.clone();
        let states = match streams {
            Streams::With => states,
            Streams::Without => absent,
            Streams::Both => {
                filling.extend_from_within(..);
                Tensor::cat(vec![states, absent], 0)
            }
        };
        (network.memory_behind(states, &filling, steps), None)
    }
}

#[cfg(test)]
mod tests {
    use super::{NO_MELODY, as_long_as};

    #[test]
    fn melodies_are_cut_or_repeated() {
        assert_eq!(as_long_as(5, &[3, 7]), [3, 7, 3, 7, 3]);
        assert_eq!(as_long_as(2, &[3, 7, 9]), [3, 7]);
        assert_eq!(as_long_as(2, &[]), [NO_MELODY; 2]);
    }
}
