use ndarray::Array2;
use nocturne_vocoder::mel::{ImageMel, MelConfig, MelImage, Reference, unit_from_pixel};

use crate::fixtures::Fixture;
use crate::signals::signal;

/// Rounding in another order moves a level by less than 1e-3 dB, a three-hundredth of a step of the picture: about one
/// pixel in a thousand may be off by one. We see two in ten thousand at most.
const MAX_PART_OFF: f64 = 0.001;

#[test]
fn pictures_are_those_of_librosa() {
    let fixture = Fixture::open("mel_picture.safetensors");
    let mut compared = 0;
    for name in fixture.names() {
        let Some(name) = name.strip_suffix(".pixels") else { continue };
        let (config, kind) = name.rsplit_once('.').unwrap();
        let mel = image_mel(&fixture.integers(&format!("{config}.config")));
        let image = mel.image(&signal(kind, mel.slice_size()), Reference::SliceMaximum);
        let expected = fixture.bytes(&format!("{name}.pixels"));
        assert_eq!(image.pixels.len(), expected.len());
        let off: Vec<u8> = image.pixels.iter().zip(&expected).map(|(x, y)| x.abs_diff(*y)).collect();
        let part = off.iter().filter(|distance| **distance > 0).count() as f64 / off.len() as f64;
        assert!(off.iter().all(|distance| *distance <= 1), "{name}: a pixel is off by more than one");
        assert!(part <= MAX_PART_OFF, "{name}: {part} of the pixels are off by one");
        let level = fixture.vector(&format!("{name}.level"))[0];
        assert!((image.reference_level / level - 1.0).abs() < 1e-5, "{name}: {} {level}", image.reference_level);
        compared += 1;
    }
    assert_eq!(compared, 13);
}

#[test]
fn silence_is_white_and_known() {
    let mel = ImageMel::new(&small()).unwrap();
    let image = mel.image(&[], Reference::SliceMaximum);
    assert!(image.pixels.iter().all(|pixel| *pixel == 255) && image.is_silent());
    let dark = mel.image(&[], Reference::Level(1.0));
    assert!(dark.pixels.iter().all(|pixel| *pixel == 0) && dark.is_silent());
    assert!(!mel.image(&signal("notes", mel.slice_size()), Reference::SliceMaximum).is_silent());
    let silence = mel.audio(mel.power(&image).unwrap().view(), 0).unwrap();
    assert!(silence.iter().all(|sample| sample.abs() < 1e-4));
}

#[test]
fn a_fixed_reference_shows_loudness_and_the_slice_maximum_keeps_it_aside() {
    let mel = ImageMel::new(&small()).unwrap();
    let loud = signal("notes", mel.slice_size());
    let quiet = signal("quiet", mel.slice_size());
    let (loud_image, quiet_image) =
        (mel.image(&loud, Reference::SliceMaximum), mel.image(&quiet, Reference::SliceMaximum));
    assert_eq!(loud_image.pixels, quiet_image.pixels);
    let ratio = loud_image.reference_level / quiet_image.reference_level;
    assert!((ratio / 16384.0 - 1.0).abs() < 1e-4, "{ratio}");
    let reference = Reference::Level(loud_image.reference_level);
    assert_eq!(mel.image(&loud, reference), loud_image);
    // 42.14 dB are 134.3 steps.
    let brightest = *mel.image(&quiet, reference).pixels.iter().max().unwrap();
    assert_eq!(brightest, 121);
}

#[test]
fn a_mel_keeps_its_level() {
    let mel = ImageMel::new(&small()).unwrap();
    for kind in ["notes", "quiet"] {
        let sound = signal(kind, mel.slice_size());
        let image = mel.image(&sound, Reference::SliceMaximum);
        let back = mel.audio(mel.power(&image).unwrap().view(), 3).unwrap();
        assert_eq!(back.len(), (image.width - 1) * mel.config().hop_length);
        let decibels = 10.0 * (energy(&back) / energy(&sound[..back.len()])).log10();
        assert!(decibels.abs() < 1.0, "{kind}: {decibels} dB");
        let again = mel.image(&back, Reference::Level(image.reference_level));
        assert!(mean_distance(&again, &image) < 10.0, "{kind}: {}", mean_distance(&again, &image));
    }
}

#[test]
fn powers_of_pixels_and_of_the_model_scale_are_the_same() {
    let mel = ImageMel::new(&small()).unwrap();
    let image = mel.image(&signal("notes", mel.slice_size()), Reference::SliceMaximum);
    let power = mel.power(&image).unwrap();
    let units = image.pixels.iter().map(|pixel| unit_from_pixel(*pixel)).collect();
    let units = Array2::from_shape_vec((image.height, image.width), units).unwrap();
    for (x, y) in power.iter().zip(&mel.power_from_unit(units.view(), image.reference_level)) {
        // The model scale rounds to 1e-7 of 80 dB.
        assert!((x - y).abs() <= 1e-5 * x);
    }
    let torn = MelImage { height: image.height + 1, ..image };
    assert!(mel.power(&torn).is_err());
    assert!(mel.audio(power.slice(ndarray::s![1.., ..]), 0).is_err());
}

#[test]
fn slices_are_the_published_ones() {
    let mel = ImageMel::new(&small()).unwrap();
    let size = mel.slice_size();
    let counts = [0, 1, size, size + 1, 2 * size - 1, 2 * size].map(|length| mel.slices(length));
    assert_eq!(counts, [1, 1, 1, 1, 1, 2]);
    let audio: Vec<f32> = (0..2 * size).map(|n| n as f32).collect();
    assert_eq!(mel.slice(&audio, 1)[0], size as f32);
    assert_eq!(mel.slice(&audio[..10], 0)[..11], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0]);
    assert_eq!(mel.slice(&audio, 7).len(), size);
}

#[test]
fn no_input_panics() {
    let mel = ImageMel::new(&small()).unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE / 8.0] {
        let image = mel.image(&vec![value; 5000], Reference::SliceMaximum);
        let audio = mel.audio(mel.power(&image).unwrap().view(), 0).unwrap();
        assert_eq!(audio.len(), 31 * 256);
    }
}

fn small() -> MelConfig {
    MelConfig { x_res: 32, y_res: 64, n_fft: 1024, hop_length: 256, ..MelConfig::default() }
}

fn image_mel(config: &[usize]) -> ImageMel {
    let [x_res, y_res, sample_rate, n_fft, hop_length] = *config else { panic!("{config:?}") };
    let sample_rate = sample_rate as u32;
    ImageMel::new(&MelConfig { x_res, y_res, sample_rate, n_fft, hop_length, ..MelConfig::default() }).unwrap()
}

fn energy(sound: &[f32]) -> f64 {
    sound.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

fn mean_distance(left: &MelImage, right: &MelImage) -> f64 {
    let distances = left.pixels.iter().zip(&right.pixels).map(|(x, y)| f64::from(x.abs_diff(*y)));
    distances.sum::<f64>() / left.pixels.len() as f64
}
