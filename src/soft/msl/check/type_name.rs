//! Resolves the spelling of a type to the type (C++14 dcl.type, dcl.meaning; MSL 2, 4).

use super::lookup::Found;
use super::template::TemplateId;
use super::{Checker, Entity};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::*;
use crate::soft::msl::hir::{self, Constant};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::source::Span;
use crate::soft::msl::texture::{Access, KINDS, Texture};
use crate::soft::msl::types::{
    MAX_NESTING, MAX_SIZE, OPAQUE_TEMPLATES, Qual, Ty, TyId, Types, UNKNOWN, WIDE_VECTOR,
};

fn fundamental(fundamental: Fundamental) -> Option<Scalar> {
    Some(match fundamental {
        Fundamental::Bool => Scalar::Bool,
        Fundamental::Char => Scalar::I8,
        Fundamental::Uchar => Scalar::U8,
        Fundamental::Short => Scalar::I16,
        Fundamental::Ushort => Scalar::U16,
        Fundamental::Int => Scalar::I32,
        Fundamental::Uint => Scalar::U32,
        Fundamental::Long => Scalar::I64,
        Fundamental::Ulong => Scalar::U64,
        Fundamental::Half => Scalar::F16,
        Fundamental::Bfloat => Scalar::BF16,
        Fundamental::Float => Scalar::F32,
        Fundamental::Void | Fundamental::Double => return None,
    })
}

impl Checker {
    pub(super) fn type_name(&mut self, name: &TypeName) -> Qual {
        self.refuse_auto(&name.specifiers, "here");
        let base = self.specifiers(&name.specifiers);
        self.declared_type(base, &name.declarator)
    }

    /// Reports `auto` where nothing deduces it (dcl.spec.auto/5).
    pub(super) fn refuse_auto(&mut self, specifiers: &Specifiers, place: &str) {
        let name = match specifiers.base {
            BaseType::Auto => "auto",
            BaseType::Decltype(None) => "decltype(auto)",
            _ => return,
        };
        self.error(specifiers.span, format!("'{name}' not allowed {place}"));
    }

    /// The type that specifiers denote; `auto` is [`Types::UNKNOWN`] without an error.
    pub(super) fn specifiers(&mut self, specifiers: &Specifiers) -> Qual {
        let qual = self.result_specifiers(specifiers);
        Qual { constant: qual.constant || specifiers.storage.constexpr, ..qual }
    }

    /// The same for variables: with a class template's name alone, it follows from their values.
    pub(super) fn variable_specifiers(
        &mut self,
        specifiers: &Specifiers,
    ) -> (Qual, Option<TemplateId>) {
        let deduced = self.placeholder(specifiers);
        let qual = match deduced {
            Some(_) => self.specifiers(&Specifiers { base: BaseType::Auto, ..specifiers.clone() }),
            None => self.specifiers(specifiers),
        };
        (qual, deduced)
    }

