//! MusicGen's language model against transformers, on fixtures of `scripts/reference/musicgen.py`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod taps;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use nocturne_models::encodec::NormType;
use nocturne_models::musicgen::{
    Condition, Generation, GenerationError, MusicgenConfig, MusicgenDecoderConfig, MusicgenForCausalLm, Padding,
    Projection, Sampling, generate,
};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::ops::Narrow;
use nocturne_models::parameters;
use nocturne_models::random::Random;
use taps::{Taps, host, relative_error};

/// Float32 in another order of summation.
const TOLERANCE: f64 = 1e-4;

const KINDS: [&str; 2] = ["mono", "stereo"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/musicgen").join(name)
}

fn open(kind: &str) -> (MusicgenDecoderConfig, MusicgenForCausalLm) {
    network::open::<MusicgenDecoderConfig>(&fixture(kind), &Device::flex()).unwrap()
}

/// −∞ for the last three tokens of the second caption, as the script masks them.
fn hidden() -> Tensor<2> {
    let masked = f32::NEG_INFINITY;
    Tensor::from_floats([[0.0; 6], [0.0, 0.0, 0.0, masked, masked, masked]], &Device::flex())
}

#[test]
fn every_stage_matches() {
    for kind in KINDS {
        let (config, network) = open(kind);
        let taps = Taps::open(&fixture(kind).join("taps.safetensors"), TOLERANCE);
        let (codes, states) = (taps.tensor::<3>("codes").int(), taps.tensor::<3>("states"));
        assert_eq!(codes.dims()[1], config.num_codebooks);
        let decoder = &network.model.decoder;
        let mut state = decoder.embed(codes.clone(), 0);
        for (index, layer) in decoder.layers.iter().enumerate() {
            state = layer.forward(state, Some(states.clone()), Some(&hidden()));
            taps.compare(&format!("layer.{index}"), &state);
        }
        taps.compare("logits", &network.forward(codes.clone(), Some(states.clone()), Some(&hidden())));
        // As audiocraft has it: what only fills the batch is attended to.
        taps.compare("logits.unmasked", &network.forward(codes.clone(), Some(states), None));
        taps.compare("logits.alone", &network.forward(codes, None, None));
    }
}

#[test]
fn gradients_match() {
    for kind in KINDS {
        let device = Device::flex().autodiff();
        let (config, network) = network::open::<MusicgenDecoderConfig>(&fixture(kind), &device).unwrap();
        let taps = Taps::open(&fixture(kind).join("taps.safetensors"), TOLERANCE);
        let to_device = |tensor: Tensor<3>| Tensor::<3>::from_data(tensor.into_data(), &device);
        let states = to_device(taps.tensor("states")).require_grad();
        let codes = to_device(taps.tensor("codes")).int();
        let hidden = Tensor::from_data(hidden().into_data(), &device);
        let weights = Tensor::<4>::from_data(taps.tensor::<4>("weights").into_data(), &device);
        let loss = (network.forward(codes, Some(states.clone()), Some(&hidden)) * weights).sum();
        let gradients = loss.backward();
        taps.compare("gradient.states", &states.grad(&gradients).unwrap());
        let layer = &network.model.decoder.layers[0];
        let of = |projection: &Projection| {
            let Projection::Full(linear) = projection else { panic!("{projection:?}") };
            linear.weight.val().grad(&gradients).unwrap().transpose()
        };
        let prefix = "gradient.model.decoder.layers.0";
        taps.compare(&format!("{prefix}.self_attn.k_proj.weight"), &of(&layer.self_attn.k_proj));
        taps.compare(
            &format!("{prefix}.encoder_attn.v_proj.weight"),
            &of(&layer.encoder_attn.as_ref().unwrap().v_proj),
        );
        taps.compare(&format!("{prefix}.fc1.weight"), &of(&layer.fc1));
        let last = config.num_codebooks - 1;
        taps.compare(&format!("gradient.lm_heads.{last}.weight"), &of(&network.lm_heads[last]));
        let table = network.model.decoder.embed_tokens[last].weight.val().grad(&gradients).unwrap();
        taps.compare(&format!("gradient.model.decoder.embed_tokens.{last}.weight"), &table);
    }
}

