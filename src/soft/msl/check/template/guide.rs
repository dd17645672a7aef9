//! Class templates without arguments (C++17 over.match.class.deduct): the arguments follow from the values that make the object, by a
//! template of functions for each constructor, and by the guides that the program declares.

use super::super::convert::Source;
use super::super::lookup::Found;
use super::super::{Checker, Entity};
use super::{Declared, TemplateId, is_class};
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::ast::*;
use crate::soft::msl::hir;
use crate::soft::msl::names::Name;
use crate::soft::msl::parse::scope::Known;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, TyId, Types};
use std::sync::Arc;

impl Checker {
    /// The class template that specifiers name without arguments.
    pub(in super::super) fn placeholder(&mut self, specifiers: &Specifiers) -> Option<TemplateId> {
        let BaseType::Named(path) = &specifiers.base else { return None };
        let Label::Name(name) = path.last().name else { return None };
        let library = || matches!(self.library.known.get(&name), Some(Known::ClassTemplate(_)));
        if path.last().arguments.is_some() || !self.templates.classes.contains(&name) && !library()
        {
            return None;
        }
        let Found::Entities(list) = self.lookup_path(path) else { return None };
        match list.first() {
            Some(&Entity::Template(id)) if is_class(&self.syntax_of(id)) => Some(id),
            _ => None,
        }
    }

    /// The type of a variable that such specifiers declare, and its initial value.
    pub(in super::super) fn deduced_value(
        &mut self,
        id: TemplateId,
        simple: &Simple,
        one: &InitDeclarator,
    ) -> (Qual, Option<hir::Expr>) {
        let (specifiers, span) = (&simple.specifiers, one.declarator.span);
        let value = match one.declarator.parts[..] {
            [] => self.deduced_object(id, specifiers, &one.init, span),
            _ => {
                let name = self.text(self.templates.all[id.0 as usize].name);
                let message = format!(
                    "cannot use parentheses or pointers with '{name}' without template arguments"
                );
                self.error(span, message);
                None
            }
        };
        let (ty, value) = value.unwrap_or((Types::UNKNOWN, None));
        (Qual { constant: specifiers.constant, ..Qual::plain(ty) }, value)
    }

    /// The type and the initial value of an object of a class template whose arguments follow from its initialiser.
    pub(in super::super) fn deduced_object(
        &mut self,
        id: TemplateId,
        specifiers: &Specifiers,
        init: &Init,
        span: Span,
    ) -> Option<(TyId, Option<hir::Expr>)> {
        if let Some(guide) = self.guide(specifiers) {
            let values = match init {
                Init::Direct(list) => list.as_slice(),
                Init::Copy(one) => std::slice::from_ref(one),
                _ => &[],
            };
            let values = self.arguments(values);
            let made = self.call_path(&guide, values, span);
            return Some((made.qual.ty, Some(made)));
        }
        self.refuse_newer("deduced template arguments of a class", span);
        let (init, sources) = self.checked_values(init);
        let ty = self.deduced_class(id, &sources, span)?;
        Some((ty, self.initializer(Qual::plain(ty), &init, span)))
    }

    fn deduced_class(&mut self, id: TemplateId, sources: &[Source], span: Span) -> Option<TyId> {
        // An object of the template is copied.
        if let [one] = sources
            && self.templates.origins.get(&one.qual.ty).is_some_and(|origin| origin.0 == id)
        {
            return Some(one.qual.ty);
        }
        if sources.iter().any(|source| source.qual.ty == Types::UNKNOWN) {
            return None;
        }
        let guides = self.guides(id);
        let mut chosen = self.choose_constructor(&guides, sources);
        // Of equal ones, one that is no template is better, then one that the program declares ([over.match.best]).
        if let Err(rivals) = &chosen
            && !rivals.is_empty()
        {
            let declared = self.templates.guides.get(&id).map_or(0, |known| known.declared);
            let plain = |entity: &&Entity| match entity {
                Entity::Template(id) => self.syntax_of(*id).parameters.is_empty(),
                _ => false,
            };
            let plain: Vec<Entity> = guides.iter().filter(plain).copied().collect();
            for better in [&plain[..], &guides[..declared]] {
                if let Ok(one) = self.choose_constructor(better, sources)
                    && rivals.contains(&one)
                {
                    chosen = Ok(one);
                    break;
                }
            }
        }
        match chosen {
            Ok(guide) => self.func(guide).result().map(|result| result.ty),
            Err(rivals) => {
                let name = self.text(self.templates.all[id.0 as usize].name);
                let what = if rivals.is_empty() { "no viable" } else { "ambiguous" };
                let message = format!(
                    "{what} constructor or deduction guide for deduction of template arguments of '{name}'"
                );
                self.error(span, message);
                None
            }
        }
    }

