//! The arguments of a compute pipeline's kernel.

use super::descriptor::PipelineDescriptor;
use super::device::Gpu;
use super::enums::{BindingAccess, BindingType, DataType};
use super::error::GpuError;
use super::foundation::{NSArray, NSError};
use super::pipeline::Pipeline;
use super::shader::Shader;
use crate::abi::{Id, Sel};
use crate::objc::{ObjcClass, Object, autorelease_pool, link};
use crate::{msg, selector};

/// One argument of a kernel: [`Pipeline::reflection`] lists them.
///
/// ```
/// use aruminium::{BindingAccess, BindingType, DataType, Gpu};
/// let source = "kernel void scale(device float4 *y [[buffer(2)]], constant float &a [[buffer(5)]],
///                                 uint i [[thread_position_in_grid]]) { y[i] *= a; }";
/// let gpu = Gpu::open()?;
/// let pipeline = gpu.pipeline_reflected(&gpu.compile(source)?.function("scale")?)?;
/// let y = pipeline.reflection()?.iter().find(|binding| binding.name == "y").expect("an argument");
/// assert_eq!((y.kind, y.index, y.used), (BindingType::Buffer, 2, true));
/// assert_eq!((y.access, y.bytes, y.data_type), (BindingAccess::ReadWrite, 16, DataType::Float4));
/// assert!(y.is_written() && !y.indirect);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The name in the source.
    pub name: String,
    /// The argument table that it is in.
    pub kind: BindingType,
    /// The index there; of an array, the first.
    pub index: usize,
    /// The accesses that the kernel may make to it. A pointer that is not to `const` counts as written, even if it is not.
    pub access: BindingAccess,
    /// Whether the compiled kernel uses it.
    pub used: bool,
    /// The size of the type that a pointer points to, in bytes; 0 for textures and samplers.
    pub bytes: usize,
    /// The alignment of that type.
    pub align: usize,
    /// The type that a pointer points to, or of a texture's components.
    pub data_type: DataType,
    /// Whether that type holds pointers or resources, so that the kernel may use memory that is not bound. On soft Metal also whether
    /// the kernel makes pointers of integers or bytes, which may be in any of its buffers.
    pub indirect: bool,
}

impl Binding {
    /// Whether the kernel may write it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let source = "kernel void copy(device const int *from, device int *to) { to[0] = from[0]; }";
    /// let pipeline = gpu.pipeline_reflected(&gpu.compile(source)?.function("copy")?)?;
    /// let written = pipeline.reflection()?.iter().map(|binding| binding.is_written());
    /// assert_eq!(written.collect::<Vec<_>>(), [false, true]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_written(&self) -> bool {
        self.access != BindingAccess::ReadOnly
    }
}

/// Whether an object responds to a selector.
fn responds(object: Id, selector: Sel) -> bool {
    // SAFETY: the object is alive, or nil, whose class is nil.
    unsafe { link::class_respondsToSelector(link::object_getClass(object), selector).get() }
}

/// The arguments in a pipeline's reflection; `None` if the system does not store it (before macOS 26).
#[cold]
pub(super) fn kept(pipeline: Id) -> Option<Box<[Binding]>> {
    if !responds(pipeline, selector!(reflection)) {
        return None;
    }
    autorelease_pool(|| {
        // SAFETY: the object is a pipeline state, which responds to the message.
        let reflection = unsafe { msg!(pipeline, [reflection] -> Option<Object>) }?;
        listed(reflection.as_raw())
    })
}

/// The bindings of a `MTLComputePipelineReflection`; `None` before macOS 13, which has only `MTLArgument`s.
fn listed(reflection: Id) -> Option<Box<[Binding]>> {
    if !responds(reflection, selector!(bindings)) {
        return None;
    }
    // SAFETY: it responds to the message; the elements are bindings.
    unsafe {
        let bindings = msg!(reflection, [bindings] -> NSArray);
        let binding = |index| read(msg!(bindings, [objectAtIndex: index] -> Id));
        Some((0..bindings.len()).map(binding).collect())
    }
}

