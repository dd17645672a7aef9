//! Overload resolution (C++14 over.match), and notes on rejected candidates.

use super::call::Candidate;
use super::convert::{Rank, Source};
use super::template::{Ignored, TemplateId};
use super::{Checker, FuncId};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::hir::Expr;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, space_name};
use std::cmp::Ordering;

/// The result of overload resolution, by index of the candidate.
pub(super) enum Choice {
    One(usize),
    None,
    Ambiguous(Vec<usize>),
}

/// A candidate that accepts the arguments.
struct Viable {
    index: usize,
    ranks: Vec<Rank>,
    /// Whether each argument is bound to a `&&` (true) or `&` (false).
    bound: Vec<Option<bool>>,
    func: Option<FuncId>,
}

/// Why a template is not a candidate, with the message of the error in its signature.
pub(super) type IgnoredTemplate = (TemplateId, (Ignored, Option<String>));

impl Checker {
    pub(super) fn parameters(&mut self, candidate: Candidate) -> (Vec<Qual>, usize) {
        match candidate {
            Candidate::Func(id) => {
                let func = self.func(id);
                let least = func.parameters.iter().take_while(|p| p.default.is_none()).count();
                (func.parameters.iter().map(|p| p.qual).collect(), least)
            }
            Candidate::Row(row, _, scalar, width, first) => {
                let letters = row.signature.chars().skip(1);
                let list: Vec<Qual> =
                    letters.map(|letter| self.letter_type(letter, scalar, width, first)).collect();
                let count = list.len();
                (list, count)
            }
            Candidate::Texture(call, ty) => self.texture_parameters(call, ty),
        }
    }

