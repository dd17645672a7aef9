//! Tests of the preprocessor on small texts.

use super::*;

/// The tokens of a text, separated by spaces, and the diagnostics.
fn run(text: &str) -> (String, String) {
    run_with(text, &[])
}

fn run_with(text: &str, headers: &[(&str, &str)]) -> (String, String) {
    let mut names = Names::new();
    let macros = predefined(&mut names);
    let mut context =
        Context { sources: SourceMap::default(), names, diagnostics: Diagnostics::default() };
    let file = context.sources.add("program_source", text).unwrap();
    let headers = headers.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    let tokens = preprocess(&mut context, macros, &headers, file);
    let words: Vec<&str> =
        tokens[..tokens.len() - 1].iter().map(|token| token.spelling(&context.names)).collect();
    (words.join(" "), context.diagnostics.render(&context.sources))
}

#[track_caller]
fn expands(text: &str, expected: &str) {
    assert_eq!(run(text), (expected.to_string(), String::new()), "{text}");
}

#[track_caller]
fn fails(text: &str, message: &str) {
    let report = run(text).1;
    assert!(report.contains(message), "{text}\n{report}");
}

#[test]
fn macros_follow_the_standards_examples() {
    expands(
        "#define x 3\n#define f(a) f(x * (a))\n#undef x\n#define x 2\n#define z z[0]\nf(f(z))",
        "f ( 2 * ( f ( 2 * ( z [ 0 ] ) ) ) )",
    );
    expands("#define g f\n#define f(a) [a]\ng(1) g (2) g", "[ 1 ] [ 2 ] f");
    expands("#define t(x,y,z) x ## y ## z\nt(1,2,3) t(,4,5) t(6,,7) t(8,9,) t(,,)", "123 45 67 89");
    expands(
        "#define hash_hash # ## #\n#define mkstr(a) # a\n#define in_between(a) mkstr(a)\n\
             #define join(c, d) in_between(c hash_hash d)\njoin(x, y)",
        "\"x ## y\"",
    );
    expands("#define str(s) # s\nstr( a  \"b\\n\" 'c' )", "\"a \\\"b\\\\n\\\" 'c'\"");
    expands(
        "#define EMPTY\n#define F(x) <x>\n#define G(x) F EMPTY x\nF EMPTY (1) G((1))",
        "F ( 1 ) F ( 1 )",
    );
    expands("#define f(a) a*g\n#define g(a) f(a)\nf(2)(9)", "2 * 9 * g");
}

#[test]
fn variadic_macros() {
    expands("#define v(...) [__VA_ARGS__]\nv() v(1) v(1,2)", "[ ] [ 1 ] [ 1 , 2 ]");
    expands("#define v(a, ...) f(a, ##__VA_ARGS__)\nv(1) v(1,2,3)", "f ( 1 ) f ( 1 , 2 , 3 )");
    expands("#define v(a, ...) f(a __VA_OPT__(,) __VA_ARGS__)\nv(1) v(1,2)", "f ( 1 ) f ( 1 , 2 )");
    expands("#define v(args...) g(args)\nv(1,2)", "g ( 1 , 2 )");
}

#[test]
fn conditionals() {
    expands("#if 1 + 2 * 3 == 7 && defined(X) || !defined Y\na\n#else\nb\n#endif", "a");
    expands("#if 0\na\n#elif 1\nb\n#elif 1\nc\n#else\nd\n#endif", "b");
    expands("#ifdef X\n#if 1\na\n#endif\n#else\nb\n#endif", "b");
    expands("#if __METAL_VERSION__ >= 310 && defined(__HAVE_BFLOAT__)\na\n#endif", "a");
    expands("#if __has_include(<metal_stdlib>) && !__has_include(\"no.h\")\na\n#endif", "a");
    expands("#if -1 > 0u\na\n#endif\n#if (2 || 1/0) ? 1 : 0\nb\n#endif", "a b");
    expands("#if 0\ndon't # \" unknown\n#nonsense\n#endif\nx", "x");
    fails("#if 1/0\n#endif", "division by zero");
    fails("#if 1", "unterminated conditional directive");
    fails("#endif", "#endif without #if");
    fails("#if 1 1\n#endif", "not a valid binary operator");
}

