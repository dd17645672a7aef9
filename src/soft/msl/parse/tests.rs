//! Tests of the parser: valid declarations, statements and expressions, and errors.

use super::scope::Known;
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::names::Names;
use crate::soft::msl::preprocess::{self, Context};
use crate::soft::msl::source::SourceMap;
use std::collections::HashMap;

fn parse(text: &str) -> String {
    let mut names = Names::new();
    let macros = preprocess::predefined(&mut names);
    let mut context =
        Context { sources: SourceMap::default(), names, diagnostics: Diagnostics::default() };
    let file = context.sources.add("program_source", text).unwrap();
    let tokens = preprocess::preprocess(&mut context, macros, &HashMap::new(), file);
    let mut library = FastMap::default();
    for name in [
        "float4",
        "float2",
        "uint",
        "uint2",
        "uint3",
        "uchar",
        "ulong",
        "size_t",
        "atomic_uint",
        "mem_flags",
    ] {
        library.insert(context.names.intern(name), Known::Type(None));
    }
    for name in ["vec", "array", "enable_if_t", "is_same", "numeric_limits"] {
        library.insert(context.names.intern(name), Known::ClassTemplate(None));
    }
    library.insert(context.names.intern("as_type"), Known::ValueTemplate);
    super::parse(&tokens, &context.names, &library, &mut context.diagnostics);
    context.diagnostics.render(&context.sources)
}

#[track_caller]
fn accepts(text: &str) {
    assert_eq!(parse(text), "", "{text}");
}

#[track_caller]
fn rejects(text: &str, message: &str) {
    let report = parse(text);
    assert!(report.contains(message), "{text}\n{report}");
}

#[test]
fn kernels_and_declarations() {
    accepts(
        "#include <metal_stdlib>\nusing namespace metal;\n\
         struct P { uint n; float s; packed* p; } ;\n"
            .replace(" packed* p;", "")
            .as_str(),
    );
    accepts(
        "kernel void k(device float *a [[buffer(0)]], constant uint& n [[buffer(1)]], uint i [[thread_position_in_grid]]) { if (i < n) a[i] = a[i] * 2.0f; }",
    );
    accepts(
        "[[kernel]] void k(device const float4* a, threadgroup float* s [[threadgroup(0)]]) { threadgroup float t[32][4]; t[0][1] = (float)a[0].x; }",
    );
    accepts(
        "constant float T[2][2] = {{1, 2}, {3, 4}}; constant constexpr int N = 4; constant bool B [[function_constant(0)]];",
    );
    accepts(
        "typedef struct { float x, y; } A; typedef float F3[3]; using G = device float*; enum E : uchar { a, b = 2, }; enum class C { x };",
    );
    accepts(
        "struct S { int a : 3; S(int x) : a(x), b{1} {} int b = 2; int f() const { return g(); } int g() const device; float operator[](uint i) const thread { return v[i]; } operator float() const { return 1; } thread S& operator+=(S o) thread { return *this; } static constant constexpr int Q = 3; float v[2]; };",
    );
    accepts(
        "int f(int); inline static int f(int a = 2) { return a; } float (*fp)(float); void g(float (&a)[4], thread float (*b)[3], const device uchar (&c)[2]);",
    );
    accepts(
        "namespace a { namespace b { int f(); } inline namespace c { struct D {}; } } using a::b::f; namespace ab = a::b; a::D d; int g() { return a::b::f() + ::g(); }",
    );
    accepts(
        "union U { float f; uint u; struct { int a; int b; }; }; static_assert(sizeof(U) == 8, \"size\"); extern \"C\" { int z(); }",
    );
    accepts(
        "__attribute__((always_inline)) float h(float x) { return x; } struct alignas(16) V { float4 x; }; alignas(8) constant int q = 1;",
    );
}

