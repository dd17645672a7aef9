//! Names of types in diagnostics.

use super::{NameArgument, Qual, SCALAR_NAMES, StructName, Ty, TyId, Types};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::AddressSpace;
use std::fmt::{self, Write};

/// The longest name of a type that is shown, in bytes; the rest of a longer one is replaced by `…`.
pub(crate) const MAX_NAME: usize = 400;

/// The name of [`Ty::Unknown`]: an error was reported for it.
pub(crate) const UNKNOWN: &str = "<unknown>";

pub(crate) fn scalar_name(scalar: Scalar) -> &'static str {
    SCALAR_NAMES.iter().find(|row| row.1 == scalar).map_or("?", |row| row.0)
}

pub(crate) fn space_name(space: AddressSpace) -> &'static str {
    match space {
        AddressSpace::Device => "device",
        AddressSpace::Constant => "constant",
        AddressSpace::Thread => "thread",
        AddressSpace::Threadgroup => "threadgroup",
        AddressSpace::Other => "object_data",
    }
}

impl Types {
    /// How diagnostics spell a type, cut off after [`MAX_NAME`] bytes.
    pub(crate) fn name(&self, id: TyId) -> String {
        self.qual_name(Qual::plain(id))
    }

    pub(crate) fn qual_name(&self, qual: Qual) -> String {
        let mut out = Text::default();
        // Writing fails when the name is long enough.
        let _ = self.write_qual(&mut out, qual);
        out.0
    }

    /// A name with template arguments: `vec<T, 4>`.
    pub(crate) fn instance_name(&self, text: &str, arguments: &[NameArgument]) -> String {
        let mut out = Text::default();
        let _ = self.write_instance(&mut out, text, arguments);
        out.0
    }

    /// Template arguments with commas between them.
    pub(crate) fn arguments_name(&self, arguments: &[NameArgument]) -> String {
        let mut out = Text::default();
        let _ = self.write_arguments(&mut out, arguments);
        out.0
    }

    /// The name of a struct, cut off after [`MAX_NAME`] bytes.
    pub(crate) fn class_name(&self, class: &StructName) -> String {
        match &class.arguments {
            Some(arguments) => self.instance_name(&class.text, arguments),
            None => class.text.to_string(),
        }
    }

    fn write_instance(
        &self,
        out: &mut Text,
        text: &str,
        arguments: &[NameArgument],
    ) -> fmt::Result {
        write!(out, "{text}<")?;
        self.write_arguments(out, arguments)?;
        out.write_char('>')
    }

    fn write_arguments(&self, out: &mut Text, arguments: &[NameArgument]) -> fmt::Result {
        for (at, argument) in arguments.iter().enumerate() {
            if at > 0 {
                out.write_str(", ")?;
            }
            match argument {
                NameArgument::Type(qual) => self.write_qual(out, *qual)?,
                NameArgument::Text(text) => out.write_str(text)?,
            }
        }
        Ok(())
    }

    fn write_qual(&self, out: &mut Text, qual: Qual) -> fmt::Result {
        if qual.constant {
            out.write_str("const ")?;
        }
        if qual.volatile {
            out.write_str("volatile ")?;
        }
        if let Some(space) = qual.space {
            write!(out, "{} ", space_name(space))?;
        }
        self.write_type(out, qual.ty)
    }

    fn write_type(&self, out: &mut Text, id: TyId) -> fmt::Result {
        match self.get(id) {
            Ty::Unknown => out.write_str(UNKNOWN),
            Ty::Void => out.write_str("void"),
            Ty::Nullptr => out.write_str("nullptr_t"),
            Ty::Scalar(scalar) => out.write_str(scalar_name(*scalar)),
            Ty::Vector(scalar, width) => write!(out, "{}{width}", scalar_name(*scalar)),
            Ty::Packed(scalar, width) => write!(out, "packed_{}{width}", scalar_name(*scalar)),
            Ty::Matrix(scalar, columns, rows) => {
                write!(out, "{}{columns}x{rows}", scalar_name(*scalar))
            }
            Ty::Atomic(scalar) => write!(out, "atomic<{}>", scalar_name(*scalar)),
            Ty::Pointer(to) => {
                self.write_qual(out, *to)?;
                out.write_str(" *")
            }
            Ty::Reference(to, rvalue) => {
                self.write_qual(out, *to)?;
                out.write_str(if *rvalue { " &&" } else { " &" })
            }
            Ty::Array(..) => {
                let (mut element, mut sizes) = (id, String::new());
                while let Ty::Array(inner, count) = *self.get(element) {
                    match count {
                        Some(count) => write!(sizes, "[{count}]")?,
                        None => sizes.push_str("[]"),
                    }
                    element = inner;
                }
                self.write_type(out, element)?;
                out.write_str(&sizes)
            }
            Ty::Struct(id) => {
                let name = &self.class(*id).name;
                match &name.arguments {
                    Some(arguments) => self.write_instance(out, &name.text, arguments),
                    None => out.write_str(&name.text),
                }
            }
            Ty::Enum(id) => out.write_str(&self.enumeration(*id).name),
            Ty::Function(result, parameters) => {
                self.write_qual(out, *result)?;
                out.write_str(" (")?;
                for (at, parameter) in parameters.iter().enumerate() {
                    if at > 0 {
                        out.write_str(", ")?;
                    }
                    self.write_qual(out, *parameter)?;
                }
                out.write_char(')')
            }
            Ty::SimdgroupMatrix(scalar) => {
                write!(out, "simdgroup_matrix<{}, 8, 8>", scalar_name(*scalar))
            }
            Ty::Texture(texture) => {
                let (name, access) = (texture.kind().name, texture.access.name());
                write!(out, "{name}<{}, access::{access}>", scalar_name(texture.scalar))
            }
            Ty::Sampler => out.write_str("sampler"),
            Ty::Opaque(name) => out.write_str(name),
        }
    }
}

/// A string that fails to grow past [`MAX_NAME`] bytes.
#[derive(Default)]
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() <= MAX_NAME {
            self.0.push_str(text);
            return Ok(());
        }
        let mut end = MAX_NAME.saturating_sub(self.0.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(&text[..end]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_spelled_as_in_the_source() {
        let mut types = Types::new();
        let float4 = types.vector(Scalar::F32, 4);
        let to = Qual { constant: true, space: Some(AddressSpace::Device), ..Qual::plain(float4) };
        let pointer = types.pointer(to);
        assert_eq!(types.name(pointer), "const device float4 *");
        let inner = types.intern(Ty::Array(float4, Some(3)));
        let array = types.intern(Ty::Array(inner, Some(2)));
        assert_eq!(types.name(array), "float4[2][3]");
    }
}
