//! MLX's functions of each element: unary, binary, of three arrays, copies between types, ranges; contiguous and by
//! strides.

use kernels::complex::{Complex, complex};
use kernels::elements::{Element, Value};
use kernels::layouts::Layout;
use kernels::mlx_metal::{Instance, sampled};
use kernels::run::{Kernels, Launch, Size};

/// A prime number of elements, so that vectors do not divide it.
const COUNT: usize = 37;
/// The shape of what is read by strides.
const SHAPE: [usize; 3] = [2, 5, 7];

/// Elements for a thread of the forms for vectors: as many as 8 bytes have.
fn vector(element: Element) -> usize {
    8 / element.size()
}

// ---- how forms address their arrays -----------------------------------------------------------

/// How a form of a kernel addresses one array of operands.
#[derive(Clone, Copy)]
enum Operand {
    Scalar,
    Contiguous,
    Strided(Layout),
}

impl Operand {
    fn at(self, index: usize) -> usize {
        match self {
            Self::Scalar => 0,
            Self::Contiguous => index,
            Self::Strided(layout) => layout.at(index),
        }
    }

    /// The elements of memory for `count` of the array.
    fn memory(self, count: usize) -> usize {
        match self {
            Self::Scalar => 1,
            Self::Contiguous => count,
            Self::Strided(layout) => layout.memory(),
        }
    }
}

/// How a form is launched.
struct Form {
    /// The elements of the result.
    count: usize,
    operands: Vec<Operand>,
    grid: Size,
    /// The arguments after the arrays: the size, or shape and strides.
    rest: Rest,
}

enum Rest {
    Nothing,
    /// As `uint`.
    Size,
    /// As `long`.
    LongSize,
    /// The strides of some last dimensions.
    Strides(usize),
    /// Shape, all strides, and the number of dimensions.
    Shape,
}

/// The form of a template's name and its arguments: `vs2` of `binary_vs2`. `each` elements are for one thread of the forms
/// whose name does not end in `2`, unless the arguments have a number.
fn form(instance: &Instance, arrays: usize, vector: usize) -> Form {
    let template = instance.template();
    let (_, kind) = template.split_once('_').unwrap_or_else(|| panic!("{template}"));
    let numbers: Vec<usize> = instance.arguments().iter().filter_map(|a| a.parse().ok()).collect();
    let layouts =
        [Layout::transposed(SHAPE), Layout::repeated(SHAPE), Layout::dense(SHAPE)].into_iter();
    if let Some(dims) = kind.strip_prefix("g_nd") {
        let dims: usize = dims.parse().unwrap_or_else(|_| panic!("{template}"));
        // The last dimensions only.
        let shape = [3, 2, 1].map(|d| if d > dims { 1 } else { SHAPE[3 - d] });
        let layouts =
            [Layout::transposed(shape), Layout::repeated(shape), Layout::dense(shape)].into_iter();
        let operands = layouts.take(arrays).map(Operand::Strided).collect();
        let grid = (shape[2], shape[1], shape[0]);
        return Form { count: shape.iter().product(), operands, grid, rest: Rest::Strides(dims) };
    }
    if kind == "g" {
        let each = numbers.first().copied().unwrap_or(1);
        let operands = layouts.take(arrays).map(Operand::Strided).collect();
        let grid = (SHAPE[2].div_ceil(each), SHAPE[1], SHAPE[0]);
        return Form { count: SHAPE.iter().product(), operands, grid, rest: Rest::Shape };
    }
    let operands = |letters: &str| -> Vec<Operand> {
        let of = |letter| if letter == 's' { Operand::Scalar } else { Operand::Contiguous };
        letters.chars().map(of).collect()
    };
    if kind == "ss" {
        let (count, grid) = (1, (1, 1, 1));
        return Form { count, operands: operands("ss"), grid, rest: Rest::Nothing };
    }
    match kind.strip_suffix('2') {
        Some(letters) => {
            // Rows of 5 threads. If a thread has one element, all of them have one.
            let (count, width) = if vector > 1 { (COUNT, 5) } else { (35, 5) };
            let grid = (width, count.div_ceil(width * vector), 1);
            Form { count, operands: operands(letters), grid, rest: Rest::LongSize }
        }
        None => {
            let each = numbers.first().copied().unwrap_or(vector);
            let grid = (COUNT.div_ceil(each), 1, 1);
            Form { count: COUNT, operands: operands(kind), grid, rest: Rest::Size }
        }
    }
}

