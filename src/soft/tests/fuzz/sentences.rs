//! Random sentences of the language's grammar: every operator on every type, local classes and nested
//! functions, labels in nested statements, pathological sizes. Most programs are invalid, in ways that
//! mutations of a correct program rarely produce.

use crate::test_random::Random;

/// The start of every program.
const DECLARATIONS: &str = "
enum Plain { A, B = 5, C };
enum class Scoped : uchar { X, Y = 200 };
enum Small : short { M = -3, N };
struct S {
    int x; float2 v; bool b;
    int get() const { return x; }
    S plus(int k) { x += k; return *this; }
    S operator+(S o) const { S r = *this; r.x += o.x; return r; }
    thread S& operator+=(int k) thread { x += k; return *this; }
    bool operator==(S o) const { return x == o.x; }
    int operator[](int i) const { return i; }
    int operator()(int i) const { return x + i; }
    operator bool() const { return b; }
};
struct D : S { int y = 3; };
struct C { C() : k(1) {} C(int k) : k(k) {} int k; S s; };
union U { int i; float f; uchar4 c; };
template <typename T, int N = 2> struct W { T t; T a[N]; T first() const { return a[0]; } static T make(T x) { return x; } };
template <typename T> T id(T x) { return x; }
template <typename A, typename B> auto sum(A a, B b) -> decltype(a + b) { return a + b; }
template <typename T, typename... R> int count(T t, R... r) { return sizeof...(R) + sizeof(t); }
int f(int x, float y = 1) { return x + int(y); }
float f(float2 v) { return v.x; }
int g(int (*h)(int), int x) { return h(x); }
using Fn = int(int);
template <typename F> using Deep = F (*(*(*)())(F))();
constant int table[4] = {1, 2, 3, 4};
constant int choice [[function_constant(0)]];
";

/// The kernel's parameters and first locals: one of each type.
const PARAMETERS: &str = "device int* out, device S* ds, constant float4* cf, device atomic_int* at, \
    threadgroup int* tg, texture2d<float> tex, sampler smp, uint id3 [[thread_position_in_grid]]";
const LOCALS: &str = "
    bool b = id3 > 3; bool3 b3 = b; char c = id3; uchar4 u4 = 1; short h = 2; int n = id3; uint u = id3;
    long l = n; ulong ul = u; half hf = n; half2 h2 = hf; float fl = n; float4 f4 = fl; bfloat bf = 1;
    packed_float3 pf = float3(1); float3x3 m3(1); Plain e = A; Scoped sc = Scoped::X; Small sm = M;
    S s = {n, 1, b}; D d; C cc; U un; W<int> w; int a[4] = {1, 2}; S sa[2]; thread int* p = a;
    thread S* ps = &s; device int* dp = out; thread void* vp = a; thread int& r = n; const int k = 3;
    simdgroup_float8x8 mat(1);
";

const NUMBERS: &[&str] =
    &["b", "c", "h", "n", "u", "l", "ul", "hf", "fl", "bf", "e", "sm", "k", "r", "id3", "choice"];
