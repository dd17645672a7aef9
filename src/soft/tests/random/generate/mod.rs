//! Generates random programs without undefined behaviour: everything is initialised, indices are in bounds, loops
//! end, no divisor is zero, nothing is changed and read between two sequence points, and nothing depends on
//! the order of threads.

mod expr;
mod routine;
mod stmt;

use super::numbers::{convert, wrap};
use super::program::*;
use crate::soft::ir::Scalar;
use crate::test_random::Random;

const SCALARS: &[Scalar] = &[
    Scalar::I32,
    Scalar::U32,
    Scalar::F32,
    Scalar::I32,
    Scalar::F32,
    Scalar::I8,
    Scalar::U8,
    Scalar::I16,
    Scalar::U16,
    Scalar::I64,
    Scalar::U64,
    Scalar::F16,
    Scalar::BF16,
    Scalar::Bool,
];

/// The program for a seed.
pub(super) fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let together = random.chance(50);
    let group = random.pick(if together { &[32, 64, 96] } else { &[32, 48, 64] });
    let threads = if together { 2 * group } else { group + 1 + random.below(group) };
    let mut maker = Maker {
        random,
        structs: Vec::new(),
        functions: Vec::new(),
        tables: Vec::new(),
        buffers: Vec::new(),
        routine: Making::default(),
        together,
    };
    for _ in 0..2 {
        let scalar = maker.random.pick(SCALARS);
        let values = (0..8).map(|_| maker.bits(scalar)).collect();
        maker.tables.push((scalar, values));
        let scalar = maker.random.pick(&SCALARS[..13]);
        let values = (0..INPUTS).map(|_| maker.bits(scalar)).collect();
        maker.buffers.push((scalar, values));
    }
    maker.structure();
    maker.class_template();
    maker.class_with_conversions();
    maker.function_template();
    for _ in 0..1 + maker.random.below(3) {
        maker.function();
    }
    let kernel = maker.kernel();
    let Maker { structs, functions, tables, buffers, .. } = maker;
    Program { structs, functions, kernel, tables, buffers, threads, group }
}

/// A routine that is being generated.
#[derive(Default)]
struct Making {
    variables: Vec<Row>,
    /// By block.
    visible: Vec<Vec<Variable>>,
    /// Loop counters and constants.
    frozen: Vec<Variable>,
    result: Option<Type>,
    kernel: bool,
    /// Called by one thread at a time: no functions of the SIMD-group.
    alone: bool,
    loops: usize,
    switches: usize,
    /// All threads run the innermost loop alike: none leaves an iteration early.
    even: bool,
    /// All threads of the threadgroup are active here.
    uniform: bool,
    budget: usize,
}

struct Maker {
    random: Random,
    structs: Vec<Struct>,
    functions: Vec<Routine>,
    tables: Vec<(Scalar, Vec<u64>)>,
    buffers: Vec<(Scalar, Vec<u64>)>,
    routine: Making,
    /// The kernel has barriers and reads other threads' values: all threads stay to its end.
    together: bool,
}