impl Form {
    /// Adds what follows the arrays.
    fn rest<'a>(&self, mut launch: Launch<'a>) -> Launch<'a> {
        let strides = |dims: usize| {
            let of = |operand: &Operand| match operand {
                Operand::Strided(layout) => long(&layout.strides[3 - dims..]),
                _ => Vec::new(),
            };
            self.operands.iter().map(of).collect::<Vec<_>>()
        };
        match self.rest {
            Rest::Nothing => launch,
            Rest::Size => launch.words([self.count]),
            Rest::LongSize => launch.longs([self.count]),
            Rest::Strides(dims) => {
                for strides in strides(dims) {
                    launch = launch.bytes(&strides);
                }
                launch
            }
            Rest::Shape => {
                launch = launch.words(SHAPE);
                for strides in strides(3) {
                    launch = launch.bytes(&strides);
                }
                launch.words([3])
            }
        }
    }
}

fn long(values: &[usize]) -> Vec<u8> {
    values.iter().flat_map(|value| (*value as u64).to_le_bytes()).collect()
}

/// Some of the values, again and again.
fn cycled(values: &[Value], count: usize) -> Vec<Value> {
    values.iter().copied().cycle().take(count).collect()
}

/// A number in a type: the real part of a complex number, whose imaginary part depends on it.
fn value(element: Element, number: f64) -> Value {
    match element {
        Element::Complex => element.converted(Value::Complex(number, 0.75 - number / 2.0)),
        _ => element.converted(Value::Real(number)),
    }
}

// ---- unary ---------------------------------------------------------------------------------

/// Arguments at which a function is defined, not too steep, and not at a jump.
fn arguments(operation: &str, element: Element) -> Vec<Value> {
    let numbers: &[f64] = match (operation, element) {
        ("FromFP8", _) => {
            // All numbers of the format, without its NaNs.
            return (0..=255).filter(|code| code & 127 != 127).map(Value::Int).collect();
        }
        (_, Element::Bool) => &[0.0, 1.0],
        (_, Element::Int(_, false)) => &[0.0, 1.0, 2.0, 3.0, 7.0, 100.0],
        (_, Element::Int(_, true)) => &[-100.0, -7.0, -2.0, -1.0, 0.0, 1.0, 3.0, 7.0],
        ("ArcCos" | "ArcSin" | "ArcTanh" | "ErfInv", Element::Float(_)) => {
            &[-0.9, -0.5, -0.1, 0.0, 0.2, 0.6, 0.85]
        }
        ("ArcCosh" | "Log" | "Log2" | "Log10" | "Sqrt" | "Rsqrt", Element::Float(_)) => {
            &[1.25, 1.5, 2.0, 3.7, 9.0]
        }
        ("Log1p", Element::Float(_)) => &[-0.5, -0.1, 0.0, 0.3, 2.0, 9.0],
        ("ToFP8", _) => &[-300.0, -1.06, -0.003, 0.0, 0.001, 0.3, 1.2, 20.0, 447.0, 1000.0],
        _ => &[-2.75, -1.5, -0.6, -0.1, 0.0, 0.4, 0.5, 1.1, 2.5, 3.3],
    };
    let zero = matches!(operation, "Log" | "Log2" | "Log10" | "Rsqrt");
    let all = numbers.iter().map(|&number| value(element, number));
    all.filter(|value| !(zero && *value == Value::Complex(0.0, 0.0))).collect()
}

