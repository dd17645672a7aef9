//! Tests of all phases on whole files: the corpus, the diagnostics, and compile time.

use super::*;

fn errors(text: &str) -> String {
    match compile(text, &Options::default()) {
        Ok(library) => {
            let mut out = library.warnings.clone();
            for entry in &library.entries {
                if let Err(error) = library.kernel(&entry.name, &ConstantValues::default()) {
                    out += &error.0;
                }
            }
            out
        }
        Err(error) => error.0,
    }
}

#[test]
fn a_product_of_another_type_is_not_assigned() {
    let kernel = |declarations: &str, body: &str| {
        format!(
            "#include <metal_stdlib>\nusing namespace metal;\n{declarations}\n\
             kernel void k(device float* out [[buffer(0)]]) {{ {body} out[0] = t[0][0]; }}"
        )
    };
    for (declarations, body, given) in [
        ("", "float4x2 t(1.0f); float2x4 m(2.0f); t *= m;", "float2x2"),
        (
            "struct S {}; float4x2 operator*(float4x2 m, S) { return m; }",
            "float4x2 t(1.0f); S s; t *= s;",
            "S",
        ),
    ] {
        let found = errors(&kernel(declarations, body));
        let want = format!("error: assigning to 'float4x2' from incompatible type '{given}'");
        assert!(found.contains(&want), "{found}");
    }
}

#[test]
fn a_kernel_becomes_ir() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + y[i]; }";
    let library = compile(text, &Options::default()).unwrap();
    let (module, reflection) = library.kernel("saxpy", &ConstantValues::default()).unwrap();
    ir::verify(&module).unwrap();
    assert_eq!(reflection.arguments.len(), 4);
    println!("{module}");
}

fn corpus() -> Vec<(String, String)> {
    files("tests/msl", "metal")
}

/// The files of a folder of the repository with an ending, by name.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut list: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    list.sort();
    list
}

/// Compiles a text and lowers all its kernels; the IR of each must be valid.
fn whole(text: &str) -> Result<Library, String> {
    let library = compile(text, &Options::default()).map_err(|error| error.0)?;
    for entry in library.entries.iter().filter(|entry| entry.stage == Stage::Kernel) {
        if let Ok((module, _)) = library.kernel(&entry.name, &ConstantValues::default()) {
            ir::verify(&module).map_err(|error| format!("{}: {error:?}\n{module}", entry.name))?;
        }
    }
    Ok(library)
}

#[test]
fn the_corpus_compiles() {
    let corpus = corpus();
    assert!(corpus.len() >= 5);
    for (name, text) in corpus {
        let library = whole(&text).unwrap_or_else(|error| panic!("{name}\n{error}"));
        assert_eq!(library.warnings, "", "{name}");
        for entry in &library.entries {
            let kernel = library.kernel(&entry.name, &ConstantValues::default());
            // Other stages are not supported, which is reported when they are requested.
            let supported = entry.stage == Stage::Kernel;
            assert_eq!(kernel.is_ok(), supported, "{name}: {}: {:?}", entry.name, kernel.err());
        }
    }
}

#[test]
fn an_unsupported_feature_fails_only_the_kernels_that_use_it() {
    let text = "#include <metal_stdlib>
        #include <metal_tensor>
        #include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
        using namespace metal;
        using namespace mpp::tensor_ops;
        int twice(int x) { return 2 * x; }
        kernel void good(device int* out) { out[0] = twice(1); }
        kernel void bad(texture2d<uint, access::read_write> t) { t.atomic_min(uint2(0), ulong4(1)); }
        void largest(texture2d<ulong, access::read_write> t) { t.atomic_max(uint2(0), ulong4(1)); }
        kernel void wide(texture2d<ulong, access::read_write> t) { largest(t); }
        typedef tensor<device half, dextents<int, 2>> Input;
        kernel void reduced(Input a [[buffer(0)]], Input b [[buffer(1)]]) {
            matmul2d<matmul2d_descriptor(64, 32, 16), execution_simdgroups<4>> op;
            auto all = op.get_destination_cooperative_tensor<Input, Input, float>();
            op.run(a, b, all);
            auto largest = op.get_row_reduction_destination_cooperative_tensor<Input, Input, float>();
            reduce_rows(all, largest, reduction_operation::max, reduction_operation_identity<float>::max_identity);
            for (auto it = all.begin(); it != all.end(); it++) *it = *largest.map_iterator(it);
        }";
    let library = whole(text).unwrap_or_else(|error| panic!("{error}"));
    assert!(library.kernel("good", &ConstantValues::default()).is_ok());
    for name in ["bad", "wide", "reduced"] {
        let Err(error) = library.kernel(name, &ConstantValues::default()) else {
            panic!("{name} runs")
        };
        assert!(error.0.contains("not supported"), "{name}: {error:?}");
    }
}