#[test]
fn statements_and_expressions() {
    let body = |text: &str| {
        accepts(&format!(
            "struct S {{ int x; S* n; }}; void f(int a, float b, device int* p) {{ {text} }}"
        ))
    };
    body(
        "for (int i = 0, j = 1; i < 4; ++i, j--) { if (i) continue; else break; } for (;;) {} while (a) --a; do { a++; } while (a < 3);",
    );
    body("switch (a) { case 1: case 2: a = 1; break; default: { } }");
    body("int c = a ? 1 : b > 2 ? 3 : 4; a >>= 2; a = a >> 1 >> 1; bool t = a >= 2 && a<3 || !a;");
    body(
        "float4 v = float4(1, 2.0f, float2(1)); v.xyz += v.zyx; float q = v[a]; auto w = v * 2; float4 u{1, 2, 3, 4}; float4 z = {};",
    );
    body(
        "S s = {1, nullptr}; S t = {.x = 1}; S* r = &s; r->n->x = (*r).x; int n = sizeof(S) + sizeof a + sizeof(int*);",
    );
    body(
        "device int* q = p + 1; *q++ = 3; int d = (int)*q - -1 + (a) - (int)(a + 1); device float4* g = (device float4*)(p + a); ((device uint2*)p)[1].x = 1;",
    );
    body(
        "uint y = as_type<uint>(b); device float* e = reinterpret_cast<device float*>(p); const device int* ee = const_cast<const device int*>(p); int i = static_cast<int>(b);",
    );
    body(
        "if (int k = a) { } if (int k = a; k > 2) {} if constexpr (sizeof(int) == 4) {} for (int x : arr) {} { ; } return;",
    );
    body(
        "threadgroup_barrier(mem_flags::mem_threadgroup); int x(3); float yy(b * 2); uint u = uint(a) * uint{3}; unsigned long long l = 1ull; int long unsigned m = 0;",
    );
    body(
        "[[unroll]] for (int i = 0; i < 2; i++) {} using T = float; typedef int I; I i2 = T(1); (void)i2; a, b; const int arr[] = {1, 2,}; float (*m)[4];",
    );
}

#[test]
fn templates() {
    accepts(
        "template <typename T, int N = 4, typename... R> struct A { T v[N]; template <typename U> U get() const; typedef T type; static constant constexpr int n = N; }; A<float, (3 > 2)> x; A<A<int>> y; A<A<A<int, 1>>> z;",
    );
    accepts("template <typename T> T f(T a, typename A<T>::type b) { return a < b ? a : static_cast<T>(b); } template <> int f<int>(int a, int b); int g() { return f<int>(1, 2) + f(2, 3) >> 1; } template <class T> struct A { typedef T type; };"
        .replace("typename A<T>::type b", "T b").as_str());
    accepts(
        "template <typename T> struct A { using type = T; T x; }; template <typename T> struct A<T*> {}; template <> struct A<int> { int y; }; template <typename T> void f(typename A<T>::type x, A<T> y) { typename A<T>::type z = x; y.template g<3>(1); A<T>::h(2); A<T> w{x}; }",
    );
    accepts(
        "template <typename T> [[kernel]] void k(device T* a [[buffer(0)]]) { a[0] = T(1); } template [[host_name(\"k_\" \"f\")]] [[kernel]] void k<float>(device float*); typedef decltype(k<float>) k_t; template [[host_name(\"k_h\")]] kernel k_t k<half>; template [[host_name(\"b\")]] [[kernel]] decltype(k<int>) k<int>;",
    );
    accepts(
        "template <template <typename, int> class C, typename T, void (*F)(T), auto... V> struct B {}; template <typename... A> int n(A... a) { return sizeof...(A) + (a + ... + 0) + (... && a) + g(h(a)...); } template <typename T> constexpr constant T pi = T(3); float p = pi<float>;",
    );
    accepts(
        "template <typename T, enable_if_t<is_same<T, int>::value, bool> = true> T f(T x); template <bool B, typename T = void> struct E {}; template <typename U, typename = typename E<(sizeof(U) > 2)>::type> U q(U u) { return u; }",
    );
    accepts(
        "template<typename T> struct F { template<int K> void run(device T* p) const { this->template run<K - 1>(p); } }; void z(device float* p) { F<float> f; f.run<3>(p); F<float>().run<2>(p); }",
    );
    accepts(
        "struct S { template <typename T> S(T x) {} template <typename T> operator T() const; friend bool operator==(S a, S b); }; template <int N> struct I : S {};",
    );
}