    /// The same for a function, whose `constexpr` does not apply to its result (dcl.constexpr).
    pub(super) fn result_specifiers(&mut self, specifiers: &Specifiers) -> Qual {
        let mut qual = match &specifiers.base {
            BaseType::Fundamental(Fundamental::Double) => {
                // MSL 2.1: there is no double.
                self.error(specifiers.span, "'double' is not supported in Metal");
                Qual::plain(Types::UNKNOWN)
            }
            BaseType::Fundamental(base) => {
                if *base == Fundamental::Bfloat {
                    self.refuse_newer("bfloat", specifiers.span);
                }
                Qual::plain(fundamental(*base).map_or(Types::VOID, Types::scalar))
            }
            BaseType::Named(path) => self.named_type(path),
            BaseType::Class(class) => self.class(class),
            BaseType::Enum(row) => Qual::plain(self.enumeration(row)),
            // `decltype(f<float>)`: how an instantiation spells a kernel's type.
            BaseType::Decltype(Some(expr)) => self.decltype(expr),
            BaseType::Typeof(expr) => {
                let of = self.unevaluated(expr).qual;
                // A variable of this type is where it is declared.
                Qual { space: None, ..of }
            }
            BaseType::TypeofType(of) => {
                let of = self.type_name(of);
                match *self.types.get(of.ty) {
                    Ty::Reference(to, _) => Qual { space: None, ..to },
                    _ => of,
                }
            }
            BaseType::Underlying(of) => {
                let qual = self.type_name(of);
                match *self.types.get(qual.ty) {
                    Ty::Enum(id) => {
                        Qual::plain(Types::scalar(self.types.enumeration(id).underlying))
                    }
                    _ => {
                        let name = self.types.name(qual.ty);
                        self.error(of.span, format!("'{name}' is not an enumeration"));
                        Qual::plain(Types::UNKNOWN)
                    }
                }
            }
            BaseType::Auto | BaseType::Decltype(None) | BaseType::Absent => {
                Qual::plain(Types::UNKNOWN)
            }
        };
        qual = self.extended_vector(qual, &specifiers.attributes);
        if let Some(span) = specifiers.coherent {
            self.refuse_newer("coherent", span);
        }
        qual.constant |= specifiers.constant;
        qual.volatile |= specifiers.volatile;
        if let Some(space) = specifiers.space {
            qual.space = Some(space);
        }
        qual
    }

    /// `decltype(e)` ([dcl.type.simple]/4): a name has its declared type, another lvalue is a reference.
    pub(super) fn decltype(&mut self, expr: &Expr) -> Qual {
        // `decltype(f<float>)`: how an instantiation spells a kernel's type.
        if self.names_function(expr) {
            return self.function_named(expr);
        }
        let checked = self.unevaluated(expr);
        if let Some(reference) = self.declared_reference(expr) {
            return reference;
        }
        let named = matches!(expr.kind, ExprKind::Path(_) | ExprKind::Member { .. });
        // A member's type is not that of its object's qualifiers.
        if let (true, hir::ExprKind::Field(base, at)) = (named, &checked.kind)
            && let Some((_, row)) = self.types.structure(base.qual.ty)
        {
            return row.fields()[*at as usize].qual;
        }
        match checked.place && !named {
            true => {
                let rvalue = checked.is_xvalue();
                Qual::plain(self.types.intern(Ty::Reference(checked.qual, rvalue)))
            }
            // A variable of a function has the type that it is declared with.
            false => match checked.qual.space {
                Some(AddressSpace::Thread) => Qual { space: None, ..checked.qual },
                _ => checked.qual,
            },
        }
    }

    /// The type of a variable that is declared as a reference, which `decltype` of its name keeps.
    fn declared_reference(&mut self, expr: &Expr) -> Option<Qual> {
        let ExprKind::Path(path) = &expr.kind else { return None };
        let qual = match self.lookup_path(path) {
            Found::Entities(list) => match list.first()? {
                Entity::Local(variable) => self.variables[variable.0 as usize].qual,
                Entity::Global(global) => self.globals[global.0 as usize].qual,
                _ => return None,
            },
            _ => return None,
        };
        matches!(self.types.get(qual.ty), Ty::Reference(..)).then(|| Qual::plain(qual.ty))
    }

    fn names_function(&mut self, expr: &Expr) -> bool {
        let ExprKind::Path(path) = &expr.kind else { return false };
        match self.lookup_path(path) {
            Found::Entities(list) => list.iter().any(|entity| match entity {
                Entity::Function(_) => true,
                Entity::Template(id) => self.is_function_template(*id),
                _ => false,
            }),
            _ => false,
        }
    }

