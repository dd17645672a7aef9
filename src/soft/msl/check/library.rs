//! The built-in library for the checker: names, macros and the prelude, parsed once per process.

use crate::soft::ir::hash::FastMap;
use crate::soft::ir::sampler;
use crate::soft::msl::ast::{AddressSpace, BaseType, Decl, Function, Label, Path};
use crate::soft::msl::check::builtins::{Builtin, ROWS};
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::names::{Name, Names};
use crate::soft::msl::parse::{
    self,
    scope::{Known, LIBRARY_MEMBERS},
};
use crate::soft::msl::preprocess::{self, Context, Macros};
use crate::soft::msl::source::{SourceMap, Span};
use crate::soft::msl::texture::KINDS;
use crate::soft::msl::types::{OPAQUE_NAMES, OPAQUE_TEMPLATES, SCALAR_NAMES, library_type};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The state that every compilation starts from.
#[derive(Debug)]
pub(crate) struct Library {
    /// The names of the prelude and of the predefined macros; a compilation's table extends them.
    pub(crate) names: Arc<Names>,
    pub(crate) macros: Macros,
    /// The parser's scopes before the first token.
    pub(crate) known: FastMap<Name, Known>,
    /// The offset past the end of the prelude's text.
    pub(crate) end: u32,
    /// Ordinary declarations, by each name that they declare.
    ordinary: FastMap<Name, Vec<Decl>>,
    pub(crate) operators: Vec<Decl>,
    /// Generic bodies that use the letters of the table as types, by name.
    generic: HashMap<String, Vec<Arc<Function>>>,
    /// The letters T, S, B, I, U, N.
    pub(crate) letters: [(char, Name); 6],
}

impl Library {
    pub(crate) fn get() -> &'static Library {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        LIBRARY.get_or_init(Library::read)
    }

    fn read() -> Library {
        let mut names = Names::new();
        let macros = preprocess::predefined(&mut names);
        let mut known = type_names(&mut names);
        let mut context =
            Context { sources: SourceMap::default(), names, diagnostics: Diagnostics::default() };
        let text = include_str!("../library/prelude.metal");
        let declarations = match context.sources.add("<metal_stdlib>", text) {
            Some(file) => {
                let headers = HashMap::new();
                let tokens =
                    preprocess::preprocess(&mut context, Macros::default(), &headers, file);
                let letters = ["T", "S", "B", "I", "U", "N"].map(|text| context.names.intern(text));
                let mut inside = known.clone();
                inside.extend(letters.map(|letter| (letter, Known::Type(None))));
                parse::parse(&tokens, &context.names, &inside, &mut context.diagnostics)
            }
            None => Vec::new(),
        };
        debug_assert!(
            !context.diagnostics.has_errors(),
            "{}",
            context.diagnostics.render(&context.sources)
        );
        let is_generic = |name: &str| {
            ROWS.iter().any(|row| {
                row.builtin == Builtin::Prelude && row.names.split(' ').any(|found| found == name)
            })
        };
        let mut ordinary: FastMap<Name, Vec<Decl>> = FastMap::default();
        let mut generic: HashMap<String, Vec<Arc<Function>>> = HashMap::new();
        let mut operators = Vec::new();
        for declaration in declarations {
            match &declaration {
                Decl::Function(function) => {
                    let label = function.declarator.name.as_ref().map(|path| &path.last().name);
                    match label {
                        Some(Label::Name(name)) if is_generic(context.names.text(*name)) => {
                            let text = context.names.text(*name).to_string();
                            generic.entry(text).or_default().push(function.clone());
                        }
                        Some(Label::Name(name)) => {
                            ordinary.entry(*name).or_default().push(declaration.clone());
                        }
                        _ => operators.push(declaration.clone()),
                    }
                }
                Decl::Simple(simple) => {
                    let mut names = Vec::new();
                    match &simple.specifiers.base {
                        BaseType::Enum(row) => {
                            names.extend(row.name.map(|ident| ident.name));
                            if !row.scoped {
                                let items = row.items.iter().flatten();
                                names.extend(items.map(|(ident, _)| ident.name));
                            }
                        }
                        BaseType::Class(row) => {
                            names.extend(row.name.as_ref().and_then(|n| n.plain()))
                        }
                        // Types, or variables.
                        _ => {
                            let declared = simple.declarators.iter();
                            names.extend(
                                declared.filter_map(|d| d.declarator.name.as_ref()?.plain()),
                            );
                        }
                    }
                    for name in names {
                        let known_as = match &simple.specifiers.base {
                            BaseType::Enum(row) if row.name.is_none_or(|n| n.name != name) => {
                                Known::Value
                            }
                            BaseType::Class(_) => Known::Type(Some(LIBRARY_MEMBERS)),
                            BaseType::Enum(_) => Known::Type(None),
                            _ if simple.specifiers.storage.typedef => Known::Type(None),
                            _ => Known::Value,
                        };
                        known.insert(name, known_as);
                        ordinary.entry(name).or_default().push(declaration.clone());
                    }
                }
                Decl::Template(template) => {
                    let (name, kind) = match &template.declaration {
                        Decl::Alias { name, .. } => (Some(name.name), Known::ClassTemplate(None)),
                        Decl::Simple(simple) => {
                            match (&simple.specifiers.base, simple.declarators.first()) {
                                (BaseType::Class(class), None) => {
                                    let label = class.name.as_ref().map(|name| &name.last().name);
                                    let name = match label {
                                        Some(Label::Name(name)) => Some(*name),
                                        _ => None,
                                    };
                                    (name, Known::ClassTemplate(None))
                                }
                                (_, first) => {
                                    let name =
                                        first.and_then(|d| d.declarator.name.as_ref()?.plain());
                                    (name, Known::ValueTemplate)
                                }
                            }
                        }
                        Decl::Function(function) => {
                            let label =
                                function.declarator.name.as_ref().map(|path| &path.last().name);
                            if let Some(Label::Operator(_)) = label {
                                operators.push(declaration.clone());
                            }
                            let name = function.declarator.name.as_ref().and_then(Path::plain);
                            (name, Known::ValueTemplate)
                        }
                        _ => (None, Known::Value),
                    };
                    if let Some(name) = name {
                        known.insert(name, kind);
                        ordinary.entry(name).or_default().push(declaration.clone());
                    }
                }
                Decl::Alias { name, .. } => {
                    known.insert(name.name, Known::Type(None));
                    ordinary.entry(name.name).or_default().push(declaration.clone());
                }
                _ => {}
            }
        }
        let letters =
            ['T', 'S', 'B', 'I', 'U', 'N'].map(|c| (c, context.names.intern(&c.to_string())));
        let end = context.sources.end();
        let names = Arc::new(context.names);
        Library { names, macros, known, end, ordinary, operators, generic, letters }
    }

    /// Whether a span is in the program's own text, not in the library's.
    pub(crate) fn is_of_program(&self, span: Span) -> bool {
        span.lo >= self.end
    }

    pub(crate) fn declarations(&self, name: Name) -> Vec<Decl> {
        self.ordinary.get(&name).cloned().unwrap_or_default()
    }

    /// The body of a row: of its name, with the same number and letters of parameters.
    pub(crate) fn body(&self, name: &str, signature: &str) -> Option<Arc<Function>> {
        let list = self.generic.get(name)?;
        let fits = |function: &&Arc<Function>| {
            let Some(declared) = function.declarator.function() else { return false };
            let letters = signature.chars().skip(1);
            declared.parameters.len() == signature.len() - 1
                && declared.parameters.iter().zip(letters).all(|(parameter, letter)| {
                    let named = match &parameter.specifiers.base {
                        BaseType::Named(path) => path.plain(),
                        _ => None,
                    };
                    let text = named.map_or("", |name| self.names.text(name));
                    match letter {
                        'T' | 'S' => text.starts_with(letter),
                        't' => {
                            text == "T" && parameter.specifiers.space == Some(AddressSpace::Thread)
                        }
                        _ => true,
                    }
                })
        };
        list.iter().find(fits).cloned()
    }
}

