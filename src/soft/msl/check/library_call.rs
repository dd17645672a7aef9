//! Calls of the library: rows of the table as candidates, the prelude's functions, and constructs that only
//! look like calls.

use super::builtins::{Builtin, Row, rows};
use super::call::Candidate;
use super::lookup::Found;
use super::{Checker, Entity, FuncId, LIBRARY_SCOPE, ScopeKind};
use crate::soft::ir::{Op, Scalar};
use crate::soft::msl::ast::{self, AddressSpace, Label, Path, TemplateArgument};
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

impl Checker {
    pub(super) fn row_candidates(&mut self, name: &str, arguments: &[Expr]) -> Vec<Candidate> {
        let mut list = Vec::new();
        for (row, width) in rows(name) {
            if row.signature.len() != arguments.len() + 1 {
                continue;
            }
            let letters: Vec<char> = row.signature.chars().skip(1).collect();
            if letters.first() == Some(&'M') {
                if let Ty::Matrix(scalar, ..) = *self.types.get(arguments[0].qual.ty)
                    && row.family.matrices()
                {
                    list.push(Candidate::Row(row, width, scalar, 1, arguments[0].qual.ty));
                }
                continue;
            }
            // The type of the atomic object determines the family's type and the address space.
            if letters.first() == Some(&'a') {
                if let Ty::Pointer(pointee) = *self.types.get(arguments[0].qual.ty)
                    // MSL 2.6: atomics are in memory that threads share.
                    && matches!(
                        pointee.space,
                        Some(AddressSpace::Device | AddressSpace::Threadgroup)
                    )
                    && let Ty::Atomic(scalar) = *self.types.get(pointee.ty)
                    && row.family.has(scalar, 1)
                {
                    list.push(Candidate::Row(row, width, scalar, 1, arguments[0].qual.ty));
                }
                continue;
            }
            if letters.first() == Some(&'q') {
                if let Ty::Pointer(pointee) = *self.types.get(arguments[0].qual.ty)
                    && pointee.space_or_thread() != AddressSpace::Thread
                    && let Ty::Scalar(scalar) = *self.types.get(pointee.ty)
                    && row.family.has(scalar, 1)
                {
                    list.push(Candidate::Row(row, width, scalar, 1, arguments[0].qual.ty));
                }
                continue;
            }
            // All arguments of the family's type have the same type: no other candidate is better.
            let mut exact = None;
            let mut agree = true;
            for (letter, argument) in letters.iter().zip(arguments) {
                if *letter == 'T' || *letter == 'B' {
                    let shape = match self.types.get(argument.qual.ty) {
                        Ty::Scalar(scalar) => Some((*scalar, 1)),
                        Ty::Vector(scalar, width) => Some((*scalar, u32::from(*width))),
                        _ => None,
                    };
                    if *letter == 'B' && letters.contains(&'T') {
                        continue;
                    }
                    agree &= shape.is_some() && (exact.is_none() || exact == shape);
                    exact = exact.or(shape);
                }
            }
            match exact {
                Some((scalar, lanes)) if agree && row.family.has(scalar, lanes) => {
                    list.push(Candidate::Row(row, width, scalar, lanes, Types::VOID));
                }
                _ => {
                    list.extend(row.family.members().map(|(scalar, lanes)| {
                        Candidate::Row(row, width, scalar, lanes, Types::VOID)
                    }))
                }
            }
        }
        list
    }

    /// The type of a signature's letter for one type of the family.
    pub(super) fn letter_type(
        &mut self,
        letter: char,
        scalar: Scalar,
        width: u32,
        first: TyId,
    ) -> Qual {
        let unsigned = match scalar.bytes() {
            1 => Scalar::U8,
            2 => Scalar::U16,
            4 => Scalar::U32,
            _ => Scalar::U64,
        };
        let ty = match letter {
            'T' => self.types.vector(scalar, width),
            'S' => Types::scalar(scalar),
            'B' => self.types.vector(Scalar::Bool, width),
            'I' => self.types.vector(Scalar::I32, width),
            'U' => self.types.vector(Scalar::U32, width),
            'N' => self.types.vector(unsigned, width),
            'i' => Types::scalar(Scalar::I32),
            'u' => Types::scalar(Scalar::U32),
            'h' => Types::scalar(Scalar::U16),
            'l' => Types::scalar(Scalar::U64),
            'b' => Types::scalar(Scalar::Bool),
            't' | 'j' | 'p' => {
                let inner = match letter {
                    'j' => self.types.vector(Scalar::I32, width),
                    _ => self.types.vector(scalar, width),
                };
                let to = Qual { space: Some(AddressSpace::Thread), ..Qual::plain(inner) };
                match letter {
                    'p' => self.types.pointer(to),
                    _ => self.types.intern(Ty::Reference(to, false)),
                }
            }
            'a' => match *self.types.get(first) {
                Ty::Pointer(to) => {
                    // `const volatile` is allowed where the function only reads; lowering handles it.
                    self.types.pointer(Qual { volatile: true, ..to })
                }
                _ => Types::UNKNOWN,
            },
            'M' | 'q' => first,
            'V' => self.types.vector(scalar, 2),
            'Y' => match *self.types.get(first) {
                Ty::Matrix(scalar, columns, rows) => {
                    self.types.intern(Ty::Matrix(scalar, rows, columns))
                }
                _ => Types::UNKNOWN,
            },
            'm' => self.library_type_named("mem_flags"),
            'o' => self.library_type_named("memory_order"),
            's' => self.library_type_named("thread_scope"),
            _ => Types::VOID,
        };
        Qual::plain(ty)
    }

