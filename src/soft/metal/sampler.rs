//! MTLSamplerState: how a kernel reads between pixels and past the edges.

use super::descriptors::SamplerFields;
use super::foundation::{NSObject, Strong, Text, device, of_device, soft_class};
use crate::abi::MTLResourceID;
use crate::soft::ir::Sampler as State;
use crate::soft::kernel::Processor;

/// A sampler.
pub(super) struct Sampler {
    pub(super) state: State,
    processor: &'static Processor,
    label: Option<Strong<Text>>,
}

of_device! { Sampler, sampler => sampler.processor; }

soft_class! {
    /// A sampler.
    pub(super) class SoftMTLSamplerState(Sampler): NSObject, conforms [MTLSamplerState];
    [label] = |sampler: &Sampler| sampler.label.clone();
    [device] = device::<Sampler>;
    [gpuResourceID] = |sampler: &Sampler| MTLResourceID { _impl: sampler.state.0 };
}

impl Sampler {
    /// The same with another range of levels.
    pub(super) fn clamped(&self, least: f32, most: f32) -> Strong<Self> {
        let mut state = self.state;
        state.set_lod_clamp(least, most);
        Strong::new(Self { state, processor: self.processor, label: self.label.clone() })
    }

    /// `None` if a property has an invalid value.
    pub(super) fn new(
        processor: &'static Processor,
        fields: SamplerFields,
    ) -> Option<Strong<Self>> {
        let mut state = State::default();
        let options = [
            ("min_filter", fields.min_filter),
            ("mag_filter", fields.mag_filter),
            ("mip_filter", fields.mip_filter),
            ("s_address", fields.s_address),
            ("t_address", fields.t_address),
            ("r_address", fields.r_address),
            ("border_color", fields.border_color),
            ("compare_func", fields.compare),
            ("reduction", fields.reduction),
            ("coord", usize::from(!fields.normalized)),
        ];
        for (option, number) in options {
            state.set_number(option, number)?;
        }
        state.set_lod_clamp(fields.lod_min, fields.lod_max);
        state.set_bias(fields.lod_bias);
        let possible = (1..=16).contains(&fields.max_anisotropy);
        possible.then(|| Strong::new(Self { state, processor, label: fields.label }))
    }
}
