//! Class templates without arguments (C++17 over.match.class.deduct): the arguments follow from the values that make the object, by a
//! template of functions for each constructor, and by the guides that the program declares.

use super::super::convert::Source;
use super::super::lookup::Found;
use super::super::{Checker, Entity};
use super::member_type::Inside;
use super::{Declared, TemplateId, is_class};
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
        base: Qual,
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
        (Qual { constant: base.constant, volatile: base.volatile, ..Qual::plain(ty) }, value)
    }

    /// The type and the initial value of an object of a class template whose arguments follow from its initialiser.
    pub(in super::super) fn deduced_object(
        &mut self,
        id: TemplateId,
        specifiers: &Specifiers,
        init: &Init,
        span: Span,
    ) -> Option<(TyId, Option<hir::Expr>)> {
        if let Some(maker) = self.library_maker(specifiers) {
            let values = match init {
                Init::Direct(list) => list.as_slice(),
                Init::Copy(one) => std::slice::from_ref(one),
                _ => &[],
            };
            let values = self.arguments(values);
            let made = self.call_path(&maker, values, span);
            return Some((made.qual.ty, Some(made)));
        }
        self.refuse_newer("deduced template arguments of a class", span);
        let (init, sources) = self.checked_values(init);
        let ty = self.deduced_class(id, &init, &sources, span)?;
        Some((ty, self.initializer(Qual::plain(ty), &init, span)))
    }

    fn deduced_class(
        &mut self,
        id: TemplateId,
        init: &Init,
        sources: &[Source],
        span: Span,
    ) -> Option<TyId> {
        // An object of the template is copied.
        if let [one] = sources
            && self.templates.origins.get(&one.qual.ty).is_some_and(|origin| origin.0 == id)
        {
            return Some(one.qual.ty);
        }
        if sources.iter().any(|source| source.qual.ty == Types::UNKNOWN) {
            return None;
        }
        let name = self.text(self.templates.all[id.0 as usize].name);
        // `= value` takes no explicit ones; `= {…}` must not choose one ([over.match.class.deduct], [over.match.list]).
        let (copy, list) = match init {
            Init::Copy(one) => (true, matches!(one.kind, ExprKind::InitList(_))),
            _ => (false, false),
        };
        let Guides { declared, constructors } = self.guides(id);
        let constructors = constructors.unwrap_or_default();
        let fits = |guide: &&Guide| !guide.explicit || !copy || list;
        let entity = |guide: &Guide| Entity::Template(guide.id);
        let all = declared.iter().chain(&constructors).filter(fits);
        let guides: Vec<Entity> = all.clone().map(entity).collect();
        let explicit: Vec<Entity> = all.filter(|guide| guide.explicit).map(entity).collect();
        let declared: Vec<Entity> = declared.iter().filter(fits).map(entity).collect();
        let mut chosen = self.choose_constructor(&guides, sources);
        // Of equal ones, one that is no template is better, then one that the program declares ([over.match.best]).
        if let Err(rivals) = &chosen
            && !rivals.is_empty()
        {
            let plain = |entity: &&Entity| match entity {
                Entity::Template(id) => self.syntax_of(*id).parameters.is_empty(),
                _ => false,
            };
            let plain: Vec<Entity> = guides.iter().filter(plain).copied().collect();
            for better in [plain, declared] {
                // The rivals are all that fit, also those whose conversions are worse.
                if let Ok(one) = self.choose_constructor(&better, sources)
                    && rivals.iter().all(|&other| {
                        let both = [one, other].map(Entity::Function);
                        other == one || self.choose_constructor(&both, sources) != Ok(other)
                    })
                {
                    chosen = Ok(one);
                    break;
                }
            }
        }
        let guide = match chosen {
            Ok(guide) => guide,
            Err(rivals) => {
                let what = if rivals.is_empty() { "no viable" } else { "ambiguous" };
                let message = format!(
                    "{what} constructor or deduction guide for deduction of template arguments of '{name}'"
                );
                self.error(span, message);
                return None;
            }
        };
        let is_explicit = list
            && match self.choose_constructor(&explicit, sources) {
                Ok(one) => one == guide,
                Err(rivals) => rivals.contains(&guide),
            };
        if is_explicit {
            let message = format!(
                "class template argument deduction for '{name}' selected an explicit constructor or deduction guide \
                 for copy-list-initialization"
            );
            self.error(span, message);
            return None;
        }
        self.func(guide).result().map(|result| result.ty)
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
    fn guides(&mut self, id: TemplateId) -> Guides {
        let mut known = self.templates.guides.get(&id).cloned().unwrap_or_default();
        if known.constructors.is_none() {
            known.constructors = self.guides_of_constructors(id);
            self.templates.guides.insert(id, known.clone());
        }
        known
    }

    /// `None` before the class is defined.
    fn guides_of_constructors(&mut self, id: TemplateId) -> Option<Vec<Guide>> {
        let syntax = self.syntax_of(id);
        let name = self.templates.all[id.0 as usize].name;
        let Decl::Simple(simple) = &syntax.declaration else { return None };
        let BaseType::Class(class) = &simple.specifiers.base else { return None };
        let members = class.members.as_deref()?;
        let arguments: Option<Vec<TemplateArgument>> =
            syntax.parameters.iter().map(as_argument).collect();
        let Some(arguments) = arguments else { return Some(Vec::new()) };
        let mut path = Path::of(name, class.span);
        if let Some(part) = path.parts.last_mut() {
            part.arguments = Some(arguments.into());
        }
        let mut guides = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let Some((own, explicit, signature)) = constructor(member) else { continue };
            let hidden = own.iter().filter_map(super::parameter_name).collect();
            let inside = Inside { members: &members[..at], hidden, class: &path };
            let parameters = syntax.parameters.iter().chain(own).cloned().collect();
            let signature = inside.parameters(signature);
            guides.push(self.guide(id, parameters, signature, path.clone(), explicit));
        }
        if guides.is_empty() {
            let parameters = syntax.parameters.clone();
            guides.push(self.guide(id, parameters, Signature::empty(), path, false));
        }
        Some(guides)
    }

    fn guide(
        &mut self,
        id: TemplateId,
        parameters: Vec<TemplateParameter>,
        signature: Signature,
        result: Path,
        explicit: bool,
    ) -> Guide {
        let Declared { scope, name, .. } = self.templates.all[id.0 as usize];
        let span = result.span;
        let base = BaseType::Named(result);
        let specifiers = Specifiers { base, ..Specifiers::absent(span) };
        let declarator = Declarator {
            name: Some(Path::of(name, span)),
            parts: vec![DeclaratorPart::Function(Arc::new(signature))],
            span,
            ..Declarator::default()
        };
        let declarators = vec![InitDeclarator { declarator, init: Init::None, width: None }];
        let declaration = Decl::Simple(Arc::new(Simple { specifiers, declarators, span }));
        let syntax = Arc::new(Template { parameters, declaration, span });
        Guide { id: self.templates.add(syntax, scope, name), explicit }
    }

    /// Declares a guide, `template <typename T> Pair(T, T) -> Pair<T>;`. Returns whether the declaration is one.
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
        let name = self.path_text(path);
        let Some(id) = template else {
            let message = format!("deduction guide for '{name}', which is no class template");
            self.error(path.span, message);
            return true;
        };
        if self.templates.all[id.0 as usize].scope != self.scope {
            let message =
                format!("deduction guide must be declared in the same scope as template '{name}'");
            self.error(path.span, message);
            return true;
        }
        // [temp.deduct.guide]/3
        let TypeName { specifiers, declarator, span } = trailing;
        let plain = declarator.parts.is_empty()
            && !specifiers.constant
            && !specifiers.volatile
            && specifiers.space.is_none();
        let result = match &specifiers.base {
            BaseType::Named(result) if plain && result.last().arguments.is_some() => {
                self.templates_named(result).contains(&id).then(|| result.clone())
            }
            _ => None,
        };
        let Some(result) = result else {
            let message = format!(
                "deduced type of deduction guide is not written as a specialization of template '{name}'"
            );
            self.error(*span, message);
            return true;
        };
        let (parameters, own) = (parameters.to_vec(), signature.only_parameters());
        let explicit = simple.specifiers.storage.explicit;
        let guide = self.guide(id, parameters, own, result, explicit);
        self.templates.guides.entry(id).or_default().declared.push(guide);
        true
    }

    /// The function of the library that makes an object of a class template without arguments: `tensor(pointer, sizes)` calls
    /// `__guide_tensor`, which is declared beside the template.
    fn library_maker(&mut self, specifiers: &Specifiers) -> Option<Path> {
        let BaseType::Named(path) = &specifiers.base else { return None };
        let id = self.placeholder(specifiers)?;
        let Declared { scope, name, .. } = self.templates.all[id.0 as usize];
        let maker = format!("__guide_{}", self.text(name));
        let maker = self.context.names.intern(&maker);
        if self.lookup_in(scope, maker).is_empty() {
            return None;
        }
        let mut path = path.clone();
        path.parts.last_mut()?.name = Label::Name(maker);
        Some(path)
    }
}