/// Opened narrow, a model computes what the opened one computes that is narrowed afterwards, near to what it is in f32.
#[test]
fn narrow_weights_give_nearly_the_same_scores() {
    for kind in KINDS {
        let (config, network) = open(kind);
        let taps = Taps::open(&fixture(kind).join("taps.safetensors"), TOLERANCE);
        let (codes, states) = (taps.tensor::<3>("codes").int(), taps.tensor::<3>("states"));
        let scores = |network: &MusicgenForCausalLm| {
            host(&network.forward(codes.clone(), Some(states.clone()), Some(&hidden())))
        };
        let expected = scores(&network);
        // Twice what was measured: 0.0043, 0.0150 and 0.191 with one channel, less with two.
        for (narrow, most) in [(Narrow::Bf16, 0.01), (Narrow::Int8, 0.03), (Narrow::Int4, 0.5)] {
            let narrowed = |network: MusicgenForCausalLm| network.narrowed(Some(narrow));
            let (_, opened) =
                network::open_as::<MusicgenDecoderConfig>(&fixture(kind), &Device::flex(), narrowed).unwrap();
            let found = scores(&opened);
            assert_eq!(found, scores(&narrowed(network.clone())));
            let error = relative_error(&found, &expected);
            println!("{kind}, {narrow:?}: {error:.4}");
            assert!(error > 0.0 && error < most, "{kind}, {narrow:?}: {error}");
            assert_eq!(parameters::shapes(&opened), parameters::shapes(&config.build(&Device::flex())));
        }
    }
}

#[test]
fn what_is_wrong_in_a_file_is_found_when_it_is_opened_narrow() {
    let folder = tempfile::tempdir().unwrap();
    let (config, network) = open("mono");
    let broken = |change: fn(&str, Tensor<1>) -> Tensor<1>| {
        network::save(&config, &parameters::map(network.clone(), change), folder.path()).unwrap();
        let opened = network::open_as::<MusicgenDecoderConfig>(folder.path(), &Device::flex(), |network| {
            network.narrowed(Some(Narrow::Int8))
        });
        opened.err().unwrap().to_string()
    };
    let message = broken(|name, values| if name.ends_with("layers.0.fc1.weight") { values * f32::NAN } else { values });
    assert!(message.contains("model.decoder.layers.0.fc1.weight") && message.contains("finite"), "{message}");
    let wider = MusicgenDecoderConfig { ffn_dim: config.ffn_dim + 1, ..config.clone() };
    fs::write(folder.path().join("config.json"), serde_json::to_string(&wider).unwrap()).unwrap();
    let opened = network::open_as::<MusicgenDecoderConfig>(folder.path(), &Device::flex(), |network| {
        network.narrowed(Some(Narrow::Int8))
    });
    assert!(opened.err().unwrap().to_string().contains("fc2.weight"));
}

/// One step after another with what is remembered, in pieces of any size.
#[test]
fn steps_give_what_one_pass_gives() {
    let (_, network) = open("mono");
    let taps = Taps::open(&fixture("mono/taps.safetensors"), TOLERANCE);
    let (codes, states) = (taps.tensor::<3>("codes").int(), taps.tensor::<3>("states"));
    let whole = network.forward(codes.clone(), Some(states.clone()), Some(&hidden()));
    let [batch, codebooks, steps, tokens] = whole.dims();
    for sizes in [vec![1; steps], vec![4, 1, 3, 2, 1], vec![steps]] {
        let mut memory = network.memory(batch, steps, Some(&network.condition(&states, None)));
        for size in sizes {
            let new: Tensor<3, Int> = codes.clone().narrow(2, memory.positions(), size);
            let scores = network.step(new, &mut memory, Some(&hidden()));
            let expected = whole.clone().narrow(2, memory.positions() - 1, 1).reshape([batch, codebooks, tokens]);
            let error = relative_error(&host(&scores), &host(&expected));
            assert!(error < 1e-5, "step {}: {error:e}", memory.positions());
        }
        assert_eq!(memory.room(), 0);
    }
}

/// `[item][codebook][frame]`
fn codes(tensor: &Tensor<3>) -> Vec<Vec<Vec<usize>>> {
    let [_, codebooks, frames] = tensor.dims();
    let values: Vec<usize> = host(tensor).into_iter().map(|code| code as usize).collect();
    values.chunks(codebooks * frames).map(|item| item.chunks(frames).map(<[usize]>::to_vec).collect()).collect()
}

fn nothing(items: usize, codebooks: usize) -> Vec<Vec<Vec<usize>>> {
    vec![vec![Vec::new(); codebooks]; items]
}

