//! Types that are `bytemuck::Pod`, accepted where this crate requires [`Plain`] ones.

use super::buffer::Plain;
use bytemuck::{TransparentWrapper, Zeroable};
use std::ops::{Deref, DerefMut};

/// A value of a [`bytemuck::Pod`] type, which is [`Plain`]: for buffers, textures and blocks of types that are
/// declared elsewhere. Feature `bytemuck`.
///
/// It has the layout of the value. `bytemuck`'s [`TransparentWrapper`] converts slices without a copy.
///
/// (An implementation of [`Plain`] for every `Pod` type would forbid a crate to implement both for a type of its own.)
///
/// ```
/// use aruminium::Pod;
/// use bytemuck::TransparentWrapper;
///
/// # mod elsewhere {
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// pub struct Particle { pub position: [f32; 3], pub charge: f32 }
/// // Or derived, with a feature of `bytemuck`.
/// unsafe impl bytemuck::Zeroable for Particle {}
/// unsafe impl bytemuck::Pod for Particle {}
/// # }
/// # use elsewhere::Particle;
///
/// let all = [Particle { position: [0.0; 3], charge: 0.5 }; 8];
/// let buffer = aruminium::Gpu::open()?.buffer_with_data(bytemuck::cast_slice(&all))?;
/// buffer.write_as(|all: &mut [Pod<Particle>]| all[0].charge = 2.0);
/// let charge: f32 = buffer.read_as(|all| Pod::peel_slice(all).iter().map(|p: &Particle| p.charge).sum());
/// assert_eq!(charge, 5.5);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Pod<T>(pub T);

// SAFETY: a `Pod` type has no padding and no pointers, and all bytes are a value of it.
unsafe impl<T: bytemuck::Pod> Plain for Pod<T> {}
// SAFETY: it has the layout and the values of `T`.
unsafe impl<T> TransparentWrapper<T> for Pod<T> {}
// SAFETY: as above.
unsafe impl<T: Zeroable> Zeroable for Pod<T> {}
// SAFETY: as above.
unsafe impl<T: bytemuck::Pod> bytemuck::Pod for Pod<T> {}

impl<T> Deref for Pod<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Pod<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Pod<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}
