//! The types of buffer arguments, as reflection shows them.

use super::*;

/// The first binding of a kernel, and what `newArgumentEncoderWithBufferIndex:reflection:` stores for it.
fn first_binding(source: &str, check: impl FnOnce(Id, Id)) {
    let function = function(*library(source), "f");
    let (mut reflection, mut error, mut argument) = (Id::NIL, Id::NIL, Id::NIL);
    pool(|| {
        let _pipeline = Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:options:reflection:error:",
            *function => Id, 3 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        ));
        let bindings = send!(reflection, "bindings"; Id);
        let encoder = send!(
            *function, "newArgumentEncoderWithBufferIndex:reflection:", 0 => usize,
            &raw mut argument => *mut Id; Id
        );
        assert_eq!(encoder.is_nil(), argument.is_nil());
        check(send!(bindings, "objectAtIndex:", 0 => usize; Id), argument);
        if !encoder.is_nil() {
            drop(Own::new(encoder));
        }
    });
}

/// A type as text, with its members a line each.
fn described(of: Id, element: &str, indent: &str) -> String {
    let object = |name: &str| {
        let selector = if element.is_empty() {
            let mut letters = name.chars();
            let first = letters.next().unwrap().to_lowercase();
            first.chain(letters).collect()
        } else {
            format!("{element}{name}")
        };
        match send!(of, "respondsToSelector:", sel(&selector) => Sel; Bool).get() {
            true => send!(of, &*selector; Id),
            false => Id::NIL,
        }
    };
    let number = |of: Id, selector: &str| send!(of, selector; usize);
    let mut out =
        number(of, if element.is_empty() { "dataType" } else { "elementType" }).to_string();
    let mut more = |text: String| out.push_str(&text);
    let inner = format!("{indent}  ");
    if let array = object("ArrayType")
        && !array.is_nil()
    {
        let [length, stride, indices] =
            ["arrayLength", "stride", "argumentIndexStride"].map(|name| number(array, name));
        let element = described(array, "element", indent);
        more(format!("[{length}; {stride} bytes, {indices} indices] of {element}"));
    }
    if let pointer = object("PointerType")
        && !pointer.is_nil()
    {
        let [access, size, align] =
            ["access", "dataSize", "alignment"].map(|name| number(pointer, name));
        let buffer = send!(pointer, "elementIsArgumentBuffer"; Bool).get();
        let element = described(pointer, "element", indent);
        more(format!("* {access} {size}/{align} {buffer} to {element}"));
    }
    if let texture = object("TextureReferenceType")
        && !texture.is_nil()
    {
        let [kind, data, access] =
            ["textureType", "textureDataType", "access"].map(|name| number(texture, name));
        let depth = send!(texture, "isDepthTexture"; Bool).get();
        more(format!(" texture {kind} {data} {access} {depth}"));
    }
    if let of = object("StructType")
        && !of.is_nil()
    {
        more(members(of, &inner));
    }
    out
}

fn members(of: Id, indent: &str) -> String {
    let members = send!(of, "members"; Id);
    let line = |nth: usize| {
        let member = send!(members, "objectAtIndex:", nth => usize; Id);
        let (name, offset) = (text(send!(member, "name"; Id)), send!(member, "offset"; usize));
        let index = send!(member, "argumentIndex"; usize);
        format!("\n{indent}{index} {name} @{offset} {}", described(member, "", indent))
    };
    (0..send!(members, "count"; usize)).map(line).collect()
}

#[test]
fn a_struct_is_listed_by_its_members() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        enum Kind : ushort { A };
        struct Base { uchar tag; };
        struct Inner { int x; packed_float3 y; };
        struct S : Base {
            float3 a; half b[3]; device uint *c; texture2d<float> t; Inner d; Inner e[2];
            float3x2 m; half4x4 n; Kind k; atomic_uint u; union { float v; int w; };
            array<depth2d<float>, 2> z [[id(20)]]; sampler s; constant Inner *i;
        };
        kernel void f(device S *s [[buffer(0)]]) { s[0].a = 1; }";
    let expected = "
  0 tag @0 49
  1 a @16 5
  2 b @32 2[3; 2 bytes, 0 indices] of 16
  3 c @40 60* 1 4/4 false to 33
  4 t @48 58 texture 2 3 0 false
  5 d @56 1
    5 x @0 29
    6 y @4 5
  7 e @72 2[2; 16 bytes, 2 indices] of 1
    7 x @0 29
    8 y @4 5
  11 m @104 10
  12 n @128 28
  13 k @160 41
  14 u @164 33
  15 v @168 3
  15 w @168 29
  20 z @176 2[2; 8 bytes, 1 indices] of 58 texture 2 3 0 true
  22 s @192 59
  23 i @200 60* 0 16/4 false to 1
    0 x @0 29
    1 y @4 5";
    first_binding(source, |binding, argument| {
        for one in [binding, argument] {
            assert_eq!(send!(one, "bufferDataType"; usize), 1);
            let of = send!(one, "bufferStructType"; Id);
            assert_eq!(members(of, "  "), expected);
            assert_eq!(send!(of, "dataType"; usize), 1);
            let member = |name: &str| send!(of, "memberByName:", *string(name) => Id; Id);
            assert_eq!(send!(member("t"), "offset"; usize), 48);
            assert!(member("nothing").is_nil());
            let pointer = send!(one, "bufferPointerType"; Id);
            assert_eq!(send!(pointer, "elementType"; usize), 1);
            assert_eq!(send!(pointer, "access"; usize), 1);
            assert_eq!(send!(pointer, "dataSize"; usize), 208);
            assert!(send!(pointer, "elementIsArgumentBuffer"; Bool).get());
        }
    });
}

