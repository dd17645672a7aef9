//! Values for the function constants that a source declares, so that each of its kernels can be made.

use aruminium::ConstantValues;

/// Values for all function constants of a source: `false` and 1, by name. The packages' programs pass
/// values for each launch; to compile, any value is enough.
pub fn values(source: &str) -> ConstantValues {
    let values = ConstantValues::new();
    for (ty, name) in declared(source) {
        match ty {
            "bool" => values.set_named(name, false),
            "char" | "int8_t" => values.set_named(name, 1i8),
            "uchar" | "uint8_t" => values.set_named(name, 1u8),
            "short" | "int16_t" => values.set_named(name, 1i16),
            "ushort" | "uint16_t" => values.set_named(name, 1u16),
            "int" | "int32_t" => values.set_named(name, 1i32),
            "uint" | "uint32_t" => values.set_named(name, 1u32),
            "long" | "int64_t" => values.set_named(name, 1i64),
            "ulong" | "uint64_t" | "size_t" => values.set_named(name, 1u64),
            "float" => values.set_named(name, 1f32),
            _ => {}
        }
    }
    values
}

/// Type and name of each `constant type name [[function_constant(…)]]`.
fn declared(source: &str) -> impl Iterator<Item = (&str, &str)> {
    source.split(';').filter_map(|declaration| {
        let (before, _) = declaration.split_once("[[function_constant(")?;
        let mut words = before.rsplit(char::is_whitespace).filter(|word| !word.is_empty());
        let (name, ty) = (words.next()?, words.next()?);
        // Steel's headers have a macro for it.
        matches!(words.next()?, "constant" | "STEEL_CONST").then_some((ty, name))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn constants_are_found_where_they_are_declared() {
        let source = "constant bool a [[function_constant(0)]];\n// constant int b\n\
            constant int32_t  c[[function_constant(X + 1)]]; constant int d = 1;\n\
            kernel void f(device int* p [[buffer(0), function_constant(a)]]) { p[0] = c; }";
        let found: Vec<_> = super::declared(source).collect();
        assert_eq!(found, [("bool", "a"), ("int32_t", "c")]);
    }
}
