//! Specifiers and declarators of declarations (C++14 dcl.spec, dcl.decl).

use super::scope::Known;
use super::{Failed, Parse, Parser};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::{Kind, Punct};
use crate::soft::msl::names::Name;
use std::sync::Arc;

/// The context of specifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// A declaration: every specifier is allowed, and a class may be defined.
    Declaration,
    /// A cast, a template argument, a parameter: a type only.
    TypeName,
}

/// Counts of the type keywords seen.
#[derive(Default)]
struct Words {
    signed: bool,
    unsigned: bool,
    short: bool,
    long: u8,
    base: Option<Name>,
}

impl Words {
    fn any(&self) -> bool {
        self.signed || self.unsigned || self.short || self.long > 0 || self.base.is_some()
    }

    /// The type that the keywords form together (C++14 dcl.type.simple, table 10).
    fn fundamental(&self) -> Option<Fundamental> {
        use Fundamental::*;
        let sized = self.short || self.long > 0;
        let signs = self.signed || self.unsigned;
        let pick = |signed, unsigned| if self.unsigned { unsigned } else { signed };
        Some(match self.base {
            None | Some(Name::INT) if self.short && self.long == 0 => pick(Short, Ushort),
            None | Some(Name::INT) if self.long > 0 && !self.short => pick(Long, Ulong),
            None | Some(Name::INT) if !sized => pick(Int, Uint),
            Some(Name::CHAR) if !sized => pick(Char, Uchar),
            Some(Name::VOID) if !sized && !signs => Void,
            Some(Name::BOOL) if !sized && !signs => Bool,
            Some(Name::HALF) if !sized && !signs => Half,
            Some(Name::BFLOAT) if !sized && !signs => Bfloat,
            Some(Name::FLOAT) if !sized && !signs => Float,
            Some(Name::DOUBLE) if !signs && !self.short => Double,
            _ => return None,
        })
    }
}

pub(super) fn address_space(name: Name) -> Option<AddressSpace> {
    Some(match name {
        Name::DEVICE => AddressSpace::Device,
        Name::CONSTANT => AddressSpace::Constant,
        Name::THREAD => AddressSpace::Thread,
        Name::THREADGROUP => AddressSpace::Threadgroup,
        Name::THREADGROUP_IMAGEBLOCK | Name::RAY_DATA | Name::OBJECT_DATA => AddressSpace::Other,
        _ => return None,
    })
}

fn is_type_word(name: Name) -> bool {
    matches!(
        name,
        Name::VOID
            | Name::BOOL
            | Name::CHAR
            | Name::SHORT
            | Name::INT
            | Name::LONG
            | Name::SIGNED
            | Name::UNSIGNED
            | Name::FLOAT
            | Name::DOUBLE
            | Name::HALF
            | Name::BFLOAT
    )
}

/// Keywords, other than type keywords, that only a declaration begins with.
fn is_specifier_word(name: Name) -> bool {
    address_space(name).is_some()
        || matches!(
            name,
            Name::CONST
                | Name::VOLATILE
                | Name::TYPEDEF
                | Name::STATIC
                | Name::EXTERN
                | Name::INLINE
                | Name::CONSTEXPR
                | Name::FRIEND
                | Name::EXPLICIT
                | Name::VIRTUAL
                | Name::MUTABLE
                | Name::REGISTER
                | Name::KERNEL
                | Name::VERTEX
                | Name::FRAGMENT
                | Name::STRUCT
                | Name::CLASS
                | Name::UNION
                | Name::ENUM
                | Name::AUTO
                | Name::DECLTYPE
                | Name::UNDERLYING_TYPE
                | Name::TYPEOF
                | Name::TYPEOF_GNU
                | Name::TYPENAME
                | Name::ALIGNAS
                | Name::ATTRIBUTE
                | Name::RESTRICT
        )
}