const OTHER_STAGES: &str = "
#include <metal_stdlib>
using namespace metal;
using namespace metal::raytracing;
struct Payload { float3 colour; ray next; };
void trace(instance_acceleration_structure scene, thread Payload& p) {
    intersector<triangle_data, instancing> i;
    intersector<triangle_data, instancing>::result_type hit = i.intersect(p.next, scene);
    p.colour = hit.type == intersection_type::none ? float3(0) : float3(1);
}
kernel void traced(instance_acceleration_structure scene [[buffer(0)]], device float3* out [[buffer(1)]]) {
    ray r;
    r.origin = float3(0);
    r.max_distance = INFINITY;
    Payload p = {float3(0), r};
    trace(scene, p);
    out[0] = p.colour;
}
constexpr sampler smooth(filter::linear);
kernel void with_level(texture2d<float> image, device float* out [[buffer(0)]]) { out[0] = image.calculate_clamped_lod(smooth, float2(0)); }
struct Commands { command_buffer commands [[id(0)]]; };
kernel void with_commands(constant Commands& c [[buffer(0)]]) {
    render_command command(c.commands, 0);
    command.draw_primitives(primitive_type::triangle, 0, 3, 1, 0);
}
struct Attributes { float4 position [[attribute(0)]]; };
kernel void staged(Attributes in [[stage_in]], device float* out [[buffer(0)]]) { out[0] = in.position.x; }
struct Resources { device float* data [[buffer(0)]]; texture2d<float> image [[texture(0)]]; };
kernel void by_structure(Resources r) { r.data[0] = r.image.read(uint2(0)).x; }
kernel void with_rates(constant rasterization_rate_map_data& rates [[buffer(0)]], device float* out [[buffer(1)]]) {
    rasterization_rate_map_decoder decoder(rates);
    out[0] = decoder.map_screen_to_physical_coordinates(float2(0)).x;
}
struct Vertex { float4 position [[position]]; };
using Triangles = mesh<Vertex, void, 3, 1, topology::triangle>;
[[mesh]] void meshed(Triangles out, uint i [[thread_index_in_threadgroup]]) { out.set_primitive_count(1); }
struct Pixel { r8unorm<half> grey; float depth; };
kernel void tiled(imageblock<Pixel> block, ushort2 at [[thread_position_in_threadgroup]]) {
    Pixel pixel = block.read(at);
    pixel.depth += 1;
    block.write(pixel, at);
}
struct Shaded { interpolant<float4, interpolation::perspective> colour; float4 position [[position]]; };
fragment float4 shaded(Shaded in [[stage_in]], bool front [[front_facing]]) {
    if (!front) discard_fragment();
    return in.colour.interpolate_at_center() + dfdx(in.position);
}
kernel void plain(device int* out [[buffer(0)]]) { out[0] = 1; }
";