/// # Safety
///
/// The object is a `MTLBinding`.
unsafe fn read(binding: Id) -> Binding {
    // SAFETY: every binding has the first properties, those of a kind have the others.
    unsafe {
        let kind = BindingType(msg!(binding, [type] -> isize));
        let (bytes, align, data_type, indirect) = match kind {
            BindingType::Buffer => (
                msg!(binding, [bufferDataSize] -> usize),
                msg!(binding, [bufferAlignment] -> usize),
                DataType(msg!(binding, [bufferDataType] -> usize)),
                holds_pointers(binding),
            ),
            BindingType::ThreadgroupMemory => (
                msg!(binding, [threadgroupMemoryDataSize] -> usize),
                msg!(binding, [threadgroupMemoryAlignment] -> usize),
                DataType::None,
                false,
            ),
            BindingType::Texture => {
                (0, 0, DataType(msg!(binding, [textureDataType] -> usize)), false)
            }
            _ => (0, 0, DataType::None, false),
        };
        Binding {
            name: msg!(binding, [name] -> String),
            kind,
            index: msg!(binding, [index] -> usize),
            access: BindingAccess(msg!(binding, [access] -> usize)),
            used: msg!(binding, [isUsed] -> bool),
            bytes,
            align,
            data_type,
            indirect,
        }
    }
}

/// Whether the type that a buffer's pointer points to holds pointers or resources. Soft Metal says so itself.
///
/// # Safety
///
/// The object is a `MTLBufferBinding`.
unsafe fn holds_pointers(binding: Id) -> bool {
    // SAFETY: as its selector says; a struct type is nil unless the pointee is a struct.
    unsafe {
        if responds(binding, selector!(aruminiumHoldsPointers)) {
            return msg!(binding, [aruminiumHoldsPointers] -> bool);
        }
        is_indirect(DataType(msg!(binding, [bufferDataType] -> usize)))
            || struct_holds_pointers(msg!(binding, [bufferStructType] -> Id))
    }
}

/// Whether values of a type lead to other memory. Everything that is not a number, a vector, a matrix, a packed pixel,
/// a struct or an array does.
fn is_indirect(data_type: DataType) -> bool {
    const NUMBERS: [std::ops::RangeInclusive<usize>; 4] = [0..=57, 62..=77, 81..=88, 121..=124];
    !NUMBERS.iter().any(|numbers| numbers.contains(&data_type.0))
}

/// # Safety
///
/// The object is a `MTLStructType` or nil.
unsafe fn struct_holds_pointers(of: Id) -> bool {
    if of.is_nil() {
        return false;
    }
    // SAFETY: a struct type has members, and each member a type.
    unsafe {
        let members = msg!(of, [members] -> NSArray);
        (0..members.len()).any(|index| {
            let member = msg!(members, [objectAtIndex: index] -> Id);
            match DataType(msg!(member, [dataType] -> usize)) {
                DataType::Struct => struct_holds_pointers(msg!(member, [structType] -> Id)),
                DataType::Array => array_holds_pointers(msg!(member, [arrayType] -> Id)),
                other => is_indirect(other),
            }
        })
    }
}

/// # Safety
///
/// The object is a `MTLArrayType` or nil.
unsafe fn array_holds_pointers(of: Id) -> bool {
    if of.is_nil() {
        return false;
    }
    // SAFETY: an array type has the type of its elements.
    unsafe {
        match DataType(msg!(of, [elementType] -> usize)) {
            DataType::Struct => struct_holds_pointers(msg!(of, [elementStructType] -> Id)),
            DataType::Array => array_holds_pointers(msg!(of, [elementArrayType] -> Id)),
            other => is_indirect(other),
        }
    }
}

impl Gpu {
    /// Make a compute pipeline from a kernel, with its reflection: on every system
    /// [`Pipeline::reflection`] lists its arguments then.
    ///
    /// # Errors
    ///
    /// [`GpuError::PipelineCreationFailed`] with the reason.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// assert_eq!(gpu.pipeline_reflected(&function)?.reflection()?.len(), 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn pipeline_reflected(&self, function: &Shader) -> Result<Pipeline, GpuError> {
        // SAFETY: a device responds to this message with these types; the addresses outlive the call.
        reflected(|reflection, error| unsafe {
            msg!(self, [newComputePipelineStateWithFunction: function, options: REFLECTION,
                reflection: reflection, error: error] -> Option<Pipeline>)
        })
    }

    /// Make a compute pipeline with its reflection if one of the descriptor's archives has it
    /// ([`set_binary_archives`](PipelineDescriptor::set_binary_archives)), so that nothing is compiled.
    ///
    /// # Errors
    ///
    /// [`GpuError::PipelineCreationFailed`] if no archive has it, or with another reason.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let descriptor = aruminium::PipelineDescriptor::new(&function);
    /// let archive = gpu.binary_archive()?;
    /// archive.add(&descriptor)?;
    /// descriptor.set_binary_archives(&[&archive]);
    /// let pipeline = gpu.pipeline_in_archives(&descriptor)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn pipeline_in_archives(
        &self,
        descriptor: &PipelineDescriptor,
    ) -> Result<Pipeline, GpuError> {
        /// `MTLPipelineOptionFailOnBinaryArchiveMiss`.
        const FAIL_ON_MISS: usize = 4;
        // SAFETY: as above.
        reflected(|reflection, error| unsafe {
            msg!(self, [newComputePipelineStateWithDescriptor: descriptor, options: REFLECTION | FAIL_ON_MISS,
                reflection: reflection, error: error] -> Option<Pipeline>)
        })
    }
}