    /// An initialiser whose values are checked, and its values as overload resolution sees them.
    fn checked_values(&mut self, init: &Init) -> (Init, Vec<Source>) {
        let mut sources = Vec::new();
        let init = match init {
            Init::None => Init::None,
            Init::Direct(list) => {
                let list = self.expanded(list);
                Init::Direct(
                    list.into_iter().map(|one| self.checked_value(one, &mut sources)).collect(),
                )
            }
            Init::Copy(one) | Init::List(one) => {
                let value = match &one.kind {
                    ExprKind::InitList(items) => {
                        let mut values = Vec::new();
                        for (designator, item) in items {
                            for item in self.expanded(std::slice::from_ref(item)) {
                                let value = self.checked_value(item, &mut sources);
                                values.push((designator.clone(), value));
                            }
                        }
                        Expr::new(ExprKind::InitList(values), one.span)
                    }
                    _ => self.checked_value(one.clone(), &mut sources),
                };
                if matches!(init, Init::Copy(_)) { Init::Copy(value) } else { Init::List(value) }
            }
        };
        (init, sources)
    }

    fn checked_value(&mut self, item: Expr, sources: &mut Vec<Source>) -> Expr {
        let (item, source) = self.checked_element(item);
        sources.push(source);
        item
    }

    /// The templates of functions whose results are the classes that a template's constructors make.
    fn guides(&mut self, id: TemplateId) -> Vec<Entity> {
        if let Some(known) = self.templates.guides.get(&id)
            && known.complete
        {
            return known.list.iter().map(|&guide| Entity::Template(guide)).collect();
        }
        let known = self.templates.guides.entry(id).or_default();
        known.declared = known.list.len();
        let syntax = self.syntax_of(id);
        let name = self.templates.all[id.0 as usize].name;
        let arguments: Option<Vec<TemplateArgument>> =
            syntax.parameters.iter().map(as_argument).collect();
        if let Decl::Simple(simple) = &syntax.declaration
            && let BaseType::Class(class) = &simple.specifiers.base
            && let Some(arguments) = arguments
        {
            let mut path = Path::of(name, class.span);
            if let Some(part) = path.parts.last_mut() {
                part.arguments = Some(arguments.into());
            }
            let members = class.members.as_deref().unwrap_or_default();
            let mut constructors: Vec<_> = members.iter().filter_map(constructor).collect();
            if constructors.is_empty() {
                constructors.push((&[], Arc::new(Signature::empty())));
            }
            for (own, signature) in constructors {
                let parameters = syntax.parameters.iter().chain(own).cloned().collect();
                self.add_guide(id, parameters, signature, path.clone());
            }
        }
        let known = self.templates.guides.entry(id).or_default();
        known.complete = true;
        known.list.iter().map(|&guide| Entity::Template(guide)).collect()
    }

    fn add_guide(
        &mut self,
        id: TemplateId,
        parameters: Vec<TemplateParameter>,
        signature: Arc<Signature>,
        result: Path,
    ) {
        let Declared { scope, name, .. } = self.templates.all[id.0 as usize];
        let span = result.span;
        let base = BaseType::Named(result);
        let specifiers = Specifiers { base, ..Specifiers::absent(span) };
        let declarator = Declarator {
            name: Some(Path::of(name, span)),
            parts: vec![DeclaratorPart::Function(signature)],
            span,
            ..Declarator::default()
        };
        let declarators = vec![InitDeclarator { declarator, init: Init::None, width: None }];
        let declaration = Decl::Simple(Arc::new(Simple { specifiers, declarators, span }));
        let syntax = Arc::new(Template { parameters, declaration, span });
        let guide = TemplateId(self.templates.all.len() as u32);
        self.templates.all.push(Declared {
            syntax,
            scope,
            name,
            prototype: None,
            full: FastMap::default(),
            specialisations: Vec::new(),
            members: Vec::new(),
        });
        self.templates.guides.entry(id).or_default().list.push(guide);
    }