const OTHERS: &[&str] = &[
    "b3", "u4", "h2", "f4", "pf", "m3", "sc", "s", "d", "cc", "un", "w", "a", "sa", "p", "ps",
    "dp", "vp", "out", "ds", "cf", "at", "tg", "tex", "smp", "mat", "table", "f", "id", "S",
    "this", "count", "g",
];
const LITERALS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2.5f",
    "1.5h",
    "true",
    "nullptr",
    "'c'",
    "0xffffffffu",
    "A",
    "Scoped::Y",
    "M",
    "{}",
    "{1, 2}",
    "9223372036854775807",
    "1e38f",
    "0.0f",
    "S{1}",
    "int2(1)",
    "C()",
    "W<float>()",
];
const SIMPLE_TYPES: &[&str] = &["bool", "int", "uint", "float", "half", "short", "S", "auto"];
const TYPES: &[&str] = &[
    "bool",
    "bool3",
    "char",
    "uchar4",
    "short",
    "int",
    "uint",
    "long",
    "ulong",
    "half",
    "half2",
    "float",
    "float4",
    "bfloat",
    "packed_float3",
    "float3x3",
    "Plain",
    "Scoped",
    "Small",
    "S",
    "D",
    "C",
    "U",
    "W<int>",
    "W<S, 3>",
    "thread int*",
    "device int*",
    "thread S*",
    "thread void*",
    "auto",
    "const auto",
    "void",
    "constant float*",
    "device atomic_int*",
    "vec<float, 3>",
    "array<int, 3>",
    "simdgroup_float8x8",
    "decltype(n)",
    "Fn*",
    "Fn",
    "Deep<int>",
    "Deep<Deep<S>>",
    "decltype(g)*",
    "texture2d<float>",
    "sampler",
];
const PREFIX: &[&str] = &["!", "~", "-", "+", "*", "&", "++", "--"];
const BINARY: &[&str] = &[
    "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "<=", ">=", "&&",
    "||", ",",
];
const ASSIGN: &[&str] = &["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="];
const MEMBERS: &[&str] = &[
    "x", "v", "b", "get()", "plus(1)", "y", "k", "s", "i", "f", "t", "a", "xy", "wzyx", "rg",
    "first()",
];
const SIZES: &[&str] = &[
    "0",
    "1",
    "-1",
    "3",
    "4",
    "5",
    "100",
    "4096",
    "1 << 20",
    "1 << 28",
    "1 << 30",
    "0x7fffffff",
    "1ul << 32",
    "1ul << 63",
    "n",
    "k",
    "sizeof(S)",
    "2.5f",
    "A",
    "true",
];

/// A random program of the grammar.
pub(super) fn program(random: &mut Random) -> String {
    let mut writer = Writer { random, text: String::new(), names: 0 };
    writer.text += "#include <metal_stdlib>\nusing namespace metal;\n";
    writer.text += DECLARATIONS;
    if writer.random.chance(30) {
        writer.declaration();
    }
    writer.text += &format!("kernel void kern({PARAMETERS}) {{{LOCALS}");
    // Few statements, so that some of the programs are valid and are lowered.
    for _ in 0..1 + writer.random.below(2) {
        let depth = writer.random.below(4);
        writer.statement(depth);
    }
    writer.text += "}\n";
    writer.text
}

/// A random program of declarations that are each made of the one before.
pub(super) fn chain(random: &mut Random) -> String {
    const START: &str = "template <typename T> struct W { T t; }; template <typename T, typename... R> struct V {};
        template <typename F> using P = F (*(*(*)(F))())(int);
        using A0 = int; struct S0 { int x; }; constexpr int c0 = 1; int f0(int x) { return x; }\n#define M0 0\n";
    // `@` is the number of a link, `$` that of the one before.
    const LINKS: &[&str] = &[
        "using A@ = A$ *;",
        "using A@ = A$[1];",
        "using A@ = A$ (*)(A$);",
        "using A@ = A$ (*(*(*)())())();",
        "using A@ = P<A$>;",
        "using A@ = W<A$>;",
        "using A@ = V<A$, A$>;",
        "using A@ = decltype(A$());",
        "typedef A$ A@(A$, int);",
        "struct S@ { S$ s; };",
        "struct S@ : S$ { };",
        "struct S@ { S$ a, b; };",
        "struct S@ : W<S$> { };",
        "constexpr int c@ = c$ + c$;",
        "constexpr int c@ = c$ > 0 ? c$ * 2 : c$;",
        "int f@(int x) { return f$(x) + f$(x); }",
        "int f@(int x) { if (x > @) { return f$(x); } return x; }",
        "int f@(int x = f$(1)) { return x; }",
        "template <typename T> int f@(T x) { return f$(x); }",
        "\n#define M@ M$ M$\n",
        "\n#define M@ (M$ + 1)\n",
        "namespace n@ { using namespace metal; int y; }",
        "\n#if M$\n#endif\n",
    ];
    // Declarations of one name, each in terms of the one before, are a chain.
    let kinds: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(LINKS)).collect();
    let length = random.pick(&[5, 40, 600, 5000]);
    let mut text = String::from(START);
    for number in 1..=length {
        let (this, before) = (number.to_string(), (number - 1).to_string());
        for kind in &kinds {
            text += &kind.replace('@', &this).replace('$', &before);
            text += "\n";
        }
    }
    let last = random.pick(&[length, length / 2]);
    let uses = [
        format!("A{last} *p = 1;"),
        format!("S{last} s; s.missing = 1;"),
        format!("out[0] = f{last}(1);"),
        format!("int a[c{last}]; out[0] = a[0];"),
        format!("out[0] = M{last};"),
    ];
    let used: String = uses.into_iter().filter(|_| random.chance(60)).collect();
    text + "kernel void k(device int *out) { " + &used + " }\n"
}

