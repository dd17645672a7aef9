//! Function pointers: linked functions, tables, and calls through them.

use super::*;

/// Kernels that call through tables.
const KERNELS: &str = "#include <metal_stdlib>
    using namespace metal;
    using Unary = float(float);
    struct Pair { float a; int b[3]; };
    kernel void each(device float *out [[buffer(0)]], device const uint *which [[buffer(1)]],
                     visible_function_table<Unary> table [[buffer(2)]],
                     uint i [[thread_position_in_grid]]) {
        out[i] = table[which[i]](float(i));
    }
    kernel void by_pointer(device float *out [[buffer(0)]], visible_function_table<float(float)> table [[buffer(2)]],
                           uint i [[thread_position_in_grid]]) {
        Unary *f = table[i % table.size()];
        auto g = table[0];
        out[i] = f == nullptr ? -1 : (*f)(f(float(i))) + g(0.0f) + float(table.empty());
    }
    kernel void structs(device float *out [[buffer(0)]], visible_function_table<Pair(Pair, device float *)> table [[buffer(2)]],
                        uint i [[thread_position_in_grid]]) {
        Pair p = table[0](Pair{float(i), {1, 2, 3}}, out + i);
        out[i] += p.a + p.b[2];
    }
    struct Args { visible_function_table<Unary> tables[2]; device float *out; };
    kernel void in_memory(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        Args own = args;
        [[function_groups(\"any\")]] float x = own.tables[0][0](float(i));
        args.out[i] = is_null_visible_function_table(args.tables[1]) ? x : -x;
    }
    constant bool has [[function_constant(0)]];
    kernel void optional(device float *out [[buffer(0)]],
                         visible_function_table<Unary> table [[buffer(2), function_constant(has)]],
                         uint i [[thread_position_in_grid]]) {
        out[i] = is_null_visible_function_table(table) ? 7 : table[0](i);
    }";

/// Functions of another library.
const FUNCTIONS: &str = "#include <metal_stdlib>
    using namespace metal;
    constant float scale [[function_constant(3)]];
    constant float table[4] = {1, 10, 100, 1000};
    float twice(float x) { return 2 * x; }
    [[visible]] float by_two(float x) { return twice(x); }
    [[visible]] float plus_table(float x) { return x + table[int(x) % 4]; }
    [[visible]] float scaled(float x) { return x * scale; }
    [[visible]] float of_int(int x) { return x; }
    [[visible]] float faulty(float x) { device float *none = nullptr;
        return none[int(x)]; }
    struct Pair { float a; int b[3]; };
    [[visible]] Pair swap(Pair p, device float *out) { *out = 1000; p.b[2] += 10; p.a = -p.a; return p; }
    [[visible]] float nested(float x, visible_function_table<float(float)> other) { return other[0](x) + 1; }";

/// A list of objects.
fn list(objects: &[Id]) -> Own {
    pool(|| {
        Own::retain(send!(
            class("NSArray"), "arrayWithObjects:count:", objects.as_ptr() => *const Id,
            objects.len() => usize; Id
        ))
    })
}

/// The pipeline of a kernel with linked functions, or the error.
fn linked(kernel: Id, functions: &[Id], depth: usize) -> Result<Own, String> {
    linked_with_private(kernel, functions, &[], depth)
}

fn linked_with_private(
    kernel: Id,
    functions: &[Id],
    private: &[Id],
    depth: usize,
) -> Result<Own, String> {
    let descriptor = new("MTLComputePipelineDescriptor");
    send!(*descriptor, "setComputeFunction:", kernel => Id; ());
    send!(*descriptor, "setMaxCallStackDepth:", depth => usize; ());
    send!(*descriptor, "setSupportAddingBinaryFunctions:", 1i8 => i8; ());
    let links = pool(|| Own::retain(send!(class("MTLLinkedFunctions"), "linkedFunctions"; Id)));
    send!(*links, "setFunctions:", *list(functions) => Id; ());
    send!(*links, "setPrivateFunctions:", *list(private) => Id; ());
    send!(*descriptor, "setLinkedFunctions:", *links => Id; ());
    let mut error = Id::NIL;
    let pipeline = send!(
        *device(), "newComputePipelineStateWithDescriptor:options:reflection:error:",
        *descriptor => Id, 0usize => usize, std::ptr::null_mut() => *mut Id,
        &raw mut error => *mut Id; Id
    );
    if pipeline.is_nil() { Err(error_text(error)) } else { Ok(Own::new(pipeline)) }
}

/// Sets an entry of a table to a linked function, or clears it; whether the pipeline has the function.
fn set(table: Id, index: usize, pipeline: Id, function: Id) -> bool {
    pool(|| {
        let handle = send!(pipeline, "functionHandleWithFunction:", function => Id; Id);
        send!(table, "setFunction:atIndex:", handle => Id, index => usize; ());
        !handle.is_nil()
    })
}

/// A table of these functions; nil leaves an entry empty.
fn table(pipeline: Id, functions: &[Id]) -> Own {
    let descriptor = new("MTLVisibleFunctionTableDescriptor");
    send!(*descriptor, "setFunctionCount:", functions.len() => usize; ());
    let table =
        Own::new(send!(pipeline, "newVisibleFunctionTableWithDescriptor:", *descriptor => Id; Id));
    for (index, function) in functions.iter().enumerate() {
        assert_eq!(set(*table, index, pipeline, *function), !function.is_nil());
    }
    table
}

/// Launches a kernel over `n` threads: results at 0, a buffer at 1, a table at 2.
fn run(pipeline: Id, n: usize, which: Id, table: Id) -> Result<Vec<f32>, String> {
    let (queue, out) = (queue(), buffer(4 * n));
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, pipeline);
    bind_buffer(*encoder, *out, 0, 0);
    bind_buffer(*encoder, which, 0, 1);
    send!(*encoder, "setVisibleFunctionTable:atBufferIndex:", table => Id, 2usize => usize; ());
    launch(*encoder, n, 32);
    end(*encoder);
    finish(*commands).map(|()| contents(*out))
}

/// A function with a value for its function constant of index 3.
fn specialised(library: Id, name: &str, value: f32) -> Own {
    let values = new("MTLFunctionConstantValues");
    send!(
        *values, "setConstantValue:type:atIndex:", (&raw const value).cast() => *const c_void,
        3usize => usize, 3usize => usize; ()
    );
    Own::new(send!(
        library, "newFunctionWithName:constantValues:error:", *string(name) => Id, *values => Id,
        std::ptr::null_mut() => *mut Id; Id
    ))
}

#[test]
fn threads_call_different_functions() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let of = |name| function(*functions, name);
    let (two, plus) = (of("by_two"), of("plus_table"));
    let (three, five) =
        (specialised(*functions, "scaled", 3.), specialised(*functions, "scaled", 5.));
    assert_eq!(send!(*two, "functionType"; usize), 5);
    let each = function(*kernels, "each");
    let pipeline = linked(*each, &[*two, *plus, *three, *five], 1).unwrap();
    let table = table(*pipeline, &[*two, *plus, *three, *five, Id::NIL]);
    let which: Vec<u32> = (0..100).map(|i| (i * 7 + i / 9) % 4).collect();
    let calls = |i: usize| {
        let x = i as f32;
        [2. * x, x + [1., 10., 100., 1000.][i % 4], 3. * x, 5. * x][which[i] as usize]
    };
    let found = run(*pipeline, 100, *buffer_of(&which), *table).unwrap();
    assert_eq!(found, (0..100).map(calls).collect::<Vec<_>>());

    // A later change of an entry is seen by later launches.
    assert!(set(*table, 0, *pipeline, *five));
    let found = run(*pipeline, 8, *buffer_of(&[0u32; 8]), *table).unwrap();
    assert_eq!(found, (0..8).map(|i| 5. * i as f32).collect::<Vec<_>>());
}

#[test]
fn pointers_and_structs_are_passed() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let of = |name| function(*functions, name);
    let (two, plus, swap) = (of("by_two"), of("plus_table"), of("swap"));
    let pipeline = linked(*function(*kernels, "by_pointer"), &[*two, *plus, *swap], 1).unwrap();
    let table_of_two = table(*pipeline, &[*two, *plus]);
    let found = run(*pipeline, 40, Id::NIL, *table_of_two).unwrap();
    let plus = |x: f32| x + [1., 10., 100., 1000.][x as usize % 4];
    let expected = |i: usize| {
        let x = i as f32;
        if i.is_multiple_of(2) { 4. * x } else { plus(plus(x)) }
    };
    assert_eq!(found, (0..40).map(expected).collect::<Vec<_>>());

    let pipeline = linked(*function(*kernels, "structs"), &[*two, *swap], 1).unwrap();
    let found = run(*pipeline, 40, Id::NIL, *table(*pipeline, &[*swap])).unwrap();
    assert_eq!(found, (0..40).map(|i| 1013. - i as f32).collect::<Vec<_>>());
}

