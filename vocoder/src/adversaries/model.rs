use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{AdversariesConfig, Judgement, MultiPeriod, MultiResolution, MultiScaleSubBand, Spectra};

/// All discriminators.
#[derive(Module, Debug)]
pub struct Adversaries {
    /// Of waveforms.
    pub mpd: MultiPeriod,
    /// Of their spectra; the published name is that of the first version's.
    pub mrd: Spectral,
}

/// Discriminators of spectra.
#[derive(Module, Debug)]
pub enum Spectral {
    /// The first version's.
    Resolutions(MultiResolution),
    /// The second version's.
    SubBands(MultiScaleSubBand),
}

impl Adversaries {
    pub(super) fn new(config: &AdversariesConfig, device: &Device) -> Self {
        let mrd = if config.use_cqtd_instead_of_mrd {
            Spectral::SubBands(MultiScaleSubBand::new(config, device))
        } else {
            Spectral::Resolutions(MultiResolution::new(config, device))
        };
        Self { mpd: MultiPeriod::new(config, device), mrd }
    }

    /// What all of them say: those of periods, then those of spectra.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, sample]` and its spectra → see [`Judgement`]
    ///
    /// # Panics
    ///
    /// If the spectra are those of the other version.
    pub fn judge(&self, wave: &Tensor<3>, spectra: &Spectra) -> Vec<Judgement> {
        let mut judgements = self.mpd.forward(wave);
        judgements.extend(match (&self.mrd, spectra) {
            (Spectral::Resolutions(mrd), Spectra::Magnitudes(magnitudes)) => mrd.forward(magnitudes),
            (Spectral::SubBands(mrd), Spectra::ConstantQ(scales)) => mrd.forward(scales),
            _ => panic!("spectra of another configuration"),
        });
        judgements
    }
}
