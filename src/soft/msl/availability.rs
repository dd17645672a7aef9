//! The version of the language that each name needs, for sources that older compilers must accept.

use super::lex::{Kind, Token};
use super::preprocess::Context;
use std::collections::HashSet;

/// Names, or beginnings of names if they end in `*`, and the version that has them (the notes "Metal N and later" of
/// the specification).
const SINCE: &[(&str, u32)] = &[
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
    ("tensor", 400),
    ("cooperative_tensor", 400),
    ("pack_float_to_snorm10a2", 400),
    ("unpack_snorm10a2_to_*", 400),
];

/// `3.1` for 310.
pub(crate) fn version_name(version: u32) -> String {
    format!("{}.{}", version / 100, version / 10 % 10)
}

/// The version that has a name, if it is not an old one.
fn since(name: &str) -> Option<u32> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    SINCE.iter().find(|(pattern, _)| fits(pattern)).map(|(_, version)| *version)
}

/// Reports each name that the version of the language lacks, once. A name that the source declares itself would be taken for the
/// library's; such sources declare it for old versions only, under `#if`.
pub(crate) fn check(tokens: &[Token], language: u32, context: &mut Context) {
    let mut seen = HashSet::new();
    for token in tokens.iter().filter(|token| token.kind == Kind::Ident) {
        if !seen.insert(token.name) {
            continue;
        }
        let name = context.names.text(token.name);
        if let Some(needed) = since(name).filter(|needed| *needed > language) {
            let (needed, language) = (version_name(needed), version_name(language));
            let text = format!(
                "'{name}' needs Metal {needed}, and this source is compiled as Metal {language}"
            );
            context.diagnostics.error(token.span, text);
        }
    }
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
}