    pub(super) fn choose(&mut self, candidates: &[Candidate], sources: &[Source]) -> Choice {
        let mut viable: Vec<Viable> = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            if let Candidate::Func(id) = candidate
                && self.are_too_many(sources.len(), self.func(*id).parameters.len(), Some(*id))
            {
                continue;
            }
            let (parameters, least) = self.parameters(*candidate);
            let func = match candidate {
                Candidate::Func(id) => Some(*id),
                Candidate::Row(..) | Candidate::Texture(..) => None,
            };
            if sources.len() < least || func.is_none() && sources.len() > parameters.len() {
                continue;
            }
            if let Some(ranks) = self.ranks(sources, &parameters) {
                let bound = self.references_of(&parameters, sources.len());
                viable.push(Viable { index, ranks, bound, func });
            }
        }
        self.best(&viable)
    }

    /// Chooses among members (whose first operand is the object) and free functions.
    pub(super) fn choose_member(
        &mut self,
        members: &[FuncId],
        free: &[FuncId],
        all: &[Expr],
    ) -> Choice {
        let sources: Vec<Source> = all.iter().map(|expr| self.source(expr)).collect();
        let mut viable = Vec::new();
        for (index, &id) in members.iter().chain(free).enumerate() {
            let (parameters, least) = self.parameters(Candidate::Func(id));
            let member = index < members.len();
            let mut bound = match member {
                true => vec![self.func(id).signature.reference],
                false => Vec::new(),
            };
            let (mut ranks, rest) = match (member, self.func(id).this) {
                (true, Some(_)) if !self.takes_object(id, sources[0].place) => continue,
                (true, Some(this)) => match self.rank_object(all[0].qual, id, this) {
                    Some(rank) => (vec![rank], &sources[1..]),
                    None => continue,
                },
                (true, None) => (vec![Rank::Exact], &sources[1..]),
                (false, _) => (Vec::new(), &sources[..]),
            };
            if rest.len() < least || self.are_too_many(rest.len(), parameters.len(), Some(id)) {
                continue;
            }
            if let Some(others) = self.ranks(rest, &parameters) {
                ranks.extend(others);
                bound.extend(self.references_of(&parameters, rest.len()));
                viable.push(Viable { index, ranks, bound, func: Some(id) });
            }
        }
        self.best(&viable)
    }

    /// Whether there are more arguments than a function takes.
    fn are_too_many(&self, given: usize, parameters: usize, func: Option<FuncId>) -> bool {
        given > parameters && !func.is_some_and(|id| self.func(id).signature.variadic)
    }

    /// The conversions of arguments; those without a parameter are for `...`.
    fn ranks(&mut self, sources: &[Source], parameters: &[Qual]) -> Option<Vec<Rank>> {
        let own = sources.iter().zip(parameters);
        let own: Option<Vec<Rank>> = own.map(|(s, p)| self.rank(*s, *p)).collect();
        let mut all = own?;
        all.resize(sources.len(), Rank::Ellipsis);
        Some(all)
    }

    /// For each argument whether its parameter is a `&&` (true) or `&`.
    fn references_of(&self, parameters: &[Qual], given: usize) -> Vec<Option<bool>> {
        let one = |parameter: &Qual| match *self.types.get(parameter.ty) {
            Ty::Reference(_, rvalue) => Some(rvalue),
            _ => None,
        };
        let mut all: Vec<Option<bool>> = parameters.iter().take(given).map(one).collect();
        all.resize(given, None);
        all
    }

    /// Whether a member function takes an object that is an lvalue or not (over.match.funcs/5).
    pub(super) fn takes_object(&self, id: FuncId, place: bool) -> bool {
        let signature = &self.func(id).signature;
        match signature.reference {
            None => true,
            Some(true) => !place,
            Some(false) => place || signature.constant,
        }
    }

    /// How well an object fits a member function of its class or of a base.
    fn rank_object(
        &mut self,
        object: Qual,
        id: FuncId,
        this: (bool, Option<AddressSpace>),
    ) -> Option<Rank> {
        let rank = self.rank_this(object, this)?;
        let class = self.func(id).class.map(|class| self.types.intern(Ty::Struct(class)));
        // A function that a using-declaration names is a member of the class that has the declaration
        // ([over.match.funcs]/4).
        let class = class.filter(|&class| class != object.ty);
        let class = class.and_then(|class| self.introducer(object.ty, id).or(Some(class)));
        let base = class.filter(|&class| self.base_path(object.ty, class).is_some());
        Some(base.map_or(rank, |base| Rank::Base(base, rank > Rank::Exact)))
    }

    /// How well an object fits a member's `this` (over.match.funcs/4; MSL 4: the qualifier of a
    /// member function may be an address space). A member without one accepts any space.
    pub(super) fn rank_this(
        &self,
        object: Qual,
        this: (bool, Option<AddressSpace>),
    ) -> Option<Rank> {
        let (constant, space) = this;
        let object_constant = object.constant || object.space_or_thread() == AddressSpace::Constant;
        if object_constant && !constant {
            return None;
        }
        let qualified = if object_constant == constant { Rank::Exact } else { Rank::Qualified };
        match space {
            Some(space) if space != object.space_or_thread() => None,
            Some(_) => Some(qualified),
            None if object.space_or_thread() == AddressSpace::Thread => Some(qualified),
            None => Some(Rank::Conversion),
        }
    }

    /// over.match.best: a candidate is best when it is not worse in any argument than any
    /// other, and better in one.
    fn best(&mut self, viable: &[Viable]) -> Choice {
        let Some(mut champion) = viable.first() else { return Choice::None };
        for candidate in &viable[1..] {
            if self.better(candidate, champion) {
                champion = candidate;
            }
        }
        let rival = viable
            .iter()
            .any(|other| other.index != champion.index && !self.better(champion, other));
        match rival {
            false => Choice::One(champion.index),
            true => Choice::Ambiguous(viable.iter().map(|one| one.index).collect()),
        }
    }

    fn better(&mut self, a: &Viable, b: &Viable) -> bool {
        // If both are references to one value, `&&` is better ([over.ics.rank]/3); it does not bind to an lvalue.
        let bound = a.bound.iter().zip(&b.bound).map(|pair| match pair {
            (Some(a), Some(b)) => b.cmp(a),
            _ => Ordering::Equal,
        });
        let ranks = a.ranks.iter().zip(&b.ranks).map(|(&a, &b)| self.compare_ranks(a, b));
        let orders: Vec<Ordering> =
            ranks.zip(bound).map(|(rank, bound)| rank.then(bound)).collect();
        if orders.contains(&Ordering::Greater) {
            return false;
        }
        if orders.contains(&Ordering::Less) {
            return true;
        }
        // With equal conversions a function that is not from a template wins, then the more specialised template
        // ([over.match.best]/1).
        // Functions of the library's table count as templates, so a program's function for the same types
        // wins: Metal's library may have a template that excludes these types.
        let template = |one: &Viable| one.func.is_none_or(|id| self.func(id).made_from.is_some());
        let made_from = |one: &Viable| one.func.and_then(|id| self.func(id).made_from);
        match (template(a), template(b), made_from(a), made_from(b)) {
            (false, true, ..) => true,
            (true, true, Some(first), Some(second)) => {
                self.more_special_function(first, second, a.ranks.len())
            }
            _ => false,
        }
    }

    // ---- notes ---------------------------------------------------------------------------

    pub(super) fn no_match(&mut self, name: &str, span: Span) {
        self.error(span, format!("no matching function for call to '{name}'"));
    }

    /// A note at a user's function; the library's functions have no position to show.
    pub(super) fn note_candidate(&mut self, candidate: Candidate, arguments: &[Expr]) {
        if let Candidate::Func(id) = candidate {
            let sources: Vec<Source> = arguments.iter().map(|one| self.source(one)).collect();
            self.note(id, None, &sources);
        }
    }

    /// A note at a function that is as good as others.
    pub(super) fn note_function(&mut self, id: FuncId) {
        let span = self.func(id).span;
        if span.lo >= self.library.end {
            self.context.diagnostics.note(span, "candidate function");
        }
    }

    /// The same for a member function, whose object is the first of `all`.
    pub(super) fn note_member(&mut self, id: FuncId, all: &[Expr]) {
        let sources: Vec<Source> = all[1..].iter().map(|one| self.source(one)).collect();
        self.note(id, Some(all[0].qual), &sources);
    }

    fn note(&mut self, id: FuncId, object: Option<Qual>, sources: &[Source]) {
        let span = self.func(id).span;
        if span.lo < self.library.end {
            return;
        }
        let with = match self.instance_arguments(id) {
            Some(text) => format!(" [with {text}]"),
            None => String::new(),
        };
        let message = match self.not_viable(id, object, sources) {
            Some(reason) => format!("candidate function{with} not viable: {reason}"),
            None => format!("candidate function{with}"),
        };
        self.context.diagnostics.note(span, message);
    }

    /// Why a function does not accept these arguments, with clang's messages.
    fn not_viable(
        &mut self,
        id: FuncId,
        object: Option<Qual>,
        sources: &[Source],
    ) -> Option<String> {
        let (parameters, least) = self.parameters(Candidate::Func(id));
        let (most, given) = (parameters.len(), sources.len());
        if given < least || self.are_too_many(given, most, Some(id)) {
            let (bound, wanted) = match () {
                () if least == most => ("", most),
                () if given < least => ("at least ", least),
                () => ("at most ", most),
            };
            let s = if wanted == 1 { "" } else { "s" };
            let verb = if given == 1 { "was" } else { "were" };
            return Some(format!(
                "requires {bound}{wanted} argument{s}, but {given} {verb} provided"
            ));
        }
        if let (Some(object), Some(this)) = (object, self.func(id).this)
            && self.rank_this(object, this).is_none()
        {
            let name = self.types.qual_name(object);
            return Some(format!(
                "'this' argument has type '{name}', but the function does not take it"
            ));
        }
        let at = sources
            .iter()
            .zip(&parameters)
            .position(|(source, parameter)| self.rank(*source, *parameter).is_none())?;
        let nth = ordinal(at + 1);
        let (source, parameter) = (sources[at], parameters[at]);
        Some(match self.pointees(source.qual, parameter) {
            Some((from, to)) if from.space_or_thread() != to.space_or_thread() => format!(
                "cannot pass pointer to address space '{}' as a pointer to address space '{}' in {nth} argument",
                space_name(from.space_or_thread()),
                space_name(to.space_or_thread())
            ),
            Some((from, to)) if from.ty == to.ty && from.constant && !to.constant => {
                let name = self.types.qual_name(from);
                format!("{nth} argument ('{name}') would lose const qualifier")
            }
            _ if !source.place && self.requires_lvalue(parameter) => {
                format!("expects an lvalue for {nth} argument")
            }
            _ if source.place && matches!(self.types.get(parameter.ty), Ty::Reference(_, true)) => {
                format!("expects an rvalue for {nth} argument")
            }
            _ if source.list.is_some() => {
                let to = self.types.name(parameter.ty);
                format!("cannot convert initializer list argument to '{to}'")
            }
            _ => {
                let (from, to) =
                    (self.types.qual_name(source.qual), self.types.qual_name(parameter));
                format!("no known conversion from '{from}' to '{to}' for {nth} argument")
            }
        })
    }

    /// The types that an argument and its parameter point or refer to.
    fn pointees(&self, from: Qual, to: Qual) -> Option<(Qual, Qual)> {
        match (self.types.get(from.ty), self.types.get(to.ty)) {
            (Ty::Pointer(from), Ty::Pointer(to)) => Some((*from, *to)),
            (_, Ty::Reference(to, _)) if to.ty == from.ty => Some((from, *to)),
            _ => None,
        }
    }

    fn requires_lvalue(&self, parameter: Qual) -> bool {
        matches!(*self.types.get(parameter.ty), Ty::Reference(to, false) if !to.constant)
    }

    pub(super) fn note_ignored(&mut self, ignored: &[IgnoredTemplate], arguments: usize) {
        for (id, (reason, message)) in ignored {
            let span = self.template_span(*id);
            if span.lo < self.library.end {
                continue;
            }
            let text = self.ignored_text(*id, reason, message.as_deref(), arguments);
            self.context.diagnostics.note(span, text);
        }
    }
}

/// `1st`, `2nd`, `3rd`, `4th`
pub(super) fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, last) if last != 11 => "st",
        (2, last) if last != 12 => "nd",
        (3, last) if last != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