#[test]
fn tables_are_members_of_argument_buffers() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let two = function(*functions, "by_two");
    let kernel = function(*kernels, "in_memory");
    let pipeline = linked(*kernel, &[*two], 1).unwrap();
    let table = table(*pipeline, &[*two]);
    let encoder =
        Own::new(send!(*kernel, "newArgumentEncoderWithBufferIndex:", 0usize => usize; Id));
    let (args, out) = (buffer(send!(*encoder, "encodedLength"; usize)), buffer(16));
    send!(*encoder, "setArgumentBuffer:offset:", *args => Id, 0usize => usize; ());
    send!(*encoder, "setVisibleFunctionTable:atIndex:", *table => Id, 0usize => usize; ());
    send!(*encoder, "setBuffer:offset:atIndex:", *out => Id, 0usize => usize, 2usize => usize; ());
    let id = send!(*table, "gpuResourceID"; MTLResourceID)._impl;
    assert_eq!(contents::<u64>(*args), [id, 0, send!(*out, "gpuAddress"; u64)]);
    let (queue, mut results) = (queue(), Vec::new());
    for declared in [false, true] {
        let commands = commands(*queue);
        let encoder = super::encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *args, 0, 0);
        send!(*encoder, "useResource:usage:", *out => Id, 2usize => usize; ());
        if declared {
            send!(*encoder, "useResource:usage:", *table => Id, 1usize => usize; ());
        }
        launch(*encoder, 4, 4);
        end(*encoder);
        results.push(finish(*commands));
    }
    let error = results.remove(0).unwrap_err();
    assert!(error.contains("is in no resource"), "{error}");
    results.remove(0).unwrap();
    assert_eq!(contents::<f32>(*out), [0., 2., 4., 6.]);
}