/// The error function, by its series at 0.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..120 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// Its inverse, by bisection.
fn erf_inverse(y: f64) -> f64 {
    let (mut low, mut high) = (-4.0, 4.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if erf(middle) < y { low = middle } else { high = middle }
    }
    low
}

/// The number of an 8-bit float with 4 bits of exponent.
fn fp8(code: i128) -> f64 {
    let (exponent, fraction) = ((code >> 3 & 15) as i32, (code & 7) as f64 / 8.0);
    let size = match exponent {
        0 => fraction * 2f64.powi(-6),
        _ => (1.0 + fraction) * 2f64.powi(exponent - 7),
    };
    if code & 128 == 0 { size } else { -size }
}

/// The code of the nearest such float.
fn to_fp8(x: f64) -> i128 {
    let size = x.abs();
    let distance = |code: &i128| (fp8(*code) - size).abs();
    let nearest = (0..127).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default();
    nearest | if x.is_sign_negative() { 128 } else { 0 }
}

fn unary_reference(operation: &str, x: Value) -> Value {
    match x {
        Value::Int(x) => match operation {
            "Abs" => Value::Int(x.abs()),
            "BitwiseInvert" => Value::Int(!x),
            "Ceil" | "Floor" => Value::Int(x),
            "LogicalNot" => Value::Int(i128::from(x == 0)),
            "Negative" => Value::Int(-x),
            "Sign" => Value::Int(x.signum()),
            "Square" => Value::Int(x * x),
            "FromFP8" => Value::Real(fp8(x)),
            _ => panic!("no reference for {operation} of integers"),
        },
        Value::Real(x) => Value::Real(match operation {
            "Abs" => x.abs(),
            "ArcCos" => x.acos(),
            "ArcCosh" => x.acosh(),
            "ArcSin" => x.asin(),
            "ArcSinh" => x.asinh(),
            "ArcTan" => x.atan(),
            "ArcTanh" => x.atanh(),
            "Ceil" => x.ceil(),
            "Cos" => x.cos(),
            "Cosh" => x.cosh(),
            "Erf" => erf(x),
            "ErfInv" => erf_inverse(x),
            "Exp" => x.exp(),
            "Expm1" => x.exp_m1(),
            "Floor" => x.floor(),
            "Log" => x.ln(),
            "Log1p" => x.ln_1p(),
            "Log2" => x.log2(),
            "Log10" => x.log10(),
            "Negative" => -x,
            "Round" => x.round_ties_even(),
            "Rsqrt" => 1.0 / x.sqrt(),
            "Sigmoid" => kernels::references::sigmoid(x),
            "Sign" if x == 0.0 => 0.0,
            "Sign" => x.signum(),
            "Sin" => x.sin(),
            "Sinh" => x.sinh(),
            "Sqrt" => x.sqrt(),
            "Square" => x * x,
            "Tan" => x.tan(),
            "Tanh" => x.tanh(),
            "ToFP8" => return Value::Int(to_fp8(x)),
            _ => panic!("no reference for {operation} of numbers"),
        }),
        Value::Complex(re, im) => {
            let x = complex(re, im);
            let scaled = |factor: f64| complex(x.re * factor, x.im * factor);
            let y = match operation {
                "Abs" => complex(x.abs(), 0.0),
                "ArcCos" => x.acos(),
                "ArcSin" => x.asin(),
                "ArcTan" => x.atan(),
                "Conjugate" => complex(re, -im),
                "Cos" => x.cos(),
                "Cosh" => x.cosh(),
                "Exp" => x.exp(),
                "Imag" => return Value::Real(im),
                "Log" => x.ln(),
                "Log1p" => (x + complex(1.0, 0.0)).ln(),
                "Log2" => x.ln() / complex(2f64.ln(), 0.0),
                "Log10" => x.ln() / complex(10f64.ln(), 0.0),
                "Negative" => -x,
                "Real" => return Value::Real(re),
                "Round" => complex(re.round_ties_even(), im.round_ties_even()),
                "Rsqrt" => complex(1.0, 0.0) / x.sqrt(),
                "Sign" => scaled(1.0 / x.abs()),
                "Sin" => x.sin(),
                "Sinh" => x.sinh(),
                "Sqrt" => x.sqrt(),
                "Square" => x * x,
                "Tan" => x.sin() / x.cos(),
                "Tanh" => x.sinh() / x.cosh(),
                _ => panic!("no reference for {operation} of complex numbers"),
            };
            Value::Complex(y.re, y.im)
        }
    }
}