impl Parser<'_> {
    /// Whether a type-name can begin here.
    pub(super) fn is_type_start(&mut self) -> bool {
        let token = self.token();
        if self.coherence(false).is_some() {
            return true;
        }
        if self.decltype_scope_follows() {
            // Without `typename` it names a value (temp.res/2).
            return false;
        }
        if token.kind == Kind::Ident && token.name.is_keyword() {
            return is_type_word(token.name) || is_specifier_word(token.name);
        }
        if token.kind != Kind::Ident && !token.is(Punct::Scope) {
            return false;
        }
        // A plain name needs no lookahead; most are variables.
        if !self.peek(1).is(Punct::Scope)
            && !self.peek(1).is(Punct::Less)
            && !token.is(Punct::Scope)
        {
            return matches!(
                self.scopes.lookup(token.name),
                Some(Known::Type(_) | Known::ClassTemplate(_))
            );
        }
        matches!(self.look(Self::path), Some((_, Some(Known::Type(_) | Known::ClassTemplate(_)))))
    }

    /// Whether a declaration begins at this statement (C++14 stmt.ambig: if it can be one, it is).
    pub(super) fn is_declaration_start(&mut self) -> bool {
        let token = self.token();
        if self.coherence(false).is_some() {
            return true;
        }
        let names_member = self.decltype_scope_follows();
        if token.kind == Kind::Ident && token.name.is_keyword() && !names_member {
            return match token.name {
                name if is_type_word(name) => {
                    !matches!(self.peek(1).kind, Kind::Punct(Punct::LBrace | Punct::LParen))
                        || self.is_nested_declarator(1)
                }
                Name::STATIC_ASSERT | Name::USING | Name::TEMPLATE | Name::NAMESPACE => true,
                // `typename T::type(x)` is an expression; rare.
                name => is_specifier_word(name),
            };
        }
        if token.is(Punct::LBracket) && self.peek(1).is(Punct::LBracket) {
            // Attributes of a declaration or of a statement; the statement parser skips the latter.
            return false;
        }
        if token.kind != Kind::Ident && !token.is(Punct::Scope) {
            return false;
        }
        let (at, scope) = (self.at, self.scopes.current);
        let path = self.attempt(Self::path);
        let answer = match path {
            Some((_, Some(Known::Type(_) | Known::ClassTemplate(_)))) => match self.token().kind {
                Kind::Punct(Punct::LParen) => self.is_nested_declarator(0),
                Kind::Punct(Punct::LBrace | Punct::Dot | Punct::Scope) => false,
                _ => true,
            },
            // A name that is not a type, before another name: a declaration with a type that is not
            // known, or with a dependent one that lacks its `typename`.
            Some((_, None)) => self.is_ident(0),
            Some((path, Some(Known::Value))) => self.is_ident(0) && path.parts.len() > 1,
            _ => false,
        };
        self.at = at;
        self.scopes.current = scope;
        answer
    }

    /// `( *name )`, `( &name )[n]`: a declarator in parentheses, not a call or cast.
    fn is_nested_declarator(&self, ahead: usize) -> bool {
        let pointer = self.peek(ahead + 1);
        if !self.peek(ahead).is(Punct::LParen)
            || !(pointer.is(Punct::Star) || pointer.is(Punct::Amp))
        {
            return false;
        }
        let mut next = ahead + 2;
        while matches!(self.peek(next).name, Name::CONST | Name::VOLATILE | Name::RESTRICT) {
            next += 1;
        }
        let closes = self.peek(next).is(Punct::RParen)
            || self.is_ident(next) && self.peek(next + 1).is(Punct::RParen);
        let after = if self.peek(next).is(Punct::RParen) { next + 1 } else { next + 2 };
        closes && (self.peek(after).is(Punct::LBracket) || self.peek(after).is(Punct::LParen))
    }

    /// Whether a guide for a class template's arguments begins here: `Pair(T, T) -> Pair<T>`.
    fn guide_follows(&self) -> bool {
        let template =
            matches!(self.scopes.lookup(self.token().name), Some(Known::ClassTemplate(_)));
        if !template || !self.peek(1).is(Punct::LParen) {
            return false;
        }
        let (mut ahead, mut open) = (1, 0);
        loop {
            match self.peek(ahead).kind {
                Kind::Punct(Punct::LParen) => open += 1,
                Kind::Punct(Punct::RParen) => open -= 1,
                Kind::Punct(Punct::Semi) | Kind::Eof => return false,
                _ => {}
            }
            ahead += 1;
            if open == 0 {
                return self.peek(ahead).is(Punct::Arrow);
            }
        }
    }

    /// type-name: specifiers abstract-declarator
    pub(super) fn type_name(&mut self) -> Parse<TypeName> {
        let start = self.token().span;
        let specifiers = self.specifiers(Where::TypeName)?;
        let declarator = self.declarator()?;
        let span = self.span_from(start);
        if let Some(name) = &declarator.name {
            let span = name.span;
            return self.fail(span, "expected a type");
        }
        Ok(TypeName { specifiers, declarator, span })
    }

    /// specifiers: (storage | qualifier | address-space | stage | attribute | type)+
    pub(super) fn specifiers(&mut self, place: Where) -> Parse<Specifiers> {
        self.nested(|this| this.specifiers_inner(place))
    }

    fn specifiers_inner(&mut self, place: Where) -> Parse<Specifiers> {
        let start = self.token().span;
        let mut specifiers = Specifiers::absent(start);
        let mut words = Words::default();
        loop {
            self.attributes(&mut specifiers.attributes)?;
            let token = self.token();
            let has_type = words.any() || !matches!(specifiers.base, BaseType::Absent);
            if token.kind != Kind::Ident && (has_type || !token.is(Punct::Scope)) {
                break;
            }
            if is_type_word(token.name) {
                if !matches!(specifiers.base, BaseType::Absent) {
                    break;
                }
                self.advance();
                self.type_word(token.name, &mut words)?;
                continue;
            }
            if self.storage_word(token.name, &mut specifiers)? {
                continue;
            }
            if has_type {
                break;
            }
            match self.type_specifier(place)? {
                Some(base) => specifiers.base = base,
                None => break,
            }
        }
        if words.any() {
            match words.fundamental() {
                Some(fundamental) => specifiers.base = BaseType::Fundamental(fundamental),
                None => return self.fail(start, "invalid combination of type specifiers"),
            }
        }
        if place == Where::TypeName && matches!(specifiers.base, BaseType::Absent) {
            let token = self.token();
            if self.is_ident(0) && !self.at_end() {
                let name = self.text(token.name);
                let message = format!("unknown type name '{name}'");
                return self.fail(token.span, message);
            }
            return self.fail(token.span, "expected a type");
        }
        if self.at_end() && matches!(specifiers.base, BaseType::Absent) {
            return self.fail(self.token().span, "expected a declaration");
        }
        specifiers.span = self.span_from(start);
        Ok(specifiers)
    }

    fn type_word(&mut self, name: Name, words: &mut Words) -> Parse<()> {
        let twice = match name {
            Name::SIGNED => std::mem::replace(&mut words.signed, true) || words.unsigned,
            Name::UNSIGNED => std::mem::replace(&mut words.unsigned, true) || words.signed,
            Name::SHORT => std::mem::replace(&mut words.short, true),
            Name::LONG => {
                words.long += 1;
                words.long > 2
            }
            _ => words.base.replace(name).is_some(),
        };
        if twice {
            let span = self.previous_span();
            return self.fail(span, "cannot combine with previous type specifier");
        }
        Ok(())
    }

    /// Reads a specifier keyword that is not a type; returns false if the token is not one.
    fn storage_word(&mut self, name: Name, specifiers: &mut Specifiers) -> Parse<bool> {
        if let Some(tokens) = self.coherence(specifiers.space.is_some()) {
            specifiers.coherent = Some(self.token().span);
            self.at += tokens;
            return Ok(true);
        }
        let storage = &mut specifiers.storage;
        match name {
            Name::CONST => specifiers.constant = true,
            Name::VOLATILE => specifiers.volatile = true,
            Name::TYPEDEF => storage.typedef = true,
            Name::STATIC => storage.statik = true,
            Name::EXTERN => storage.external = true,
            Name::CONSTEXPR => storage.constexpr = true,
            Name::EXPLICIT => storage.explicit = true,
            Name::FRIEND => storage.friend = true,
            Name::VIRTUAL => storage.virtual_ = true,
            Name::MUTABLE => storage.mutable = true,
            Name::INLINE | Name::REGISTER | Name::RESTRICT => {}
            Name::KERNEL => specifiers.stage = Some(Stage::Kernel),
            Name::VERTEX => specifiers.stage = Some(Stage::Vertex),
            Name::FRAGMENT => specifiers.stage = Some(Stage::Fragment),
            _ => match address_space(name) {
                Some(space) => {
                    if specifiers.space.is_some_and(|before| before != space) {
                        let span = self.token().span;
                        return self.fail(span, "multiple address spaces specified for type");
                    }
                    specifiers.space = Some(space);
                }
                None => return Ok(false),
            },
        }
        self.advance();
        Ok(true)
    }

    /// The length of a `coherent` or `coherent(scope)` that qualifies a type here (MSL 4.8); elsewhere it is an ordinary
    /// name. All memory of soft Metal is coherent.
    fn coherence(&self, after_space: bool) -> Option<usize> {
        if self.token().name != Name::COHERENT {
            return None;
        }
        let scope = self.peek(2).name;
        let scoped = self.peek(1).is(Punct::LParen)
            && (scope == Name::SYSTEM || address_space(scope).is_some())
            && self.peek(3).is(Punct::RParen);
        let length = if scoped { 4 } else { 1 };
        let next = self.peek(length);
        let qualifies = after_space && next.kind == Kind::Ident
            || matches!(next.name, Name::CONST | Name::VOLATILE)
            || address_space(next.name).is_some();
        qualifies.then_some(length)
    }

    /// type: class | enum | 'typename' path | 'auto' | 'decltype' '(' … ')' | path to a type
    fn type_specifier(&mut self, place: Where) -> Parse<Option<BaseType>> {
        let token = self.token();
        Ok(Some(match token.name {
            Name::STRUCT | Name::CLASS | Name::UNION => self.class(place)?,
            Name::ENUM => self.enumeration(place)?,
            Name::AUTO => {
                self.advance();
                BaseType::Auto
            }
            Name::DECLTYPE if self.decltype_scope_follows() => BaseType::Named(self.path()?.0),
            Name::DECLTYPE => {
                self.advance();
                self.expect(Punct::LParen)?;
                let inner = self.bracketed(|this| match this.eat_name(Name::AUTO) {
                    true => Ok(None),
                    false => Ok(Some(Arc::new(this.expression()?))),
                })?;
                self.expect(Punct::RParen)?;
                BaseType::Decltype(inner)
            }
            Name::UNDERLYING_TYPE => {
                self.advance();
                self.expect(Punct::LParen)?;
                let of = self.bracketed(Self::type_name)?;
                self.expect(Punct::RParen)?;
                BaseType::Underlying(Arc::new(of))
            }
            Name::TYPEOF | Name::TYPEOF_GNU => {
                self.advance();
                if self.is(Punct::LParen)
                    && let Some(of) = self.parenthesized_type()
                {
                    return Ok(Some(BaseType::TypeofType(Arc::new(of))));
                }
                self.expect(Punct::LParen)?;
                let of = self.bracketed(Self::expression)?;
                self.expect(Punct::RParen)?;
                BaseType::Typeof(Arc::new(of))
            }
            Name::TYPENAME => {
                self.advance();
                BaseType::Named(self.path()?.0)
            }
            name if name.is_keyword() => return Ok(None),
            name => {
                // `Name(` in the body of class Name is its constructor.
                if self.class_name == Some(name)
                    && place == Where::Declaration
                    && self.peek(1).is(Punct::LParen)
                {
                    return Ok(None);
                }
                if place == Where::Declaration && self.guide_follows() {
                    return Ok(None);
                }
                let (at, scope) = (self.at, self.scopes.current);
                let (path, known) = self.path()?;
                // `S::S(…)`, `S::operator T()`: the declarator of a member without a type.
                let is_type = matches!(known, Some(Known::Type(_) | Known::ClassTemplate(_)));
                let names_a_type = is_type && !constructor_path(&path)
                    || known.is_none() && self.is_ident(0) && path.parts.len() > 1;
                if names_a_type {
                    return Ok(Some(BaseType::Named(path)));
                }
                let unknown = !matches!(known, Some(Known::Namespace(_)))
                    && path.plain().is_some()
                    && (self.is_ident(0)
                        || self.is(Punct::Amp) && self.is_ident(1)
                        || self.is(Punct::Star) && self.is_ident(1));
                if unknown && (place == Where::TypeName || known.is_none()) {
                    let message = format!("unknown type name '{}'", self.text(name));
                    return self.fail(token.span, message);
                }
                self.at = at;
                self.scopes.current = scope;
                return Ok(None);
            }
        }))
    }

    // ---- declarators ---------------------------------------------------------------------

    /// declarator: pointer-operators direct-declarator
    pub(super) fn declarator(&mut self) -> Parse<Declarator> {
        self.nested(|this| {
            let mut declarator = Declarator { span: this.token().span, ..Declarator::default() };
            let start = declarator.span;
            this.pointer_operators(&mut declarator)?;
            this.direct_declarator(&mut declarator)?;
            declarator.span = match &declarator.name {
                Some(name) => name.span,
                None if this.previous_span().lo >= start.lo => this.span_from(start),
                None => start,
            };
            Ok(declarator)
        })
    }

    /// pointer-operators: ('*' qualifiers | '&' | '&&')*
    pub(super) fn pointer_operators(&mut self, declarator: &mut Declarator) -> Parse<()> {
        loop {
            let span = self.token().span;
            let part = if self.eat(Punct::Star) {
                let (mut constant, mut volatile, mut space) = (false, false, None);
                loop {
                    let name = self.token().name;
                    match name {
                        Name::CONST => constant = true,
                        Name::VOLATILE => volatile = true,
                        Name::RESTRICT => {}
                        _ => match address_space(name) {
                            Some(found) => space = Some(found),
                            None => break,
                        },
                    }
                    self.advance();
                }
                DeclaratorPart::Pointer { constant, volatile, space, span }
            } else if self.eat(Punct::Amp) {
                self.eat_name(Name::RESTRICT);
                DeclaratorPart::Reference { rvalue: false }
            } else if self.eat(Punct::AndAnd) {
                DeclaratorPart::Reference { rvalue: true }
            } else {
                return Ok(());
            };
            declarator.parts.push(part);
            if declarator.parts.len() > 100 {
                return self.fail(declarator.span, "type is nested too deeply");
            }
        }
    }

    /// direct-declarator: ('...'? name attributes? | '(' declarator ')')? suffixes
    fn direct_declarator(&mut self, declarator: &mut Declarator) -> Parse<()> {
        declarator.pack = self.eat(Punct::Ellipsis);
        let mut inner = None;
        let names = self.is_ident(0)
            || self.is_name(Name::OPERATOR)
            || self.is(Punct::Scope)
            || self.is(Punct::Tilde);
        if names {
            declarator.name = Some(if self.is(Punct::Tilde) {
                let (name, span) = self.special_label()?;
                let parts = vec![PathPart { name, span, arguments: None }];
                Path { global: false, parts, span }
            } else {
                self.path()?.0
            });
            if let Some(name) = declarator.name.as_ref().and_then(Path::plain)
                && declarator.pack
            {
                self.packs.insert(name);
            }
            self.attributes(&mut declarator.attributes)?;
        } else if self.is(Punct::LParen) && self.nested_declarator_follows() {
            self.advance();
            inner = Some(self.bracketed(Self::declarator)?);
            self.expect(Punct::RParen)?;
        }
        let named = declarator.name.is_some() || inner.as_ref().is_some_and(|i| i.name.is_some());
        let outer = self.scopes.current;
        // The parameters of a member that is defined outside of its class see the class's names ([basic.lookup.unqual]/8).
        if let Some(owner) = declarator.name.as_ref().and_then(|name| self.scope_of_owner(name)) {
            self.scopes.push();
            self.scopes.open(owner);
        }
        let suffixes = self.suffixes(declarator, named);
        self.scopes.current = outer;
        // `a[2][3]` is two arrays of three: the last suffix is the nearest to the base type.
        declarator.parts.extend(suffixes?.into_iter().rev());
        if let Some(inner) = inner {
            declarator.parts.extend(inner.parts);
            declarator.name = inner.name;
            declarator.attributes.extend(inner.attributes);
        }
        Ok(())
    }

    /// suffixes: ('[' expression? ']' | signature)*
    fn suffixes(&mut self, declarator: &mut Declarator, named: bool) -> Parse<Vec<DeclaratorPart>> {
        let mut suffixes = Vec::new();
        loop {
            self.attributes(&mut declarator.attributes)?;
            if self.is(Punct::LBracket) {
                let open = self.advance();
                let size = match self.is(Punct::RBracket) {
                    true => None,
                    false => Some(Arc::new(self.bracketed(Self::conditional_expr)?)),
                };
                self.expect(Punct::RBracket)?;
                suffixes.push(DeclaratorPart::Array(size, self.span_from(open.span)));
            } else if self.is(Punct::LParen) && self.parameters_follow(named) {
                suffixes.push(DeclaratorPart::Function(Arc::new(self.signature()?)));
            } else {
                break;
            }
            if suffixes.len() > 100 {
                return self.fail(declarator.span, "type is nested too deeply");
            }
        }
        Ok(suffixes)
    }

    fn nested_declarator_follows(&mut self) -> bool {
        let next = self.peek(1);
        next.is(Punct::Star)
            || next.is(Punct::Amp)
            || next.is(Punct::AndAnd)
            || next.is(Punct::LParen)
            || next.kind == Kind::Ident
                && !next.name.is_keyword()
                && self.peek(2).is(Punct::RParen)
                && !matches!(
                    self.scopes.lookup(next.name),
                    Some(Known::Type(_) | Known::ClassTemplate(_))
                )
    }

    /// Whether the '(' opens parameters and not an initialiser: `T x(int)` against `T x(1)`.
    fn parameters_follow(&mut self, named: bool) -> bool {
        let at = self.at;
        self.advance();
        let answer = self.is(Punct::RParen)
            || self.is(Punct::Ellipsis)
            || self.is(Punct::LBracket) && self.peek(1).is(Punct::LBracket)
            || self.is_type_start()
                && !(named && self.is_functional_cast())
            // An unknown type name: reported when the parameters are parsed.
            || named && self.is_ident(0) && self.is_ident(1);
        self.at = at;
        answer
    }

    /// `T(…)` or `T{…}` where parameters are possible: an initialiser.
    fn is_functional_cast(&mut self) -> bool {
        let token = self.token();
        if token.kind == Kind::Ident && token.name.is_keyword() {
            return is_type_word(token.name)
                && (self.peek(1).is(Punct::LBrace)
                    || self.peek(1).is(Punct::LParen) && !self.is_nested_declarator(1));
        }
        let at = self.at;
        let path = self.attempt(Self::path).is_some();
        let cast = path
            && (self.is(Punct::LBrace) || self.is(Punct::LParen) && !self.is_nested_declarator(0));
        self.at = at;
        cast
    }

    /// signature: '(' parameters ')' this-qualifiers ('->' type)?
    pub(super) fn signature(&mut self) -> Parse<Signature> {
        self.expect(Punct::LParen)?;
        let (mut parameters, mut variadic) = (Vec::new(), false);
        self.bracketed(|this| {
            this.scoped(|this| {
                if this.is_name(Name::VOID) && this.peek(1).is(Punct::RParen) {
                    this.advance();
                }
                while !this.is(Punct::RParen) {
                    if this.eat(Punct::Ellipsis) {
                        variadic = true;
                        break;
                    }
                    let parameter = this.parameter()?;
                    if let Some(name) = parameter.declarator.name.as_ref().and_then(Path::plain) {
                        this.scopes.declare_here(name, Known::Value);
                    }
                    parameters.push(parameter);
                    if !this.eat(Punct::Comma) {
                        break;
                    }
                }
                Ok(())
            })
        })?;
        self.expect(Punct::RParen)?;
        let mut signature = Signature { parameters, variadic, ..Signature::empty() };
        loop {
            let token = self.token();
            match token.name {
                Name::CONST => signature.constant = true,
                Name::MUTABLE => signature.mutable = true,
                Name::CONSTEXPR => {}
                Name::VOLATILE | Name::FINAL | Name::OVERRIDE if token.kind == Kind::Ident => {}
                Name::NOEXCEPT => {
                    self.advance();
                    if self.is(Punct::LParen) {
                        self.skip_group()?;
                    }
                    continue;
                }
                name => match address_space(name) {
                    Some(space) => signature.space = Some(space),
                    None => break,
                },
            }
            self.advance();
        }
        // After a member's parameters (dcl.fct/6).
        if (self.is(Punct::Amp) || self.is(Punct::AndAnd))
            && matches!(self.peek(1).kind, Kind::Punct(Punct::LBrace | Punct::Semi | Punct::Arrow))
        {
            signature.reference = Some(self.is(Punct::AndAnd));
            self.advance();
        }
        if self.eat(Punct::Arrow) {
            signature.trailing = Some(self.type_name()?);
        }
        Ok(signature)
    }

    /// parameter: specifiers declarator ('=' expression)?
    fn parameter(&mut self) -> Parse<Parameter> {
        let from = self.at;
        let mut attributes = Vec::new();
        self.attributes(&mut attributes)?;
        let mut specifiers = self.specifiers(Where::TypeName)?;
        specifiers.attributes.append(&mut attributes);
        let declarator = self.declarator()?;
        let expands = declarator.pack.then(|| self.packs_since(from));
        let default = match self.eat(Punct::Assign) {
            true => Some(Arc::new(if self.is(Punct::LBrace) {
                self.init_list()?
            } else {
                self.assignment_expr()?
            })),
            false => None,
        };
        Ok(Parameter { specifiers, declarator, default, expands })
    }

    /// Declares a function's parameters in the current scope, for its body.
    pub(super) fn declare_parameters(&mut self, declarator: &Declarator) {
        let Some(signature) = declarator.function() else { return };
        for parameter in &signature.parameters {
            if let Some(name) = parameter.declarator.name.as_ref().and_then(Path::plain) {
                self.scopes.declare_here(name, Known::Value);
            }
        }
    }

    pub(super) fn failed<T>(&self) -> Parse<T> {
        Err(Failed)
    }
}

/// `S::S`: the constructor's name, when it is defined outside of its class.
pub(super) fn constructor_path(path: &Path) -> bool {
    match &path.parts[..] {
        [.., class, last] => match (&class.name, &last.name) {
            (Label::Name(a), Label::Name(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}