#[test]
fn types_of_other_stages_are_errors_only_where_they_are_used() {
    let library = compile(OTHER_STAGES, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let none = ConstantValues::default();
    library.kernel("plain", &none).unwrap();
    for name in [
        "traced",
        "meshed",
        "staged",
        "by_structure",
        "with_rates",
        "with_level",
        "with_commands",
        "tiled",
        "shaded",
    ] {
        let CompileError(report, _) = library.kernel(name, &none).unwrap_err();
        assert!(report.contains("not supported"), "{name}: {report}");
    }
    let CompileError(report, _) = library.kernel("staged", &none).unwrap_err();
    let remedy = "'stage_in' of a kernel is not supported: pass a buffer of its structures";
    assert!(report.contains(remedy), "{report}");
}

#[test]
fn annotations_and_invariance_have_no_effect() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        struct Vertex { float4 position [[position, invariant]]; };
        [[user_annotation(\"first\")]] kernel void annotated(device int* out) { out[0] = 1; }";
    let library = compile(source, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    library.kernel("annotated", &ConstantValues::default()).unwrap();
}

#[test]
fn bindings_at_program_scope_are_errors() {
    for variable in ["device int* shared [[buffer(0)]];", "texture2d<float> image [[texture(0)]];"]
    {
        let source = format!(
            "#include <metal_stdlib>\nusing namespace metal;\n{variable}\nkernel void plain() {{}}"
        );
        let Err(error) = compile(&source, &Options::default()) else { panic!("{variable}") };
        assert!(error.0.contains(":3:"), "{error}");
    }
}

#[test]
fn a_tensor_that_the_host_binds_is_an_argument() {
    let source = "#include <metal_stdlib>
        #include <metal_tensor>
        using namespace metal;
        kernel void plain(device int* out) { out[0] = dextents<int, 2>(3, 4).extent(1); }
        kernel void bound(tensor<device half, dextents<int, 3>> t [[buffer(4)]]) { t.store(1, 0, 0, 0); }
        kernel void unbound(tensor<float, dextents<int, 2>> t [[buffer(0)]]) {}";
    let library = compile(source, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let none = ConstantValues::default();
    library.kernel("plain", &none).unwrap();
    let (_, reflection) = library.kernel("bound", &none).unwrap();
    let argument = &reflection.arguments[0];
    let tensor = argument.tensor.map(|tensor| (tensor.element, tensor.rank));
    assert_eq!((argument.index, tensor), (4, Some((crate::soft::ir::Scalar::F16, 3))));
    // Elements are in memory of the host.
    let CompileError(report, _) = library.kernel("unbound", &none).unwrap_err();
    assert!(
        report.contains("structure of buffers, textures or samplers is not supported"),
        "{report}"
    );
    // Before Metal 4 the header is empty.
    let options = Options { language: Some(320), ..Options::default() };
    let source = "#include <metal_tensor>
        void f(metal::tensor<device float, int> t) {}";
    let CompileError(report, _) = compile(source, &options).unwrap_err();
    assert!(report.contains("'tensor' needs Metal 4.0"), "{report}");
}

const TEXTURES: &str = "
    #include <metal_stdlib>
    using namespace metal;
    kernel void f(texture2d<half> a [[texture(2)]], texture2d<int, access::write> b,
                  array<texture2d<float>, 4> c, texture3d<uint, access::read_write> d,
                  sampler s [[sampler(0)]], array<sampler, 3> l) {}
";

#[test]
fn entry_points_are_described() {
    let text = corpus().into_iter().find(|(name, _)| name == "entry.metal").unwrap().1;
    let library = compile(&text, &Options::default()).unwrap();
    let names: Vec<&str> = library.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["inner::scale", "specialised", "corner", "colour", "copy_texture"]);
    let reflection = library.reflection("inner::scale").unwrap();
    assert_eq!(reflection.max_total_threads, Some(128));
    let buffers: Vec<_> = reflection.arguments[..3]
        .iter()
        .map(|a| (a.name.as_str(), a.index, a.explicit, a.type_name.as_str(), a.size, a.access))
        .collect();
    use check::entry::Access::{ReadOnly, ReadWrite};
    assert_eq!(
        buffers,
        [
            ("data", 2, true, "float", 4, ReadWrite),
            ("arguments", 0, false, "Arguments", 20, ReadOnly),
            ("offsets", 1, false, "int", 4, ReadOnly),
        ]
    );
    assert_eq!(library.function_constants.len(), 2);
    let stage = library.kernel("colour", &ConstantValues::default()).unwrap_err();
    assert!(stage.0.contains("a stage other than kernel is not supported"), "{stage}");
    let textures = compile(TEXTURES, &Options::default()).unwrap();
    let messages: Vec<_> = textures
        .reflection("f")
        .unwrap()
        .arguments
        .into_iter()
        .map(|a| (a.name, a.kind, a.index, a.count, a.type_name, a.access))
        .collect();
    use check::entry::Access::WriteOnly;
    use check::entry::ArgumentKind::{Sampler, Texture};
    let argument = |name: &str, kind, index, count, ty: &str, access| {
        (name.to_owned(), kind, index, count, ty.to_owned(), access)
    };
    assert_eq!(
        messages,
        [
            argument("a", Texture, 2, None, "half", ReadOnly),
            argument("b", Texture, 0, None, "int", WriteOnly),
            argument("c", Texture, 3, Some(4), "float", ReadOnly),
            argument("d", Texture, 1, None, "uint", ReadWrite),
            argument("s", Sampler, 0, None, "sampler", ReadOnly),
            argument("l", Sampler, 1, Some(3), "sampler", ReadOnly),
        ]
    );
    assert!(library.reflection("nothing").is_err());
}

/// Whether reports are recorded instead of compared.
fn updating() -> bool {
    std::env::var_os("ARUMINIUM_UPDATE").is_some()
}

/// Each file of wrong sources has its expected report beside it. `ARUMINIUM_UPDATE=1` writes it.
#[test]
fn diagnostics_match_the_recorded_ones() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msl/errors");
    let files = files("tests/msl/errors", "metal");
    assert!(!files.is_empty());
    for (name, text) in files {
        let report = errors(&text);
        let path = folder.join(&name).with_extension("txt");
        if updating() {
            std::fs::write(&path, &report).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(report, recorded, "{name}");
        assert!(
            report.contains("error:") || report.contains("warning:"),
            "{name} has no diagnostics"
        );
        assert!(!report.contains("<unknown>"), "{name}: {report}");
    }
}

/// One rule a case: `=== the rule`, a source that breaks it, `->`, the report.
#[test]
fn each_rule_is_reported() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/msl/diagnostics.txt");
    let recorded = std::fs::read_to_string(path).unwrap();
    let (mut written, mut silent) = (String::new(), Vec::new());
    for case in recorded.split("=== ").skip(1) {
        let (rule, rest) = case.split_once('\n').expect("a rule ends its line");
        let (source, _) = rest.split_once("->\n").expect("a case has an arrow");
        let report = errors(source);
        if !report.contains("error:") && !report.contains("warning:") {
            silent.push(rule);
        }
        // An error about an unknown type only follows from another one.
        assert!(!report.contains("<unknown>"), "{rule}: {report}");
        written += &format!("=== {rule}\n{source}->\n{report}");
    }
    if updating() {
        std::fs::write(path, &written).unwrap();
    }
    assert_eq!(written, recorded);
    assert!(silent.is_empty(), "nothing is reported for {silent:?}");
}

#[test]
fn declarations_and_definitions_are_one_entity() {
    let none = ConstantValues::default();
    let text = "
        extern constant int N;
        constant int N [[function_constant(3)]];
        kernel void f(device int* o);
        [[host_name(\"a\")]] kernel void f(device int* o) { o[0] = N; }
        [[host_name(\"b\")]] kernel void g(device int* o);
        kernel void g(device int* o) { o[0] = 1; }";
    let library = compile(text, &Options::default()).map_err(|error| error.0).unwrap();
    let constants = library.function_constants.iter().map(|one| (&*one.name, one.index));
    assert_eq!(constants.collect::<Vec<_>>(), [("N", 3)]);
    library.kernel("b", &none).map_err(|error| error.0).unwrap();
    let error = library.kernel("a", &none).map(|_| ()).map_err(|error| error.0).unwrap_err();
    assert!(error.contains("'N'"), "{error}");
    assert!(library.kernel("f", &none).is_err() && library.kernel("g", &none).is_err());
}

#[test]
fn the_order_of_instantiation_has_no_effect() {
    let sources = [
        // The destructor's class is known only after its object's initial value.
        "template <typename T> struct Guard { thread T& v; Guard(thread T& x) : v(x) {} ~Guard() { v = 0; } };
         template <typename T> Guard<T> make_guard(thread T& x) { return Guard<T>(x); }
         kernel void k(device int* o) { int x = 1; { auto g = make_guard(x); } o[0] = x; }",
        // A function that is checked while a static member is declared.
        "#include <metal_stdlib>
         constexpr int count() { struct L { int n; int get() const { return n; } }; return L{3}.get(); }
         struct S { template <typename T> static metal::array<T, count()> of(T x) { metal::array<T, count()> all = {}; all[2] = x; return all; } };
         kernel void k(device int* o) { o[0] = S::of(o[1])[2]; }",
        // Specialisations of templates of members, beside plain members with the same names.
        "template <typename T> struct S { T a; template <typename U> U g(U x) { return x; } };
         template <> template <> float S<int>::g(float x) { return x + 1; }
         struct P { static int of(int x) { return x; } template <typename T> static T of(T x, T y) { return x; } };
         template <> float P::of(float x, float y) { return x + y; }
         kernel void k(device float* o) { S<int> s; o[0] = s.g(1.0f) + P::of(1) + P::of(1.0f, 2.0f); }",
    ];
    for text in sources {
        let library = compile(text, &Options::default()).map_err(|error| error.0).unwrap();
        library.kernel("k", &ConstantValues::default()).map_err(|error| error.0).unwrap();
    }
}

#[test]
fn templates_recurse_to_a_depth_of_two_thousand() {
    // The work grows with the square of a list's length: `benches/pathological.rs` has lists of 2,000.
    let numbers: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let numbers = numbers.join(", ");
    let check = |head: &str, value: &str| {
        let text = format!("{head}\nkernel void k(device int* a) {{ a[0] = {value}; }}");
        let library = compile(&text, &Options::default()).map_err(|error| error.0)?;
        library.kernel("k", &ConstantValues::default()).map(|_| ()).map_err(|error| error.0)
    };
    let class = "
        template <int... N> struct Sum { static constant constexpr int value = 0; };
        template <int N, int... R> struct Sum<N, R...> {
            static constant constexpr int value = N + Sum<R...>::value;
        };";
    check(class, &format!("Sum<{numbers}>::value")).unwrap();
    let counted = "
        template <int N> struct Sum { static constant constexpr int value = N + Sum<N - 1>::value; };
        template <> struct Sum<0> { static constant constexpr int value = 0; };";
    check(counted, "Sum<2000>::value").unwrap();
    let function = "
        template <typename T> int sum(T x) { return x; }
        template <typename T, typename... R> int sum(T x, R... rest) { return x + sum(rest...); }";
    check(function, &format!("sum({numbers})")).unwrap();
    // Code that needs more stack for each level is refused earlier, by an error with the number.
    let deduced = "
        template <int N> auto f(int x) { return f<N - 1>(x) + 1; }
        template <> auto f<0>(int x) { return x; }";
    check(deduced, "f<200>(1)").unwrap();
    for (head, value, message) in [
        (deduced, "f<5000>(1)", "deep, which is the limit: declare the type of a result"),
        ("template <int N> struct S { S<N + 1> s; };", "sizeof(S<0>)", "its maximum depth of 2048"),
    ] {
        let error = check(head, value).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn compiling_needs_little_stack() {
    let deep = format!(
        "kernel void k(device int* a) {{ a[0] = {}1{}; }}",
        "(".repeat(200),
        ")".repeat(200)
    );
    let long = format!("kernel void k(device int* a) {{ a[0] = 0{}; }}", " + a[1]".repeat(900));
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let run = thread.spawn(move || (whole(&deep).is_ok(), whole(&long).is_ok())).unwrap();
    assert_eq!(run.join().unwrap(), (true, true));
}

/// Programs that would take too much stack, memory or time are errors that say what the limit is. Libraries may be dropped on a
/// small stack, however deep their expressions are.
#[test]
fn large_and_deep_programs_are_errors() {
    let repeat = |text: &str, numbers: std::ops::Range<usize>| -> String {
        let before = |number: usize| number.saturating_sub(1).to_string();
        numbers
            .map(|at| text.replace("@-", &before(at)).replace('@', &at.to_string()) + "\n")
            .collect()
    };
    let fold = |count: usize, declaration: &str| {
        let numbers = vec!["1"; count].join(", ");
        format!("{declaration}\nkernel void k(device int* o) {{ o[0] = f<{numbers}>(o); }}")
    };
    let left = "template <int... N> int f(device int* o) { return (... + o[N]); }";
    let right = "template <int... N> int f(device int* o) { return (o[N] + ...); }";
    let kernel = |declarations: &str, body: &str| {
        format!("{declarations}\nkernel void k(device int* o) {{ {body} }}")
    };
    let nested = "struct S0 { int x; };\n".to_owned();
    let cases = [
        (fold(1 << 14, left), ""),
        (fold(1 << 14, right), ""),
        (
            fold((1 << 14) + 1, right),
            "fold expressions inside each other have more than 16384 elements",
        ),
        (
            kernel("int f(int x = f()) { return x; }", "o[0] = f();"),
            "default arguments and member initializers that need each other are nested",
        ),
        (
            kernel(
                &("int f0() { return 1; }\n".to_owned()
                    + &repeat("int f@(int x = f@-()) { return x; }", 1..1200)),
                "o[0] = f1199();",
            ),
            "default arguments and member initializers that need each other are nested",
        ),
        (
            kernel(
                &("int f0() { return 1; }\n".to_owned()
                    + &repeat("int f@(int x = f@-() + f@-()) { return x; }", 1..40)),
                "o[0] = f39();",
            ),
            "the library needs more than 262144 default arguments and default member initializers",
        ),
        // Members without a default do not count as defaults.
        (
            kernel(
                &format!(
                    "struct S {{ {} }};\nconstant S s[257] = {{ {} }};",
                    repeat("char m@;", 0..1024),
                    "{1}, ".repeat(257)
                ),
                "o[0] = s[0].m1;",
            ),
            "",
        ),
        (
            kernel(
                &(nested.clone() + &repeat("struct S@ { S@- s; };", 1..1023)),
                "S1022 s = {}; o[0] = sizeof(s);",
            ),
            "",
        ),
        (
            kernel(&(nested.clone() + &repeat("struct S@ { S@- s; };", 1..1100)), ""),
            "struct 'S1024' is nested too deeply: more than 1024 members",
        ),
        (
            kernel(&(nested.clone() + &repeat("struct S@ { S@- s, t; };", 1..40)), ""),
            "struct 'S17' is too large: its members and bases, and theirs, are more than 262144",
        ),
        (
            kernel(
                &("struct S0 { };\n".to_owned()
                    + &repeat(
                        "struct A@ : S@- { }; struct B@ : S@- { }; struct S@ : A@, B@ { };",
                        1..40,
                    )),
                "S39 s; o[0] = s.missing;",
            ),
            "is too large: its members and bases, and theirs, are more than 262144",
        ),
        (
            kernel(&("typedef int T0;\n".to_owned() + &repeat("typedef T@- T@[1];", 1..1100)), ""),
            "type is nested too deeply: more than 1024 pointers, references, arrays and functions",
        ),
        (
            // A declarator adds 400 levels to its argument.
            format!(
                "template <typename F> using P = F {}{};\nusing A0 = int;\n{}\nkernel void k() {{ A4999 *p = 1; }}",
                "(*".repeat(200),
                ")()".repeat(200),
                repeat("using A@ = P<A@->;", 1..5000)
            ),
            "type is nested too deeply: more than 1024 pointers, references, arrays and functions",
        ),
        (kernel("", &"_Pragma ".repeat(500_000)), "_Pragma takes a parenthesized string literal"),
        (kernel("", &"_Pragma(".repeat(500_000)), "_Pragma takes a parenthesized string literal"),
        (
            format!("kernel void k({}device int* o) {{ }}", repeat("device int* p@,", 0..5000)),
            "no index of kind 'buffer' is left for 'p31': there are 31",
        ),
        (
            kernel(
                "struct S { S() {} int x; }; struct A { S s[64][64][64][64]; };",
                "A a; o[0] = a.s[1][2][3][4].x;",
            ),
            "",
        ),
    ];
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let run = move || {
        for (text, wanted) in cases {
            let found = errors(&text);
            let shown = || text.chars().take(200).collect::<String>();
            assert!(found.contains(wanted), "{}...\n{found:.500}", shown());
            assert!(!wanted.is_empty() || found.is_empty(), "{}...\n{found:.500}", shown());
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
}

/// The time from text to IR for a small kernel, in an optimised build:
/// `cargo test --release --lib compile_time -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, meaningful only in an optimised build"]
fn compile_time() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + max(y[i], 1.0f); }";
    let mut best = [std::time::Duration::MAX; 2];
    for _ in 0..200 {
        let start = std::time::Instant::now();
        let library = compile(text, &Options::default()).unwrap();
        let middle = std::time::Instant::now();
        library.kernel("saxpy", &ConstantValues::default()).unwrap();
        best[0] = best[0].min(middle - start);
        best[1] = best[1].min(middle.elapsed());
    }
    println!("library {:?}, kernel {:?}", best[0], best[1]);
    for (name, text) in corpus() {
        let start = std::time::Instant::now();
        whole(&text).unwrap();
        println!("{name}: {} lines in {:?}", text.lines().count(), start.elapsed());
    }
}

const SHARED: &str = "
constant int c [[function_constant(0)]];
template <int N> int f(int x) { return x * N + c; }
kernel void one(device int* out) { out[0] = f<1>(out[1]); }
kernel void two(device int* out) { out[0] = f<2>(out[1]); }
";

#[test]
fn kernels_of_one_library_are_lowered_at_the_same_time() {
    let library = compile(SHARED, &Options::default()).unwrap();
    // Each waits while it is lowered until the other is being lowered too.
    let both = std::sync::Barrier::new(2);
    let make = |name: &str, value: u64| {
        let values = |_: &FunctionConstant| {
            both.wait();
            Some(vec![Constant::Int(value)])
        };
        library.kernel_with(name, ir::Checks::NONE, &values, &[], 1).unwrap().0.to_string()
    };
    std::thread::scope(|scope| {
        let one = scope.spawn(|| make("one", 11));
        let two = scope.spawn(|| make("two", 22));
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        // And neither has the other's value.
        assert!(one.contains("11") && !one.contains("22"), "{one}");
        assert!(two.contains("22") && !two.contains("11"), "{two}");
    });
}

#[test]
fn a_fault_report_never_waits_for_a_compilation() {
    let library = compile(SHARED, &Options::default()).unwrap();
    let (module, _) = library
        .kernel_with("one", ir::Checks::NONE, &|_| Some(vec![Constant::Int(1)]), &[], 1)
        .unwrap();
    let spans = &module.functions[0].insts;
    let span = spans
        .iter()
        .rev()
        .map(|inst| inst.span)
        .find(|span| library.position(*span).is_some())
        .unwrap();
    // While this is locked, the bodies of a kernel are being checked.
    let compilation = library.checker.lock().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| send.send(library.position(span)).unwrap());
        let place = receive.recv_timeout(std::time::Duration::from_secs(60));
        drop(compilation);
        assert_eq!(place.unwrap().unwrap().1, 4, "the line of the kernel");
    });
}

#[test]
fn names_of_instances_do_not_double() {
    // Written out, the name of the last type would have 2 to the power of 100 parts.
    let text = "
template <typename A, typename B> struct P { int x; };
template <int N, typename T> struct R { typedef typename R<N - 1, P<T, T>>::type type; };
template <typename T> struct R<0, T> { typedef T type; };
kernel void k(device R<100, int>::type* out) { out[0].x = 1; }
";
    let library = compile(text, &Options::default()).unwrap();
    let name = library.reflection("k").unwrap().arguments[0].type_name.clone();
    assert!(name.starts_with("P<P<P<") && name.ends_with('…') && name.len() < 500, "{name}");
    let wrong = text.replace("out[0].x = 1", "out[0] = 1");
    let CompileError(report, _) = compile(&wrong, &Options::default()).unwrap_err();
    assert!(report.len() < 5000, "{report}");
}

#[test]
fn template_instantiation_is_limited() {
    let text = "
template <int N> int f(int x) { return x + N; }
template <typename T> auto g(T x) -> decltype(f<1>(x)) { return f<1>(x); }
int g(float x) { return 7; }
template <typename... T> int count(T... list) { return sizeof...(list); }
kernel void plain(device int* out) { out[0] = 1; }
template <int N> kernel void made(device int* out) { out[0] = f<N>(out[1]); }
template [[host_name(\"made\")]] kernel void made<3>(device int*);
template <int N> kernel void hidden(device int* out) { out[0] = g(N); }
template [[host_name(\"hidden\")]] kernel void hidden<4>(device int*);
template <int N> kernel void packs(device int* out) { out[0] = count(N, N, N); }
template [[host_name(\"packs\")]] kernel void packs<5>(device int*);
";
    let library = compile(text, &Options::default()).unwrap();
    library.checker.lock().unwrap().exhaust_budget();
    let none = ConstantValues::default();
    // The error names the limit, the chain of instances and what to do; it is also reported where an
    // overload was rejected because of it, and other kernels compile.
    for name in ["made", "hidden", "packs"] {
        let CompileError(report, _) = library.kernel(name, &none).unwrap_err();
        for part in ["the library needs more than", "which is the limit", "end the recursion"] {
            assert!(report.contains(part), "{name}: {report}");
        }
        assert!(report.contains("in instantiation of"), "{name}: {report}");
    }
    library.kernel("plain", &none).unwrap();
}
