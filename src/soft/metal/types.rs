//! MTLType and its subclasses: the type that a buffer argument points to, as reflection shows it.

use super::compiler::data_type;
use super::foundation::{List, NSObject, Object, Strong, Text, soft_class};
use super::tensor::Extents;
use crate::abi::Id;
use crate::soft::ir::shape::{Array, Handle, Pointer, Struct, TensorKind};
use crate::soft::ir::{Expected, Scalar, Shape};
use crate::soft::kernel::{Access, Argument, ArgumentKind};
use std::sync::Arc;

/// Of `MTLDataType`.
const NONE: usize = 0;
const STRUCT: usize = 1;
const ARRAY: usize = 2;
const TEXTURE: usize = 58;
const SAMPLER: usize = 59;
const POINTER: usize = 60;
const COMPUTE_PIPELINE: usize = 79;
const TENSOR: usize = 140;
const INDIRECT_COMMAND_BUFFER: usize = 80;
const VISIBLE_FUNCTION_TABLE: usize = 115;

/// Of `MTLBindingAccess`.
const READ_ONLY: usize = 0;
const READ_WRITE: usize = 1;
const WRITE_ONLY: usize = 2;

soft_class! {
    /// A type.
    pub(super) class MTLType: NSObject;
    [dataType] = |_: Id| NONE;
}

/// A struct or a union.
pub(super) struct StructType(Arc<Struct>);

soft_class! {
    /// A struct or a union.
    pub(super) class MTLStructType(StructType): MTLType;
    [dataType] = |_: &StructType| STRUCT;
    [members] = |of: &StructType| {
        let members = 0..of.0.members.len();
        List::object(members.map(|nth| of.member(nth).into_retained()))
    };
    [memberByName:] = |of: &StructType, name: &Object<Text>| {
        let nth = of.0.members.iter().position(|member| member.name == name.to_str())?;
        Some(of.member(nth))
    };
}

/// A member of a struct: the struct, and which of its members.
pub(super) struct StructMember(Arc<Struct>, usize);

soft_class! {
    /// A member of a struct.
    pub(super) class MTLStructMember(StructMember): NSObject;
    [name] = |this: &StructMember| Text::object(this.0.members[this.1].name.as_str());
    [offset] = |this: &StructMember| this.0.members[this.1].offset as usize;
    [argumentIndex] = |this: &StructMember| this.0.members[this.1].index as usize;
    [dataType] = |this: &StructMember| data_type_of(this.shape());
    [structType] = |this: &StructMember| struct_type(this.shape());
    [arrayType] = |this: &StructMember| array_type(this.shape());
    [pointerType] = |this: &StructMember| pointer_type(this.shape());
    [textureReferenceType] = |this: &StructMember| texture_type(this.shape());
    [tensorReferenceType] = |this: &StructMember| tensor_type(this.shape());
}

/// An array.
pub(super) struct ArrayType(Arc<Array>);

soft_class! {
    /// An array.
    pub(super) class MTLArrayType(ArrayType): MTLType;
    [dataType] = |_: &ArrayType| ARRAY;
    [arrayLength] = |this: &ArrayType| this.0.length as usize;
    [stride] = |this: &ArrayType| this.0.stride as usize;
    [argumentIndexStride] = |this: &ArrayType| this.0.indices as usize;
    [elementType] = |this: &ArrayType| data_type_of(&this.0.element);
    [elementStructType] = |this: &ArrayType| struct_type(&this.0.element);
    [elementArrayType] = |this: &ArrayType| array_type(&this.0.element);
    [elementPointerType] = |this: &ArrayType| pointer_type(&this.0.element);
    [elementTextureReferenceType] = |this: &ArrayType| texture_type(&this.0.element);
    [elementTensorReferenceType] = |this: &ArrayType| tensor_type(&this.0.element);
}

/// A pointer.
pub(super) struct PointerType(Arc<Pointer>);

soft_class! {
    /// A pointer.
    pub(super) class MTLPointerType(PointerType): MTLType;
    [dataType] = |_: &PointerType| POINTER;
    [access] = |this: &PointerType| if this.0.writable { READ_WRITE } else { READ_ONLY };
    [alignment] = |this: &PointerType| this.0.align as usize;
    [dataSize] = |this: &PointerType| this.0.size as usize;
    [elementIsArgumentBuffer] = |this: &PointerType| this.0.element.is_argument_buffer();
    [elementType] = |this: &PointerType| data_type_of(&this.0.element);
    [elementStructType] = |this: &PointerType| struct_type(&this.0.element);
    [elementArrayType] = |this: &PointerType| array_type(&this.0.element);
}

/// A texture, and whether its pixels are depths.
pub(super) struct TextureReferenceType(Expected, bool);