#[test]
fn unary() {
    let key = |one: &Instance| format!("{} {}", one.template(), one.arguments()[2]);
    let (kernels, instances) = sampled("unary", key);
    for instance in instances {
        let [from, to, operation, ..] = instance.arguments()[..] else { panic!("{instance:?}") };
        let (from, to) = (Element::named(from), Element::named(to));
        let form = form(&instance, 1, vector(from));
        let operand = form.operands[0];
        let data = cycled(&arguments(operation, from), operand.memory(form.count));
        let launch = kernels.launch(&instance.name).bytes(&from.encode(&data));
        let launch = form.rest(launch.room(form.count * to.size()));
        let [found] = launch.grid(form.grid, (4, 2, 1), [1]);
        let expected: Vec<Value> = (0..form.count)
            .map(|at| to.converted(unary_reference(operation, data[operand.at(at)])))
            .collect();
        to.check(&instance.name, &found, &expected, 1e-5 + 2.0 * to.epsilon());
    }
}

// ---- binary ------------------------------------------------------------------------------------

/// Left and right operands: for all pairs of them the operation is defined, and no quotient is near a jump.
fn pairs(operation: &str, element: Element) -> (Vec<Value>, Vec<Value>) {
    // Imaginary parts have the quotients of real parts, apart from their signs.
    let one = |x: f64| match element {
        Element::Complex => element.converted(Value::Complex(x, 1.25 * x.abs())),
        _ => value(element, x),
    };
    let values = |numbers: &[f64]| numbers.iter().map(|&x| one(x)).collect::<Vec<_>>();
    let (left, right): (&[f64], &[f64]) = match (operation, element) {
        (_, Element::Bool) => match operation {
            "Divide" | "FloorDivide" | "Remainder" | "DivMod" => (&[0.0, 1.0], &[1.0]),
            _ => (&[0.0, 1.0, 1.0], &[0.0, 1.0]),
        },
        ("Power", Element::Int(..)) => (&[0.0, 1.0, 2.0, 3.0, 5.0], &[0.0, 1.0, 2.0, 3.0]),
        ("LeftShift" | "RightShift", _) => (&[0.0, 1.0, 5.0, 77.0, 100.0], &[0.0, 1.0, 3.0, 6.0]),
        (_, Element::Int(_, false)) => (&[0.0, 1.0, 2.0, 7.0, 100.0], &[1.0, 2.0, 3.0, 7.0]),
        (_, Element::Int(_, true)) => {
            (&[-100.0, -7.0, -1.0, 0.0, 2.0, 7.0], &[-7.0, -3.0, 1.0, 2.0])
        }
        ("Power", Element::Float(_)) => (&[0.3, 0.7, 1.3, 2.9], &[-1.1, 0.5, 1.7, 2.0]),
        _ => (&[-2.9, -1.3, -0.7, 0.7, 1.3, 2.9, 3.7], &[-2.3, -1.1, 1.1, 1.7, 2.3]),
    };
    let (mut left, mut right) = (values(left), values(right));
    // Comparisons meet equal operands, too.
    if is_test(operation) || matches!(operation, "Maximum" | "Minimum") {
        left.extend_from_slice(&right[..2]);
        if operation == "NaNEqual" {
            let nan = match element {
                Element::Complex => Value::Complex(f64::NAN, 1.0),
                _ => Value::Real(f64::NAN),
            };
            left.push(nan);
            right.push(nan);
        }
    }
    (left, right)
}

fn is_test(operation: &str) -> bool {
    matches!(
        operation,
        "Equal" | "NotEqual" | "NaNEqual" | "Less" | "LessEqual" | "Greater" | "GreaterEqual"
    )
}