/// All types that the library names, for the parser.
fn type_names(names: &mut Names) -> FastMap<Name, Known> {
    let mut known = FastMap::default();
    let mut add = |text: &str, kind: Known| {
        let name = names.intern(text);
        known.insert(name, kind);
    };
    let ty = Known::Type(None);
    for (scalar, _) in SCALAR_NAMES {
        add(scalar, ty);
        add(&format!("atomic_{scalar}"), ty);
        for width in 2..=4 {
            add(&format!("{scalar}{width}"), ty);
            add(&format!("packed_{scalar}{width}"), ty);
            for prefix in ["simd_", "simd_packed_", "vector_"] {
                add(&format!("{prefix}{scalar}{width}"), ty);
            }
            for rows in 2..=4 {
                let matrix = format!("{scalar}{width}x{rows}");
                if library_type(&matrix).is_some() {
                    add(&matrix, ty);
                    add(&format!("simd_{matrix}"), ty);
                    add(&format!("matrix_{matrix}"), ty);
                }
            }
        }
        add(&format!("simdgroup_{scalar}8x8"), ty);
    }
    for name in OPAQUE_NAMES.iter().chain(&["sampler"]) {
        add(name, ty);
    }
    // MSL 2.10: a sampler's options are named like enumerators.
    for name in sampler::options() {
        add(name, ty);
    }
    for kind in KINDS {
        add(kind.name, Known::ClassTemplate(None));
    }
    for name in OPAQUE_TEMPLATES {
        add(name, Known::ClassTemplate(None));
    }
    for name in ["vec", "packed_vec", "matrix", "atomic", "simdgroup_matrix"] {
        add(name, Known::ClassTemplate(None));
    }
    add("as_type", Known::ValueTemplate);
    known
}