#[test]
fn a_table_that_a_function_constant_turns_off_is_null() {
    let (library, off) = (library(KERNELS), 0u8);
    let values = new("MTLFunctionConstantValues");
    // No values are none of them.
    send!(
        *values, "setConstantValues:type:withRange:", std::ptr::null() => *const c_void, 53usize => usize,
        NSRange { location: 0, length: 3 } => NSRange; ()
    );
    send!(
        *values, "setConstantValue:type:atIndex:", (&raw const off).cast() => *const c_void,
        53usize => usize, 0usize => usize; ()
    );
    let kernel = Own::new(send!(
        *library, "newFunctionWithName:constantValues:error:", *string("optional") => Id, *values => Id,
        std::ptr::null_mut() => *mut Id; Id
    ));
    let pipeline = linked(*kernel, &[], 1).unwrap();
    assert_eq!(run(*pipeline, 3, Id::NIL, Id::NIL).unwrap(), [7.; 3]);
}

#[test]
fn wrong_calls_are_faults_with_their_lines() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let of = |name| function(*functions, name);
    let (two, of_int, faulty) = (of("by_two"), of("of_int"), of("faulty"));
    let each = function(*kernels, "each");
    let pipeline = linked(*each, &[*two, *of_int, *faulty], 1).unwrap();
    let other = linked(*each, &[*two], 1).unwrap();
    let table = table(*pipeline, &[*two, Id::NIL, *of_int, *faulty]);
    let call = |pipeline: &Own, index: u32| {
        let which: Vec<u32> = (0..4).map(|i| if i == 2 { index } else { 0 }).collect();
        run(**pipeline, 4, *buffer_of(&which), *table)
    };
    call(&pipeline, 0).unwrap();
    for (pipeline, index, text) in [
        (&pipeline, 1, "call through a function pointer that is null"),
        (
            &pipeline,
            2,
            "call through a function pointer to 'of_int', whose type is not that of the pointer",
        ),
        (
            &other,
            3,
            "call through a function pointer to a function that the pipeline does not link",
        ),
        (&pipeline, 4, "read of 8 bytes at offset 40 of 'table', which has 40 bytes"),
        (
            &pipeline,
            u32::MAX,
            "read of 8 bytes at offset 34359738368 of 'table', which has 40 bytes",
        ),
    ] {
        let error = call(pipeline, index).unwrap_err();
        assert!(error.contains(text) && error.contains("thread (2, 0, 0)"), "{error}");
        assert!(error.contains("kernel 'each'") && error.contains("program_source:8:"), "{error}");
    }
    // A fault in the function itself has the line in its own source.
    let error = call(&pipeline, 3).unwrap_err();
    assert!(
        error.contains("a null or stale pointer") && error.contains("program_source:11:"),
        "{error}"
    );
}