    pub(super) fn library_type_named(&mut self, name: &str) -> TyId {
        let name = self.context.names.intern(name);
        let list = self.library_entities(name);
        let found = list.iter().find_map(|entity| match entity {
            Entity::Type(qual) => Some(qual.ty),
            _ => None,
        });
        found.unwrap_or(Types::UNKNOWN)
    }

    pub(super) fn call_row(
        &mut self,
        row: &'static Row,
        lanes: u8,
        (scalar, width, first): (Scalar, u32, TyId),
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        let mut letters = row.signature.chars();
        let result = letters.next().unwrap_or('v');
        let result = self.letter_type(result, scalar, width, first).ty;
        if row.builtin == Builtin::Prelude {
            let name = row.names;
            return match self.prelude_function(row, scalar, width) {
                Some(id) => self.call_function(id, None, arguments, span),
                None => {
                    self.unsupported(span, format!("'{name}' is"));
                    self.error_expr(span)
                }
            };
        }
        let mut values = Vec::new();
        for (letter, argument) in letters.zip(arguments) {
            // The pointer to an atomic keeps its qualifiers.
            let ty = match letter {
                'a' => Qual::plain(argument.qual.ty),
                _ => self.letter_type(letter, scalar, width, first),
            };
            values.push(self.implicit(argument, ty, "initialize a parameter of type"));
        }
        // Without a modulo the whole group is the block.
        if let (Builtin::Across(Op::SimdFillUp | Op::SimdFillDown, _), 3) =
            (row.builtin, values.len())
        {
            let whole = ExprKind::Constant(Constant::Int(lanes.into()));
            values.push(self.value(whole, Types::scalar(Scalar::U16), span));
        }
        let kind = match row.builtin {
            Builtin::Op(op) => ExprKind::Op(op, values),
            Builtin::Across(op, _) => ExprKind::Builtin(Builtin::Across(op, lanes), values),
            other => ExprKind::Builtin(other, values),
        };
        self.value(kind, result, span)
    }

    /// A prelude function for one type: its body, in a scope that binds the letters.
    pub(super) fn prelude_function(
        &mut self,
        row: &'static Row,
        scalar: Scalar,
        width: u32,
    ) -> Option<FuncId> {
        let ty = self.types.vector(scalar, width);
        let key = (std::ptr::from_ref(row) as usize, ty);
        if let Some(&id) = self.prelude_functions.get(&key) {
            return Some(id);
        }
        let body = self.library.body(row.names, row.signature)?;
        let scope = self.new_scope(ScopeKind::Namespace, LIBRARY_SCOPE);
        for (letter, name) in self.library.letters {
            let bound = self.letter_type(letter, scalar, width, Types::VOID);
            self.bind(scope, name, Entity::Type(bound));
        }
        let id = self.outside(scope, |this| {
            this.function_declaration(&body.specifiers, &body.declarator, Some(body.clone()))
        });
        let id = id?;
        self.prelude_functions.insert(key, id);
        Some(id)
    }

    /// `as_type<T>(x)`, `is_function_constant_defined(c)`, `numeric_limits<T>::max()` and the
    /// constants to which macros expand.
    pub(super) fn special_call(
        &mut self,
        path: &Path,
        arguments: &[ast::Expr],
        span: Span,
    ) -> Option<Expr> {
        let Label::Name(name) = path.last().name else { return None };
        let text = self.text(name);
        let before = path.parts.len().checked_sub(2).map(|at| &path.parts[at]);
        if let Some(part) = before
            && let (Label::Name(owner), Some(list)) = (&part.name, &part.arguments)
            && self.context.names.text(*owner) == "numeric_limits"
            && let [TemplateArgument::Type(of)] = &*list.clone()
            && let of = self.type_name(of)
            && self.types.arithmetic(of.ty).is_some()
        {
            return self.numeric_limit(&text, of.ty, span);
        }
        let float = |value: f64| ExprKind::Constant(Constant::Float(value));
        match (text.as_str(), arguments) {
            ("__builtin_huge_valf", []) => {
                Some(self.value(float(f64::INFINITY), Types::scalar(Scalar::F32), span))
            }
            ("__builtin_nanf", []) => {
                Some(self.value(float(f64::NAN), Types::scalar(Scalar::F32), span))
            }
            ("as_type", [argument]) => {
                let Some([TemplateArgument::Type(target)]) = path.last().arguments.as_deref()
                else {
                    self.error(path.span, "'as_type' needs the type in angle brackets");
                    return Some(self.error_expr(span));
                };
                let target = self.type_name(target);
                let value = self.expr(argument);
                let value = self.rvalue(value);
                Some(self.as_type(value, target, span))
            }
            // MSL 6.12.17
            ("is_null_texture", [argument]) if self.library_is_meant(path) => {
                let value = self.expr(argument);
                let value = self.rvalue(value);
                if self.texture(value.qual.ty).is_none() {
                    self.error(argument.span, "argument must be a texture");
                    return Some(self.error_expr(span));
                }
                let kind = ExprKind::Builtin(Builtin::IsNullTexture, vec![value]);
                Some(self.value(kind, Types::scalar(Scalar::Bool), span))
            }
            ("is_function_constant_defined", [argument]) => {
                let global = match self.expr(argument).kind {
                    ExprKind::Global(global)
                        if self.globals[global.0 as usize].function_constant.is_some() =>
                    {
                        global
                    }
                    _ => {
                        self.error(argument.span, "argument must be a function constant");
                        return Some(self.error_expr(span));
                    }
                };
                let bool_ty = Types::scalar(Scalar::Bool);
                Some(self.value(ExprKind::IsDefined(global), bool_ty, span))
            }
            _ => None,
        }
    }

