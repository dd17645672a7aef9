//! The memory of the host, and the textures, that a function may write: back ends with memory of their own copy these back.

use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Address, Effect, Function, Op, Space, Value};

/// Memory that a function may write besides the allocations that the module declares writable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Whether it writes through a pointer that does not start at an allocation by name.
    pub(crate) elsewhere: bool,
    /// For each texture of the module.
    pub(crate) textures: Vec<bool>,
    /// Whether it writes a texture that may be any.
    pub(crate) any_texture: bool,
}

/// Finds what a function of a module with some textures may write. Calls are inlined.
pub(crate) fn written(function: &Function, textures: usize) -> Written {
    let mut written = Written { textures: vec![false; textures], ..Written::default() };
    for inst in instructions(&function.body).map(|value| function.inst(value)) {
        let writes = matches!(inst.op.row().effect, Effect::Writes | Effect::Syncs);
        match inst.op {
            Op::Set | Op::AtomicLoad | Op::Probe => {}
            Op::TextureWrite | Op::TextureAtomic => written.texture(function, inst.args[0]),
            // The first pointer is where to.
            _ if writes => {
                written.elsewhere |= inst.args.first().is_some_and(|&to| {
                    function.ty(to).space() == Some(Space::Device)
                        && function.inst(Address::of(function, to).base).op != Op::Allocation
                });
            }
            _ => {}
        }
    }
    written
}

impl Written {
    fn texture(&mut self, function: &Function, texture: Value) {
        let inst = function.inst(texture);
        match inst.op {
            Op::Texture => self.textures[inst.imm as usize] = true,
            // The null texture.
            Op::Const => {}
            _ => self.any_texture = true,
        }
    }
}