fn truth(is: bool) -> Value {
    Value::Int(i128::from(is))
}

/// The result, before it is converted to the result's type.
fn binary_reference(operation: &str, x: Value, y: Value) -> Value {
    match (x, y) {
        (Value::Int(x), Value::Int(y)) => integers(operation, x, y),
        (Value::Real(x), Value::Real(y)) => numbers(operation, x, y),
        (Value::Complex(a, b), Value::Complex(c, d)) => {
            complex_numbers(operation, complex(a, b), complex(c, d))
        }
        _ => panic!("{operation} of {x:?} and {y:?}"),
    }
}

fn integers(operation: &str, x: i128, y: i128) -> Value {
    Value::Int(match operation {
        "Add" => x + y,
        "Subtract" => x - y,
        "Multiply" => x * y,
        "Divide" => x / y,
        "FloorDivide" => (x as f64 / y as f64).floor() as i128,
        "Remainder" => x - y * (x as f64 / y as f64).floor() as i128,
        "Maximum" => x.max(y),
        "Minimum" => x.min(y),
        "Power" => x.pow(y as u32),
        "LeftShift" => x << y,
        "RightShift" => x >> y,
        "BitwiseAnd" => x & y,
        "BitwiseOr" => x | y,
        "BitwiseXor" => x ^ y,
        "LogicalAnd" => i128::from(x != 0 && y != 0),
        "LogicalOr" => i128::from(x != 0 || y != 0),
        "Equal" | "NaNEqual" => i128::from(x == y),
        "NotEqual" => i128::from(x != y),
        "Less" => i128::from(x < y),
        "LessEqual" => i128::from(x <= y),
        "Greater" => i128::from(x > y),
        "GreaterEqual" => i128::from(x >= y),
        _ => panic!("no reference for {operation} of integers"),
    })
}

fn numbers(operation: &str, x: f64, y: f64) -> Value {
    Value::Real(match operation {
        "Add" => x + y,
        "Subtract" => x - y,
        "Multiply" => x * y,
        "Divide" => x / y,
        "FloorDivide" => (x / y).floor(),
        "Remainder" => x - y * (x / y).floor(),
        "Maximum" => x.max(y),
        "Minimum" => x.min(y),
        "Power" => x.powf(y),
        "ArcTan2" => x.atan2(y),
        "LogAddExp" => x.max(y) + (-(x - y).abs()).exp().ln_1p(),
        "Equal" => return truth(x == y),
        "NaNEqual" => return truth(x == y || x.is_nan() && y.is_nan()),
        "NotEqual" => return truth(x != y),
        "Less" => return truth(x < y),
        "LessEqual" => return truth(x <= y),
        "Greater" => return truth(x > y),
        "GreaterEqual" => return truth(x >= y),
        _ => panic!("no reference for {operation} of numbers"),
    })
}

/// MLX orders complex numbers by their real, then their imaginary parts, and takes remainders of each part.
fn complex_numbers(operation: &str, x: Complex, y: Complex) -> Value {
    let order = x.re.partial_cmp(&y.re).map(|order| order.then(x.im.total_cmp(&y.im)));
    let less = order.is_some_and(|order| order.is_lt());
    let greater = order.is_some_and(|order| order.is_gt());
    let part = |x: f64, y: f64| x - y * (x / y).floor();
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    let z = match operation {
        "Add" => x + y,
        "Subtract" => x - y,
        "Multiply" => x * y,
        "Divide" | "FloorDivide" => x / y,
        "Remainder" => complex(part(x.re, y.re), part(x.im, y.im)),
        "Maximum" => {
            if greater {
                x
            } else {
                y
            }
        }
        "Minimum" => {
            if less {
                x
            } else {
                y
            }
        }
        "Power" => (y * x.ln()).exp(),
        "LogAddExp" => {
            // The imaginary part is not reduced to the principal one.
            let (large, small) = if greater { (x, y) } else { (y, x) };
            large + (complex(1.0, 0.0) + (small - large).exp()).ln()
        }
        "Equal" => return truth(x == y),
        "NaNEqual" => return truth(same(x.re, y.re) && same(x.im, y.im)),
        "NotEqual" => return truth(x != y),
        "Less" => return truth(less),
        "LessEqual" => return truth(!greater && order.is_some()),
        "Greater" => return truth(greater),
        "GreaterEqual" => return truth(!less && order.is_some()),
        _ => panic!("no reference for {operation} of complex numbers"),
    };
    Value::Complex(z.re, z.im)
}

