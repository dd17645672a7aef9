//! Declarations: namespaces, classes, enums, functions, variables, templates (C++14 dcl.dcl).

use super::scope::{Known, LIBRARY, ScopeIndex};
use super::types::{Where, constructor_path};
use super::{Parse, Parser};
use crate::soft::ir::{Span as Position, compiling};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::{Kind, Punct};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use std::sync::Arc;

/// The context of a declaration: the scope of its name, and whether it is a template.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub(super) scope: ScopeIndex,
    /// It follows `template <…>` with parameters.
    pub(super) template: bool,
    pub(super) member: bool,
}

/// A member function whose body is parsed when the class is complete (C++14 class.mem/6).
pub(super) struct Delayed {
    pub(super) slot: usize,
    pub(super) templates: Vec<(Vec<TemplateParameter>, Span)>,
    pub(super) specifiers: Specifiers,
    pub(super) declarator: Declarator,
    /// The token where its initialisers or body begin, and the scope to parse them in.
    pub(super) at: usize,
    pub(super) scope: ScopeIndex,
    pub(super) start: Span,
}

/// The result of parsing a declaration.
pub(super) enum Read {
    Whole(Decl),
    Delayed(Delayed),
}

impl Parser<'_> {
    /// file: declaration*
    pub(super) fn file(&mut self) -> Vec<Decl> {
        let mut list = Vec::new();
        while !self.at_end() {
            self.declarations_until_brace(&mut list);
            if self.is(Punct::RBrace) {
                let span = self.advance().span;
                self.diagnostics.error(span, "extraneous closing brace ('}')");
            }
        }
        list
    }

    fn declarations_until_brace(&mut self, list: &mut Vec<Decl>) {
        while !self.at_end() && !self.is(Punct::RBrace) {
            if self.diagnostics.is_full() {
                self.at = self.tokens.len() - 1;
                return;
            }
            let (before, scope) = (self.at, self.scopes.current);
            match self.declaration() {
                Ok(declaration) => list.push(declaration),
                Err(_) => {
                    self.scopes.current = scope;
                    if self.at == before {
                        self.advance();
                    }
                    self.recover();
                }
            }
        }
    }

    /// declaration: one at namespace or block scope
    pub(super) fn declaration(&mut self) -> Parse<Decl> {
        let around = Around { scope: self.scopes.current, template: false, member: false };
        match self.nested(|this| this.any_declaration(around))? {
            Read::Whole(declaration) => Ok(declaration),
            Read::Delayed(_) => self.failed(),
        }
    }

    pub(super) fn any_declaration(&mut self, around: Around) -> Parse<Read> {
        let token = self.token();
        compiling(Position(token.span.lo));
        let whole = match token.kind {
            Kind::Punct(Punct::Semi) => {
                self.advance();
                Decl::Empty
            }
            _ => match token.name {
                Name::NAMESPACE => self.namespace(false)?,
                Name::USING => self.using(around)?,
                Name::STATIC_ASSERT => self.static_assert()?,
                Name::TEMPLATE => return self.template(around),
                Name::INLINE if self.peek(1).name == Name::NAMESPACE => {
                    self.advance();
                    self.namespace(true)?
                }
                Name::EXTERN if self.peek(1).kind == Kind::Str => {
                    // `extern "C" { … }` only changes mangled names; ignored.
                    self.advance();
                    self.advance();
                    if self.is(Punct::LBrace) {
                        let body = self.namespace_body()?;
                        Decl::Namespace { name: None, inline: true, body }
                    } else {
                        return self.any_declaration(around);
                    }
                }
                _ => return self.simple_or_function(around),
            },
        };
        Ok(Read::Whole(whole))
    }

    /// namespace: 'inline'? 'namespace' name? '{' declaration* '}' | 'namespace' name '=' path ';'
    fn namespace(&mut self, inline: bool) -> Parse<Decl> {
        self.advance();
        self.skip_attributes()?;
        let mut idents = Vec::new();
        while self.is_ident(0) || self.is_name(Name::INLINE) {
            self.eat_name(Name::INLINE);
            idents.push(self.ident()?);
            if !self.eat(Punct::Scope) {
                break;
            }
        }
        let outer = self.scopes.current;
        if let [name] = idents[..]
            && self.eat(Punct::Assign)
        {
            let (target, known) = self.path()?;
            self.expect(Punct::Semi)?;
            if let Some(known @ Known::Namespace(_)) = known {
                self.scopes.declare(outer, name.name, known);
            }
            return Ok(Decl::NamespaceAlias { name, target });
        }
        for ident in &idents {
            match self.scopes.lookup_in(self.scopes.current, ident.name) {
                Some(Known::Namespace(scope)) => self.scopes.current = scope,
                _ => {
                    let parent = self.scopes.current;
                    let scope = self.scopes.push();
                    self.scopes.declare(parent, ident.name, Known::Namespace(scope));
                    if inline {
                        self.scopes.current = parent;
                        self.scopes.open(scope);
                        self.scopes.current = scope;
                    }
                }
            }
        }
        if idents.is_empty() {
            // An unnamed namespace's names are visible in the enclosing namespace.
            let scope = self.scopes.push();
            self.scopes.current = outer;
            self.scopes.open(scope);
            self.scopes.current = scope;
        }
        let body = self.namespace_body();
        self.scopes.current = outer;
        let mut body = body?;
        for ident in idents.iter().skip(1).rev() {
            let inner = Decl::Namespace { name: Some(*ident), inline: false, body };
            body = vec![inner].into();
        }
        Ok(Decl::Namespace { name: idents.first().copied(), inline, body })
    }

    fn namespace_body(&mut self) -> Parse<Arc<[Decl]>> {
        self.expect(Punct::LBrace)?;
        self.bracketed(|this| {
            let mut list = Vec::new();
            this.declarations_until_brace(&mut list);
            this.expect(Punct::RBrace)?;
            Ok(list.into())
        })
    }

    /// using: 'using' 'namespace' path ';' | 'using' name '=' type ';' | 'using' path ';'
    fn using(&mut self, around: Around) -> Parse<Decl> {
        self.advance();
        if self.eat_name(Name::NAMESPACE) {
            let (path, known) = self.path()?;
            self.expect(Punct::Semi)?;
            if let Some(Known::Namespace(scope)) = known
                && scope != LIBRARY
            {
                self.scopes.open(scope);
            }
            return Ok(Decl::UsingNamespace(path));
        }
        if self.is_ident(0) && self.peek(1).is(Punct::Assign)
            || self.is_ident(0) && self.peek(1).is(Punct::LBracket)
        {
            let name = self.ident()?;
            self.skip_attributes()?;
            self.expect(Punct::Assign)?;
            let target = self.type_name();
            // The name is a type even if the target is wrong, so that its uses are not errors too.
            let members = target.as_ref().ok().map(|target| &target.specifiers.base);
            let members = members.and_then(|base| self.members_of(base));
            let known = match around.template {
                true => Known::ClassTemplate(members),
                false => Known::Type(members),
            };
            self.scopes.declare(around.scope, name.name, known);
            let target = Arc::new(target?);
            self.expect(Punct::Semi)?;
            return Ok(Decl::Alias { name, target });
        }
        self.eat_name(Name::TYPENAME);
        let (path, known) = self.path()?;
        // `using Bases::f...;`: the names of all bases are found anyway.
        if self.eat(Punct::Ellipsis) {
            self.expect(Punct::Semi)?;
            return Ok(Decl::Empty);
        }
        self.expect(Punct::Semi)?;
        if let (Label::Name(name), Some(known)) = (&path.last().name, known) {
            self.scopes.declare(around.scope, *name, known);
        }
        Ok(Decl::Using(path))
    }

    /// The scope of a type's members, when the parser saw its class.
    fn members_of(&self, base: &BaseType) -> Option<ScopeIndex> {
        let path = match base {
            BaseType::Named(path) => path,
            BaseType::Class(class) => class.name.as_ref()?,
            _ => return None,
        };
        let mut scope = None;
        for part in &path.parts {
            let Label::Name(name) = part.name else { return None };
            let known = match scope {
                None => self.scopes.lookup(name),
                Some(scope) => self.scopes.lookup_in(scope, name),
            };
            scope = match known? {
                Known::Type(members) | Known::ClassTemplate(members) => members,
                Known::Namespace(scope) => Some(scope),
                _ => None,
            };
            scope?;
        }
        scope
    }

    /// static-assert: 'static_assert' '(' expression (',' string)? ')' ';'
    fn static_assert(&mut self) -> Parse<Decl> {
        let start = self.advance().span;
        self.expect(Punct::LParen)?;
        let condition = Arc::new(self.bracketed(Self::conditional_expr)?);
        let message = match self.eat(Punct::Comma) {
            true => match self.expression()?.kind {
                ExprKind::Str(pieces) => pieces.first().copied(),
                _ => None,
            },
            false => None,
        };
        self.expect(Punct::RParen)?;
        let span = self.span_from(start);
        self.expect(Punct::Semi)?;
        Ok(Decl::StaticAssert { condition, message, span })
    }

    // ---- templates -----------------------------------------------------------------------

    /// template: 'template' '<' parameters '>' declaration | 'template' declaration
    fn template(&mut self, around: Around) -> Parse<Read> {
        let start = self.advance().span;
        if !self.is(Punct::Less) {
            let mut attributes = Vec::new();
            self.attributes(&mut attributes)?;
            let mut specifiers = self.specifiers(Where::Declaration)?;
            specifiers.attributes.append(&mut attributes);
            let simple =
                self.init_declarators(specifiers, start, Around { member: true, ..around })?;
            return Ok(Read::Whole(Decl::Instantiation(simple)));
        }
        let outer = self.scopes.current;
        self.scopes.push();
        let result = self.template_inner(start, around);
        self.scopes.current = outer;
        result
    }

    fn template_inner(&mut self, start: Span, around: Around) -> Parse<Read> {
        let parameters = self.template_parameters()?;
        let span = self.span_from(start);
        let around = Around { template: around.template || !parameters.is_empty(), ..around };
        let inner = self.nested(|this| this.any_declaration(around))?;
        Ok(match inner {
            Read::Whole(declaration) => {
                Read::Whole(Decl::Template(Arc::new(Template { parameters, declaration, span })))
            }
            Read::Delayed(mut delayed) => {
                delayed.templates.push((parameters, span));
                Read::Delayed(delayed)
            }
        })
    }

    /// parameters: '<' (parameter (',' parameter)*)? '>'
    fn template_parameters(&mut self) -> Parse<Vec<TemplateParameter>> {
        self.expect(Punct::Less)?;
        let outer = std::mem::replace(&mut self.in_arguments, true);
        let mut list = Vec::new();
        let mut result = Ok(());
        while !self.is(Punct::Greater) {
            match self.nested(Self::template_parameter) {
                Ok(parameter) => list.push(parameter),
                Err(failed) => {
                    result = Err(failed);
                    break;
                }
            }
            if !self.eat(Punct::Comma) {
                break;
            }
        }
        self.in_arguments = outer;
        result?;
        self.expect(Punct::Greater)?;
        Ok(list)
    }

    /// parameter: ('typename' | 'class') '...'? name? ('=' type)?
    ///          | 'template' '<' parameters '>' ('typename' | 'class') name? ('=' name)?
    ///          | specifiers declarator ('=' expression)?
    fn template_parameter(&mut self) -> Parse<TemplateParameter> {
        if self.eat_name(Name::TEMPLATE) {
            self.scoped(|this| this.template_parameters().map(drop))?;
            if !self.eat_name(Name::TYPENAME) && !self.eat_name(Name::CLASS) {
                return self.fail(self.token().span, "expected 'class' or 'typename'");
            }
            let name = if self.is_ident(0) { Some(self.ident()?) } else { None };
            let default = if self.eat(Punct::Assign) { Some(self.type_name()?) } else { None };
            if let Some(name) = name {
                self.scopes.declare_here(name.name, Known::ClassTemplate(None));
            }
            return Ok(TemplateParameter::Template { name, default });
        }
        let after = if self.peek(1).is(Punct::Ellipsis) { 2 } else { 1 };
        let ends = |token: super::Token| {
            matches!(token.kind, Kind::Punct(Punct::Comma | Punct::Greater | Punct::Assign))
        };
        let names_type = matches!(self.token().name, Name::TYPENAME | Name::CLASS)
            && (ends(self.peek(after)) || self.is_ident(after) && ends(self.peek(after + 1)));
        if names_type {
            self.advance();
            let pack = self.eat(Punct::Ellipsis);
            let name = if self.is_ident(0) { Some(self.ident()?) } else { None };
            if let Some(name) = name {
                self.scopes.declare_here(name.name, Known::Type(None));
                if pack {
                    self.packs.insert(name.name);
                }
            }
            let default = if self.eat(Punct::Assign) { Some(self.type_name()?) } else { None };
            return Ok(TemplateParameter::Type { name, default, pack });
        }
        let specifiers = self.specifiers(Where::TypeName)?;
        let declarator = self.declarator()?;
        let pack = declarator.pack;
        if let Some(name) = declarator.name.as_ref().and_then(Path::plain) {
            self.scopes.declare_here(name, Known::Value);
        }
        let default = match self.eat(Punct::Assign) {
            true => Some(self.conditional_expr()?),
            false => None,
        };
        Ok(TemplateParameter::Value { specifiers, declarator, default, pack })
    }

    // ---- functions and variables ---------------------------------------------------------

    /// simple-or-function: specifiers (declarator body | init-declarators ';')
    fn simple_or_function(&mut self, around: Around) -> Parse<Read> {
        let start = self.token().span;
        let specifiers = self.specifiers_around(around)?;
        if self.eat(Punct::Semi) {
            if matches!(specifiers.base, BaseType::Absent) {
                return self.fail(start, "expected a declaration");
            }
            let span = self.span_from(start);
            let simple = Simple { specifiers, declarators: Vec::new(), span };
            return Ok(Read::Whole(Decl::Simple(Arc::new(simple))));
        }
        let ahead = usize::from(self.is(Punct::Amp) || self.is(Punct::AndAnd));
        if matches!(specifiers.base, BaseType::Auto) && self.peek(ahead).is(Punct::LBracket) {
            return Ok(Read::Whole(self.bindings(specifiers, start)?));
        }
        let before = self.at;
        let declarator = self.declarator()?;
        let typed = !matches!(specifiers.base, BaseType::Absent);
        if !typed && declarator.name.is_some() && !self.has_no_type(&declarator) {
            let span = declarator.span;
            return self.fail(span, "a type specifier is required for all declarations");
        }
        if declarator.function().is_some() && !specifiers.storage.typedef && self.body_follows() {
            return self.function(specifiers, declarator, start, around);
        }
        if declarator.name.is_none() && !self.is(Punct::Colon) {
            let span = self.token().span;
            let message = match &specifiers.base {
                BaseType::Absent if self.is_ident(0) || self.at_end() => "unknown type name",
                BaseType::Absent => "expected unqualified-id",
                BaseType::Class(_) | BaseType::Enum(_) => {
                    let span = self.previous_span().end();
                    return self.fail(span, "expected ';' after struct");
                }
                _ => "expected unqualified-id",
            };
            return self.fail(span, message);
        }
        self.at = before;
        let simple = self.init_declarators(specifiers, start, around)?;
        Ok(Read::Whole(Decl::Simple(simple)))
    }

    /// Whether a declarator is that of a constructor, a destructor or a conversion function: they have no type specifier.
    fn has_no_type(&self, declarator: &Declarator) -> bool {
        let Some(path) = declarator.name.as_ref().filter(|_| declarator.function().is_some())
        else {
            return false;
        };
        match path.parts.last().map(|part| &part.name) {
            Some(Label::Name(_)) => {
                // A guide for a class template's arguments has a result.
                let template =
                    |name| matches!(self.scopes.lookup(name), Some(Known::ClassTemplate(_)));
                let guide = declarator.function().is_some_and(|own| own.trailing.is_some())
                    && self.is(Punct::Semi)
                    && path.plain().is_some_and(template);
                path.plain().is_some_and(|name| self.class_name == Some(name))
                    || constructor_path(path)
                    || guide
            }
            Some(Label::Destructor(_) | Label::Conversion(_)) => true,
            _ => false,
        }
    }

    /// bindings: 'auto' ('&' | '&&')? '[' name (',' name)* ']' initializer ';' (C++17 dcl.struct.bind)
    fn bindings(&mut self, specifiers: Specifiers, start: Span) -> Parse<Decl> {
        let rvalue = self.eat(Punct::AndAnd);
        let reference = rvalue || self.eat(Punct::Amp);
        let names = self.binding_names()?;
        let init = self.initializer()?;
        let span = self.span_from(start);
        self.expect(Punct::Semi)?;
        for ident in &names {
            self.scopes.declare_here(ident.name, Known::Value);
        }
        Ok(Decl::Bindings(Arc::new(Bindings { specifiers, reference, rvalue, names, init, span })))
    }

    fn binding_names(&mut self) -> Parse<Vec<Ident>> {
        self.expect(Punct::LBracket)?;
        let mut names = Vec::new();
        loop {
            names.push(self.ident()?);
            if !self.eat(Punct::Comma) {
                break;
            }
        }
        self.expect(Punct::RBracket)?;
        Ok(names)
    }

    /// The variable of a range-based `for`. One with the names of its parts is a variable without a name, whose parts they are.
    pub(super) fn range_variable(&mut self) -> Parse<(Simple, Option<Decl>)> {
        let start = self.token().span;
        let mut ahead = 0;
        while matches!(self.peek(ahead).name, Name::CONST | Name::CONSTEXPR | Name::AUTO) {
            ahead += 1;
        }
        let reference = self.peek(ahead).is(Punct::Amp) || self.peek(ahead).is(Punct::AndAnd);
        if ahead == 0 || !self.peek(ahead + usize::from(reference)).is(Punct::LBracket) {
            return Ok((self.condition_variable()?, None));
        }
        let specifiers = self.specifiers(Where::Declaration)?;
        let mut declarator = Declarator { span: start, ..Declarator::default() };
        self.pointer_operators(&mut declarator)?;
        let element = Path::of(Name::RANGE_ELEMENT, start);
        declarator.name = Some(element.clone());
        let names = self.binding_names()?;
        let span = self.span_from(start);
        let init = Init::Copy(Expr::new(ExprKind::Path(element), start));
        let base = specifiers.clone();
        let parts =
            Bindings { specifiers: base, reference: true, rvalue: false, names, init, span };
        let declarators = vec![InitDeclarator { declarator, init: Init::None, width: None }];
        let parts = Decl::Bindings(Arc::new(parts));
        Ok((Simple { specifiers, declarators, span }, Some(parts)))
    }

    fn specifiers_around(&mut self, around: Around) -> Parse<Specifiers> {
        // A class that is declared here belongs to the scope that encloses its template parameters.
        let inner = self.declare_in.replace(around);
        let specifiers = self.specifiers(Where::Declaration);
        self.declare_in = inner;
        specifiers
    }

    /// Whether a function's definition continues here: '{', ':' of a constructor, or '= default'.
    fn body_follows(&self) -> bool {
        self.is(Punct::LBrace)
            || self.is(Punct::Colon)
            || self.is(Punct::Assign) && matches!(self.peek(1).name, Name::DEFAULT | Name::DELETE)
    }

    fn declare_declarator(
        &mut self,
        specifiers: &Specifiers,
        declarator: &Declarator,
        around: Around,
    ) {
        let Some(name) = declarator.name.as_ref().and_then(Path::plain) else { return };
        // A constructor declares no name.
        if matches!(specifiers.base, BaseType::Absent) {
            return;
        }
        let typedef = specifiers.storage.typedef;
        let known = match (typedef, around.template) {
            (true, _) => Known::Type(None),
            (false, true) => Known::ValueTemplate,
            (false, false) => Known::Value,
        };
        if around.member && known == Known::ValueTemplate {
            self.member_templates.insert(name);
        }
        self.scopes.declare(around.scope, name, known);
    }

    fn function(
        &mut self,
        specifiers: Specifiers,
        declarator: Declarator,
        start: Span,
        around: Around,
    ) -> Parse<Read> {
        self.declare_declarator(&specifiers, &declarator, around);
        if around.member {
            let at = self.at;
            self.skip_function_rest()?;
            let scope = self.scopes.current;
            let templates = Vec::new();
            let delayed = Delayed { slot: 0, templates, specifiers, declarator, at, scope, start };
            return Ok(Read::Delayed(delayed));
        }
        let function = self.function_rest(specifiers, declarator, start)?;
        Ok(Read::Whole(Decl::Function(Arc::new(function))))
    }

    /// Skips `: a(x), b{y} { … }`, `{ … }` or `= default;`.
    fn skip_function_rest(&mut self) -> Parse<()> {
        if self.eat(Punct::Assign) {
            self.advance();
            self.expect(Punct::Semi)?;
            return Ok(());
        }
        if self.eat(Punct::Colon) {
            loop {
                while !self.is(Punct::LParen) && !self.is(Punct::LBrace) && !self.at_end() {
                    self.advance();
                }
                self.skip_group()?;
                self.eat(Punct::Ellipsis);
                if !self.eat(Punct::Comma) {
                    break;
                }
            }
        }
        if !self.is(Punct::LBrace) {
            return self.fail(self.token().span, "expected '{'");
        }
        self.skip_group()
    }

    /// function-rest: '=' ('default' | 'delete') ';' | (':' initializers)? block
    pub(super) fn function_rest(
        &mut self,
        specifiers: Specifiers,
        declarator: Declarator,
        start: Span,
    ) -> Parse<Function> {
        let mut initializers = Vec::new();
        let body = if self.eat(Punct::Assign) {
            let body = if self.is_name(Name::DELETE) { Body::Delete } else { Body::Default };
            self.advance();
            self.expect(Punct::Semi)?;
            body
        } else {
            let outer = self.scopes.current;
            // The body of a member that is defined outside its class sees the class's names.
            if let Some(scope) = declarator.name.as_ref().and_then(|name| self.scope_of_owner(name))
            {
                self.scopes.push();
                self.scopes.open(scope);
            }
            let body = self.scoped(|this| {
                this.declare_parameters(&declarator);
                if this.eat(Punct::Colon) {
                    initializers = this.initializers()?;
                }
                Ok(Body::Block(this.block()?))
            });
            self.scopes.current = outer;
            body?
        };
        let span = self.span_from(start);
        Ok(Function { specifiers, declarator, initializers, body, span })
    }

    /// The scope of the namespace or class that a qualified name begins with.
    pub(super) fn scope_of_owner(&self, name: &Path) -> Option<ScopeIndex> {
        let owner = Path {
            global: name.global,
            parts: name.parts[..name.parts.len() - 1].to_vec(),
            span: name.span,
        };
        if owner.parts.is_empty() { None } else { self.members_of(&BaseType::Named(owner)) }
    }

    /// initializers: member ('(' … ')' | '{' … '}') (',' …)*
    fn initializers(&mut self) -> Parse<Vec<(Path, Init, Option<Mentioned>)>> {
        let mut list = Vec::new();
        loop {
            let from = self.at;
            let (member, _) = self.path()?;
            let init = if self.is(Punct::LBrace) {
                Init::List(self.init_list()?)
            } else {
                self.expect(Punct::LParen)?;
                let arguments = self.arguments()?;
                Init::Direct(arguments)
            };
            let expands = self.is(Punct::Ellipsis).then(|| self.packs_since(from));
            self.eat(Punct::Ellipsis);
            list.push((member, init, expands));
            if !self.eat(Punct::Comma) {
                return Ok(list);
            }
        }
    }

    /// init-declarators: declarator initializer? (',' declarator initializer?)* ';'
    fn init_declarators(
        &mut self,
        specifiers: Specifiers,
        start: Span,
        around: Around,
    ) -> Parse<Arc<Simple>> {
        let mut declarators = Vec::new();
        loop {
            let declarator = match self.is(Punct::Colon) {
                true => Declarator { span: self.token().span, ..Declarator::default() },
                false => self.declarator()?,
            };
            // `f() __asm("name")`: the name for a linker, which there is not.
            if self.is_name(Name::ASM) && self.peek(1).is(Punct::LParen) {
                self.advance();
                self.skip_group()?;
                self.skip_attributes()?;
            }
            if declarator.name.is_none() && !self.is(Punct::Colon) {
                return self.fail(self.token().span, "expected unqualified-id");
            }
            let typedef = specifiers.storage.typedef;
            self.declare_declarator(&specifiers, &declarator, around);
            if typedef && let Some(name) = declarator.name.as_ref().and_then(Path::plain) {
                let members = match declarator.parts.is_empty() {
                    true => self.members_of(&specifiers.base),
                    false => None,
                };
                self.scopes.declare(around.scope, name, Known::Type(members));
            }
            let width = match self.eat(Punct::Colon) {
                true => Some(self.conditional_expr()?),
                false => None,
            };
            let init = self.initializer()?;
            declarators.push(InitDeclarator { declarator, init, width });
            if !self.eat(Punct::Comma) {
                break;
            }
        }
        let span = self.span_from(start);
        self.expect(Punct::Semi)?;
        Ok(Arc::new(Simple { specifiers, declarators, span }))
    }

    /// initializer: '=' (expression | init-list) | '(' arguments ')' | init-list
    pub(super) fn initializer(&mut self) -> Parse<Init> {
        if self.eat(Punct::Assign) {
            if self.is(Punct::LBrace) {
                return Ok(Init::Copy(self.init_list()?));
            }
            return Ok(Init::Copy(self.assignment_expr()?));
        }
        if self.is(Punct::LBrace) {
            return Ok(Init::List(self.init_list()?));
        }
        if self.eat(Punct::LParen) {
            return Ok(Init::Direct(self.arguments()?));
        }
        Ok(Init::None)
    }

    /// One declarator of a condition or a range-for; the caller reads the terminator.
    pub(super) fn condition_variable(&mut self) -> Parse<Simple> {
        let start = self.token().span;
        let specifiers = self.specifiers(Where::Declaration)?;
        let declarator = self.declarator()?;
        if let Some(name) = declarator.name.as_ref().and_then(Path::plain) {
            self.scopes.declare_here(name, Known::Value);
        }
        let init = match self.is(Punct::Colon) {
            true => Init::None,
            false => self.initializer()?,
        };
        let declarators = vec![InitDeclarator { declarator, init, width: None }];
        Ok(Simple { specifiers, declarators, span: self.span_from(start) })
    }
}