#[test]
fn calls_are_as_deep_as_the_pipeline_allows() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        struct Chain { int n; void (*next)(thread Chain &); };
        [[visible]] void down(thread Chain &chain) {
            if (chain.n-- > 0) chain.next(chain); else chain.n = 100;
            chain.n++;
        }
        kernel void k(device int *out [[buffer(0)]], visible_function_table<void(thread Chain &)> table [[buffer(2)]],
                      uint i [[thread_position_in_grid]]) {
            Chain chain = {int(i), table[0]};
            table[0](chain);
            out[i] = chain.n;
        }";
    let library = library(source);
    let (kernel, down) = (function(*library, "k"), function(*library, "down"));
    let pipeline = linked(*kernel, &[*down], 4).unwrap();
    let table = table(*pipeline, &[*down]);
    let run = |n| run(*pipeline, n, Id::NIL, *table);
    let bits: Vec<u32> = run(4).unwrap().into_iter().map(f32::to_bits).collect();
    assert_eq!(bits, [101, 102, 103, 104]);
    let error = run(5).unwrap_err();
    assert!(error.contains("thread (4, 0, 0)") && error.contains("maxCallStackDepth"), "{error}");
}

#[test]
fn functions_are_linked_later_or_refused() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let two = function(*functions, "by_two");
    let each = function(*kernels, "each");
    let pipeline = linked(*each, &[], 1).unwrap();
    assert!(!set(*table(*pipeline, &[Id::NIL]), 0, *pipeline, *two));
    let more = Own::new(send!(
        *pipeline, "newComputePipelineStateWithAdditionalBinaryFunctions:error:",
        *list(&[*two]) => Id, std::ptr::null_mut() => *mut Id; Id
    ));
    let table = table(*more, &[*two]);
    let which = buffer_of(&[0u32; 4]);
    assert_eq!(run(*more, 4, *which, *table).unwrap(), [0., 2., 4., 6.]);
    let error = run(*pipeline, 4, *which, *table).unwrap_err();
    assert!(error.contains("does not link"), "{error}");

    let error = linked(*each, &[*each], 1).err().unwrap();
    assert!(error.contains("function 'each' is linked, but it is not visible"), "{error}");
    let error = linked(*two, &[], 1).err().unwrap();
    assert!(error.contains("function 'by_two' is not a kernel"), "{error}");
    // A visible function whose constant has no value.
    assert!(send!(*functions, "newFunctionWithName:", *string("scaled") => Id; Id).is_nil());
}