#[test]
fn binary() {
    let key = |one: &Instance| format!("{} {}", one.template(), one.arguments()[2]);
    let (kernels, instances) = sampled("binary", key);
    for instance in instances {
        run_binary(&kernels, &instance);
    }
}

#[test]
fn quotients_with_remainders() {
    let (kernels, instances) = sampled("binary_two", |one| one.template().to_owned());
    for instance in instances {
        run_binary(&kernels, &instance);
    }
}

fn run_binary(kernels: &Kernels, instance: &Instance) {
    let [from, to, operation, ..] = instance.arguments()[..] else { panic!("{instance:?}") };
    let (from, to) = (Element::named(from), Element::named(to));
    let form = form(instance, 2, vector(from));
    let [left, right] = form.operands[..] else { panic!("{instance:?}") };
    let (some, others) = pairs(operation, from);
    let (x, y) =
        (cycled(&some, left.memory(form.count)), cycled(&others, right.memory(form.count)));
    let room = form.count * to.size();
    let launch = kernels.launch(&instance.name).bytes(&from.encode(&x)).bytes(&from.encode(&y));
    let launch = launch.room(room);
    let check = |operation: &str, found: &[u8]| {
        let expected: Vec<Value> = (0..form.count)
            .map(|at| {
                let (x, y) = (x[left.at(at)], y[right.at(at)]);
                to.converted(binary_reference(operation, x, y))
            })
            .collect();
        to.check(&instance.name, found, &expected, 2e-5 + 4.0 * to.epsilon());
    };
    if operation == "DivMod" {
        let launch = form.rest(launch.room(room));
        let [quotients, remainders] = launch.grid(form.grid, (4, 2, 1), [2, 3]);
        check("FloorDivide", &quotients);
        check("Remainder", &remainders);
    } else {
        let [found] = form.rest(launch).grid(form.grid, (4, 2, 1), [2]);
        check(operation, &found);
    }
}

// ---- of three arrays, copies, ranges -----------------------------------------------------------

#[test]
fn selections() {
    let (kernels, instances) =
        sampled("ternary", |one| format!("{} {}", one.template(), one.arguments()[2..].join(" ")));
    for instance in instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let mut form = form(&instance, 3, vector(element));
        if form.operands.len() == 1 {
            // Of the condition; the others are scalars or not by the template's arguments.
            let operand = |scalar: &str| match scalar {
                "true" => Operand::Scalar,
                _ => Operand::Contiguous,
            };
            form.operands.extend([operand(arguments[2]), operand(arguments[3])]);
        }
        let [condition, left, right] = form.operands[..] else { panic!("{instance:?}") };
        let conditions: Vec<Value> = cycled(&[truth(true), truth(false), truth(false)], 200);
        let (some, others) = pairs("Add", element);
        let (x, y) =
            (cycled(&some, left.memory(form.count)), cycled(&others, right.memory(form.count)));
        let conditions = &conditions[..condition.memory(form.count)];
        let launch = kernels.launch(&instance.name).bytes(&Element::Bool.encode(conditions));
        let launch = launch.bytes(&element.encode(&x)).bytes(&element.encode(&y));
        let launch = form.rest(launch.room(form.count * element.size()));
        let [found] = launch.grid(form.grid, (4, 2, 1), [3]);
        let chosen = |at: usize| match conditions[condition.at(at)] {
            Value::Int(0) => y[right.at(at)],
            _ => x[left.at(at)],
        };
        let expected: Vec<Value> = (0..form.count).map(chosen).collect();
        element.check(&instance.name, &found, &expected, 0.0);
    }
}