#[test]
fn what_is_no_struct_has_no_struct_type() {
    let source =
        "kernel void f(constant float4 *x [[buffer(0)]], device float *y) { y[0] = x[0].x; }";
    first_binding(source, |binding, argument| {
        assert!(argument.is_nil());
        assert!(send!(binding, "bufferStructType"; Id).is_nil());
        let pointer = send!(binding, "bufferPointerType"; Id);
        let numbers = ["dataType", "elementType", "access", "alignment", "dataSize"];
        let numbers = numbers.map(|name| send!(pointer, name; usize));
        assert_eq!(numbers, [60, 6, 0, 16, 16]);
        assert!(send!(pointer, "elementStructType"; Id).is_nil());
    });
}

/// Tensors have a type of elements, one of indices, and dimensions of unknown sizes: as arguments, and in structs and arrays.
#[test]
fn tensors_are_listed_with_their_types() {
    let numbers = |of: Id| {
        let sizes = send!(of, "dimensions"; Id);
        let rank = send!(sizes, "rank"; usize);
        let size = |nth: usize| send!(sizes, "extentAtDimensionIndex:", nth => usize; isize);
        let sizes: Vec<_> = (0..rank).map(size).collect();
        (
            send!(of, "tensorDataType"; isize),
            send!(of, "indexType"; usize),
            send!(of, "access"; usize),
            sizes,
        )
    };
    let source = "
        #include <metal_stdlib>
        #include <metal_tensor>
        using namespace metal;
        kernel void f(tensor<device half, dextents<int, 2>> t [[buffer(0)]]) { t.store(half(1), 0, 0); }";
    first_binding(source, |binding, _| {
        let of = ["MTLTensorBinding", "MTLBinding"].map(|name| {
            let name = std::ffi::CString::new(name).unwrap();
            // SAFETY: a C string.
            let protocol = unsafe { objc_getProtocol(name.as_ptr()) };
            send!(binding, "conformsToProtocol:", protocol => Protocol; Bool).get()
        });
        assert_eq!(of, [true; 2]);
        assert_eq!(send!(binding, "type"; isize), 37);
        assert_eq!(numbers(binding), (16, 29, 1, vec![-1, -1]));
    });
    let source = "
        #include <metal_stdlib>
        #include <metal_tensor>
        using namespace metal;
        struct S {
            tensor<constant uchar, dextents<ushort, 1>> a;
            array<tensor<device float, extents<long, 4, dynamic_extent, 2>>, 2> b;
            uint c;
        };
        kernel void f(constant S &s [[buffer(0)]], device uint *out [[buffer(1)]]) { out[0] = s.c; }";
    first_binding(source, |binding, _| {
        // No tensor, so these are of no type.
        assert_eq!(send!(binding, "tensorDataType"; isize), 0);
        assert_eq!(send!(binding, "indexType"; usize), 0);
        assert!(send!(binding, "dimensions"; Id).is_nil());
        let of = send!(binding, "bufferStructType"; Id);
        let member = |name: &str| send!(of, "memberByName:", *string(name) => Id; Id);
        assert_eq!(send!(member("a"), "dataType"; usize), 140);
        let tensor = send!(member("a"), "tensorReferenceType"; Id);
        assert_eq!(numbers(tensor), (49, 41, 0, vec![-1]));
        assert_eq!(send!(tensor, "dataType"; usize), 140);
        let array = send!(member("b"), "arrayType"; Id);
        let tensor = send!(array, "elementTensorReferenceType"; Id);
        assert_eq!(numbers(tensor), (3, 81, 1, vec![-1; 3]));
        assert!(send!(member("c"), "tensorReferenceType"; Id).is_nil());
    });
}

/// A list that points to itself, and structs that double with every level.
#[test]
fn types_without_an_end_are_cut_off() {
    let source = "
        struct L { device L *next; int x; };
        kernel void f(device L *l [[buffer(0)]]) { l[0].x = 1; }";
    first_binding(source, |binding, _| {
        let of = send!(binding, "bufferStructType"; Id);
        assert_eq!(members(of, ""), "\n0 next @0 60* 1 16/8 false to 1\n1 x @8 29");
    });
    let mut source = "struct S0 { int x; };".to_owned();
    for nth in 1..9 {
        let members: String = (0..9).map(|at| format!("device S{} *m{at};", nth - 1)).collect();
        source += &format!("struct S{nth} {{ {members} }};");
    }
    source += "kernel void f(device S8 *s [[buffer(0)]]) { s[0].m0 = 0; }";
    first_binding(&source, |binding, _| {
        let listed = members(send!(binding, "bufferStructType"; Id), "").lines().count();
        assert!((1 << 15..=1 << 17).contains(&listed), "{listed}");
    });
}