#[test]
fn syntax_errors() {
    rejects("void f() { int a = 1 }", "program_source:1:21: error: expected ';'");
    rejects("void f() { foo a; }", "unknown type name 'foo'");
    rejects("foo f() { }", "unknown type name 'foo'");
    rejects("void f() { a = ; }", "expected expression");
    rejects("void f( { }", "expected ')'");
    rejects("void f() { goto x; }", "'goto' is not supported in Metal");
    rejects("void f() { auto g = [=, 1] { }; }", "expected identifier");
    rejects("void f() {", "expected '}'");
    rejects("}", "extraneous closing brace");
    for operator in ["]", "!", ";", ":"] {
        let text = format!("template <int... N> int f() {{ return (... {operator} N); }}");
        rejects(&text, "expected a foldable operator");
    }
    rejects("short float x;", "invalid combination of type specifiers");
    rejects("signed unsigned x;", "cannot combine with previous");
    rejects("device constant int* x;", "multiple address spaces");
    rejects("struct S { int a }; void f() { 1 +; }", "expected expression");
    rejects("x::y z;", "use of undeclared identifier 'x'");
    rejects("int a = 09;", "invalid digit");
}

#[test]
fn functions_have_a_type() {
    accepts(
        "struct A { A(); explicit A(int x); ~A(); operator int() const; int operator+(A a); };\n\
         A::A() {}\nA::A(int x) {}\nA::operator int() const { return 1; }",
    );
    accepts(
        "template <typename T> struct W { W(T x) {} template <typename U> W(U x, int n) {} };\n\
         template <typename T> struct V { V(T x); };\ntemplate <typename T> V<T>::V(T x) {}",
    );
    for text in [
        "f(int x);",
        "kernel k(device int* o) { }",
        "struct O { as(int x) const; };",
        "template <typename T> struct O { template <typename U> as(U x) const; };",
        "template <typename T> f(T x) { return x; }",
    ] {
        rejects(text, "a type specifier is required for all declarations");
    }
}

#[test]
fn depth_is_bounded() {
    crate::soft::ir::with_stack(depth_cases);
}

fn depth_cases() {
    for (open, close) in
        [("(", ")"), ("{", "}"), ("-", ""), ("a[", "]"), ("f(", ")"), ("*", ""), ("!", "")]
    {
        let text =
            format!("void f() {{ int a = {}1{}; }}", open.repeat(20_000), close.repeat(20_000));
        let report = parse(&text);
        assert!(
            report.contains("exceeded maximum") || report.contains("too deeply"),
            "{open}: {report}"
        );
    }
    for unit in ["1 + ", "a.", "a ? b : ", "a = ", "x, "] {
        let text = format!("void f() {{ {}a; }}", unit.repeat(20_000));
        assert!(parse(&text).contains("exceeded maximum"), "{unit}");
    }
    for unit in [
        "if (a) ",
        "while (a) ",
        "if (a) ; else ",
        "{",
        "namespace n {",
        "struct S { ",
        "template<typename T> ",
        "vec<",
        "vec<vec<float,(",
        "A<A<",
        "int (*",
        "float(",
        "sizeof(",
        "(float)(",
    ] {
        let text = format!("template <class T> struct A; void f() {{ {} }}", unit.repeat(20_000));
        assert!(!parse(&text).is_empty(), "{unit}");
        assert!(!parse(&unit.repeat(10_000)).is_empty(), "{unit}");
    }
}