    /// The type of the function that a path names; unknown if template arguments are missing.
    fn function_named(&mut self, expr: &Expr) -> Qual {
        let unknown = Qual::plain(Types::UNKNOWN);
        let ExprKind::Path(path) = &expr.kind else { return unknown };
        let Found::Entities(list) = self.lookup_path(path) else { return unknown };
        let explicit = path.last().arguments.clone();
        let Some(id) = self.overload(&list, explicit.as_deref(), None, path.span) else {
            return unknown;
        };
        let func = self.func(id);
        let parameters = func.parameters.iter().map(|parameter| parameter.qual).collect();
        match func.result() {
            Some(result) => Qual::plain(self.types.intern(Ty::Function(result, parameters))),
            None => unknown,
        }
    }

    pub(super) fn named_type(&mut self, path: &Path) -> Qual {
        let unknown = Qual::plain(Types::UNKNOWN);
        if path.last().arguments.is_some() {
            if let Found::Entities(list) = self.lookup_path(path)
                && let Some(id) = list.first().and_then(|entity| self.template_of(*entity))
            {
                return self.type_instance(path, id).unwrap_or(unknown);
            }
            return Qual::plain(self.template_type(path));
        }
        match self.lookup_path(path) {
            Found::Entities(list) => {
                for entity in &list {
                    if let Entity::Type(qual) = entity {
                        return *qual;
                    }
                }
                if list.is_empty() && self.missing_member_type(path) {
                    return unknown;
                }
                let name = self.path_text(path);
                if list.iter().any(|entity| matches!(entity, Entity::Pack(_))) {
                    let message =
                        format!("declaration type contains unexpanded parameter pack '{name}'");
                    self.error(path.span, message);
                    return unknown;
                }
                self.error(path.span, format!("'{name}' does not name a type"));
            }
            _ => {
                if !self.missing_member_type(path) {
                    let name = self.path_text(path);
                    self.error(path.span, format!("unknown type name '{name}'"));
                }
            }
        }
        unknown
    }

    /// Reports that a path names a type that its class does not have; false if the path is not
    /// of this form.
    fn missing_member_type(&mut self, path: &Path) -> bool {
        let mut owner = path.clone();
        let (Some(member), Some(outer)) = (owner.parts.pop(), owner.parts.last().cloned()) else {
            return false;
        };
        let (Found::Entities(list), Label::Name(member)) = (self.lookup_path(&owner), member.name)
        else {
            return false;
        };
        let Some(&first) = list.first() else { return false };
        let Entity::Type(qual) = self.applied(first, &outer) else { return false };
        if qual.ty == Types::UNKNOWN {
            return true;
        }
        if let Ty::Opaque(name) = *self.types.get(qual.ty) {
            self.unsupported(path.span, format!("'{name}' is"));
            return true;
        }
        let (owner, member) = (self.types.name(qual.ty), self.text(member));
        let message = match self.scope_of(Entity::Type(qual)) {
            Some(_) => format!("no type named '{member}' in '{owner}'"),
            None => {
                format!("type '{owner}' cannot be used prior to '::' because it has no members")
            }
        };
        self.error(path.span, message);
        true
    }

    pub(super) fn path_text(&self, path: &Path) -> String {
        let part = |part: &PathPart| match &part.name {
            Label::Name(name) => self.text(*name),
            Label::Operator(Punct::LParen) => "operator()".into(),
            Label::Operator(Punct::LBracket) => "operator[]".into(),
            Label::Operator(punct) => format!("operator{}", punct.text()),
            Label::Conversion(_) => "operator type".into(),
            Label::Destructor(name) => format!("~{}", self.text(*name)),
            Label::Decltype(_) => "decltype(…)".into(),
        };
        let parts: Vec<String> = path.parts.iter().map(part).collect();
        parts.join("::")
    }

