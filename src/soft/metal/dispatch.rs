//! Checks a dispatch against what is bound, and records it with a snapshot of that.

use super::encoder::Why;
use crate::abi::MTLSize;
use crate::soft::kernel::{Argument, Kernel, Parameter, limits};
use crate::soft::stream::pipeline::must_be_bound;
use crate::soft::stream::recording::{Command, Grid, Object as Recorded, Recording};
use crate::soft::stream::settings::Settings;
use crate::soft::stream::table::Slot;

/// The most bytes of threadgroup memory.
pub(super) const GROUP_MEMORY: usize = limits::THREADGROUP_MEMORY as usize;

/// Three numbers that kernels see as `uint`.
#[inline]
pub(super) fn narrow(sizes: [usize; 3], what: &str) -> Result<[u32; 3], Why> {
    let [x, y, z] = sizes;
    match u32::try_from(x | y | z) {
        Ok(_) => Ok([x as u32, y as u32, z as u32]),
        Err(_) => Err(too_many(sizes, what)),
    }
}

#[cold]
fn too_many([x, y, z]: [usize; 3], what: &str) -> Why {
    format!("{what} ({x}, {y}, {z}): a kernel counts with 32 bits").into()
}

pub(super) fn sizes(size: MTLSize) -> [usize; 3] {
    [size.width, size.height, size.depth]
}

/// Records a dispatch. An empty grid, of no threads or threadgroups, is nothing to run and no error, so that a length that
/// happens to be zero needs no special case: not even a threadgroup without threads is an error then.
pub(super) fn dispatch(
    recording: &mut Recording,
    grid: Grid,
    is_empty: bool,
    group: MTLSize,
) -> Result<(), Why> {
    let Recording { commands, slots, objects, table, residents, first_resident, .. } = recording;
    let index = table.pipeline.ok_or("no compute pipeline state is set")?;
    let Some(Recorded::Pipeline(pipeline)) = objects.get(index as usize) else {
        return Err("no compute pipeline state is set".into());
    };
    let [x, y, z] = sizes(group);
    pipeline.check_group([x, y, z], is_empty)?;
    let start = slots.len();
    let mut missing = false;
    slots.extend(pipeline.takes.iter().map(|take| {
        let slot = table.get(take.entry);
        missing |= take.needed && matches!(slot, Slot::Empty);
        slot
    }));
    let memory = if pipeline.takes_memory { bound_memory(&slots[start..]) } else { 0 };
    let memory = memory + pipeline.kernel.static_threadgroup() as usize;
    let refused = match missing || memory > GROUP_MEMORY {
        true => Err(refused(&pipeline.kernel, &slots[start..], memory)),
        false if pipeline.takes_textures => {
            check_textures(&pipeline.kernel, &slots[start..], objects)
        }
        false => Ok(()),
    };
    if let Err(why) = refused {
        slots.truncate(start);
        return Err(why);
    }
    if pipeline.kernel.reaches_residents() {
        let (start, end) = (*first_resident as u32, residents.len() as u32);
        slots.push(Slot::Residents { start, end });
    }
    if !is_empty {
        let group = [x as u32, y as u32, z as u32];
        commands.push(Command::Dispatch { pipeline: index, slots: start as u32, grid, group });
    }
    Ok(())
}

/// The threadgroup memory that is bound, in bytes.
fn bound_memory(slots: &[Slot]) -> usize {
    let length = |slot: &Slot| match *slot {
        Slot::Threadgroup { length } => length,
        _ => 0,
    };
    slots.iter().map(length).sum()
}

/// The defect of a launch's arguments: one is missing, or there is too much threadgroup memory.
#[cold]
fn refused(kernel: &Kernel, slots: &[Slot], memory: usize) -> Why {
    let name = kernel.name();
    let missing = |((_, argument), slot): &((Parameter, &Argument), &Slot)| {
        must_be_bound(argument) && **slot == Slot::Empty
    };
    match kernel.parameters().zip(slots).find(missing) {
        Some(((_, argument), _)) => unbound(name, argument).into(),
        None => format!(
            "kernel '{name}': {memory} bytes of threadgroup memory: there are {GROUP_MEMORY}"
        )
        .into(),
    }
}

/// Checks that the textures are of the kinds that the kernel declares; without checks of messages, only that it writes none whose
/// usage excludes that.
fn check_textures(kernel: &Kernel, slots: &[Slot], objects: &[Recorded]) -> Result<(), Why> {
    let checks = Settings::get().checks;
    for ((parameter, argument), slot) in kernel.parameters().zip(slots) {
        let (Some(wanted), Slot::Texture { object }) = (argument.texture, slot) else { continue };
        let Recorded::Image(image) = &objects[*object as usize] else { continue };
        if argument.used {
            let misfit = |why| {
                let (kernel, name) = (kernel.name(), &argument.name);
                let index = parameter.index;
                format!("kernel '{kernel}': argument '{name}', texture({index}): {why}")
            };
            let fits = match checks {
                true => image.fits(wanted, argument.access),
                false => image.allows_writes(argument.access),
            };
            fits.map_err(misfit)?;
        }
    }
    Ok(())
}

fn unbound(kernel: &str, argument: &Argument) -> String {
    let Argument { name, kind, index, .. } = argument;
    format!("kernel '{kernel}': nothing is bound for argument '{name}', {}({index})", kind.name())
}