#[test]
fn includes_pragmas_and_lines() {
    expands("#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\nx", "x");
    let headers = [("a.h", "#pragma once\nint a;"), ("b.h", "#include \"a.h\"\nint b;")];
    let text = "#include \"a.h\"\n#include <b.h>\n#define H \"a.h\"\n#include H\n";
    assert_eq!(run_with(text, &headers), ("int a ; int b ;".into(), String::new()));
    let renamed = [("a.h", "#line 1 \"folder/a.h\"\n#pragma once\nint a;")];
    let twice = run_with("#include \"a.h\"\n#include \"a.h\"", &renamed);
    assert_eq!(twice, ("int a ;".into(), String::new()));
    let report = run_with("#include \"c.h\"", &[("c.h", "#include \"c.h\"\n")]).1;
    assert!(report.contains("nested too deeply"), "{report}");
    fails("#include \"none.h\"", "program_source:1:10: error: 'none.h' file not found");
    expands(
        "__LINE__ __FILE__\n#line 40 \"k\"\n__LINE__ __FILE__ __COUNTER__ __COUNTER__",
        "1 \"program_source\" 40 \"k\" 0 1",
    );
    expands("#pragma unroll\n_Pragma(\"clang loop unroll(full)\") x", "x");
    expands("#pragma METAL fp math_mode(safe)\nx", "x");
    fails("#error \"no way\" 1", "error: \"no way\" 1");
    fails("#warning careful now", "warning: careful now");
    fails("#nonsense", "invalid preprocessing directive");
}

#[test]
fn mistakes_are_errors() {
    fails("#define f(a) a\nf(1,2)", "too many arguments");
    fails("#define f(a,b) a\nf(1)", "too few arguments");
    fails("#define f(a) a\nf(1", "unterminated function-like macro");
    fails("#define f(a) #b\nf(1)", "'#' is not followed by a macro parameter");
    fails("#define f(a,b) a##b\nf(+,1)", "pasting formed '+1'");
    fails("#define f(a,a) a", "duplicate macro parameter name 'a'");
    fails("#define x 1\n#define x 2", "'x' macro redefined");
    fails("#define", "macro name missing");
    fails("/* open", "unterminated /* comment");
}

#[test]
fn expansion_is_bounded() {
    let mut text = String::from("#define a0 x x x x x x x x\n");
    for level in 1..30 {
        let p = level - 1;
        text += &format!("#define a{level} a{p} a{p} a{p} a{p} a{p} a{p} a{p} a{p}\n");
    }
    fails(&(text + "a29"), "macro expansion makes too many tokens");
    // An argument in every token of a long body, and text that doubles with every macro.
    let body = "x ".repeat(20_000);
    fails(&format!("#define f(x) {body}\nf({body})"), "macro expansion makes too many tokens");
    let wrapped = |name: &str| format!("{}a{}", format!("{name}(").repeat(40), ")".repeat(40));
    let paste = "#define CAT(x, y) x##y\n#define TWICE(x) CAT(x, x)\n";
    fails(&format!("{paste}{}", wrapped("TWICE")), "macro expansion makes too many tokens");
    let quote = "#define TEXT(x) #x\n#define QUOTE(x) TEXT(x)\n";
    fails(&format!("{quote}{}", wrapped("QUOTE")), "macro expansion makes too many tokens");
    let deep = "f(".repeat(5000) + &")".repeat(5000);
    fails(&format!("#define f(a) a\n{deep}"), "nested too deeply");
    let parens = "(".repeat(100_000);
    fails(&format!("#if {parens}\n#endif"), "nested too deeply");
}
