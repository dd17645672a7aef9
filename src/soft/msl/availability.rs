//! The version of the language that each name and macro needs, for sources that older compilers must accept.

/// Names and macros, or their beginnings or ends with a `*`, and the version that has them (the notes "Metal N and later"
/// of the specification).
const SINCE: &[(&str, u32)] = &[
    ("__HAVE_SIMDGROUP_MATRIX__", 230),
    ("__HAVE_ATOMIC_ULONG*", 240),
    ("__HAVE_SIMDGROUP_SHUFFLE_AND_FILL__", 240),
    ("__HAVE_BFLOAT__", 310),
    ("__HAVE_TENSOR__", 400),
    ("MAXBFLOAT", 310),
    ("HUGE_VALBF", 310),
    ("*_BF", 310),
    ("atomic_ulong", 240),
    ("atomic_max_explicit", 240),
    ("atomic_min_explicit", 240),
    ("simd_shuffle_and_fill_*", 240),
    ("quad_shuffle_and_fill_*", 240),
    ("atomic_float", 300),
    ("bfloat*", 310),
    ("packed_bfloat*", 310),
    ("simdgroup_bfloat*", 310),
    ("atomic_thread_fence", 320),
    ("coherent", 320),
    ("memory_order_acquire", 320),
    ("memory_order_release", 320),
    ("memory_order_acq_rel", 320),
    ("memory_order_seq_cst", 320),
    ("thread_scope_*", 320),
    ("os_log*", 320),
    ("visible", 230),
    ("stitchable", 240),
    ("lambda expression", 320),
    ("deduced template arguments of a class", 400),
    ("atomic function of a texture", 310),
    ("tensor", 400),
    ("cooperative_tensor", 400),
    ("pack_float_to_snorm10a2", 400),
    ("unpack_snorm10a2_to_*", 400),
];

/// The newest version of the language that has names here.
pub(crate) fn newest() -> u32 {
    SINCE.iter().map(|(_, version)| *version).max().unwrap_or(0)
}

/// `3.1` for 310.
pub(crate) fn version_name(version: u32) -> String {
    format!("{}.{}", version / 100, version / 10 % 10)
}

/// The version that has a name, if it is not an old one.
fn since(name: &str) -> Option<u32> {
    let fits = |pattern: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(beginning)) => name.starts_with(beginning),
        _ => name == pattern,
    };
    SINCE.iter().find(|(pattern, _)| fits(pattern)).map(|(_, version)| *version)
}

/// Whether a version of the language has a name or predefined macro.
pub(crate) fn has(language: u32, name: &str) -> bool {
    since(name).is_none_or(|needed| needed <= language)
}

/// Why a version of the language does not have a name of the library; `None` if it has it.
pub(crate) fn refusal(language: u32, name: &str) -> Option<String> {
    let needed = since(name).filter(|needed| *needed > language)?;
    let (needed, language) = (version_name(needed), version_name(language));
    Some(format!("'{name}' needs Metal {needed}, and this source is compiled as Metal {language}"))
}

#[cfg(test)]
mod tests {
    use crate::soft::msl::{Options, compile};

    #[test]
    fn names_of_later_versions_are_errors() {
        let source = "using namespace metal;
            kernel void f(device atomic_float* sum [[buffer(0)]]) {
            atomic_fetch_add_explicit(sum, 1.0f, memory_order_relaxed);
        }";
        let with = |language| compile(source, &Options { language, ..Options::default() });
        assert!(with(None).is_ok() && with(Some(300)).is_ok());
        let error = with(Some(240)).unwrap_err().0;
        let expected =
            "2:34: error: 'atomic_float' needs Metal 3.0, and this source is compiled as Metal 2.4";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_name_of_the_program_is_not_that_of_a_later_version() {
        let source = "#include <metal_stdlib>
            using namespace metal;
            #if defined(__HAVE_BFLOAT__)
            typedef bfloat bfloat16_t;
            #else
            typedef half bfloat16_t;
            #endif
            #ifdef M_PI_BF
            constant bfloat pi = M_PI_BF;
            #endif
            struct coherent { int cooperative_tensor; };
            int os_log_level(int x) { return x; }
            namespace metal { int atomic_max_explicit(int a) { return a; } }
            kernel void f(device float* tensor, device bfloat16_t* bfloats [[buffer(1)]]) {
                coherent c = {1};
                tensor[0] = os_log_level(c.cooperative_tensor) + metal::atomic_max_explicit(2);
                bfloats[0] = bfloat16_t(tensor[0]);
            }";
        for language in [None, Some(230), Some(240), Some(300), Some(310)] {
            let compiled = compile(source, &Options { language, ..Options::default() });
            assert!(compiled.is_ok(), "{language:?}: {}", compiled.unwrap_err().0);
        }
    }

    #[test]
    fn features_of_later_versions_are_errors() {
        let cases = [
            (
                310,
                320,
                "lambda expression",
                "kernel void f(device int* o) { auto g = [](int x) { return x; }; o[0] = g(1); }",
            ),
            (220, 230, "visible", "[[visible]] int f(int x) { return x; }"),
            (230, 240, "stitchable", "[[stitchable]] int f(int x) { return x; }"),
            (
                300,
                310,
                "atomic function of a texture",
                "kernel void f(texture2d<uint, access::read_write> t) { t.atomic_load(uint2(0)); }",
            ),
            (
                310,
                400,
                "pack_float_to_snorm10a2",
                "namespace metal { int pack_float_to_snorm10a2(int a) { return a; } }
                kernel void f(device uint* o) { o[0] = pack_float_to_snorm10a2(float4(0)); }",
            ),
        ];
        for (language, needed, name, text) in cases {
            let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{text}");
            let with = |language| {
                compile(&source, &Options { language: Some(language), ..Options::default() })
            };
            assert!(with(needed).is_ok(), "{name}: {}", with(needed).unwrap_err().0);
            let error = with(language).unwrap_err().0;
            assert!(error.contains(&format!("'{name}' needs Metal ")), "{error}");
        }
    }

    #[test]
    fn each_use_of_a_later_name_is_reported_where_it_is() {
        let source = "#include <metal_stdlib>
            using namespace metal;
            coherent device int* g(coherent device int* p) { return p; }
            kernel void f(device float* out, device const bfloat* in [[buffer(1)]]) {
                out[0] = simd_shuffle_and_fill_up(out[1], 1.0f, ushort(1));
                atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst);
                out[1] = float(bfloat2(in[0]).x);
            }";
        let options = Options { language: Some(230), ..Options::default() };
        let error = compile(source, &options).unwrap_err().0;
        for (at, name) in [
            ("3:13", "coherent"),
            ("4:46", "bfloat"),
            ("5:26", "simd_shuffle_and_fill_up"),
            ("6:17", "atomic_thread_fence"),
            ("6:60", "memory_order_seq_cst"),
            ("7:32", "bfloat2"),
        ] {
            assert!(error.contains(&format!("{at}: error: '{name}' needs Metal")), "{at}: {error}");
        }
        let options = Options { language: Some(320), ..Options::default() };
        assert!(compile(source, &options).is_ok());
    }
}
