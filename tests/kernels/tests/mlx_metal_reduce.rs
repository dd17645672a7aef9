//! MLX's reductions: of everything, of rows and of columns, in all forms.

use kernels::complex::complex;
use kernels::elements::{Element, Value};
use kernels::mlx_metal::{Instance, sampled};
use kernels::numbers::noise;
use kernels::run::{Kernels, Launch};

/// One reduction: its kernel's types and operation.
struct Reduction {
    from: Element,
    to: Element,
    operation: String,
    /// Dimensions, and the sizes of a tile.
    numbers: Vec<usize>,
}

impl Reduction {
    fn of(instance: &Instance) -> Self {
        let arguments = instance.arguments();
        let at = arguments.iter().position(|text| text.contains('<'));
        let at = at.unwrap_or_else(|| panic!("{instance:?}"));
        let (operation, _) = arguments[at].split_once('<').unwrap_or_default();
        Self {
            from: Element::named(arguments[0]),
            to: Element::named(arguments[at - 1]),
            operation: operation.to_owned(),
            numbers: arguments[at..].iter().filter_map(|text| text.parse().ok()).collect(),
        }
    }

    /// The result of no elements.
    fn neutral(&self) -> Value {
        let limit = |positive: bool| match self.to {
            Element::Bool => Value::Int(i128::from(positive)),
            Element::Int(bits, true) => {
                Value::Int(if positive { (1 << (bits - 1)) - 1 } else { -(1 << (bits - 1)) })
            }
            Element::Int(bits, false) => Value::Int(if positive { (1 << bits) - 1 } else { 0 }),
            Element::Float(_) | Element::Complex => {
                let infinity = if positive { f64::INFINITY } else { f64::NEG_INFINITY };
                match self.to {
                    Element::Complex => Value::Complex(infinity, infinity),
                    _ => Value::Real(infinity),
                }
            }
        };
        match &*self.operation {
            "And" => Value::Int(1),
            "Or" => Value::Int(0),
            "Sum" => self.to.converted(Value::Real(0.0)),
            "Prod" => self.to.converted(Value::Real(1.0)),
            "Min" => limit(true),
            _ => limit(false),
        }
    }

    fn step(&self, sum: Value, x: Value) -> Value {
        let less = |left: Value, right: Value| match (left, right) {
            (Value::Int(a), Value::Int(b)) => a < b,
            (Value::Real(a), Value::Real(b)) => a < b,
            (Value::Complex(a, b), Value::Complex(c, d)) => a < c || a == c && b < d,
            _ => panic!("{left:?} and {right:?}"),
        };
        match (&*self.operation, sum, x) {
            ("Min", ..) => {
                if less(x, sum) {
                    x
                } else {
                    sum
                }
            }
            ("Max", ..) => {
                if less(sum, x) {
                    x
                } else {
                    sum
                }
            }
            ("And", Value::Int(a), Value::Int(b)) => Value::Int(a & b),
            ("Or", Value::Int(a), Value::Int(b)) => Value::Int(a | b),
            ("Sum", Value::Int(a), Value::Int(b)) => self.to.of(a + b),
            ("Prod", Value::Int(a), Value::Int(b)) => self.to.of(a * b),
            ("Sum", Value::Real(a), Value::Real(b)) => Value::Real(a + b),
            ("Prod", Value::Real(a), Value::Real(b)) => Value::Real(a * b),
            (operation, Value::Complex(a, b), Value::Complex(c, d)) => {
                let (x, y) = (complex(a, b), complex(c, d));
                let z = if operation == "Sum" { x + y } else { x * y };
                Value::Complex(z.re, z.im)
            }
            (operation, ..) => panic!("{operation} of {sum:?} and {x:?}"),
        }
    }

    /// The result of some elements.
    fn result(&self, values: impl Iterator<Item = Value>) -> Value {
        let sum = values.fold(self.neutral(), |sum, x| self.step(sum, self.to.converted(x)));
        self.to.converted(sum)
    }