struct Writer<'a> {
    random: &'a mut Random,
    text: String,
    names: usize,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.text += text;
    }

    fn pick(&mut self, list: &[&'static str]) {
        let text = self.random.pick(list);
        self.put(text);
    }

    fn a_type(&mut self) {
        let simple = self.random.chance(60);
        self.pick(if simple { SIMPLE_TYPES } else { TYPES });
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn atom(&mut self) {
        match self.random.below(10) {
            0..6 => self.pick(NUMBERS),
            6 | 7 => self.pick(OTHERS),
            8 => self.pick(LITERALS),
            // A name of this program, in scope or not.
            _ => match self.random.below(self.names + 1) {
                0 => self.pick(NUMBERS),
                number => self.put(&format!("v{number}")),
            },
        }
    }

    /// A comma-separated list in brackets.
    fn list(&mut self, open: &str, close: &str, most: usize, depth: usize) {
        self.put(open);
        for at in 0..self.random.below(most + 1) {
            self.put(if at > 0 { ", " } else { "" });
            self.expression(depth);
        }
        self.put(close);
    }

    fn expression(&mut self, depth: usize) {
        let Some(less) = depth.checked_sub(1) else { return self.atom() };
        let less = self.random.below(less + 1);
        let parts: &[&[&'static str]] = match self.random.below(14) {
            0 | 1 => return self.atom(),
            2 | 3 => &[PREFIX, &["("], &["E"], &[")"]],
            4 => &[&["("], &["E"], &[")"], &["++", "--"]],
            5 | 6 => &[&["("], &["E"], &[")"], BINARY, &["("], &["E"], &[")"]],
            7 => &[NUMBERS, BINARY, NUMBERS],
            8 => &[&["("], &["E"], &[")"], ASSIGN, &["("], &["E"], &[")"]],
            9 => &[&["(("], &["E"], &[") ? ("], &["E"], &[") : ("], &["E"], &["))"]],
            10 => &[&["("], &["E"], &[")"], &[".", "->"], MEMBERS],
            11 => &[&["("], &["E"], &[")["], &["E"], &["]"]],
            12 => &[
                &["(", "static_cast<", "as_type<", "reinterpret_cast<", "id<"],
                &["bool"],
                &["T"],
                &["E"],
                &[")"],
            ],
            _ => {
                const CALLED: &[&str] = &[
                    "f",
                    "id",
                    "sum",
                    "count",
                    "min",
                    "max",
                    "select",
                    "dot",
                    "sizeof",
                    "decltype",
                    "abs",
                    "clamp",
                    "all",
                    "any",
                    "simd_sum",
                    "popcount",
                    "fma",
                    "s",
                    "w.make",
                    "C",
                    "int2",
                    "float4",
                    "W<int>::make",
                    "alignof",
                    "atomic_load_explicit",
                    "is_same_v",
                    "ps->get",
                ];
                self.pick(CALLED);
                return self.list("(", ")", 3, less);
            }
        };
        let mut plain_cast = false;
        for part in parts {
            match self.random.pick(part) {
                "E" => self.expression(less),
                "T" => self.put(if plain_cast { ")(" } else { ">(" }),
                "bool" => self.a_type(),
                text => {
                    plain_cast |= text == "(";
                    self.put(text);
                }
            }
        }
    }

    /// A declaration of a local, or of a constant or function at program scope.
    fn variable(&mut self, depth: usize) {
        if self.random.chance(10) {
            self.put("alignas(");
            self.pick(SIZES);
            self.put(") ");
        }
        if self.random.chance(30) {
            self.pick(&[
                "const ",
                "constexpr ",
                "static ",
                "threadgroup ",
                "constant ",
                "volatile ",
            ]);
        }
        self.a_type();
        self.pick(&[" ", " ", " ", " ", " ", " ", " thread& ", " thread* ", " const "]);
        let name = self.fresh();
        self.put(&name);
        if self.random.chance(25) {
            self.put("[");
            self.pick(SIZES);
            self.put("]");
        }
        match self.random.below(4) {
            0 => {}
            1 => self.list("(", ")", 2, depth),
            2 => self.list("{", "}", 4, depth),
            _ => {
                self.put(" = ");
                self.expression(depth);
            }
        }
        self.put(";\n");
    }

    fn function(&mut self, depth: usize) {
        self.a_type();
        let (name, parameter) = (self.fresh(), self.fresh());
        self.put(&format!(" {name}("));
        self.a_type();
        self.put(&format!(" {parameter}) "));
        if self.random.chance(20) {
            self.put("-> decltype(");
            self.expression(depth);
            self.put(") ");
        }
        self.put("{ ");
        self.statement(depth);
        self.put("return ");
        self.expression(depth);
        self.put("; }\n");
    }

    fn class(&mut self, depth: usize) {
        let name = self.fresh();
        self.pick(&["struct ", "struct ", "class ", "union "]);
        if self.random.chance(15) {
            self.put("alignas(");
            self.pick(SIZES);
            self.put(") ");
        }
        self.put(&name);
        self.pick(&["", "", "", " : S", " : D", " : C, S"]);
        self.put(" { ");
        for _ in 0..1 + self.random.below(3) {
            match self.random.below(5) {
                0 | 1 => self.variable(depth),
                2 | 3 => self.function(depth),
                _ => self.put(&format!("{name}(int q) : x(q) {{}} ")),
            }
        }
        let object = self.fresh();
        self.put(&format!("}} {object};\n"));
    }

    fn declaration(&mut self) {
        self.pick(&[
            "",
            "",
            "",
            "template <typename T> ",
            "template <int q, typename... Q> ",
            "kernel ",
        ]);
        match self.random.below(3) {
            0 => self.class(1),
            1 => self.function(2),
            _ => self.variable(1),
        }
    }

    fn block(&mut self, depth: usize) {
        self.put("{ ");
        for _ in 0..self.random.below(4) {
            if self.random.chance(20) {
                self.label();
            }
            self.statement(depth);
        }
        self.put("}\n");
    }

    fn label(&mut self) {
        match self.random.below(4) {
            0 => self.put("default: "),
            _ => {
                self.put("case ");
                self.pick(&["0", "1", "2", "A", "k", "-1", "Scoped::X", "n", "1ul << 40", "true"]);
                self.put(": ");
            }
        }
    }

    fn statement(&mut self, depth: usize) {
        let Some(less) = depth.checked_sub(1) else {
            self.expression(1);
            return self.put(";\n");
        };
        match self.random.below(16) {
            0..5 => {
                self.expression(3);
                self.put(";\n");
            }
            5..8 => self.variable(2),
            8 => self.class(less),
            9 => {
                self.pick(&["", "", "static ", "template <typename T> "]);
                self.function(less);
            }
            10 => {
                self.put("if (");
                self.expression(2);
                self.put(") ");
                self.block(less);
                if self.random.chance(50) {
                    self.put("else ");
                    self.block(less);
                }
            }
            11 => {
                self.put("while (");
                self.expression(2);
                self.put(") ");
                self.block(less);
            }
            12 => {
                self.put("do ");
                self.block(less);
                self.put("while (");
                self.expression(2);
                self.put(");\n");
            }
            13 => {
                self.put("for (");
                self.variable(1);
                self.expression(1);
                self.put("; ");
                self.expression(1);
                self.put(") ");
                self.block(less);
            }
            14 => {
                self.put("switch (");
                self.expression(1);
                self.put(") ");
                self.block(less);
            }
            _ => self.pick(&[
                "break;\n",
                "continue;\n",
                "return;\n",
                "return 1;\n",
                ";\n",
                "using T = int;\n",
                "_Pragma(\"unroll\") ",
                "_Pragma(\"unroll(4)\")\n",
                "_Pragma _Pragma(",
                "int (*fp)(int) = &id<int>;\n",
                "Fn *fq = f;\n",
                "g([](int q) { return q; }, 1);\n",
            ]),
        }
    }
}