#[test]
fn private_functions_have_no_handles() {
    let (kernels, functions) = (library(KERNELS), library(FUNCTIONS));
    let (two, plus) = (function(*functions, "by_two"), function(*functions, "plus_table"));
    let each = function(*kernels, "each");
    let pipeline = linked_with_private(*each, &[*two], &[*plus], 1).unwrap();
    let named = |name| {
        pool(|| send!(*pipeline, "functionHandleWithName:", *string(name) => Id; Id).is_nil())
    };
    assert!(!named("by_two") && named("plus_table"));
    let table_of_two = table(*pipeline, &[*two]);
    assert!(!set(*table_of_two, 0, *pipeline, *plus));

    // But they are linked: a handle that another pipeline made can be called.
    let exporting = linked(*each, &[*plus], 1).unwrap();
    let table_of_plus = table(*exporting, &[*plus]);
    let found = run(*pipeline, 4, *buffer_of(&[0u32; 4]), *table_of_plus).unwrap();
    assert_eq!(found, [1., 11., 102., 1003.]);
}

/// Pointers to functions that the kernel itself names, in arrays, arguments and the calls of each other.
#[test]
fn kernels_point_to_their_own_functions() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        using Binary = float(float, float);
        float add(float a, float b) { return a + b; }
        [[visible]] float times(const float a, float b) { return a * b; }
        float apply(Binary *f, float a, float b) { return f(a, b); }
        kernel void k(device float *out [[buffer(0)]], visible_function_table<Binary> table [[buffer(2)]],
                      uint i [[thread_position_in_grid]]) {
            Binary *list[3] = {add, &times, table.empty() ? nullptr : table[0]};
            bool same = list[1] == times;
            out[i] = apply(list[i % 3], float(i), 3.0f) + (same ? 0 : 100);
        }";
    let library = library(source);
    let kernel = function(*library, "k");
    let minus = super::library("[[visible]] float minus(float a, float b) { return a - b; }");
    let minus = function(*minus, "minus");
    let pipeline = linked(*kernel, &[*minus], 1).unwrap();
    let found = run(*pipeline, 12, Id::NIL, *table(*pipeline, &[*minus])).unwrap();
    let expected = |i: usize| {
        let x = i as f32;
        [x + 3., x * 3., x - 3.][i % 3]
    };
    assert_eq!(found, (0..12).map(expected).collect::<Vec<_>>());
    // Without a linked function the third pointer is one that the pipeline does not know.
    let alone = linked(*kernel, &[], 1).unwrap();
    let error = run(*alone, 12, Id::NIL, *table(*pipeline, &[*minus])).unwrap_err();
    assert!(error.contains("thread (2, 0, 0)") && error.contains("does not link"), "{error}");
}

/// The type of the pointer selects one of several functions, or the instance of a template ([over.over]).
#[test]
fn pointers_to_overloaded_functions_and_instances() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        float f(float x) { return x + 0.5f; }
        int f(int x) { return x * 2; }
        float f(float x, float y) { return x - y; }
        template <typename T> T f(T x, int) { return x + 100; }
        template <typename T> T twice(T x) { return x + x; }
        template <typename T, int N> T times(T x) { return x * N; }
        template <typename T> T chosen(T x) { return -x; }
        float chosen(float x) { return 1000 + x; }
        void increase(thread int &x) { x += 1; }
        void increase(thread float &x) { x += 10; }
        namespace other { int g(int x) { return x + 3; } int g(int, int) { return 0; } }
        using Unary = int(int);
        int apply(Unary *f, int x) { return f(x); }
        float apply(float (*f)(float, float), float x) { return f(x, 1.0f); }
        struct Holder { Unary *member; };
        Unary *pick(bool first) {
            if (first) return f;
            return &other::g;
        }
        kernel void k(device float *out, uint i [[thread_position_in_grid]]) {
            float (*a)(float) = f;
            int (*b)(int) = &f;
            float (*c)(float, int) = f;
            out[0] = a(1) + b(3) + c(2.0f, 0);
            out[1] = apply(other::g, 4);
            out[2] = apply(f, 5.0f);
            a = twice;
            out[3] = a(1.25f);
            auto d = &times<int, 7>;
            out[4] = d(3);
            out[5] = static_cast<int (*)(int)>(f)(21);
            a = chosen;
            out[6] = a(1);
            b = chosen;
            out[7] = b(1);
            void (*e)(thread float &) = increase;
            float x = 1;
            e(x);
            out[8] = x;
            Holder h = {f};
            out[9] = h.member(4) + pick(i == 0)(5) + pick(i == 1)(5);
            out[10] = apply(twice<int>, 8);
            f;
        }";
    let (pipeline, out) = (pipeline(source, "k"), buffer(44));
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *out, 0, 0);
    launch(*encoder, 1, 1);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    let wanted = [109.5, 7.0, 4.0, 2.5, 21.0, 42.0, 1001.0, -1.0, 11.0, 8.0 + 10.0 + 8.0, 16.0];
    assert_eq!(contents::<f32>(*out), wanted);
}