    /// `vec<float, 4>` and the library's other templates of types.
    fn template_type(&mut self, path: &Path) -> TyId {
        let part = path.last();
        let Label::Name(name) = part.name else { return Types::UNKNOWN };
        let name = self.text(name);
        let arguments = part.arguments.clone().unwrap_or_else(|| Vec::new().into());
        let mut scalar = None;
        let mut numbers = Vec::new();
        if KINDS.iter().any(|kind| kind.name == name) {
            return self.texture_type(&name, &arguments, part.span);
        }
        if let Some(known) = OPAQUE_TEMPLATES.iter().find(|known| **known == name) {
            self.refuse_newer(known, part.span);
            return self.types.intern(Ty::Opaque(known));
        }
        const KNOWN: &[&str] = &["vec", "packed_vec", "matrix", "atomic", "simdgroup_matrix"];
        let user = match self.lookup_path(path) {
            Found::Nothing => false,
            Found::Entities(list) => !list.is_empty(),
            Found::Member(..) => true,
        };
        if user || !KNOWN.contains(&name.as_str()) {
            self.unsupported(path.span, format!("template '{name}' is"));
            return Types::UNKNOWN;
        }
        for argument in arguments.iter() {
            match argument {
                TemplateArgument::Type(ty) => {
                    let qual = self.type_name(ty);
                    if qual.ty == Types::UNKNOWN {
                        return Types::UNKNOWN;
                    }
                    scalar = self.types.as_scalar(qual.ty);
                }
                TemplateArgument::Value(value) => match self.constant_int(value) {
                    Some(number) => numbers.push(number),
                    None => return Types::UNKNOWN,
                },
                TemplateArgument::Expansion(..) => {
                    self.unsupported(part.span, "pack expansion in a type of the library is");
                    return Types::UNKNOWN;
                }
            }
        }
        let small = |at: usize| {
            let number = numbers.get(at).copied().unwrap_or(0);
            u8::try_from(number).ok().filter(|number| (2..=4).contains(number))
        };
        let ty = match (name.as_str(), scalar) {
            // A vector of one component is its scalar.
            ("vec", Some(scalar)) if numbers == [1] => Some(Ty::Scalar(scalar)),
            // Wider ones have no names and no functions in the library; they are a class of it.
            ("vec", Some(_)) if matches!(numbers[..], [8 | 16 | 64]) => {
                let mut wide = path.clone();
                let name = self.context.names.intern(WIDE_VECTOR);
                if let Some(last) = wide.parts.last_mut() {
                    last.name = Label::Name(name);
                }
                return self.named_type(&wide).ty;
            }
            ("vec", Some(scalar)) => small(0).map(|width| Ty::Vector(scalar, width)),
            ("packed_vec", Some(scalar)) => small(0).map(|width| Ty::Packed(scalar, width)),
            ("matrix", Some(scalar)) => small(0)
                .zip(small(1))
                .map(|(columns, rows)| Ty::Matrix(scalar, columns, rows))
                .filter(|_| scalar.is_float()),
            ("atomic", Some(scalar)) => Some(Ty::Atomic(scalar)),
            ("simdgroup_matrix", Some(scalar)) if numbers == [8, 8] && scalar.is_float() => {
                Some(Ty::SimdgroupMatrix(scalar))
            }
            // Naming an instance does not instantiate it ([temp.inst]/1); every use of it is an error.
            ("simdgroup_matrix", Some(_)) if numbers.len() == 2 && self.templates.depth > 0 => {
                Some(Ty::Opaque("simdgroup_matrix"))
            }
            _ => None,
        };
        match ty {
            Some(ty) => self.types.intern(ty),
            None => {
                self.error(part.span, format!("invalid template arguments for '{name}'"));
                Types::UNKNOWN
            }
        }
    }

