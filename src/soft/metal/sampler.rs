//! MTLSamplerState: how a kernel reads between pixels and beyond edges.

use super::descriptors::SamplerFields;
use super::device::{self, Device};
use super::foundation::{NSObject, Strong, Text, soft_class};
use crate::abi::MTLResourceID;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What a sampler does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    /// Of `MTLSamplerMinMagFilter`.
    pub(super) min_filter: usize,
    pub(super) mag_filter: usize,
    /// Of `MTLSamplerMipFilter`.
    pub(super) mip_filter: usize,
    /// Of `MTLSamplerAddressMode`.
    pub(super) address: [usize; 3],
    /// Of `MTLSamplerBorderColor`.
    pub(super) border_color: usize,
    pub(super) normalized: bool,
    pub(super) lod: (f32, f32),
}

/// A sampler.
pub(super) struct Sampler {
    pub(super) choice: Choice,
    label: Option<Strong<Text>>,
    id: u64,
}

soft_class! {
    /// A sampler.
    pub(super) class SoftMTLSamplerState(Sampler): NSObject, conforms [MTLSamplerState];
    [label] = |sampler: &Sampler| sampler.label.clone();
    [device] = |_: &Sampler| -> Strong<Device> { device::shared() };
    [gpuResourceID] = |sampler: &Sampler| MTLResourceID { _impl: sampler.id };
}

/// Numbers for `gpuResourceID`, of everything that has one.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

impl Sampler {
    /// None when a property has a value that there is not.
    pub(super) fn new(fields: SamplerFields) -> Option<Strong<Self>> {
        let address = [fields.s_address, fields.t_address, fields.r_address];
        let known = fields.min_filter <= 1
            && fields.mag_filter <= 1
            && fields.mip_filter <= 2
            && fields.border_color <= 2
            && address.iter().all(|mode| *mode <= 5)
            && (1..=16).contains(&fields.max_anisotropy);
        known.then(|| {
            Strong::new(Self {
                choice: Choice {
                    min_filter: fields.min_filter,
                    mag_filter: fields.mag_filter,
                    mip_filter: fields.mip_filter,
                    address,
                    border_color: fields.border_color,
                    normalized: fields.normalized,
                    lod: (fields.lod_min, fields.lod_max),
                },
                label: fields.label,
                id: next_id(),
            })
        })
    }
}