impl Maker {
    fn scope(&self) -> Scope<'_> {
        Scope {
            structs: &self.structs,
            functions: &self.functions,
            variables: &self.routine.variables,
            arguments: None,
        }
    }

    fn begin(&mut self, budget: usize) {
        self.routine =
            Making { visible: vec![Vec::new()], budget, alone: true, ..Making::default() };
    }

    fn end(&mut self, body: Vec<Stmt>, parameters: usize) -> Routine {
        let made = std::mem::take(&mut self.routine);
        Routine {
            variables: made.variables,
            parameters,
            result: made.result,
            body,
            template: false,
            constant: false,
            alone: made.alone,
            beside: false,
        }
    }

    fn variable(&mut self, ty: Type, kind: Kind) -> Variable {
        self.routine.variables.push(Row { ty, kind });
        Variable(self.routine.variables.len() - 1)
    }

    fn show(&mut self, variable: Variable) {
        self.routine.visible.last_mut().expect("a block is open").push(variable);
    }

    /// Bits of a value: small numbers, large ones, the limits of the range.
    fn bits(&mut self, scalar: Scalar) -> u64 {
        if scalar.is_float() {
            let simple = [0.0f32, 1.0, -2.5, 0.125, 100.0, -0.75, 3.0, 65504.0, 1e-7];
            let value = match self.random.below(4) {
                0 => f32::from_bits(self.random.next() as u32 & 0xbfff_ffff),
                _ => self.random.pick(&simple),
            };
            return convert(Scalar::F32, scalar, value.to_bits().into());
        }
        match self.random.below(8) {
            0 => wrap(scalar, self.random.next().into()),
            1 => wrap(scalar, (1i128 << self.random.below(64)) - self.random.below(2) as i128),
            _ => wrap(scalar, self.random.below(20) as i128 - 6),
        }
    }

    fn literal(&mut self, scalar: Scalar) -> Expr {
        let bits = self.bits(scalar);
        Expr::Literal(scalar, bits)
    }

    fn arithmetic(&mut self) -> Type {
        let scalar = self.random.pick(SCALARS);
        let width = if self.random.chance(25) { 2 + self.random.below(3) } else { 1 };
        Type::of(scalar, width)
    }

    /// A place below a visible variable: of a type, or else of any arithmetic one.
    fn place(&mut self, want: Option<&Type>, written: bool, addressed: bool) -> Option<Place> {
        let all: Vec<Variable> = self.routine.visible.concat();
        let fitting: Vec<Variable> =
            all.into_iter().filter(|v| !written || !self.routine.frozen.contains(v)).collect();
        for _ in 0..6 {
            if fitting.is_empty() {
                break;
            }
            let mut place = Place::Variable(self.random.pick(&fitting));
            loop {
                let ty = self.scope().place(&place);
                if want == Some(&ty) {
                    return Some(place);
                }
                place = match ty {
                    Type::Struct(index, _) => {
                        let field = self.random.below(self.structs[index].fields.len());
                        Place::Field(Box::new(place), field)
                    }
                    Type::Array(_, count) if count.is_power_of_two() => {
                        let index = self.index();
                        Place::Element(Box::new(place), Box::new(index), count)
                    }
                    Type::Array(_, count) => {
                        let index = Expr::Literal(Scalar::I32, self.random.below(count) as u64);
                        Place::Below(Box::new(place), Box::new(index))
                    }
                    Type::Vector(_, width) if !addressed && self.random.chance(60) => {
                        let place = Box::new(place);
                        if width == 3 || self.random.chance(60) {
                            let mut picks: Vec<usize> = (0..width).collect();
                            for _ in 0..self.random.below(width) {
                                picks.remove(self.random.below(picks.len()));
                            }
                            if self.random.chance(50) {
                                picks.reverse();
                            }
                            return self.fits(Place::Swizzle(place, picks), want);
                        }
                        let index = self.index();
                        Place::Element(place, Box::new(index), width)
                    }
                    Type::Parameter | Type::ParameterArray => break,
                    Type::Scalar(_) | Type::Vector(..) if want.is_none() => return Some(place),
                    Type::Scalar(_) | Type::Vector(..) => break,
                };
            }
        }
        None
    }

    fn fits(&self, place: Place, want: Option<&Type>) -> Option<Place> {
        (want.is_none() || want == Some(&self.scope().place(&place))).then_some(place)
    }

    /// The index of an element; the printer masks it.
    fn index(&mut self) -> Expr {
        if self.random.chance(40) {
            return Expr::Literal(Scalar::I32, self.random.below(8) as u64);
        }
        let scalar = self.random.pick(&[Scalar::I32, Scalar::U32, Scalar::U8, Scalar::I16]);
        self.typed(&Type::Scalar(scalar), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_program() {
        let text = |seed| crate::soft::tests::random::print::print(&generate(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
