//! The parameters of a class template's constructor as those of a function outside of the class, where the names of the class's member
//! types mean nothing: an alias is replaced by what it names, so that arguments are deduced from it, another one is a member of the instance.

use crate::soft::msl::ast::*;
use crate::soft::msl::names::Name;
use std::sync::Arc;

/// The parts of its class that a constructor may name.
pub(super) struct Inside<'a> {
    /// The members before it.
    pub(super) members: &'a [Decl],
    /// Its own template's parameters, which hide members.
    pub(super) hidden: Vec<Name>,
    /// The class, with its parameters as arguments.
    pub(super) class: &'a Path,
}

enum Member<'a> {
    Alias(&'a Specifiers, &'a Declarator),
    Nested,
}

impl Inside<'_> {
    /// A constructor's parameters, for use outside of the class.
    pub(super) fn parameters(&self, signature: &Signature) -> Signature {
        let mut signature = signature.only_parameters();
        for parameter in &mut signature.parameters {
            self.replace(&mut parameter.specifiers, &mut parameter.declarator);
        }
        signature
    }

    fn replace(&self, specifiers: &mut Specifiers, declarator: &mut Declarator) {
        for part in &mut declarator.parts {
            if let DeclaratorPart::Function(signature) = part {
                *signature = Arc::new(self.parameters(signature));
            }
        }
        let mut before = self.members.len();
        while let BaseType::Named(path) = &mut specifiers.base {
            path.parts.iter_mut().for_each(|part| self.replace_arguments(part));
            let Label::Name(name) = path.parts[0].name else { return };
            if path.global || self.hidden.contains(&name) {
                return;
            }
            let Some((at, member)) = self.member(name, before) else { return };
            match member {
                Member::Alias(target, parts) if path.plain().is_some() => {
                    apply(specifiers, declarator, target, parts);
                }
                _ => {
                    path.parts.splice(0..0, self.class.parts.iter().cloned());
                    return;
                }
            }
            // An alias sees the members before it.
            before = at;
        }
    }

    fn replace_arguments(&self, part: &mut PathPart) {
        let Some(arguments) = &part.arguments else { return };
        let replaced = arguments.iter().cloned().map(|mut argument| {
            if let TemplateArgument::Type(ty) = &mut argument {
                self.replace(&mut ty.specifiers, &mut ty.declarator);
            }
            argument
        });
        part.arguments = Some(replaced.collect());
    }

    /// The last type of this name among the first members, and its position.
    fn member(&self, name: Name, before: usize) -> Option<(usize, Member<'_>)> {
        let mut seen = self.members[..before].iter().enumerate().rev();
        seen.find_map(|(at, one)| Some((at, named(one, name)?)))
    }
}

/// The type that a declaration gives a name.
fn named(declaration: &Decl, name: Name) -> Option<Member<'_>> {
    match declaration {
        Decl::Alias { name: own, target } if own.name == name => {
            Some(Member::Alias(&target.specifiers, &target.declarator))
        }
        Decl::Template(inner) => named(&inner.declaration, name).map(|_| Member::Nested),
        Decl::Simple(simple) => {
            let plain = |path: &Option<Path>| path.as_ref().and_then(Path::plain) == Some(name);
            let nested = match &simple.specifiers.base {
                BaseType::Class(class) => plain(&class.name),
                BaseType::Enum(row) => row.name.is_some_and(|own| own.name == name),
                _ => false,
            };
            let defines = matches!(simple.specifiers.base, BaseType::Class(_) | BaseType::Enum(_));
            let one = simple.declarators.iter().find(|one| plain(&one.declarator.name));
            match one.filter(|_| simple.specifiers.storage.typedef) {
                _ if nested => Some(Member::Nested),
                Some(_) if defines => Some(Member::Nested),
                Some(one) => Some(Member::Alias(&simple.specifiers, &one.declarator)),
                None => None,
            }
        }
        _ => None,
    }
}

/// Replaces a name by the type that it is an alias of; the qualifiers beside the name are the whole type's.
fn apply(
    specifiers: &mut Specifiers,
    declarator: &mut Declarator,
    target: &Specifiers,
    alias: &Declarator,
) {
    let target = Specifiers { storage: specifiers.storage, ..target.clone() };
    let outer = std::mem::replace(specifiers, target);
    let mut parts = alias.parts.clone();
    match parts.last_mut() {
        None => {
            specifiers.constant |= outer.constant;
            specifiers.volatile |= outer.volatile;
            specifiers.space = outer.space.or(specifiers.space);
        }
        Some(DeclaratorPart::Pointer { constant, volatile, space, .. }) => {
            *constant |= outer.constant;
            *volatile |= outer.volatile;
            *space = outer.space.or(*space);
        }
        Some(_) => {}
    }
    parts.append(&mut declarator.parts);
    declarator.parts = parts;
    specifiers.attributes.extend(outer.attributes);
}