    /// MSL 2.21: the same bits, so the sizes must be equal.
    pub(super) fn as_type(&mut self, value: Expr, target: Qual, span: Span) -> Expr {
        if value.qual.ty == Types::UNKNOWN || target.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let both = self.types.arithmetic(value.qual.ty).zip(self.types.arithmetic(target.ty));
        let size = |(scalar, width): (Scalar, u32)| scalar.bytes() * width;
        // Three components have the size of four in memory, but only three hold bits.
        match both {
            Some((from, to)) if size(from) == size(to) => {
                self.value(ExprKind::Bitcast(Box::new(value)), target.ty, span)
            }
            _ => {
                let (from, to) = (self.types.name(value.qual.ty), self.types.name(target.ty));
                self.error(span, format!("as_type of '{from}' to '{to}': the sizes differ"));
                self.error_expr(span)
            }
        }
    }

    /// A function of `numeric_limits` for numbers and for vectors of them; `None` for other functions.
    fn numeric_limit(&mut self, which: &str, of: TyId, span: Span) -> Option<Expr> {
        let (scalar, width) = self.types.arithmetic(of)?;
        let bits = scalar.bytes() * 8;
        let constant = if scalar.is_float() {
            let (max, min, epsilon, denormal) = match scalar {
                Scalar::F16 => (65504.0, 2f64.powi(-14), 2f64.powi(-10), 2f64.powi(-24)),
                Scalar::BF16 => (
                    f64::from(f32::from_bits(0x7f7f_0000)),
                    2f64.powi(-126),
                    2f64.powi(-7),
                    2f64.powi(-133),
                ),
                _ => (f64::from(f32::MAX), 2f64.powi(-126), 2f64.powi(-23), 2f64.powi(-149)),
            };
            match which {
                "max" => Some(max),
                "lowest" => Some(-max),
                "min" => Some(min),
                "epsilon" => Some(epsilon),
                "denorm_min" => Some(denormal),
                "round_error" => Some(0.5),
                "infinity" => Some(f64::INFINITY),
                "quiet_NaN" | "signaling_NaN" => Some(f64::NAN),
                _ => None,
            }
            .map(Constant::Float)
        } else {
            let most = if scalar == Scalar::Bool {
                1
            } else if scalar.is_signed() {
                u64::MAX >> (65 - bits)
            } else {
                u64::MAX >> (64 - bits)
            };
            let least = if scalar.is_signed() { !most } else { 0 };
            match which {
                "max" => Some(Constant::Int(most)),
                "min" | "lowest" => Some(Constant::Int(least)),
                "epsilon" | "round_error" | "infinity" | "quiet_NaN" | "signaling_NaN"
                | "denorm_min" => Some(Constant::Int(0)),
                _ => None,
            }
        };
        let one = self.value(ExprKind::Constant(constant?), Types::scalar(scalar), span);
        let vector = self.types.vector(scalar, width);
        let all = self.convert_value(one, vector);
        Some(self.convert_value(all, of))
    }

    /// Functions of the library are found without qualification after `using namespace metal`.
    pub(super) fn library_is_meant(&mut self, path: &Path) -> bool {
        if path.parts.len() == 1 {
            return self.uses_metal || self.scope_is_library();
        }
        let mut owner = path.clone();
        owner.parts.pop();
        match self.lookup_path(&owner) {
            // A program's `metal::fast` has the library's names too.
            Found::Entities(list) => list.iter().any(|entity| match entity {
                Entity::Namespace(LIBRARY_SCOPE | super::REOPENED_SCOPE) => true,
                Entity::Namespace(scope) => {
                    self.scopes[scope.0 as usize].bases.contains(&LIBRARY_SCOPE)
                }
                _ => false,
            }),
            _ => false,
        }
    }

    pub(super) fn scope_is_library(&self) -> bool {
        let mut scope = Some(self.scope);
        while let Some(at) = scope {
            match at {
                super::GLOBAL_SCOPE => return false,
                super::REOPENED_SCOPE => return true,
                _ => {}
            }
            scope = self.scopes[at.0 as usize].parent;
        }
        true
    }
}
