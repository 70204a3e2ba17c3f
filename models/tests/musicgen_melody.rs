//! MusicGen's melody models against transformers, on fixtures of `scripts/reference/musicgen_melody.py`.
#![allow(clippy::unwrap_used)]

mod taps;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::encodec;
use nocturne_models::musicgen::{
    Audiocraft, Conditioning, Generation, GenerationError, MelodySize, Musicgen, MusicgenConfig, MusicgenDecoderConfig,
    NO_MELODY, Padding, Prefix, Sampling, as_long_as, generate,
};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use taps::{Taps, host, relative_error};

/// Float32 in another order of summation.
const TOLERANCE: f64 = 1e-4;

const KINDS: [&str; 2] = ["mono", "stereo"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A model, and what transformers' does.
struct Case {
    config: MusicgenConfig,
    network: Musicgen,
    taps: Taps,
}

impl Case {
    fn open(kind: &str) -> Self {
        let folder = fixture("musicgen_melody").join(kind);
        let (config, network) = network::open::<MusicgenConfig>(&folder, &Device::flex()).unwrap();
        Self { config, network, taps: Taps::open(&folder.join("taps.safetensors"), TOLERANCE) }
    }

    /// Pitch classes, fitted to the model.
    fn melodies(&self, name: &str) -> Vec<Vec<usize>> {
        let (classes, frames) = (self.taps.tensor::<2>(name), self.config.melody().unwrap().frames);
        let values: Vec<usize> = host(&classes).into_iter().map(|class| class as usize).collect();
        values.chunks(classes.dims()[1]).map(|melody| as_long_as(frames, melody)).collect()
    }

    fn silence(&self, items: usize) -> Vec<Vec<usize>> {
        vec![as_long_as(self.config.melody().unwrap().frames, &[]); items]
    }

    /// Both captions: six tokens, and three that are filled up.
    fn encodings(&self) -> Tensor<3> {
        let mask = self.taps.tensor::<2>("mask");
        self.network.text_encoder.forward(self.taps.tensor::<2>("ids").int(), Some(mask))
    }

    fn prefix(&self, melodies: &[Vec<usize>], padding: Padding) -> Prefix {
        self.network.prefix(melodies, self.encodings(), &[6, 3], padding)
    }

    /// One of the captions without what fills it up.
    fn alone(&self, melody: Vec<usize>, item: usize, length: usize) -> Prefix {
        let encodings = self.encodings().narrow(0, item, 1).narrow(1, 0, length);
        self.network.prefix(&[melody], encodings, &[length], Padding::Hidden)
    }

    /// What the model makes, greedily.
    fn made(&self, condition: &dyn Conditioning, frames: usize, scale: f32) -> Vec<Vec<Vec<usize>>> {
        self.continued(
            &vec![vec![Vec::new(); self.config.decoder.num_codebooks]; condition.items()],
            condition,
            frames,
            scale,
        )
    }

    fn continued(
        &self,
        prompts: &[Vec<Vec<usize>>],
        condition: &dyn Conditioning,
        frames: usize,
        guidance_scale: f32,
    ) -> Vec<Vec<Vec<usize>>> {
        let seeds = vec![0; prompts.len()];
        let [one, two] = [false, true].map(|two_step_cfg| {
            let sampling = Sampling::GREEDY;
            let generation = Generation { frames, prompts, sampling, guidance_scale, two_step_cfg, seeds: &seeds };
            let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
            generate(&self.network.decoder, &self.config.decoder, Some(condition), &generation, go_on).unwrap()
        });
        assert_eq!(one, two);
        one
    }

    /// `[item][codebook][frame]`
    fn codes(&self, name: &str) -> Vec<Vec<Vec<usize>>> {
        let tensor = self.taps.tensor::<3>(name);
        let [_, books, frames] = tensor.dims();
        let values: Vec<usize> = host(&tensor).into_iter().map(|code| code as usize).collect();
        values.chunks(books * frames).map(|item| item.chunks(frames).map(<[usize]>::to_vec).collect()).collect()
    }
}

#[test]
fn every_stage_matches() {
    for kind in KINDS {
        let case = Case::open(kind);
        let Case { config, network, taps } = &case;
        assert_eq!(config.melody(), Some(MelodySize { classes: 12, frames: 59 }));
        let prefix = case.prefix(&case.melodies("short"), Padding::Attended);
        taps.compare("states", &prefix.states);
        taps.compare("states.no_melody", &case.prefix(&case.silence(2), Padding::Attended).states);

        // Positions are counted from the first token of the prefix on.
        let codes = taps.tensor::<3>("codes").int();
        let ([.., steps], [_, tokens, _]) = (codes.dims(), prefix.states.dims());
        let decoder = &network.decoder.model.decoder;
        let before = prefix.states.clone() + decoder.positions(0, tokens);
        let mut state = Tensor::cat(vec![before, decoder.embed(codes.clone(), tokens)], 1);
        for (index, layer) in decoder.layers.iter().enumerate() {
            assert!(layer.encoder_attn.is_none());
            state = layer.forward(state, None, None);
            taps.compare(&format!("layer.{index}"), &state);
        }

        // The scores of each step, in pieces of any size.
        let expected = taps.tensor::<4>("logits");
        for sizes in [vec![1; steps], vec![3, 1, 3], vec![steps]] {
            let mut memory = network.decoder.memory_behind(prefix.states.clone(), &prefix.filling, steps);
            assert_eq!(memory.positions(), tokens);
            for size in sizes {
                let done = memory.positions() - tokens;
                let scores = network.decoder.step(codes.clone().narrow(2, done, size), &mut memory, None);
                let expected = expected.clone().narrow(2, done + size - 1, 1).reshape(scores.dims());
                let error = relative_error(&host(&scores), &host(&expected));
                assert!(error < TOLERANCE, "{kind}: step {done}: {error:e}");
            }
            assert_eq!(memory.room(), 0);
        }
    }
}

/// Thirty seconds alone, a padded batch, without a melody, without guidance, and from a prompt: token for token.
#[test]
fn greedy_tokens_are_those_of_transformers() {
    for kind in KINDS {
        let case = Case::open(kind);
        let compare = |name: &str, found: Vec<Vec<Vec<usize>>>| assert_eq!(found, case.codes(name), "{kind}: {name}");
        let frames = |name: &str| case.codes(name)[0][0].len();
        let both = case.prefix(&case.melodies("short"), Padding::Attended);
        compare("batch", case.made(&both, frames("batch"), 3.0));
        compare("no_melody", case.made(&case.prefix(&case.silence(2), Padding::Attended), frames("no_melody"), 3.0));
        compare("plain", case.made(&both, frames("plain"), 1.0));
        compare("continued", case.continued(&case.codes("prompt"), &both, frames("continued"), 3.0));
        let one = case.alone(case.melodies("long").remove(0), 0, 6);
        compare("one", case.made(&one, frames("one"), 3.0));
    }
}

/// transformers attends to what fills a caption; hidden, it changes nothing.
#[test]
fn an_item_is_the_same_alone_and_in_company() {
    for kind in KINDS {
        let case = Case::open(kind);
        let melodies = case.melodies("short");
        let hidden = case.made(&case.prefix(&melodies, Padding::Hidden), 60, 3.0);
        // The first caption fills the batch.
        assert_eq!(hidden[0], case.codes("batch")[0]);
        assert_eq!(hidden[1], case.codes("alone")[0]);
        assert_ne!(hidden[1], case.codes("batch")[1]);
        assert_eq!(case.made(&case.alone(melodies[1].clone(), 1, 3), 60, 3.0)[0], hidden[1]);
        // And from a prompt, whose steps go through at once.
        let prompts = case.codes("prompt");
        let together = case.continued(&prompts, &case.prefix(&melodies, Padding::Hidden), 30, 3.0);
        let alone = case.continued(&prompts[1..], &case.alone(melodies[1].clone(), 1, 3), 30, 3.0);
        assert_eq!(together[1], alone[0]);
    }
}

#[test]
fn music_depends_on_the_melody_and_on_the_caption() {
    let case = Case::open("mono");
    let made = |prefix: &Prefix| case.made(prefix, 40, 3.0).remove(0);
    let [one, other] = [[2, 4], [9, 7]].map(|melody| as_long_as(59, &melody));
    let first = made(&case.alone(one.clone(), 0, 6));
    assert_eq!(made(&case.alone(one.clone(), 0, 6)), first);
    assert_ne!(made(&case.alone(other, 0, 6)), first);
    assert_ne!(made(&case.alone(one, 1, 3)), first);
}

/// Neither melody nor caption: guidance leads nowhere.
#[test]
fn an_absent_condition_is_the_one_that_guidance_leads_away_from() {
    let case = Case::open("mono");
    let encodings = case.encodings();
    let absent = case.network.prefix(&case.silence(2), encodings.clone(), &[0, 0], Padding::Attended);
    assert_eq!(host(&absent.states), host(&absent.absent));
    assert_eq!(case.made(&absent, 20, 3.0), case.made(&absent, 20, 1.0));
    // An absent caption is one token, filled up to the others.
    let hidden = case.network.prefix(&case.silence(2), encodings, &[6, 0], Padding::Hidden);
    assert_eq!(hidden.filling, [0, 5]);
    // What no melody is goes through the projection: it is not nothing.
    let melody = absent.absent.narrow(1, NO_MELODY, 1);
    assert!(host(&melody).iter().any(|value| *value != 0.0));
}

#[test]
fn the_whole_makes_the_audio_of_transformers() {
    for kind in KINDS {
        let case = Case::open(kind);
        let codes = case.made(&case.prefix(&case.melodies("short"), Padding::Attended), 60, 3.0);
        let shape = [codes.len(), codes[0].len(), 60];
        let values: Vec<i32> = codes.iter().flatten().flatten().map(|code| *code as i32).collect();
        let audio = case.network.decode(Tensor::from_data(TensorData::new(values, shape), &Device::flex()));
        case.taps.compare("audio", &audio.narrow(2, 0, 800));
    }
}

#[test]
fn prompts_for_other_items_are_refused() {
    let case = Case::open("mono");
    let prefix = case.prefix(&case.silence(2), Padding::Hidden);
    let prompts = vec![vec![Vec::new(); 4]];
    let generation = Generation {
        frames: 3,
        prompts: &prompts,
        sampling: Sampling::GREEDY,
        guidance_scale: 1.0,
        two_step_cfg: false,
        seeds: &[1],
    };
    let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
    let error = generate(&case.network.decoder, &case.config.decoder, Some(&prefix), &generation, go_on).unwrap_err();
    assert_eq!(error, GenerationError::Items { what: "conditions", found: 2, items: 1 });
}

fn values<M: Module>(network: &M) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut all = Vec::new();
    parameters::visit(network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
    all
}

#[test]
fn audiocrafts_files_give_the_same_model() {
    let device = Device::flex();
    let Case { config, network, .. } = Case::open("mono");
    let model = Audiocraft::open(&fixture("musicgen_melody/audiocraft/state_dict.bin")).unwrap();
    let codec = encodec::open(&fixture("musicgen/audiocraft"), &device).unwrap();
    let text = (config.text_encoder.clone(), network.text_encoder.clone());
    let (found_config, found) = model.load(text, codec.clone(), &device).unwrap();
    assert_eq!(found_config, MusicgenConfig { audio_encoder: codec.0, ..config });
    assert_eq!(values(&found), values(&Musicgen { audio_encoder: codec.1, ..network.clone() }));

    // And back, with the window that audiocraft keeps.
    let package = fixture("musicgen_melody/audiocraft/state_dict.bin");
    let theirs = Checkpoint::open(&package).unwrap().best_state().unwrap();
    for tensor in network.published_by_audiocraft() {
        let expected = theirs.read(&tensor.name).unwrap_or_else(|_| panic!("{}", tensor.name));
        let error = relative_error(&host(&tensor.values), &expected);
        assert!(error < 1e-6, "{}: {error:e}", tensor.name);
        assert_eq!(theirs.shape(&tensor.name), Some(&*tensor.shape));
    }
    assert_eq!(network.published_by_audiocraft().len(), theirs.names().count());
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let config = Case::open("mono").config;
    let refused = |change: fn(&mut MusicgenConfig)| {
        let mut config = config.clone();
        change(&mut config);
        config.validate().unwrap_err().field
    };
    assert_eq!(refused(|config| config.model_type = "musicgen".to_owned()), "decoder.model_type");
    assert_eq!(refused(|config| config.decoder.model_type = "musicgen_decoder".to_owned()), "decoder.model_type");
    for classes in [0, 1025, 24] {
        let config = MusicgenConfig { num_chroma: Some(classes), ..config.clone() };
        assert_eq!(config.validate().unwrap_err().field, "num_chroma", "{classes}");
    }
    assert_eq!(refused(|config| config.chroma_length = Some(0)), "chroma_length");
    assert_eq!(refused(|config| config.chroma_length = Some(usize::MAX)), "chroma_length");
    // What is not said is as published.
    let silent = MusicgenConfig { num_chroma: None, chroma_length: None, ..config };
    assert_eq!(silent.melody(), Some(MelodySize { classes: 12, frames: 235 }));
}

/// Without attention to a condition: four of the layers' matrices and one norm less than `facebook/musicgen-medium`.
#[test]
fn the_published_decoder_has_its_size() {
    let melody = MusicgenDecoderConfig {
        model_type: "musicgen_melody_decoder".to_owned(),
        hidden_size: 1536,
        num_attention_heads: 24,
        num_hidden_layers: 48,
        ffn_dim: 6144,
        ..MusicgenDecoderConfig::default()
    };
    let of_condition = 48 * (4 * 1536 * 1536 + 2 * 1536);
    assert_eq!(melody.parameter_count().unwrap(), 1_837_556_736 - of_condition);
}
