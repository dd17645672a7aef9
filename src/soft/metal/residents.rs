//! Resources that kernels reach through pointers in memory: what encoders and residency sets declare.

use super::buffer::Buffer;
use super::foundation::Object;
use super::function_table::VisibleFunctionTable;
use super::heap::Heap;
use super::indirect::IndirectCommandBuffer;
use super::resource::is_untracked;
use super::tensor::Tensor;
use super::texture::Texture;
use crate::abi::Id;
use crate::soft::stream::heap::Resource;
use crate::soft::stream::recording::Recording;
use crate::soft::stream::table::ObjectIndex;

/// The indices of what an object is: a buffer, a texture, a tensor, a table of functions, an indirect command buffer, or a heap with
/// all its resources. `Err` for any other object. For nil nothing is added.
pub(super) fn objects(recording: &mut Recording, id: Id) -> Result<Vec<ObjectIndex>, String> {
    if id.is_nil() {
        return Ok(Vec::new());
    }
    // SAFETY: the message passed objects, which live until it is answered.
    if let Some(buffer) = unsafe { Object::<Buffer>::from_id(id) } {
        return Ok(vec![recording.memory(&buffer.memory, || is_untracked::<Buffer>(buffer))]);
    }
    // SAFETY: as above.
    if let Some(texture) = unsafe { Object::<Texture>::from_id(id) } {
        return Ok(vec![recording.image(&texture.image, || is_untracked::<Texture>(texture))]);
    }
    // SAFETY: as above.
    if let Some(tensor) = unsafe { Object::<Tensor>::from_id(id) } {
        let untracked = || is_untracked::<Tensor>(tensor);
        let record = recording.memory(&tensor.record, || false);
        return Ok(vec![recording.memory(&tensor.memory, untracked), record]);
    }
    // SAFETY: as above.
    if let Some(table) = unsafe { Object::<VisibleFunctionTable>::from_id(id) } {
        return Ok(vec![recording.memory(&table.memory, || false)]);
    }
    // SAFETY: as above.
    if let Some(commands) = unsafe { Object::<IndirectCommandBuffer>::from_id(id) } {
        let untracked = || is_untracked::<IndirectCommandBuffer>(commands);
        return Ok(vec![recording.memory(&commands.memory, untracked)]);
    }
    // SAFETY: as above.
    match unsafe { Object::<Heap>::from_id(id) } {
        Some(heap) => Ok(of_heap(recording, heap)),
        None => Err("an object that is no resource and no heap was passed".to_owned()),
    }
}

/// The indices of the resources in a heap.
pub(super) fn of_heap(recording: &mut Recording, heap: &Heap) -> Vec<ObjectIndex> {
    let untracked = !heap.is_tracked();
    let index = |resource| match resource {
        Resource::Memory(memory) => recording.memory(&memory, || untracked),
        Resource::Image(image) => recording.image(&image, || untracked),
    };
    heap.resources().into_iter().map(index).collect()
}