/// `MTLPipelineOptionBindingInfo` and `MTLPipelineOptionBufferTypeInfo`.
const REFLECTION: usize = 1 | 2;

/// The pipeline that a message returns, with the reflection that it stores at the first address; or the error that it stores at
/// the second one. The message must be sent here: a declared method has a pool of its own, which owns both and ends too early.
fn reflected(
    send: impl FnOnce(*mut Id, *mut Id) -> Option<Pipeline>,
) -> Result<Pipeline, GpuError> {
    autorelease_pool(|| {
        let (mut reflection, mut error) = (Id::NIL, Id::NIL);
        let Some(pipeline) = send(&raw mut reflection, &raw mut error) else {
            // SAFETY: without a pipeline an error is returned, or nil, whose messages return nothing.
            let error = unsafe { NSError::from_object(Object::borrowed(error)) };
            return Err(GpuError::PipelineCreationFailed(error.description()));
        };
        if !reflection.is_nil() {
            pipeline.know(listed(reflection));
        }
        Ok(pipeline)
    })
}

impl Pipeline {
    /// The arguments of the kernel, in the order of the system.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] before macOS 26, unless [`Gpu::pipeline_reflected`] made the pipeline, and before
    /// macOS 13.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// for binding in gpu.pipeline_reflected(&function)?.reflection()? {
    ///     println!("{} at {}: {:?}", binding.name, binding.index, binding.access);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn reflection(&self) -> Result<&[Binding], GpuError> {
        self.bindings().ok_or_else(|| {
            GpuError::Unsupported(
                "the system keeps no reflection of this pipeline: make it with `Gpu::pipeline_reflected`".into(),
            )
        })
    }
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::*;

    /// Apple's Metal has only the struct types, soft Metal both roads.
    #[test]
    fn struct_types_and_soft_metal_agree_on_what_holds_pointers() {
        let source = "
            #include <metal_stdlib>
            using namespace metal;
            struct Plain { float3 a; uchar b[3]; struct { int c; } d; half2x2 e; };
            struct Pointer { int a; device int *b; };
            struct Nested { Plain a; struct { Pointer b; } c[2]; };
            struct Textures { array<texture2d<float>, 2> a[3]; };
            kernel void f(device Plain *a, constant Pointer &b, device Nested *c, device Textures *d,
                          device float4 *e, device atomic_uint *f, device Plain (*g)[4]) {}";
        let gpu = Gpu::open().expect("a device");
        let function = gpu.compile(source).and_then(|library| library.function("f"));
        let pipeline = gpu.pipeline_reflected(&function.expect("a function")).expect("a pipeline");
        let holds = autorelease_pool(|| {
            // SAFETY: the object is a pipeline state, whose reflection has bindings of buffers.
            unsafe {
                let reflection = msg!(&pipeline, [reflection] -> Id);
                let bindings = msg!(reflection, [bindings] -> NSArray);
                let both = |index| {
                    let binding = msg!(bindings, [objectAtIndex: index] -> Id);
                    let by_type = struct_holds_pointers(msg!(binding, [bufferStructType] -> Id));
                    (msg!(binding, [aruminiumHoldsPointers] -> bool), by_type)
                };
                (0..bindings.len()).map(both).collect::<Vec<_>>()
            }
        });
        let expected = [false, true, true, true, false, false, false];
        assert_eq!(holds, expected.map(|holds| (holds, holds)));
    }
}