    /// Elements: of a truth mostly such that it decides nothing, of a product near 1 or of absolute value 1.
    fn data(&self, count: usize) -> Vec<Value> {
        let element = self.from;
        let one = |bits: u64| match (&*self.operation, element) {
            ("And", _) => element.converted(Value::Int(i128::from(!bits.is_multiple_of(97)))),
            ("Or", _) => element.converted(Value::Int(i128::from(bits.is_multiple_of(97)))),
            ("Prod", Element::Float(_)) => {
                element.converted(Value::Real(1.0 + ((bits % 9) as f64 - 4.0) / 256.0))
            }
            ("Prod", Element::Complex) => {
                let angle = (bits % 63) as f64 / 10.0;
                element.converted(Value::Complex(angle.cos(), angle.sin()))
            }
            (_, Element::Bool) => Value::Int(i128::from(bits % 2)),
            (_, Element::Int(_, signed)) => {
                element.of(i128::from(bits % 101) - if signed { 50 } else { 0 })
            }
            (_, Element::Float(_)) => {
                element.converted(Value::Real((bits % 4001) as f64 / 1000.0 - 2.0))
            }
            (_, Element::Complex) => {
                let part = |bits: u64| (bits % 41) as f64 / 10.0 - 2.0;
                element.converted(Value::Complex(part(bits), part(bits >> 8)))
            }
        };
        noise(7).take(count).map(one).collect()
    }

    /// Sums are of the type itself, in any order.
    fn check(&self, what: &str, found: &[u8], expected: &[Value], terms: usize) {
        let tolerance = match &*self.operation {
            "Sum" | "Prod" => terms as f64 * self.to.epsilon(),
            _ => 0.0,
        };
        self.to.check(what, found, expected, tolerance);
    }
}

/// Dimensions whose product is `count`: one, two, or three where the template takes any number.
fn dimensions(count: usize, form: usize) -> Vec<usize> {
    let factor = |count: usize| (2..=count).find(|by| count.is_multiple_of(*by)).unwrap_or(1);
    match form {
        1 => vec![count],
        2 => vec![factor(count), count / factor(count)],
        _ => {
            let (first, rest) = (factor(count), count / factor(count));
            vec![first, factor(rest), rest / factor(rest)]
        }
    }
}

fn ints(values: &[usize]) -> Vec<u8> {
    values.iter().flat_map(|value| (*value as u32).to_le_bytes()).collect()
}

fn longs(values: &[usize]) -> Vec<u8> {
    values.iter().flat_map(|value| (*value as u64).to_le_bytes()).collect()
}

/// Adds the outputs' shape and the reduced dimensions, in dense memory: `outputs` blocks of `rows` rows of `row` elements.
fn shaped<'a>(
    launch: Launch<'a>,
    outputs: usize,
    rows: usize,
    row: usize,
    form: usize,
) -> Launch<'a> {
    let dims = dimensions(rows, form);
    let mut strides = vec![row; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at] * dims[at];
    }
    let launch = launch.words([outputs]).longs([rows * row]).words([1]);
    launch.bytes(&ints(&dims)).bytes(&longs(&strides)).words([dims.len()])
}

const OUTPUTS: usize = 3;

#[test]
fn reductions() {
    let (kernels, instances) = sampled("reduce", |one| {
        let reduction = Reduction::of(one);
        let large = one.arguments().contains(&"size_t");
        format!("{} {} {:?} {large}", one.template(), reduction.operation, reduction.numbers)
    });
    for instance in instances {
        let reduction = Reduction::of(&instance);
        match instance.template() {
            "init_reduce" => start(&kernels, &instance, &reduction),
            "all_reduce" => all(&kernels, &instance, &reduction),
            "row_reduce_simple" => rows(&kernels, &instance, &reduction),
            "row_reduce_small" | "row_reduce_looped" => {
                rows_of_blocks(&kernels, &instance, &reduction);
            }
            _ => columns(&kernels, &instance, &reduction),
        }
    }
}

fn start(kernels: &Kernels, instance: &Instance, reduction: &Reduction) {
    let launch = kernels.launch(&instance.name).room(15 * reduction.to.size());
    let [found] = launch.grid((5, 3, 1), (4, 2, 1), [0]);
    reduction.to.check(&instance.name, &found, &[reduction.neutral(); 15], 0.0);
}

/// Two threadgroups reduce a part each.
fn all(kernels: &Kernels, instance: &Instance, reduction: &Reduction) {
    let (count, part) = (1003, 512);
    let data = reduction.data(count);
    let launch = kernels.launch(&instance.name).bytes(&reduction.from.encode(&data));
    let launch = launch.room(2 * reduction.to.size()).longs([count]).longs([part]);
    let found = launch.groups((1, 2, 1), (64, 1, 1), 1);
    let expected: Vec<Value> =
        data.chunks(part).map(|part| reduction.result(part.iter().copied())).collect();
    reduction.check(&instance.name, &found, &expected, part);
}