soft_class! {
    /// A texture in an argument buffer.
    pub(super) class MTLTextureReferenceType(TextureReferenceType): MTLType;
    [dataType] = |_: &TextureReferenceType| TEXTURE;
    [textureDataType] = |this: &TextureReferenceType| data_type(this.0.scalar);
    [textureType] = |this: &TextureReferenceType| usize::from(this.0.kind);
    [access] = |this: &TextureReferenceType| match (this.0.read, this.0.write) {
        (true, true) => READ_WRITE,
        (_, false) => READ_ONLY,
        (false, true) => WRITE_ONLY,
    };
    [isDepthTexture] = |this: &TextureReferenceType| this.1;
}

/// A tensor in an argument buffer.
pub(super) struct TensorReferenceType(TensorKind);

soft_class! {
    /// A tensor in an argument buffer.
    pub(super) class MTLTensorReferenceType(TensorReferenceType): MTLType;
    [dataType] = |_: &TensorReferenceType| TENSOR;
    [tensorDataType] = |this: &TensorReferenceType| data_type(this.0.element) as isize;
    [indexType] = |this: &TensorReferenceType| data_type(this.0.index);
    [dimensions] = |this: &TensorReferenceType| Extents::unknown(this.0.rank);
    [access] = |this: &TensorReferenceType| if this.0.writable { READ_WRITE } else { READ_ONLY };
}

impl StructType {
    fn member(&self, nth: usize) -> Strong<StructMember> {
        Strong::new(StructMember(Arc::clone(&self.0), nth))
    }
}

impl StructMember {
    fn shape(&self) -> &Shape {
        &self.0.members[self.1].shape
    }
}

/// A number of `MTLDataType`.
fn data_type_of(shape: &Shape) -> usize {
    match *shape {
        Shape::Data { scalar, columns: 1, rows } => data_type(scalar) + usize::from(rows) - 1,
        Shape::Data { scalar, columns, rows } => {
            // The matrix of two columns and two rows, which the other eight follow.
            let first = match scalar {
                Scalar::F32 => 7,
                Scalar::F16 => 20,
                _ => return NONE,
            };
            first + (usize::from(columns) - 2) * 3 + usize::from(rows) - 2
        }
        Shape::Struct(_) | Shape::Unlisted => STRUCT,
        Shape::Array(_) => ARRAY,
        Shape::Pointer(_) => POINTER,
        Shape::Texture(..) => TEXTURE,
        Shape::Sampler => SAMPLER,
        Shape::Handle(Handle::FunctionTable) => VISIBLE_FUNCTION_TABLE,
        Shape::Handle(Handle::CommandBuffer) => INDIRECT_COMMAND_BUFFER,
        Shape::Handle(Handle::Pipeline) => COMPUTE_PIPELINE,
        Shape::Tensor(_) => TENSOR,
        Shape::Other => NONE,
    }
}

/// Writes a function that returns the object of a shape of one kind, nil for others.
macro_rules! objects {
    ($($name:ident: $pattern:pat => $payload:ident($($field:expr),+);)+) => {$(
        fn $name(shape: &Shape) -> Option<Strong<$payload>> {
            match shape {
                $pattern => Some(Strong::new($payload($($field),+))),
                _ => None,
            }
        }
    )+};
}

objects! {
    struct_type: Shape::Struct(of) => StructType(Arc::clone(of));
    array_type: Shape::Array(of) => ArrayType(Arc::clone(of));
    pointer_type: Shape::Pointer(of) => PointerType(Arc::clone(of));
    texture_type: Shape::Texture(expected, depth) => TextureReferenceType(*expected, *depth);
    tensor_type: Shape::Tensor(tensor) => TensorReferenceType(*tensor);
}

/// The type that a buffer argument points to; `None` for an argument of another kind.
fn pointee(argument: &Argument) -> Option<&Shape> {
    argument.pointee.as_ref().filter(|_| argument.kind == ArgumentKind::Buffer)
}

/// `bufferDataType` of an argument.
pub(super) fn buffer_data_type(argument: &Argument) -> usize {
    pointee(argument).map_or(NONE, data_type_of)
}

/// `bufferStructType` of an argument: nil unless it points to a struct.
pub(super) fn buffer_struct_type(argument: &Argument) -> Option<Strong<StructType>> {
    pointee(argument).and_then(struct_type)
}

/// `bufferPointerType` of an argument.
pub(super) fn buffer_pointer_type(argument: &Argument) -> Option<Strong<PointerType>> {
    let element = pointee(argument)?.clone();
    let writable = argument.access != Access::ReadOnly;
    let (size, align) = (argument.size, argument.align);
    Some(Strong::new(PointerType(Arc::new(Pointer { writable, size, align, element }))))
}

/// `tensorDataType` of an argument; 0 for an argument of another kind.
pub(super) fn tensor_data_type(argument: &Argument) -> isize {
    argument.tensor.map_or(0, |tensor| data_type(tensor.element) as isize)
}

/// `indexType` of an argument.
pub(super) fn index_type(argument: &Argument) -> usize {
    argument.tensor.map_or(NONE, |tensor| data_type(tensor.index))
}

/// `textureDataType` of an argument.
pub(super) fn texture_data_type(argument: &Argument) -> usize {
    argument.texture.map_or(NONE, |texture| data_type(texture.scalar))
}