/// Thirty seconds alone, a padded batch, without guidance, and from a prompt: token for token what transformers generates.
#[test]
fn greedy_tokens_are_those_of_transformers() {
    for kind in KINDS {
        let (config, network) = open(kind);
        let taps = Taps::open(&fixture(kind).join("generated.safetensors"), TOLERANCE);
        let states = taps.tensor::<3>("states");
        let both = network.condition(&states, Some(hidden()));
        let first = network.condition(&states.narrow(0, 0, 1), None);
        let prompt = codes(&taps.tensor("prompt"));
        let none = |items| nothing(items, config.num_codebooks);
        let runs = [
            ("one", &first, none(1), 3.0),
            ("batch", &both, none(2), 3.0),
            ("plain", &both, none(2), 1.0),
            ("continued", &both, prompt, 3.0),
        ];
        let ways = [false, true].into_iter().flat_map(|two_step_cfg| runs.clone().map(|run| (run, two_step_cfg)));
        for ((name, condition, prompts, guidance_scale), two_step_cfg) in ways {
            let expected = codes(&taps.tensor(name));
            let frames = expected[0][0].len();
            let generation = Generation {
                frames,
                prompts: &prompts,
                sampling: Sampling::GREEDY,
                guidance_scale,
                two_step_cfg,
                seeds: &vec![0; prompts.len()],
            };
            let mut told = Vec::new();
            let found = generate(&network, &config, Some(condition), &generation, |frame, _| {
                told.push(frame);
                ControlFlow::Continue(())
            });
            assert_eq!(found.unwrap(), expected, "{kind}: {name}");
            assert_eq!(told, (prompts[0][0].len()..frames).collect::<Vec<_>>(), "{kind}: {name}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_music_in_any_batch() {
    let (config, network) = open("mono");
    let states = Taps::open(&fixture("mono/generated.safetensors"), TOLERANCE).tensor::<3>("states");
    let run = |condition: &Condition, seeds: &[u64]| {
        let prompts = nothing(seeds.len(), config.num_codebooks);
        let sampling = Sampling { top_k: 8, ..Sampling::default() };
        let generation =
            Generation { frames: 40, prompts: &prompts, sampling, guidance_scale: 3.0, two_step_cfg: false, seeds };
        generate(&network, &config, Some(condition), &generation, |_, _| ControlFlow::Continue(())).unwrap()
    };
    let both = run(&network.condition(&states, Some(hidden())), &[1, 2]);
    let alone = |item, seed| {
        let hidden = hidden().narrow(0, item, 1);
        run(&network.condition(&states.clone().narrow(0, item, 1), Some(hidden)), &[seed]).remove(0)
    };
    assert_eq!(both, [alone(0, 1), alone(1, 2)]);
    assert_ne!(alone(0, 1), alone(0, 3));
}

#[test]
fn conditions_outlive_the_weights_that_make_them() {
    let (config, mut network) = open("mono");
    let states = Taps::open(&fixture("mono/generated.safetensors"), TOLERANCE).tensor::<3>("states");
    let condition = network.condition(&states, Some(hidden()));
    let made = |network: &MusicgenForCausalLm| {
        let generation = Generation {
            frames: 12,
            prompts: &nothing(2, config.num_codebooks),
            sampling: Sampling::GREEDY,
            guidance_scale: 3.0,
            two_step_cfg: false,
            seeds: &[0, 0],
        };
        generate(network, &config, Some(&condition), &generation, |_, _| ControlFlow::Continue(())).unwrap()
    };
    let numbers = |network: &MusicgenForCausalLm| -> usize {
        parameters::shapes(network).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    };
    let (expected, before) = (made(&network), numbers(&network));
    network.take_no_more_conditions();
    assert_eq!(made(&network), expected);
    assert_eq!(before - numbers(&network), 2 * config.num_hidden_layers * config.hidden_size.pow(2));
}

#[test]
fn what_is_made_before_an_end_is_kept() {
    let (config, network) = open("mono");
    let run = |until: usize| {
        let generation = Generation {
            frames: 20,
            prompts: &nothing(1, config.num_codebooks),
            sampling: Sampling::default(),
            guidance_scale: 1.0,
            two_step_cfg: false,
            seeds: &[4],
        };
        let stop = |frame| if frame == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        generate(&network, &config, None, &generation, |frame, _| stop(frame)).unwrap().remove(0)
    };
    let (whole, part) = (run(100), run(6));
    assert!(whole.iter().all(|codes| codes.len() == 20));
    assert_eq!(part, whole.into_iter().map(|codes| codes[..7].to_vec()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_made_of_nothing() {
    let (config, network) = open("mono");
    let states = Tensor::zeros([0, 3, config.hidden_size], &Device::flex());
    let condition = network.condition(&states, None);
    let sampling = Sampling::default();
    let generation =
        Generation { frames: 3, prompts: &[], sampling, guidance_scale: 3.0, two_step_cfg: false, seeds: &[] };
    let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
    assert!(generate(&network, &config, Some(&condition), &generation, go_on).unwrap().is_empty());
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let (config, network) = open("mono");
    let refused = |prompts: Vec<Vec<Vec<usize>>>, seeds: &[u64]| {
        let sampling = Sampling::default();
        let generation =
            Generation { frames: 3, prompts: &prompts, sampling, guidance_scale: 1.0, two_step_cfg: false, seeds };
        generate(&network, &config, None, &generation, |_, _| ControlFlow::Continue(())).unwrap_err()
    };
    assert_eq!(refused(nothing(1, 4), &[1, 2]), GenerationError::Items { what: "prompts", found: 1, items: 2 });
    let found = vec![0; 3];
    assert_eq!(refused(nothing(1, 3), &[1]), GenerationError::Prompt { item: 0, found, codebooks: 4, frames: 0 });
    assert_eq!(refused(vec![vec![vec![1; 4]; 4]], &[1]), GenerationError::Long { prompt: 4, frames: 3 });
    assert_eq!(refused(vec![vec![vec![32]; 4]], &[1]), GenerationError::Code { item: 0, found: 32, most: 31 });

    let broken = burn::module::Module::map(network, &mut Broken);
    let prompts = nothing(1, 4);
    let sampling = Sampling::default();
    let generation =
        Generation { frames: 3, prompts: &prompts, sampling, guidance_scale: 1.0, two_step_cfg: false, seeds: &[1] };
    let error = generate(&broken, &config, None, &generation, |_, _| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error, GenerationError::NotFinite { frame: 0 });
}

struct Broken;

impl burn::module::ModuleMapper for Broken {
    fn map_float<const D: usize>(&mut self, param: burn::module::Param<Tensor<D>>) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor * f32::NAN)
    }
}

/// From token ids to audio, in one.
#[test]
fn the_whole_makes_the_audio_of_transformers() {
    let (config, network) = network::open::<MusicgenConfig>(&fixture("whole"), &Device::flex()).unwrap();
    let taps = Taps::open(&fixture("whole/taps.safetensors"), TOLERANCE);
    let mask = taps.tensor::<2>("mask");
    let encodings = network.text_encoder.forward(taps.tensor::<2>("ids").int(), Some(mask));
    let condition = network.condition(encodings.clone(), &[6, 3], Padding::Hidden);
    taps.compare("states", &network.caption(encodings.clone(), &[6, 3]));
    // Nothing of an absent caption is left.
    let absent = network.caption(encodings.clone(), &[6, 0]).narrow(0, 1, 1);
    assert!(host(&absent).iter().all(|value| *value == 0.0));

    let generation = Generation {
        frames: 40,
        prompts: &nothing(2, 4),
        sampling: Sampling::GREEDY,
        guidance_scale: 3.0,
        two_step_cfg: false,
        seeds: &[0, 0],
    };
    let go_on = |_: usize, _: &[Vec<Vec<usize>>]| ControlFlow::Continue(());
    let codes = generate(&network.decoder, &config.decoder, Some(&condition), &generation, go_on).unwrap();
    let values: Vec<i32> = codes.iter().flatten().flatten().map(|code| *code as i32).collect();
    let codes = Tensor::<3, Int>::from_data(TensorData::new(values, [2, 4, 40]), &Device::flex());
    taps.compare("audio", &network.decode(codes));
}

/// Codebooks of left and right lie in turns.
#[test]
fn left_and_right_are_decoded_apart() {
    let (_, network) = network::open::<MusicgenConfig>(&fixture("whole"), &Device::flex()).unwrap();
    let code = |book: usize, frame: usize| ((7 * book + 3 * frame) % 32) as i32;
    let codes = |books: Vec<usize>| {
        let values: Vec<i32> = books.iter().flat_map(|book| (0..9).map(|frame| code(*book, frame))).collect();
        Tensor::<3, Int>::from_data(TensorData::new(values, [1, books.len(), 9]), &Device::flex())
    };
    let decode = |books: Vec<usize>| network.decode(codes(books));
    let both = decode((0..8).collect());
    for (channel, books) in [[0, 2, 4, 6], [1, 3, 5, 7]].into_iter().enumerate() {
        let alone = decode(books.to_vec());
        assert_eq!(host(&both.clone().narrow(1, channel, 1)), host(&alone));
    }
    let mut decoding = network.decoding();
    let codes = codes((0..8).collect());
    let pieces = [(0, 5), (5, 4)].map(|(start, count)| decoding.push(codes.clone().narrow(2, start, count)));
    let pieces = pieces.into_iter().flatten().chain(decoding.finish()).collect();
    assert!(relative_error(&host(&Tensor::cat(pieces, 2)), &host(&both)) < 1e-5);
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let (config, _) = network::open::<MusicgenConfig>(&fixture("whole"), &Device::flex()).unwrap();
    let refused = |change: fn(&mut MusicgenConfig)| {
        let mut config = config.clone();
        change(&mut config);
        config.validate().unwrap_err().field
    };
    assert_eq!(refused(|config| config.decoder.num_codebooks = 3), "decoder.num_codebooks");
    assert_eq!(refused(|config| config.decoder.vocab_size = 64), "decoder.vocab_size");
    assert_eq!(refused(|config| config.audio_encoder.audio_channels = 2), "audio_encoder.audio_channels");
    assert_eq!(refused(|config| config.audio_encoder.chunk_length_s = Some(1.0)), "audio_encoder.chunk_length_s");
    assert_eq!(refused(|config| config.audio_encoder.norm_type = NormType::TimeGroupNorm), "audio_encoder.norm_type");
    assert_eq!(refused(|config| config.model_type = "musicgen_style".to_owned()), "model_type");
    assert_eq!(refused(|config| config.model_type = "musicgen_melody".to_owned()), "decoder.model_type");
}

/// As transformers counts them, the projection of the condition left out.
#[test]
fn published_decoders_have_their_published_sizes() {
    let small = MusicgenDecoderConfig::default();
    assert_eq!(small.parameter_count().unwrap(), 419_584_000);
    let stereo = MusicgenDecoderConfig { num_codebooks: 8, audio_channels: 2, ..small.clone() };
    assert_eq!(stereo.parameter_count().unwrap(), 436_365_312);
    let medium = MusicgenDecoderConfig {
        hidden_size: 1536,
        num_attention_heads: 24,
        num_hidden_layers: 48,
        ffn_dim: 6144,
        ..small
    };
    assert_eq!(medium.parameter_count().unwrap(), 1_837_556_736);
}

#[test]
fn it_is_saved_as_it_was_read() {
    let (config, network) = open("stereo");
    let folder = tempfile::tempdir().unwrap();
    network::save(&config, &network, folder.path()).unwrap();
    let (saved, again) = network::open::<MusicgenDecoderConfig>(folder.path(), &Device::flex()).unwrap();
    assert_eq!(saved, config);
    let values = |network: &MusicgenForCausalLm| {
        let mut all = Vec::new();
        parameters::visit(network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        all
    };
    assert_eq!(values(&network), values(&again));
}

#[test]
fn other_configurations_are_refused() {
    let refused = |config: MusicgenDecoderConfig| config.validate().unwrap_err().field;
    let small = MusicgenDecoderConfig::default;
    assert_eq!(refused(MusicgenDecoderConfig { num_codebooks: 3, audio_channels: 2, ..small() }), "num_codebooks");
    assert_eq!(refused(MusicgenDecoderConfig { audio_channels: 3, ..small() }), "audio_channels");
    assert_eq!(refused(MusicgenDecoderConfig { hidden_size: 1000, ..small() }), "hidden_size");
    assert_eq!(refused(MusicgenDecoderConfig { hidden_size: 2, num_attention_heads: 1, ..small() }), "hidden_size");
    assert_eq!(refused(MusicgenDecoderConfig { scale_embedding: true, ..small() }), "scale_embedding");
    assert_eq!(
        refused(MusicgenDecoderConfig { activation_function: "relu".to_owned(), ..small() }),
        "activation_function"
    );
    assert_eq!(refused(MusicgenDecoderConfig { num_hidden_layers: 0, ..small() }), "num_hidden_layers");
    let mut random = Random::new(0, "init", 0);
    let tiny = MusicgenDecoderConfig {
        hidden_size: 8,
        num_attention_heads: 2,
        num_hidden_layers: 1,
        ffn_dim: 8,
        vocab_size: 4,
        ..small()
    };
    assert!(tiny.init(&Device::flex(), &mut random).is_ok());
}
