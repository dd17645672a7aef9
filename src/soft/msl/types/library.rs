//! The library's names of types (MSL 2), and those of other stages that are recognised only.

use super::Ty;
use crate::soft::ir::Scalar;

/// MSL's names of scalars (MSL 2.1, table 2.1): several names may denote one type.
pub(crate) const SCALAR_NAMES: &[(&str, Scalar)] = &[
    ("bool", Scalar::Bool),
    ("char", Scalar::I8),
    ("uchar", Scalar::U8),
    ("short", Scalar::I16),
    ("ushort", Scalar::U16),
    ("int", Scalar::I32),
    ("uint", Scalar::U32),
    ("long", Scalar::I64),
    ("ulong", Scalar::U64),
    ("half", Scalar::F16),
    ("bfloat", Scalar::BF16),
    ("float", Scalar::F32),
    ("int8_t", Scalar::I8),
    ("uint8_t", Scalar::U8),
    ("int16_t", Scalar::I16),
    ("uint16_t", Scalar::U16),
    ("int32_t", Scalar::I32),
    ("uint32_t", Scalar::U32),
    ("int64_t", Scalar::I64),
    ("uint64_t", Scalar::U64),
    ("size_t", Scalar::U64),
    ("ptrdiff_t", Scalar::I64),
    ("intptr_t", Scalar::I64),
    ("uintptr_t", Scalar::U64),
];

/// The type of a library name without its namespace: `float4`, `packed_half2`,
/// `half3x3`, `simdgroup_float8x8`, `atomic_int`, `uint8_t` (MSL 2).
pub(crate) fn library_type(name: &str) -> Option<Ty> {
    if let Some(row) = SCALAR_NAMES.iter().find(|row| row.0 == name) {
        return Some(Ty::Scalar(row.1));
    }
    if let Some(shared) = shared_name(name) {
        return library_type(&shared);
    }
    if let Some(rest) = name.strip_prefix("packed_") {
        return split_vector(rest).map(|(scalar, width)| Ty::Packed(scalar, width));
    }
    if let Some(rest) = name.strip_prefix("simdgroup_") {
        let scalar = rest.strip_suffix("8x8")?;
        return Some(Ty::SimdgroupMatrix(float_named(scalar)?));
    }
    if let Some(rest) = name.strip_prefix("atomic_") {
        let scalar = SCALAR_NAMES[..12].iter().find(|row| row.0 == rest)?.1;
        return Some(Ty::Atomic(scalar));
    }
    if let Some((rest, rows)) = name.split_once('x')
        && let (Some(columns), Some(rows)) =
            (width_digit(rest.get(rest.len().checked_sub(1)?..)?), width_digit(rows))
    {
        let scalar = float_named(&rest[..rest.len() - 1])?;
        return Some(Ty::Matrix(scalar, columns, rows));
    }
    if let Some((scalar, width)) = split_vector(name) {
        return Some(Ty::Vector(scalar, width));
    }
    if name == "sampler" {
        return Some(Ty::Sampler);
    }
    OPAQUE_NAMES.iter().find(|&&known| known == name).map(|known| Ty::Opaque(known))
}

/// The MSL type for a name of `<simd/simd.h>`, which headers shared with host code use.
fn shared_name(name: &str) -> Option<String> {
    const PREFIXES: [(&str, &str); 4] =
        [("simd_packed_", "packed_"), ("simd_", ""), ("vector_", ""), ("matrix_", "")];
    let (ours, rest) =
        PREFIXES.iter().find_map(|(theirs, ours)| Some((ours, name.strip_prefix(theirs)?)))?;
    let vector = split_vector(rest).is_some() && !name.starts_with("matrix_");
    let matrix = rest.contains('x') && ours.is_empty() && !name.starts_with("vector_");
    (vector || matrix).then(|| format!("{ours}{rest}"))
}

fn float_named(name: &str) -> Option<Scalar> {
    match name {
        "float" => Some(Scalar::F32),
        "half" => Some(Scalar::F16),
        "bfloat" => Some(Scalar::BF16),
        _ => None,
    }
}

fn width_digit(text: &str) -> Option<u8> {
    match text {
        "2" => Some(2),
        "3" => Some(3),
        "4" => Some(4),
        _ => None,
    }
}

fn split_vector(name: &str) -> Option<(Scalar, u8)> {
    let at = name.len().checked_sub(1)?;
    let width = width_digit(name.get(at..)?)?;
    let scalar = SCALAR_NAMES[..12].iter().find(|row| row.0 == &name[..at])?.1;
    Some((scalar, width))
}

/// The class template of the library that vectors of more than four components are.
pub(crate) const WIDE_VECTOR: &str = "__wide_vec";

/// The struct in the library's header that a tensor of the host (MSL 2.20.2.1) points to.
pub(crate) const TENSOR_RECORD: &str = "__tensor_record";

/// Types of other stages and of their commands (MSL 2.14 to 2.20): recognised, so that a file with them compiles.
pub(crate) const OPAQUE_NAMES: &[&str] = &[
    "depth_stencil_state",
    "int4b_format",
    "instance_acceleration_structure",
    "intersection_params",
    "mesh_grid_properties",
    "primitive_acceleration_structure",
    "rasterization_rate_map_data",
    "rasterization_rate_map_decoder",
    "ray",
    "render_command",
    "render_pipeline_state",
    "uint4b_format",
];

/// The class templates among them (MSL 2.7, 2.9, 2.15 to 2.20).
pub(crate) const OPAQUE_TEMPLATES: &[&str] = &[
    "acceleration_structure",
    "cooperative_tensor",
    "imageblock",
    "imageblock_slice",
    "interpolant",
    "intersection_function_table",
    "intersection_query",
    "intersection_result",
    "intersector",
    "max_levels",
    "mesh",
    "patch_control_point",
    "r16snorm",
    "r16unorm",
    "r8snorm",
    "r8unorm",
    "rg11b10f",
    "rg16snorm",
    "rg16unorm",
    "rg8snorm",
    "rg8unorm",
    "rgb10a2",
    "rgb9e5",
    "rgba16snorm",
    "rgba16unorm",
    "rgba8snorm",
    "rgba8unorm",
    "srgba8unorm",
    "tensor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_library_are_types() {
        assert_eq!(library_type("size_t"), Some(Ty::Scalar(Scalar::U64)));
        assert_eq!(library_type("bfloat4"), Some(Ty::Vector(Scalar::BF16, 4)));
        assert_eq!(library_type("simdgroup_half8x8"), Some(Ty::SimdgroupMatrix(Scalar::F16)));
        for (shared, own) in [
            ("simd_float4x4", "float4x4"),
            ("matrix_float2x3", "float2x3"),
            ("vector_uint3", "uint3"),
            ("simd_packed_float4", "packed_float4"),
        ] {
            assert_eq!(library_type(shared), library_type(own), "{shared}");
        }
        for no in ["simd_sum", "vector_float2x2", "matrix_float3", "simd_packed_float2x2"] {
            assert_eq!(library_type(no), None, "{no}");
        }
        for no in ["float5", "int2x2", "floatx", "x", "2", "", "float1", "size_t4", "packed_float"]
        {
            assert_eq!(library_type(no), None, "{no}");
        }
    }
}