    /// `texture2d<float, access::read>`; its coherence (MSL 4.8) is ignored.
    fn texture_type(&mut self, name: &str, arguments: &[TemplateArgument], span: Span) -> TyId {
        let mut scalar = None;
        let mut access = None;
        for (at, argument) in arguments.iter().enumerate() {
            match argument {
                TemplateArgument::Type(ty) if at == 0 => {
                    let qual = self.type_name(ty);
                    if qual.ty == Types::UNKNOWN {
                        return Types::UNKNOWN;
                    }
                    scalar = self.types.as_scalar(qual.ty);
                }
                TemplateArgument::Value(value) if at == 1 => {
                    let Some(number) = self.constant_int(value) else { return Types::UNKNOWN };
                    access = Access::ALL.get(number as usize).copied();
                }
                TemplateArgument::Value(_) if at == 2 => {}
                _ => scalar = None,
            }
        }
        match scalar.and_then(|scalar| Texture::new(name, scalar, access)) {
            Some(texture) => self.types.intern(Ty::Texture(texture)),
            // MSL 6.12: textures for atomic operations of 64 bits. What uses one is refused.
            None if matches!(scalar, Some(Scalar::U64)) => {
                self.types.intern(Ty::Opaque("texture<ulong>"))
            }
            None => {
                self.error(span, format!("invalid template arguments for '{name}'"));
                Types::UNKNOWN
            }
        }
    }

    /// Applies a declarator's parts to the base type.
    pub(super) fn declared_type(&mut self, base: Qual, declarator: &Declarator) -> Qual {
        let mut qual = base;
        for part in &declarator.parts {
            qual = match part {
                DeclaratorPart::Pointer { constant, volatile, space, span } => {
                    if matches!(self.types.get(qual.ty), Ty::Reference(..)) {
                        self.error(declarator.span, "pointer to a reference is not allowed");
                        return Qual::plain(Types::UNKNOWN);
                    }
                    self.require_space(qual, *span, "pointer");
                    let ty = self.types.pointer(qual);
                    Qual { ty, constant: *constant, volatile: *volatile, space: *space }
                }
                DeclaratorPart::Reference { rvalue } => match *self.types.get(qual.ty) {
                    // [dcl.ref]/6: a reference to a reference is a reference, `&&` if both are.
                    Ty::Reference(to, true) if !rvalue => {
                        Qual::plain(self.types.intern(Ty::Reference(to, false)))
                    }
                    Ty::Reference(..) => qual,
                    _ => {
                        // `T&&` in a template's body: `T` has the space, or is a value in thread memory.
                        if !rvalue || self.origin.is_none() {
                            self.require_space(qual, declarator.span, "reference");
                        }
                        Qual::plain(self.types.intern(Ty::Reference(qual, *rvalue)))
                    }
                },
                DeclaratorPart::Array(size, span) => self.array_of(qual, size.as_deref(), *span),
                DeclaratorPart::Function(signature) => {
                    let mut parameters = Vec::new();
                    for parameter in &signature.parameters {
                        let Some(mentioned) = &parameter.expands else {
                            parameters.push(self.parameter_type(parameter));
                            continue;
                        };
                        let span = parameter.declarator.span;
                        for at in 0..self.expansion_length(mentioned, span).unwrap_or(0) {
                            let one = |this: &mut Self| this.parameter_type(parameter);
                            parameters.push(self.with_element(mentioned, at, one));
                        }
                    }
                    Qual::plain(self.types.intern(Ty::Function(qual, parameters)))
                }
            };
            if self.types.levels(qual.ty) > MAX_NESTING {
                let message = format!(
                    "type is nested too deeply: more than {MAX_NESTING} pointers, references, arrays and functions"
                );
                self.error(declarator.span, message);
                return Qual::plain(Types::UNKNOWN);
            }
        }
        self.extended_vector(qual, &declarator.attributes)
    }

    /// MSL 4: pointers and references name the address space they point to. In a template the argument may
    /// name it.
    fn require_space(&mut self, to: Qual, span: Span, what: &str) {
        let named = to.space.is_some()
            || self.templates.depth > 0
            || span.lo < self.library.end
            || matches!(self.types.get(to.ty), Ty::Unknown | Ty::Function(..) | Ty::Opaque(_));
        if !named {
            let message = format!("{what} type must have explicit address space qualifier");
            self.error(span, message);
        }
    }