/// A template of functions whose result is the class, for deduction alone.
#[derive(Clone, Copy, Debug)]
struct Guide {
    id: TemplateId,
    explicit: bool,
}

/// The guides of a class template.
#[derive(Clone, Debug, Default)]
pub(super) struct Guides {
    /// Those that the program declares so far.
    declared: Vec<Guide>,
    /// Those of its constructors, once they are known.
    constructors: Option<Vec<Guide>>,
}

/// A constructor's own template parameters, whether it is explicit, and its parameters.
fn constructor(member: &Decl) -> Option<(&[TemplateParameter], bool, &Signature)> {
    let (specifiers, declarator) = match member {
        Decl::Function(function) => (&function.specifiers, &function.declarator),
        Decl::Simple(simple) => (&simple.specifiers, &simple.declarators.first()?.declarator),
        Decl::Template(inner) => {
            let (_, explicit, signature) = constructor(&inner.declaration)?;
            return Some((&inner.parameters, explicit, signature));
        }
        _ => return None,
    };
    let named = matches!(declarator.name.as_ref()?.last().name, Label::Name(_));
    let is_one = named && matches!(specifiers.base, BaseType::Absent);
    let signature = declarator.function().filter(|_| is_one)?;
    Some((&[], specifiers.storage.explicit, signature))
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
