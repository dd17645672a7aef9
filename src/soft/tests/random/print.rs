//! Prints a random program as MSL source.

use super::program::*;
use crate::soft::ir::Scalar;
use std::fmt::Write;

/// The C++ name of a type.
pub(super) fn word(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::I8 => "char",
        Scalar::U8 => "uchar",
        Scalar::I16 => "short",
        Scalar::U16 => "ushort",
        Scalar::I32 => "int",
        Scalar::U32 => "uint",
        Scalar::I64 => "long",
        Scalar::U64 => "ulong",
        Scalar::F16 => "half",
        Scalar::BF16 => "bfloat",
        Scalar::F32 => "float",
    }
}

/// Writes a value's bits to the output: every NaN as the same bits, since its payload is unspecified. No other
/// number gets the sign of one.
const HEAD: &str = "#include <metal_stdlib>
using namespace metal;
template <typename T> ulong bits(T x) { return ulong(x); }
template <> ulong bits<float>(float x) { return isnan(x) ? 0x7fc00000u : as_type<uint>(x); }
template <> ulong bits<half>(half x) { return bits(float(x)); }
template <> ulong bits<bfloat>(bfloat x) { return bits(float(x)); }
template <typename T> T copysign_of(T x, T y) { return copysign(x, select(y, T(1), isnan(y))); }
";

/// The text of a program; its kernel is `k`.
pub(super) fn print(program: &Program) -> String {
    let mut out = HEAD.to_owned();
    let functions = &program.functions;
    for (index, (scalar, values)) in program.tables.iter().enumerate() {
        let values: Vec<String> = values.iter().map(|&bits| literal(*scalar, bits)).collect();
        let (word, count) = (word(*scalar), values.len());
        let _ = writeln!(out, "constant {word} table{index}[{count}] = {{{}}};", values.join(", "));
    }
    for (index, structure) in program.structs.iter().enumerate() {
        if structure.template {
            out += "template <typename T, int N> ";
        }
        let namespace = if index == NAMED { "namespace n { " } else { "" };
        let _ = writeln!(out, "{namespace}struct S{index} {{");
        for (number, ty) in structure.fields.iter().enumerate() {
            let _ = writeln!(out, "    {};", declarator(ty, &format!("f{number}")));
        }
        for (number, method) in structure.methods.iter().enumerate() {
            Printer { functions, routine: method, out: &mut out, depth: 1 }
                .routine(&format!("m{number}"));
        }
        if let Some(conversions) = &structure.conversions {
            let mut printer =
                Printer { functions, routine: &conversions.from, out: &mut out, depth: 1 };
            let zeros: Vec<String> = structure.fields.iter().enumerate().map(zero).collect();
            let head = format!("S{index}({}) : {}", printer.parameters(), zeros.join(", "));
            printer.definition(&head);
            printer.routine = &conversions.to;
            let result = conversions.to.result.as_ref().map_or(String::new(), type_text);
            printer.definition(&format!("operator {result}() const"));
            printer.routine = &conversions.member;
            let parameters = printer.parameters();
            printer.definition(&format!("template <typename T> T pick({parameters}) const"));
        }
        out += if index == NAMED { "}; }\n" } else { "};\n" };
    }
    for (index, function) in program.functions.iter().enumerate() {
        if function.beside {
            out += "namespace n {\n";
        }
        Printer { functions, routine: function, out: &mut out, depth: 0 }
            .routine(&format!("g{index}"));
        if function.beside {
            out += "}\n";
        }
    }
    out +=
        "kernel void k(device ulong* out [[buffer(0)]], device atomic_uint* counters [[buffer(1)]]";
    for (index, (scalar, _)) in program.buffers.iter().enumerate() {
        let _ =
            write!(out, ", device const {}* in{index} [[buffer({})]]", word(*scalar), index + 2);
    }
    for input in Input::ALL {
        let (name, attribute) = input.text();
        let _ = write!(out, ", uint {name} [[{attribute}]]");
    }
    out += ", uint count [[threads_per_threadgroup]]) {\n";
    let _ = writeln!(out, "    threadgroup ulong shared[{}];", program.group);
    let mut printer = Printer { functions, routine: &program.kernel, out: &mut out, depth: 1 };
    printer.block(&program.kernel.body);
    out += "}\n";
    out
}

