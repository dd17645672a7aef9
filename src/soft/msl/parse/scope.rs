//! Scopes for the parser: to parse C++ it must distinguish names of types from names of values.

use crate::soft::ir::hash::{FastMap, hash_of};
use crate::soft::msl::names::Name;

/// The index of a scope.
pub(crate) type ScopeIndex = u32;

/// The kind of thing that a name denotes, as far as the grammar needs it. A type or namespace that has members
/// has their scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Type(Option<ScopeIndex>),
    ClassTemplate(Option<ScopeIndex>),
    /// A template of functions or variables: a `<` after it begins arguments.
    ValueTemplate,
    Namespace(ScopeIndex),
    Value,
}

#[derive(Debug, Default)]
struct Scope {
    names: FastMap<Name, Known>,
    parent: Option<ScopeIndex>,
    /// `using namespace`, and base classes.
    opened: Vec<ScopeIndex>,
    /// A block: names are declared in it only while it is the current scope.
    block: bool,
}

/// All scopes; the library is the outermost, and is the namespace `metal` too.
#[derive(Debug)]
pub(super) struct Scopes {
    all: Vec<Scope>,
    pub(super) current: ScopeIndex,
}

pub(super) const LIBRARY: ScopeIndex = 0;
pub(super) const GLOBAL: ScopeIndex = 1;
/// The member types of the library's classes: `simd_vote::vote_t`, `quad_vote::vote_t`.
pub(crate) const LIBRARY_MEMBERS: ScopeIndex = 2;

impl Scopes {
    pub(super) fn new(library: &FastMap<Name, Known>) -> Scopes {
        let library = Scope { names: library.clone(), ..Scope::default() };
        let global = Scope { parent: Some(LIBRARY), ..Scope::default() };
        let names = FastMap::from_iter([(Name::VOTE_T, Known::Type(None))]);
        let members = Scope { names, parent: Some(LIBRARY), ..Scope::default() };
        Scopes { all: vec![library, global, members], current: GLOBAL }
    }

    /// Opens a new scope in the current one.
    pub(super) fn push(&mut self) -> ScopeIndex {
        self.push_in(self.current, false)
    }

    /// Opens a block in the current scope. Blocks around it that declare nothing yet are not searched: a chain of
    /// `else if` nests thousands.
    pub(super) fn push_block(&mut self) {
        let mut parent = self.current;
        while let Scope { block: true, parent: Some(around), names, opened } =
            &self.all[parent as usize]
            && names.is_empty()
            && opened.is_empty()
        {
            parent = *around;
        }
        self.push_in(parent, true);
    }

    fn push_in(&mut self, parent: ScopeIndex, block: bool) -> ScopeIndex {
        self.all.push(Scope { parent: Some(parent), block, ..Scope::default() });
        self.current = self.all.len() as ScopeIndex - 1;
        self.current
    }

    pub(super) fn declare(&mut self, scope: ScopeIndex, name: Name, known: Known) {
        let names = &mut self.all[scope as usize].names;
        // `struct S; … struct S { … }`: the second one has the members.
        // A value does not hide a template of the same name: they are overloads.
        match (names.get(&name), known) {
            (Some(Known::Type(Some(_))), Known::Type(None))
            | (Some(Known::ClassTemplate(Some(_))), Known::ClassTemplate(None))
            | (Some(Known::ValueTemplate), Known::Value) => {}
            _ => {
                names.insert(name, known);
            }
        }
    }

    /// Declares a parameter or a local variable, which hides the name in outer scopes.
    pub(super) fn declare_here(&mut self, name: Name, known: Known) {
        let current = self.current;
        self.declare(current, name, known);
    }

    pub(super) fn open(&mut self, scope: ScopeIndex) {
        let current = self.current;
        let opened = &mut self.all[current as usize].opened;
        if scope != current && !opened.contains(&scope) {
            opened.push(scope);
        }
    }

    pub(super) fn lookup(&self, name: Name) -> Option<Known> {
        let hash = hash_of(&name);
        let all = &self.all[..];
        let mut scope = Some(self.current);
        let mut global = false;
        while let Some(index) = scope {
            if let Some(known) = self.find_in(index, name, hash) {
                return Some(known);
            }
            global |= index == GLOBAL;
            scope = all[index as usize].parent;
        }
        // In a program's `namespace metal` the global namespace is the enclosing one.
        if global { None } else { self.find_in(GLOBAL, name, hash) }
    }

    /// Qualified lookup: the scope itself, then the scopes that it opens, transitively.
    pub(super) fn lookup_in(&self, scope: ScopeIndex, name: Name) -> Option<Known> {
        self.find_in(scope, name, hash_of(&name))
    }

    fn find_in(&self, scope: ScopeIndex, name: Name, hash: u32) -> Option<Known> {
        let first = &self.all[scope as usize];
        if first.opened.is_empty() {
            return first.names.get_by_hash(&name, hash).copied();
        }
        let mut seen = vec![scope];
        let mut next = 0;
        while let Some(&index) = seen.get(next) {
            next += 1;
            let scope = &self.all[index as usize];
            if let Some(&known) = scope.names.get_by_hash(&name, hash) {
                return Some(known);
            }
            for &opened in &scope.opened {
                if !seen.contains(&opened) {
                    seen.push(opened);
                }
            }
        }
        None
    }
}