    fn array_of(&mut self, element: Qual, size: Option<&Expr>, span: Span) -> Qual {
        let count = match size {
            None => None,
            Some(size) => {
                let Some(count) = self.constant_int(size) else {
                    return element.with(Types::UNKNOWN);
                };
                if count < 0 {
                    self.error(size.span, "array has a negative size");
                    return element.with(Types::UNKNOWN);
                }
                let bytes = i128::from(self.types.size(element.ty).max(1)) * i128::from(count);
                if bytes > i128::from(MAX_SIZE) {
                    let message = format!(
                        "array is too large: it needs {bytes} bytes, and an object has at most \
                         {MAX_SIZE}; keep it in a buffer"
                    );
                    self.error(size.span, message);
                    return element.with(Types::UNKNOWN);
                }
                Some(count as u32)
            }
        };
        if matches!(self.types.get(element.ty), Ty::Void | Ty::Reference(..) | Ty::Function(..)) {
            let name = self.types.name(element.ty);
            let what = match self.types.get(element.ty) {
                // Of `auto`, which is not deduced yet.
                Ty::Reference(..) if name.contains(UNKNOWN) => "references".to_owned(),
                Ty::Function(..) if name.contains(UNKNOWN) => "functions".to_owned(),
                _ => format!("'{name}'"),
            };
            self.error(span, format!("array of {what} is not allowed"));
            return element.with(Types::UNKNOWN);
        }
        element.with(self.types.intern(Ty::Array(element.ty, count)))
    }

    /// A parameter's type: arrays and functions become pointers (dcl.fct/5).
    pub(super) fn parameter_type(&mut self, parameter: &Parameter) -> Qual {
        self.refuse_auto(&parameter.specifiers, "in function prototype");
        let base = self.specifiers(&parameter.specifiers);
        let qual = self.declared_type(base, &parameter.declarator);
        match *self.types.get(qual.ty) {
            Ty::Array(element, _) => {
                let ty = self.types.pointer(qual.with(element));
                Qual::plain(ty)
            }
            Ty::Void => {
                self.error(parameter.declarator.span, "argument may not have 'void' type");
                Qual::plain(Types::UNKNOWN)
            }
            _ => qual,
        }
    }

    /// Clang's attribute `ext_vector_type(4)`, which makes a scalar type one of vectors.
    fn extended_vector(&mut self, qual: Qual, attributes: &[Attribute]) -> Qual {
        let names = |one: &&Attribute| self.context.names.text(one.name.name) == "ext_vector_type";
        let Some(attribute) = attributes.iter().find(names) else { return qual };
        if qual.ty == Types::UNKNOWN {
            return qual;
        }
        let width = attribute.arguments.first().and_then(|width| self.constant_int(width));
        match (self.types.as_scalar(qual.ty), width) {
            (Some(scalar), Some(width @ 2..=4)) => {
                qual.with(self.types.vector(scalar, width as u32))
            }
            _ => {
                let message = "'ext_vector_type' is supported for vectors of 2, 3 or 4 scalars";
                self.error(attribute.name.span, message);
                qual.with(Types::UNKNOWN)
            }
        }
    }

    /// An integral constant expression's value; errors are reported.
    pub(super) fn constant_int(&mut self, expr: &Expr) -> Option<i64> {
        let checked = self.unevaluated(expr);
        if checked.qual.ty == Types::UNKNOWN {
            return None;
        }
        let value = self.rvalue(checked);
        match self.evaluate(&value) {
            Ok(Constant::Int(value)) => Some(value as i64),
            Ok(Constant::Float(_)) => {
                self.error(expr.span, "integral constant expression must have integral type");
                None
            }
            Err(why) => {
                let message = "expression is not an integral constant expression";
                self.not_constant(expr.span, message, why);
                None
            }
        }
    }
}