/// A variable of a type: `int a[3]`.
fn declarator(ty: &Type, name: &str) -> String {
    match ty {
        Type::Array(element, count) => declarator(element, &format!("{name}[{count}]")),
        Type::ParameterArray => format!("T {name}[N]"),
        _ => format!("{} {name}", type_text(ty)),
    }
}

/// A member's initialiser in a constructor.
fn zero((number, ty): (usize, &Type)) -> String {
    format!("f{number}({}(0))", type_text(ty))
}

fn type_text(ty: &Type) -> String {
    match ty {
        Type::Scalar(scalar) => word(*scalar).into(),
        Type::Vector(scalar, width) => format!("{}{width}", word(*scalar)),
        Type::Struct(NAMED, None) => format!("n::S{NAMED}"),
        Type::Struct(index, None) => format!("S{index}"),
        Type::Struct(index, Some(arguments)) => format!("S{index}<{}>", argument_text(*arguments)),
        Type::Parameter => "T".into(),
        Type::Array(..) | Type::ParameterArray => unreachable!("arrays are declared, not named"),
    }
}

fn argument_text(arguments: Arguments) -> String {
    format!("{}, {}", word(arguments.scalar), arguments.count)
}

fn literal(scalar: Scalar, bits: u64) -> String {
    let signed = bits as i64;
    match scalar {
        Scalar::Bool => (bits != 0).to_string(),
        // The minimum has no literal.
        Scalar::I64 if signed == i64::MIN => "(-9223372036854775807L - 1)".into(),
        Scalar::I32 if signed == i32::MIN.into() => "(-2147483647 - 1)".into(),
        Scalar::I32 if signed < 0 => format!("({signed})"),
        Scalar::I64 if signed < 0 => format!("({signed}L)"),
        Scalar::I32 => format!("{signed}"),
        Scalar::I64 => format!("{signed}L"),
        Scalar::U32 => format!("{bits}u"),
        Scalar::U64 => format!("{bits:#x}ul"),
        Scalar::F32 if f32::from_bits(bits as u32) < 0.0 => {
            format!("({:?}f)", f32::from_bits(bits as u32))
        }
        Scalar::F32 => format!("{:?}f", f32::from_bits(bits as u32)),
        Scalar::F16 | Scalar::BF16 => {
            format!("{}({:?}f)", word(scalar), f32::from_bits(bits as u32))
        }
        _ => format!("{}({signed})", word(scalar)),
    }
}

struct Printer<'a> {
    functions: &'a [Routine],
    routine: &'a Routine,
    out: &'a mut String,
    depth: usize,
}