/// The default library is source text in a file of a bundle.
#[test]
fn a_bundle_has_a_default_library() {
    let folder = std::env::temp_dir().join(format!("aruminium-bundle-{}", std::process::id()));
    let resources = folder.join("Contents/Resources");
    std::fs::create_dir_all(&resources).unwrap();
    let path = string(folder.to_str().unwrap());
    pool(|| {
        let bundle = send!(class("NSBundle"), "bundleWithPath:", *path => Id; Id);
        let mut error = Id::NIL;
        let mut make = |bundle: Id| {
            send!(
                *device(), "newDefaultLibraryWithBundle:error:", bundle => Id,
                &raw mut error => *mut Id; Id
            )
        };
        assert!(make(bundle).is_nil() && make(Id::NIL).is_nil());
        std::fs::write(resources.join("default.metallib"), "kernel void here() {}").unwrap();
        let library = Own::new(make(bundle));
        assert_eq!(text(send!(*function(*library, "here"), "name"; Id)), "here");
        let (name, end) = (string("default"), string("metallib"));
        let found = send!(bundle, "pathForResource:ofType:", *name => Id, *end => Id; Id);
        assert_eq!(text(found), resources.join("default.metallib").to_str().unwrap());
        let none = send!(bundle, "pathForResource:ofType:", *name => Id, *name => Id; Id);
        assert!(none.is_nil());
        // No program of these tests has one beside it.
        assert!(send!(*device(), "newDefaultLibrary"; Id).is_nil());
        let main = send!(class("NSBundle"), "mainBundle"; Id);
        let program = std::env::current_exe().unwrap();
        assert_eq!(
            text(send!(main, "bundlePath"; Id)),
            program.parent().unwrap().to_str().unwrap()
        );
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A property that Metal declares `copy` does not follow a mutable collection that was passed.
#[test]
fn descriptors_copy_mutable_collections() {
    let macros = new("NSMutableDictionary");
    let set = |value: &str| {
        send!(*macros, "setObject:forKey:", *string(value) => Id, *string("VALUE") => Id; ());
    };
    set("7");
    let options = new("MTLCompileOptions");
    send!(*options, "setPreprocessorMacros:", *macros => Id; ());
    set("no number");
    let source = string("kernel void k(device int *x) { x[0] = VALUE; }");
    let mut error = Id::NIL;
    pool(|| {
        let library = Own::new(send!(
            *device(), "newLibraryWithSource:options:error:", *source => Id, *options => Id,
            &raw mut error => *mut Id; Id
        ));
        let function = function(*library, "k");
        let linked = new("MTLLinkedFunctions");
        let list = new("NSMutableArray");
        send!(*linked, "setFunctions:", *list => Id; ());
        send!(*list, "addObject:", *function => Id; ());
        assert_eq!(send!(send!(*linked, "functions"; Id), "count"; usize), 0);
        let kept = send!(*options, "preprocessorMacros"; Id);
        assert_eq!(text(send!(kept, "objectForKey:", *string("VALUE") => Id; Id)), "7");
    });
}