#[test]
fn copies() {
    let key = |one: &Instance| {
        let arguments = one.arguments();
        format!("{} {} {}", one.template(), arguments[0], arguments[2..].join(" "))
    };
    let (kernels, instances) = sampled("copy", key);
    for instance in instances {
        let [from, to, ..] = instance.arguments()[..] else { panic!("{instance:?}") };
        let (from, to) = (Element::named(from), Element::named(to));
        // `gg` forms address the result by strides, too, and the dynamic ones both from an offset.
        let plain =
            instance.text.replace("copy_gg_dynamic", "copy_gg").replace("copy_gg", "copy_g");
        let both = instance.template().starts_with("copy_gg");
        let dynamic = instance.template().contains("dynamic");
        let plain = Instance { text: plain, ..instance.clone() };
        let form = form(&plain, 1, vector(to));
        let operand = form.operands[0];
        let target = match operand {
            Operand::Strided(layout) if both => {
                Operand::Strided(Layout { strides: layout.strides.map(|n| n * 2), ..layout })
            }
            _ => Operand::Contiguous,
        };
        let (source_offset, target_offset) = if dynamic { (3, 5) } else { (0, 0) };
        let numbers: &[f64] = match (from.is_signed(), to.is_signed()) {
            _ if from == Element::Bool => &[0.0, 1.0],
            // Results that a conversion leaves unspecified are not tested.
            (true, true) => &[-100.0, -2.0, 0.0, 1.0, 3.0, 77.0],
            _ => &[0.0, 1.0, 3.0, 77.0, 100.0],
        };
        let numbers: Vec<Value> = numbers.iter().map(|&x| value(from, x)).collect();
        let data = cycled(&numbers, operand.memory(form.count) + source_offset);
        let room = target.memory(form.count) + target_offset;
        let launch = kernels.launch(&instance.name).bytes(&from.encode(&data));
        let mut launch = launch.room(room * to.size());
        let strides = |operand: Operand, dims: usize| match operand {
            Operand::Strided(layout) => long(&layout.strides[3 - dims..]),
            _ => Vec::new(),
        };
        launch = match form.rest {
            Rest::Strides(dims) => launch.at(3).bytes(&strides(operand, dims)),
            Rest::Shape => launch.words(SHAPE).bytes(&strides(operand, 3)),
            _ => form.rest(launch),
        };
        if both {
            let dims = if let Rest::Strides(dims) = form.rest { dims } else { 3 };
            launch = launch.bytes(&strides(target, dims));
        }
        if matches!(form.rest, Rest::Shape) {
            launch = launch.at(5).words([3]);
        }
        if dynamic {
            launch = launch.at(6).longs([source_offset]).longs([target_offset]);
        }
        let [found] = launch.grid(form.grid, (4, 2, 1), [1]);
        let size = to.size();
        let written: Vec<u8> = (0..form.count)
            .flat_map(|at| {
                let start = (target.at(at) + target_offset) * size;
                found[start..start + size].to_vec()
            })
            .collect();
        let expected: Vec<Value> =
            (0..form.count).map(|at| to.converted(data[operand.at(at) + source_offset])).collect();
        to.check(&instance.name, &written, &expected, 0.0);
    }
}

#[test]
fn ranges() {
    let (kernels, instances) = sampled("arange", |one| one.name.clone());
    for instance in instances {
        let element = Element::named(instance.arguments()[0]);
        let (start, step) = (value(element, 2.0), value(element, 3.0));
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&[start]));
        let launch = launch.bytes(&element.encode(&[step])).room(COUNT * element.size());
        let [found] = launch.grid((COUNT, 1, 1), (8, 1, 1), [2]);
        let expected: Vec<Value> =
            (0..COUNT).map(|at| element.converted(Value::Real(2.0 + 3.0 * at as f64))).collect();
        element.check(&instance.name, &found, &expected, 0.0);
    }
}