/// Four rows a threadgroup; the last one's overlap those before.
fn rows(kernels: &Kernels, instance: &Instance, reduction: &Reduction) {
    let (outputs, row) = (6, 301);
    let data = reduction.data(outputs * row);
    let launch = kernels.launch(&instance.name).bytes(&reduction.from.encode(&data));
    let launch = launch.room(outputs * reduction.to.size()).longs([row]).longs([outputs]);
    let found = launch.groups((1, 2, 1), (64, 1, 1), 1);
    let expected: Vec<Value> =
        data.chunks(row).map(|row| reduction.result(row.iter().copied())).collect();
    reduction.check(&instance.name, &found, &expected, row);
}

fn rows_of_blocks(kernels: &Kernels, instance: &Instance, reduction: &Reduction) {
    let form = reduction.numbers[0];
    let small = instance.template() == "row_reduce_small";
    // Up to 8 rows are for one thread in the small form, more of them for a SIMD-group.
    let (count, row) = if form > 2 { (12, 37) } else { (6, 301) };
    let data = reduction.data(OUTPUTS * count * row);
    let launch = kernels.launch(&instance.name).bytes(&reduction.from.encode(&data));
    let launch = launch.room(OUTPUTS * reduction.to.size()).longs([row]).longs([count]);
    let launch = shaped(launch, OUTPUTS, count, row, form);
    let [found] = match (small, count <= 8) {
        (true, true) => launch.grid((OUTPUTS, 1, 1), (2, 1, 1), [1]),
        (true, false) => launch.results((1, OUTPUTS, 1), (32, 1, 1), [1]),
        _ => launch.results((1, OUTPUTS, 1), (64, 1, 1), [1]),
    };
    let expected: Vec<Value> =
        data.chunks(count * row).map(|block| reduction.result(block.iter().copied())).collect();
    reduction.check(&instance.name, &found, &expected, count * row);
}

/// Each column of blocks of rows. Some forms reduce a part of the rows only, by threadgroup.
fn columns(kernels: &Kernels, instance: &Instance, reduction: &Reduction) {
    let form = reduction.numbers[0];
    let (count, columns) = match instance.template() {
        "col_reduce_longcolumn" => (70, 13),
        _ => (70, 45),
    };
    let data = reduction.data(OUTPUTS * count * columns);
    // The parts, and the part that reduces a row.
    type Part = fn(usize) -> usize;
    let (parts, part): (usize, Part) = match instance.template() {
        "col_reduce_longcolumn" => (2, |row| row / 4 % 2),
        "col_reduce_2pass" => (32, |row| row / 32 % 32),
        _ => (1, |_| 0),
    };
    let outputs = parts * OUTPUTS * columns;
    let launch = kernels.launch(&instance.name).bytes(&reduction.from.encode(&data));
    let launch = launch.room(outputs * reduction.to.size()).longs([count]).longs([columns]);
    // The rows are those of the reduced axis, alone.
    let launch = shaped(launch, OUTPUTS, count, columns, form).longs([1]);
    let tile = reduction.numbers.get(2).copied().unwrap_or(1);
    let across = columns.div_ceil(tile);
    let found = match instance.template() {
        "col_reduce_small" => launch.groups((2, OUTPUTS, 1), (8, 4, 1), 1),
        "col_reduce_longcolumn" => {
            let launch = launch.longs([OUTPUTS * columns]);
            launch.groups((OUTPUTS, 1, parts), (columns, 4, 1), 1)
        }
        "col_reduce_looped" => launch.longs([0]).groups((across, OUTPUTS, 1), (256, 1, 1), 1),
        "col_reduce_2pass" => {
            let launch = launch.longs([0]).longs([OUTPUTS]);
            launch.groups((across, parts * OUTPUTS, 1), (256, 1, 1), 1)
        }
        other => panic!("no reference for {other}"),
    };
    let mut expected = Vec::new();
    for at in 0..parts {
        for block in data.chunks(count * columns) {
            for column in 0..columns {
                let rows = (0..count).filter(|row| part(*row) == at);
                expected.push(reduction.result(rows.map(|row| block[row * columns + column])));
            }
        }
    }
    reduction.check(&instance.name, &found, &expected, count);
}