impl Printer<'_> {
    fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            *self.out += "    ";
        }
        *self.out += text;
        *self.out += "\n";
    }

    fn parameters(&self) -> String {
        let routine = self.routine;
        let parameters: Vec<String> = routine.variables[..routine.parameters]
            .iter()
            .enumerate()
            .filter(|(_, row)| row.kind != Kind::This)
            .map(|(index, row)| match row.kind {
                Kind::Reference => format!("thread {}& v{index}", type_text(&row.ty)),
                Kind::Pointer => format!("thread {}* v{index}", type_text(&row.ty)),
                _ => declarator(&row.ty, &format!("v{index}")),
            })
            .collect();
        parameters.join(", ")
    }

    fn routine(&mut self, name: &str) {
        let (routine, parameters) = (self.routine, self.parameters());
        let result = routine.result.as_ref().map_or("void".into(), type_text);
        let template = if routine.template { "template <typename T, int N> " } else { "" };
        let tail = if routine.constant { " const" } else { "" };
        self.definition(&format!("{template}{result} {name}({parameters}){tail}"));
    }

    fn definition(&mut self, head: &str) {
        let routine = self.routine;
        self.line(&format!("{head} {{"));
        self.depth += 1;
        self.block(&routine.body);
        self.depth -= 1;
        self.line("}");
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn inner(&mut self, body: &[Stmt]) {
        self.depth += 1;
        self.block(body);
        self.depth -= 1;
    }

    fn declared(&self, variable: Variable) -> String {
        declarator(&self.routine.variables[variable.0].ty, &format!("v{}", variable.0))
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Declare(variable, value) => {
                self.line(&format!("{} = {};", self.declared(*variable), self.expr(value)));
            }
            Stmt::DeclareList(variable, values) => {
                self.line(&format!("{} = {{{}}};", self.declared(*variable), self.list(values)));
            }
            Stmt::Refer(variable, place) => {
                let row = &self.routine.variables[variable.0];
                let (mark, address) =
                    if row.kind == Kind::Pointer { ("*", "&") } else { ("&", "") };
                let (ty, place) = (type_text(&row.ty), self.place(place));
                self.line(&format!("thread {ty}{mark} v{} = {address}{place};", variable.0));
            }
            Stmt::Assign(place, value) => {
                self.line(&format!("{} = {};", self.place(place), self.expr(value)));
            }
            Stmt::Compound(place, op, value) => {
                self.line(&format!("{} {}= {};", self.place(place), op.text(), self.expr(value)));
            }
            Stmt::Step(to, place, step, before) => {
                let (to, place) = (self.place(to), self.place(place));
                let mark = if *step > 0 { "++" } else { "--" };
                let value =
                    if *before { format!("{mark}{place}") } else { format!("{place}{mark}") };
                self.line(&format!("{to} = {value};"));
            }
            Stmt::If(condition, yes, no) => {
                self.line(&format!("if ({}) {{", self.expr(condition)));
                self.inner(yes);
                if !no.is_empty() {
                    self.line("} else {");
                    self.inner(no);
                }
                self.line("}");
            }
            Stmt::For(counter, limit, body) => {
                let (name, limit) = (counter.0, self.expr(limit));
                self.line(&format!("for (int v{name} = 0; v{name} < ({limit} & 3); ++v{name}) {{"));
                self.inner(body);
                self.line("}");
            }
            Stmt::While(counter, limit, body) => {
                self.line(&format!("int v{} = 0;", counter.0));
                self.line(&format!("while (v{}++ < ({} & 3)) {{", counter.0, self.expr(limit)));
                self.inner(body);
                self.line("}");
            }
            Stmt::Do(counter, limit, body) => {
                self.line(&format!("int v{} = 0;", counter.0));
                self.line("do {");
                self.inner(body);
                self.line(&format!("}} while (++v{} < ({} & 3));", counter.0, self.expr(limit)));
            }
            Stmt::Switch(value, cases) => {
                self.line(&format!("switch ({}) {{", self.expr(value)));
                for Case { labels, body, ends } in cases {
                    for label in labels {
                        let text = label.map_or("default".into(), |label| format!("case {label}"));
                        self.line(&format!("{text}:"));
                    }
                    self.line("{");
                    self.inner(body);
                    self.line(if *ends { "} break;" } else { "}" });
                }
                self.line("}");
            }
            Stmt::Break => self.line("break;"),
            Stmt::Continue => self.line("continue;"),
            Stmt::Return(None) => self.line("return;"),
            Stmt::Return(Some(value)) => self.line(&format!("return {};", self.expr(value))),
            Stmt::Call(to, function, arguments) => {
                let parameters = &self.functions[*function].variables;
                let arguments: Vec<String> = arguments
                    .iter()
                    .zip(parameters)
                    .map(|(argument, row)| match (argument, row.kind) {
                        (Argument::Value(value), _) => self.expr(value),
                        (Argument::Place(place), Kind::Pointer) => {
                            format!("&{}", self.place(place))
                        }
                        (Argument::Place(place), _) => self.place(place),
                    })
                    .collect();
                let to = to.as_ref().map_or(String::new(), |to| format!("{} = ", self.place(to)));
                self.line(&format!("{to}g{function}({});", arguments.join(", ")));
            }
            Stmt::Change(object, method, arguments) => {
                let (object, arguments) = (self.place(object), self.list(arguments));
                self.line(&format!("{object}.m{method}({arguments});"));
            }
            Stmt::Across(to, across, value) => {
                let (name, number) = across.text();
                let number = number.map_or(String::new(), |number| format!(", {number}"));
                let (to, value) = (self.place(to), self.expr(value));
                self.line(&format!("{to} = {name}({value}{number});"));
            }
            Stmt::Exchange(to, value, by) => {
                let (to, value) = (self.place(to), self.expr(value));
                self.line(&format!("shared[place] = ulong({value});"));
                self.line("threadgroup_barrier(mem_flags::mem_threadgroup);");
                self.line(&format!("{to} = shared[(place + {by}) % count];"));
                self.line("threadgroup_barrier(mem_flags::mem_threadgroup);");
            }
            Stmt::Atomic(name, counter, value) => {
                let value = self.expr(value);
                self.line(&format!(
                    "atomic_fetch_{name}_explicit(&counters[{counter}], {value}, memory_order_relaxed);"
                ));
            }
            Stmt::Store(word, value) => {
                self.line(&format!(
                    "out[position * {WORDS} + {word}] = bits({});",
                    self.expr(value)
                ));
            }
        }
    }

    fn list(&self, values: &[Expr]) -> String {
        values.iter().map(|value| self.expr(value)).collect::<Vec<_>>().join(", ")
    }

    fn place(&self, place: &Place) -> String {
        match place {
            Place::Variable(variable) => match self.routine.variables[variable.0].kind {
                Kind::Pointer => format!("(*v{})", variable.0),
                Kind::This => "(*this)".into(),
                _ => format!("v{}", variable.0),
            },
            Place::Field(base, field) => match **base {
                Place::Variable(v) if self.routine.variables[v.0].kind == Kind::This => {
                    // Both spellings of a member.
                    if field % 2 == 0 { format!("f{field}") } else { format!("this->f{field}") }
                }
                Place::Variable(v) if self.routine.variables[v.0].kind == Kind::Pointer => {
                    format!("v{}->f{field}", v.0)
                }
                _ => format!("{}.f{field}", self.place(base)),
            },
            Place::Element(base, index, count) => {
                format!("{}[{} & {}]", self.place(base), self.expr(index), count - 1)
            }
            Place::Below(base, index) => format!("{}[{}]", self.place(base), self.expr(index)),
            Place::Swizzle(base, picks) => format!("{}.{}", self.place(base), letters(picks)),
        }
    }

    /// An expression, in parentheses where it needs them.
    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Literal(scalar, bits) => literal(*scalar, *bits),
            Expr::Read(place) => self.place(place),
            Expr::Input(input) => input.text().0.into(),
            Expr::Buffer(index, _, at) => format!("in{index}[{} & {}]", self.expr(at), INPUTS - 1),
            Expr::Table(index, _, at) => format!("table{index}[{} & 7]", self.expr(at)),
            Expr::Unary(op, value) => {
                let mark = match op {
                    Unary::Negate => "-",
                    Unary::Complement => "~",
                    Unary::Not => "!",
                };
                format!("({mark}{})", self.expr(value))
            }
            Expr::Binary(op, a, b) => {
                format!("({} {} {})", self.expr(a), op.text(), self.expr(b))
            }
            Expr::Logical(and, a, b) => {
                format!("({} {} {})", self.expr(a), if *and { "&&" } else { "||" }, self.expr(b))
            }
            Expr::Conditional(condition, yes, no) => {
                format!("({} ? {} : {})", self.expr(condition), self.expr(yes), self.expr(no))
            }
            Expr::Convert(ty, value, spelling) => {
                let (ty, value) = (type_text(ty), self.expr(value));
                match spelling % 3 {
                    0 => format!("{ty}({value})"),
                    1 => format!("(({ty}){value})"),
                    _ => format!("static_cast<{ty}>({value})"),
                }
            }
            Expr::Compose(scalar, width, parts) => {
                format!("{}{width}({})", word(*scalar), self.list(parts))
            }
            Expr::Swizzle(value, picks) => format!("{}.{}", self.expr(value), letters(picks)),
            Expr::Select(a, b, condition) => {
                let (a, b, condition) = (self.expr(a), self.expr(b), self.expr(condition));
                format!("select({a}, {b}, {condition})")
            }
            Expr::Library(function, arguments) => {
                format!("{}({})", function.name, self.list(arguments))
            }
            Expr::Call(function, template, arguments) => {
                let template =
                    template.map_or(String::new(), |list| format!("<{}>", argument_text(list)));
                format!("g{function}{template}({})", self.list(arguments))
            }
            Expr::Method(object, method, arguments) => {
                format!("{}.m{method}({})", self.place(object), self.list(arguments))
            }
            Expr::Implicit(object) => self.place(object),
            Expr::Made(value) => self.expr(value),
            Expr::Member(object, scalar, value) => {
                format!("{}.pick<{}>({})", self.place(object), word(*scalar), self.expr(value))
            }
            Expr::Count => "N".into(),
        }
    }
}

fn letters(picks: &[usize]) -> String {
    picks.iter().map(|&pick| b"xyzw"[pick] as char).collect()
}