    /// Declares a guide, `template <typename T> Pair(T, T) -> Pair<T>;`; false if the declaration is none.
    pub(in super::super) fn declare_guide(
        &mut self,
        parameters: &[TemplateParameter],
        simple: &Simple,
    ) -> bool {
        let ([one], BaseType::Absent) = (&simple.declarators[..], &simple.specifiers.base) else {
            return false;
        };
        let (Some(path), Some(signature)) = (&one.declarator.name, one.declarator.function())
        else {
            return false;
        };
        let Some(trailing) = &signature.trailing else { return false };
        let base = BaseType::Named(path.clone());
        let template = self.placeholder(&Specifiers { base, ..simple.specifiers.clone() });
        let (Some(id), BaseType::Named(result)) = (template, &trailing.specifiers.base) else {
            let name = self.path_text(path);
            self.error(
                path.span,
                format!("deduction guide for '{name}', which is no class template"),
            );
            return true;
        };
        let (signature, result) = (signature.only_parameters(), result.clone());
        self.add_guide(id, parameters.to_vec(), Arc::new(signature), result);
        true
    }

    /// The function of the library that makes an object of a class template without arguments: `tensor(pointer, sizes)` calls
    /// `__guide_tensor`, which is declared beside the template.
    fn guide(&mut self, specifiers: &Specifiers) -> Option<Path> {
        let BaseType::Named(path) = &specifiers.base else { return None };
        let id = self.placeholder(specifiers)?;
        let Declared { scope, name, .. } = self.templates.all[id.0 as usize];
        let guide = format!("__guide_{}", self.text(name));
        let guide = self.context.names.intern(&guide);
        if self.lookup_in(scope, guide).is_empty() {
            return None;
        }
        let mut path = path.clone();
        path.parts.last_mut()?.name = Label::Name(guide);
        Some(path)
    }
}

/// The guides of a class template so far, and whether those of its constructors are among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Guides {
    list: Vec<TemplateId>,
    complete: bool,
    /// How many the program declares, which are the first ones.
    declared: usize,
}

/// A constructor's own template parameters, and its parameters.
fn constructor(member: &Decl) -> Option<(&[TemplateParameter], Arc<Signature>)> {
    let (specifiers, declarator) = match member {
        Decl::Function(function) => (&function.specifiers, &function.declarator),
        Decl::Simple(simple) => (&simple.specifiers, &simple.declarators.first()?.declarator),
        Decl::Template(inner) => {
            let (_, signature) = constructor(&inner.declaration)?;
            return Some((&inner.parameters, signature));
        }
        _ => return None,
    };
    let named = matches!(declarator.name.as_ref()?.last().name, Label::Name(_));
    let is_one = named && matches!(specifiers.base, BaseType::Absent);
    let signature = declarator.function().filter(|_| is_one)?;
    Some((&[], Arc::new(signature.only_parameters())))
}

/// A template's own parameter as its argument.
fn as_argument(parameter: &TemplateParameter) -> Option<TemplateArgument> {
    let name = super::parameter_name(parameter)?;
    let (span, pack) = (Span::default(), parameter.is_pack());
    let path = Path::of(name, span);
    let argument = match parameter {
        TemplateParameter::Value { .. } => {
            TemplateArgument::Value(Expr::new(ExprKind::Path(path), span))
        }
        _ => {
            let base = BaseType::Named(path);
            let specifiers = Specifiers { base, ..Specifiers::absent(span) };
            let declarator = Declarator { span, ..Declarator::default() };
            TemplateArgument::Type(TypeName { specifiers, declarator, span })
        }
    };
    let mentioned = |name: Name| [name].into();
    Some(match pack {
        true => TemplateArgument::Expansion(Box::new(argument), mentioned(name)),
        false => argument,
    })
}
