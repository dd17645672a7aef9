//! `__metal_…`: the builtins of Apple's compiler from which its library is made, and which other headers call too.
//!
//! Most are a function of the library under its own name. A mathematical one may have one more argument, the
//! accuracy (`__METAL_FAST_MATH__` and its siblings), and takes pointers where the library has references.
//! `__metal_get_…(T())` is an input of the kernel, as a `T`.

use super::Checker;
use super::builtins::{Builtin, rows};
use super::entry::components;
use crate::soft::ir::{Input, Scalar};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, Types};

/// The meaning of a builtin.
#[derive(Debug)]
pub(super) enum MetalBuiltin {
    Input(Input),
    Function(String),
    /// Clang's own function that counts bits of an unsigned integer, a long one or not.
    Count(String, bool),
    /// Clang's `__builtin_assume`.
    Assume,
    /// A function of the prelude.
    Library(&'static str),
    /// The hidden buffer that `os_log` writes to, as a pointer to `device uint`.
    LogBuffer,
}

/// The inputs whose builtins have other names than their attributes.
const GETTERS: &[(&str, Input)] = &[
    ("simdgroup_size", Input::ThreadsPerSimdgroup),
    ("simdgroup_index_in_threadgroup", Input::SimdgroupIndexInThreadgroup),
    ("num_simdgroups", Input::SimdgroupsPerThreadgroup),
];

/// Clang's builtins that are functions of the prelude.
const LIBRARY: &[(&str, &str)] = &[
    ("bswap16", "__swapped16"),
    ("bswap32", "__swapped32"),
    ("bswap64", "__swapped64"),
    ("expect", "__expected"),
    ("unreachable", "__unreached"),
];

impl Checker {
    pub(super) fn metal_builtin(&self, name: Name) -> Option<MetalBuiltin> {
        let name = self.context.names.text(name);
        if let Some(counts) = name.strip_prefix("__builtin_") {
            let plain = counts.trim_end_matches('l');
            if counts == "assume" {
                return Some(MetalBuiltin::Assume);
            }
            if let Some(row) = LIBRARY.iter().find(|row| row.0 == counts) {
                return Some(MetalBuiltin::Library(row.1));
            }
            let known = matches!(plain, "clz" | "ctz" | "popcount");
            return known.then(|| MetalBuiltin::Count(plain.to_owned(), plain != counts));
        }
        let name = name.strip_prefix("__metal_")?;
        if let Some(what) = name.strip_prefix("get_") {
            let other = GETTERS.iter().find(|row| row.0 == what).map(|row| row.1);
            let input = || Input::ALL.iter().copied().find(|input| input.name() == what);
            return other.or_else(input).map(MetalBuiltin::Input);
        }
        if name == "simdgroup_matrix_8x8_multiply_accumulate" {
            return Some(MetalBuiltin::Library("__matrix_product"));
        }
        if name == "log_buffer" {
            return Some(MetalBuiltin::LogBuffer);
        }
        rows(name).next().map(|_| MetalBuiltin::Function(name.to_owned()))
    }

    pub(super) fn call_metal_builtin(
        &mut self,
        builtin: &MetalBuiltin,
        mut arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        match builtin {
            MetalBuiltin::Input(input) => self.input_as(*input, &arguments, span),
            MetalBuiltin::Library(name) => self.call_library(name, arguments, span),
            MetalBuiltin::Assume => {
                // The condition is checked, and not evaluated.
                let Ok([condition]) = <[Expr; 1]>::try_from(arguments) else {
                    self.no_match("__builtin_assume", span);
                    return self.error_expr(span);
                };
                let bool = Qual::plain(Types::scalar(Scalar::Bool));
                self.implicit(condition, bool, "initialize a parameter of type");
                self.value(ExprKind::Zero, Types::VOID, span)
            }
            MetalBuiltin::LogBuffer => {
                let word = Qual::plain(Types::scalar(Scalar::U32));
                let ty = self.types.pointer(Qual { space: Some(AddressSpace::Device), ..word });
                self.value(ExprKind::Builtin(Builtin::LogBuffer, Vec::new()), ty, span)
            }
            MetalBuiltin::Count(name, long) => {
                let bits = Types::scalar(if *long { Scalar::U64 } else { Scalar::U32 });
                for argument in &mut arguments {
                    let value = self.rvalue(argument.clone());
                    *argument =
                        self.implicit(value, Qual::plain(bits), "initialize a parameter of type");
                }
                let function = MetalBuiltin::Function(name.clone());
                let count = self.call_metal_builtin(&function, arguments, span);
                self.convert_value(count, Types::scalar(Scalar::I32))
            }
            MetalBuiltin::Function(name) => {
                let count = |row: &super::builtins::Row| row.signature.len() - 1;
                // All accuracies are one.
                if rows(name).all(|(row, _)| count(row) + 1 == arguments.len()) {
                    arguments.pop();
                }
                // Where the library has a reference the builtin has a pointer.
                let references = rows(name).next().map(|(row, _)| row.signature.chars().skip(1));
                for (argument, letter) in arguments.iter_mut().zip(references.into_iter().flatten())
                {
                    if matches!(letter, 't' | 'j')
                        && matches!(self.types.get(argument.qual.ty), Ty::Pointer(_))
                    {
                        *argument = self.unary_operator(Punct::Star, argument.clone(), span);
                    }
                }
                let mut candidates = self.row_candidates(name, &arguments);
                // The builtins on integers convert floating-point numbers.
                if !arguments.iter().any(|one| self.is_number_for(name, one)) {
                    let int = Types::scalar(Scalar::I32);
                    for argument in &mut arguments {
                        let value = self.rvalue(argument.clone());
                        *argument = self.convert_value(value, int);
                    }
                    candidates = self.row_candidates(name, &arguments);
                }
                match self.choose_candidate(&candidates, &arguments) {
                    Some(candidate) => self.finish_call(candidate, arguments, span),
                    None => {
                        self.no_match(&format!("__metal_{name}"), span);
                        self.error_expr(span)
                    }
                }
            }
        }
    }

    /// Whether a function has an overload for the type of an argument, or the argument is no number.
    fn is_number_for(&self, name: &str, argument: &Expr) -> bool {
        let shape = self.types.arithmetic(argument.qual.ty);
        shape.is_none_or(|(scalar, width)| {
            !scalar.is_float()
                || width > 1
                || rows(name).any(|(row, _)| row.family.has(scalar, width))
        })
    }

    /// An input of the kernel as a value of the argument's type.
    fn input_as(&mut self, input: Input, arguments: &[Expr], span: Span) -> Expr {
        let shape = match arguments {
            [argument] => self.types.arithmetic(argument.qual.ty),
            _ => None,
        };
        let Some((scalar, width)) = shape.filter(|shape| shape.1 <= components(input)) else {
            let name = input.name();
            self.error(
                span,
                format!("'__metal_get_{name}' takes one value of the type of its result"),
            );
            return self.error_expr(span);
        };
        let parts: Vec<Expr> = (0..width as u8)
            .map(|axis| {
                let kind = ExprKind::Builtin(Builtin::Input(input, axis), Vec::new());
                let one = self.value(kind, Types::scalar(Scalar::U32), span);
                self.convert_scalar(one, scalar)
            })
            .collect();
        match <[Expr; 1]>::try_from(parts) {
            Ok([one]) => one,
            Err(parts) => {
                let ty = self.types.vector(scalar, width);
                self.value(ExprKind::Compose(parts), ty, span)
            }
        }
    }
}
