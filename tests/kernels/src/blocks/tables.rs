//! The tables of ggml's formats, read from the package's source.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::packages::{PACKAGES, Registry};

/// A table's bytes.
///
/// # Panics
/// If the package cannot be fetched, or has no table of that name.
pub(super) fn bytes(name: &str) -> &'static [u8] {
    static TABLES: OnceLock<HashMap<String, Vec<u8>>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let registry = Registry::open(crate::MANIFEST).unwrap_or_else(|error| panic!("{error}"));
        let package = PACKAGES.iter().find(|package| package.name == "whisper-rs-sys");
        let sources = package.map(|package| registry.sources(package));
        let sources = sources.unwrap_or_else(|| panic!("no package with ggml's tables"));
        let sources = sources.unwrap_or_else(|error| panic!("{error}"));
        sources.iter().flat_map(|source| parse(&source.text)).collect()
    });
    tables.get(name).unwrap_or_else(|| panic!("no table {name}"))
}

/// Each `GGML_TABLE_BEGIN(type, name, …) numbers GGML_TABLE_END()` with its bytes.
fn parse(source: &str) -> impl Iterator<Item = (String, Vec<u8>)> + use<'_> {
    let begun = source.split("\nGGML_TABLE_BEGIN(").skip(1);
    begun.filter_map(|rest| {
        let (head, rest) = rest.split_once(')')?;
        let (numbers, _) = rest.split_once("GGML_TABLE_END")?;
        let mut head = head.split(',').map(str::trim);
        let (ty, name) = (head.next()?, head.next()?);
        let bytes = match ty {
            "uint8_t" | "int8_t" => 1,
            "uint32_t" => 4,
            _ => 8,
        };
        let number = |word: &str| {
            let (sign, size) = word.strip_prefix('-').map_or((1, word), |size| (-1, size));
            let hex = size.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16));
            let size = hex.unwrap_or_else(|| size.parse()).ok()?;
            Some((size as i64).wrapping_mul(sign).to_le_bytes()[..bytes].to_vec())
        };
        let words = numbers.split(|c: char| c == ',' || c.is_whitespace());
        Some((name.to_owned(), words.filter_map(number).flatten().collect()))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_of_all_kinds() {
        let source = "\nGGML_TABLE_BEGIN(int8_t, a, 3)\n 1, -2,\n 0x7f,\nGGML_TABLE_END()\n\
            \nGGML_TABLE_BEGIN(uint32_t, b, 1)\n 0x04030201\nGGML_TABLE_END()";
        let found: Vec<_> = super::parse(source).collect();
        assert_eq!(found[0], ("a".to_owned(), vec![1, 254, 127]));
        assert_eq!(found[1], ("b".to_owned(), vec![1, 2, 3, 4]));
    }
}
