//! From source text to a pipeline: compiling, functions, options, constants.

mod gpu;

use aruminium::fp16::{Bfloat, Half};
use aruminium::{
    CompileOptions, ConstantValues, GpuError, LanguageVersion, MathFunctions, MathMode, Pipeline,
    PipelineDescriptor,
};
use gpu::Rig;

const TWO: &str = "
    kernel void first(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }
    kernel void second(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 2; }
    float helper(float x) { return x; }
";

/// A directive may give a line the number 0, which no line of the file has.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn a_listing_has_lines_without_text() {
    let rig = Rig::new();
    let options = CompileOptions::new();
    options.set_headers(&[("h.h", "// One line.")]).unwrap();
    let source = "#include \"h.h\"\n#line 0 \"h.h\"\nkernel void k(device int *x) { x[0] = 1; }";
    let library = rig.gpu.compile_with(source, Some(&options)).unwrap();
    // Some processors have no machine code, and the listing for an NVIDIA GPU is PTX, which has no lines of the source.
    if let Ok(listing) = library.listing("k")
        && !listing.contains(".target sm_")
    {
        assert!(listing.contains("h.h:0: "), "{listing}");
    }
}

/// The output of a kernel with one buffer of four floats.
fn output(rig: &Rig, pipeline: &Pipeline) -> [f32; 4] {
    let buffer = rig.gpu.buffer(16).unwrap();
    rig.run(|encoder| {
        encoder.bind(pipeline);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.launch((4, 1, 1), (4, 1, 1));
    })
    .unwrap();
    buffer.read_as(|x: &[[f32; 4]]| x[0])
}

#[test]
fn a_library_lists_its_kernels() {
    let rig = Rig::new();
    let library = rig.gpu.compile(TWO).unwrap();
    let mut names = library.function_names();
    names.sort();
    assert_eq!(names, ["first", "second"]);
    library.set_label("two kernels");
    assert_eq!(library.label().as_deref(), Some("two kernels"));
}

#[test]
fn functions_are_found_by_name() {
    let rig = Rig::new();
    let library = rig.gpu.compile(TWO).unwrap();
    for (name, value) in [("first", 1.0), ("second", 2.0)] {
        let function = library.function(name).unwrap();
        assert_eq!(function.name(), name);
        assert_eq!(output(&rig, &rig.gpu.pipeline(&function).unwrap()), [value; 4]);
    }
    let Err(GpuError::FunctionNotFound(why)) = library.function("third") else {
        panic!("a missing function was found");
    };
    assert!(["third", "first", "second"].iter().all(|name| why.contains(name)), "{why}");
}

#[test]
fn compile_errors_have_a_position() {
    let rig = Rig::new();
    let source = "kernel void broken(device float *x) {\n    x[0] = missing;\n}\n";
    let Err(GpuError::LibraryCompilationFailed(diagnostics)) = rig.gpu.compile(source) else {
        panic!("an undeclared identifier compiled");
    };
    for part in ["2:12", "error:", "missing"] {
        assert!(diagnostics.contains(part), "{part} is not in {diagnostics}");
    }
}

#[test]
fn pipelines_report_their_limits() {
    let rig = Rig::new();
    let pipeline = rig.kernel(
        "kernel void turn(device float *x, uint i [[thread_position_in_threadgroup]]) {
            threadgroup float held[64];
            held[i] = x[i];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            x[i] = held[63 - i];
        }",
    );
    assert_eq!(pipeline.static_threadgroup_memory_length(), 256);
    assert_eq!(pipeline.thread_execution_width(), 32);
    let most = pipeline.max_total_threads_per_threadgroup();
    assert!(most >= 64 && most.is_multiple_of(32), "{most}");
    let none = rig.kernel("kernel void none(device float *x) { x[0] = 1; }");
    assert_eq!(none.static_threadgroup_memory_length(), 0);
}

#[test]
fn a_pipeline_may_have_a_name_and_a_limit() {
    let rig = Rig::new();
    let function = rig.gpu.compile(TWO).unwrap().function("first").unwrap();
    let descriptor = PipelineDescriptor::new(&function);
    let plain = rig.gpu.pipeline_with(&descriptor).unwrap();
    assert_eq!(plain.label(), None);
    descriptor.set_label("narrow");
    descriptor.set_max_total_threads_per_threadgroup(64);
    descriptor.set_whole_simd_groups(true);
    let narrow = rig.gpu.pipeline_with(&descriptor).unwrap();
    assert_eq!(narrow.label().as_deref(), Some("narrow"));
    assert_eq!(narrow.max_total_threads_per_threadgroup(), 64);
    assert!(plain.max_total_threads_per_threadgroup() > 64);
}

#[test]
fn options_are_what_they_were_set_to() {
    let options = CompileOptions::new();
    options.set_math_mode(MathMode::Relaxed);
    assert_eq!(options.math_mode(), MathMode::Relaxed);
    options.set_math_mode(MathMode::Safe);
    options.set_math_functions(MathFunctions::Precise);
    options.set_language_version(LanguageVersion::Version3_0);
    assert_eq!(options.math_mode(), MathMode::Safe);
    assert_eq!(options.math_functions(), MathFunctions::Precise);
    assert_eq!(options.language_version(), LanguageVersion::Version3_0);
    let older = CompileOptions::default();
    older.set_fast_math(false);
    assert!(!older.fast_math());
    older.set_fast_math(true);
    assert!(older.fast_math());
}

#[test]
fn the_language_version_is_a_macro_of_the_source() {
    let rig = Rig::new();
    let source = "kernel void fill(device float *x, uint i [[thread_position_in_grid]]) {
        x[i] = __METAL_VERSION__;
    }";
    let options = CompileOptions::new();
    for (version, number) in
        [(LanguageVersion::Version2_4, 240.0), (LanguageVersion::Version3_1, 310.0)]
    {
        options.set_language_version(version);
        let library = rig.gpu.compile_with(source, Some(&options)).unwrap();
        let pipeline = rig.gpu.pipeline(&library.function("fill").unwrap()).unwrap();
        assert_eq!(output(&rig, &pipeline), [number; 4]);
    }
}

#[test]
fn a_function_that_cannot_be_made_is_not_called_missing() {
    let rig = Rig::new();
    let source = "constant float scale [[function_constant(0)]];
        kernel void scaled(device float *x) { x[0] = scale; }";
    let library = rig.gpu.compile(source).unwrap();
    let Err(GpuError::FunctionCreationFailed(why)) = library.function("scaled") else {
        panic!("a function was made without a constant's value");
    };
    assert!(why.contains("scale"), "{why}");
    let missing = library.function_with("scalded", &ConstantValues::new());
    assert!(matches!(missing, Err(GpuError::FunctionNotFound(_))));
}

#[test]
fn macros_reach_the_source() {
    let rig = Rig::new();
    let options = CompileOptions::new();
    options.set_macros(&[("VALUE", "2.5f"), ("TWICE", "2")]);
    let source = "kernel void fill(device float *x, uint i [[thread_position_in_grid]]) {
        x[i] = VALUE * TWICE;
    }";
    assert!(rig.gpu.compile(source).is_err());
    let library = rig.gpu.compile_with(source, Some(&options)).unwrap();
    let pipeline = rig.gpu.pipeline(&library.function("fill").unwrap()).unwrap();
    assert_eq!(output(&rig, &pipeline), [5.0; 4]);
}

#[test]
fn compile_options_limit_the_threads_of_a_threadgroup() {
    let rig = Rig::new();
    let options = CompileOptions::new();
    options.set_max_total_threads_per_threadgroup(64);
    options.set_preserve_invariance(true);
    let library = rig.gpu.compile_with(TWO, Some(&options)).unwrap();
    let pipeline = rig.gpu.pipeline(&library.function("first").unwrap()).unwrap();
    assert!(pipeline.max_total_threads_per_threadgroup() <= 64);
}

const CONSTANTS: &str = "
    constant bool negate [[function_constant(0)]];
    constant float scale [[function_constant(1)]];
    constant uint step [[function_constant(2)]];
    kernel void fill(device float *x, uint i [[thread_position_in_grid]]) {
        float value = scale * (i * step);
        x[i] = negate ? -value : value;
    }
";

#[test]
fn function_constants_are_set_by_index_and_by_name() {
    let rig = Rig::new();
    let library = rig.gpu.compile(CONSTANTS).unwrap();
    let values = ConstantValues::new();
    values.set(0, true);
    values.set(1, 0.5f32);
    values.set_named("step", 2u32);
    let function = library.function_with("fill", &values).unwrap();
    let pipeline = rig.gpu.pipeline(&function).unwrap();
    assert_eq!(output(&rig, &pipeline), [0.0, -1.0, -2.0, -3.0]);

    // Without values the function cannot be specialised.
    values.reset();
    assert!(library.function_with("fill", &values).is_err());
}

#[test]
fn function_constants_are_vectors_too() {
    let rig = Rig::new();
    let source = "
        constant float4 scale [[function_constant(0)]];
        constant bool2 negate [[function_constant(1)]];
        constant int2 offset [[function_constant(2)]];
        kernel void fill(device float *x, uint i [[thread_position_in_grid]]) {
            x[i] = (negate[i & 1] ? -scale[i] : scale[i]) + offset.y;
        }
    ";
    let library = rig.gpu.compile(source).unwrap();
    let values = ConstantValues::new();
    values.set(0, [1f32, 2.0, 3.0, 4.0]);
    values.set(1, [true, false]);
    values.set_named("offset", [7i32, 10]);
    let function = library.function_with("fill", &values).unwrap();
    let pipeline = rig.gpu.pipeline(&function).unwrap();
    assert_eq!(output(&rig, &pipeline), [9.0, 12.0, 7.0, 14.0]);

    // A value of another type does not set this constant.
    values.set(0, 1f32);
    assert!(library.function_with("fill", &values).is_err());
}

#[test]
fn function_constants_are_halves_too() {
    let rig = Rig::new();
    let source = "
        constant half scale [[function_constant(0)]];
        constant half4 offset [[function_constant(1)]];
        constant bfloat times [[function_constant(2)]];
        kernel void fill(device float *x, uint i [[thread_position_in_grid]]) {
            x[i] = (float(i) * float(scale) + float(offset[i])) * float(times);
        }
    ";
    let library = rig.gpu.compile(source).unwrap();
    let values = ConstantValues::new();
    values.set(0, Half::from(0.5));
    values.set(1, [1.0f32, 2.0, 3.0, 4.0].map(Half::from));
    values.set_named("times", Bfloat::from(2.0));
    let function = library.function_with("fill", &values).unwrap();
    let pipeline = rig.gpu.pipeline(&function).unwrap();
    assert_eq!(output(&rig, &pipeline), [2.0, 5.0, 8.0, 11.0]);

    // Two bytes of another type do not set it either.
    values.set(0, 1u16);
    assert!(library.function_with("fill", &values).is_err());
}

#[test]
fn a_file_that_is_missing_is_an_io_error() {
    let rig = Rig::new();
    let missing = rig.gpu.library_from_file("/nonexistent/kernels.metallib");
    assert!(
        matches!(missing, Err(GpuError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound)
    );
}

#[test]
fn invalid_library_data_is_refused() {
    let rig = Rig::new();
    let Err(GpuError::LibraryCompilationFailed(why)) = rig.gpu.library_from_data(b"not a library")
    else {
        panic!("a text was accepted as a compiled library");
    };
    assert!(!why.is_empty());
    let file = std::env::temp_dir().join(format!("aruminium-{}.metallib", std::process::id()));
    std::fs::write(&file, "not a library").unwrap();
    let from_file = rig.gpu.library_from_file(&file);
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(from_file, Err(GpuError::LibraryCompilationFailed(why)) if !why.is_empty()));
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn a_file_that_never_ends_is_read_up_to_a_limit() {
    let rig = Rig::new();
    let why = rig.gpu.library_from_file("/dev/zero").unwrap_err().to_string();
    assert!(why.contains("the file has more than 16777216 bytes, the most that is read"), "{why}");
}

/// Apple's Metal loads the output of its own compiler; the embedded one reads source text.
#[test]
#[cfg(not(target_vendor = "apple"))]
fn a_file_may_hold_the_source() {
    let rig = Rig::new();
    let file = std::env::temp_dir().join(format!("aruminium-{}.metal", std::process::id()));
    std::fs::write(&file, TWO).unwrap();
    let library = rig.gpu.library_from_file(&file);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(library.unwrap().function("first").unwrap().name(), "first");
    let why = rig.gpu.library_from_data(TWO.as_bytes()).unwrap_err().to_string();
    assert!(why.contains("data"), "{why}");
}

#[test]
fn functions_have_labels() {
    let rig = Rig::new();
    let function = rig.gpu.compile(TWO).unwrap().function("first").unwrap();
    function.set_label("the first");
    assert_eq!(function.label().as_deref(), Some("the first"));
}

/// For programs that show the compiler's messages themselves, such as editors.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn diagnostics_are_data() {
    use aruminium::{Diagnostic, Gpu, Severity};
    let gpu = Gpu::open().unwrap();
    let source = "kernel void two(device int *x) {
        x[0] = y;
        int x;
        x = z +;
    }";
    let all = gpu.diagnose(source, None).unwrap();
    let errors: Vec<&Diagnostic> =
        all.iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(!errors.is_empty(), "{all:?}");
    for error in errors {
        assert_eq!(error.file.as_deref(), Some("program_source"));
        assert!(error.line.is_some_and(|line| (2..=4).contains(&line)) && error.column.is_some());
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
    }
    let text = gpu.compile(source).unwrap_err().to_string();
    assert!(all.iter().all(|one| text.contains(&one.message)), "{all:?} is not in: {text}");

    // For source that compiles, too.
    let source = "#warning unfinished
        kernel void one(device int *x) { x[0] = 1; }";
    let library = gpu.compile(source).unwrap();
    let all = library.diagnostics().unwrap();
    assert_eq!(
        (all.len(), all[0].severity, all[0].line),
        (1, Severity::Warning, Some(1)),
        "{all:?}"
    );
    assert!(all[0].message.contains("unfinished"), "{all:?}");
    assert_eq!(gpu.diagnose(source, None).unwrap(), all);
    assert_eq!(gpu.diagnose("kernel void one(device int *x) { x[0] = 1; }", None).unwrap(), []);
}

/// An object that does not respond to soft Metal's selectors, as on Apple's Metal.
#[test]
fn methods_missing_on_apples_metal_return_an_error() {
    use aruminium::{GpuError, ShaderLib, foundation::NSString};
    let foreign = NSString::from("no library of soft Metal");
    // SAFETY: only its class is inspected; the text is retained for the wrapper.
    let library = unsafe { ShaderLib::from_raw(aruminium::ffi::retain(foreign.as_raw())) }.unwrap();
    let Err(GpuError::Unsupported(why)) = library.diagnostics() else {
        panic!("an unknown selector returned a value")
    };
    assert!(why.contains("soft Metal"), "{why}");
}

/// The pipeline's reflection is the same whether it was made with it or keeps it.
#[test]
fn reflection_lists_all_arguments() {
    use aruminium::{BindingAccess, BindingType, DataType};
    let rig = Rig::new();
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        struct Node { uint value; device float *next; };
        kernel void all(device const half4 *in [[buffer(1)]], device atomic_uint *count [[buffer(0)]],
                        constant uint2 &size [[buffer(4)]], device Node *nodes [[buffer(5)]],
                        threadgroup float *scratch [[threadgroup(1)]],
                        texture2d<float, access::write> image [[texture(2)]], uint i [[thread_position_in_grid]]) {
            scratch[0] = in[i].x;
            atomic_fetch_add_explicit(count, size.x, memory_order_relaxed);
            image.write(float4(scratch[0]), uint2(i, 0));
            nodes[i].value = 1;
        }";
    let function = rig.gpu.compile(source).unwrap().function("all").unwrap();
    let made = rig.gpu.pipeline_reflected(&function).unwrap();
    let kept = rig.gpu.pipeline(&function).unwrap();
    assert_eq!(made.reflection().unwrap(), kept.reflection().unwrap());
    let row = |name: &str| {
        let binding =
            made.reflection().unwrap().iter().find(|binding| binding.name == name).unwrap();
        (
            binding.kind,
            binding.index,
            binding.access,
            binding.bytes,
            binding.data_type,
            binding.indirect,
        )
    };
    use BindingAccess as Access;
    assert_eq!(row("in"), (BindingType::Buffer, 1, Access::ReadOnly, 8, DataType::Half4, false));
    let count = row("count");
    assert_eq!((count.0, count.1, count.2), (BindingType::Buffer, 0, Access::ReadWrite));
    assert_eq!(row("size"), (BindingType::Buffer, 4, Access::ReadOnly, 8, DataType::UInt2, false));
    assert_eq!(
        row("nodes"),
        (BindingType::Buffer, 5, Access::ReadWrite, 16, DataType::Struct, true)
    );
    let scratch = row("scratch");
    assert_eq!((scratch.0, scratch.1, scratch.3), (BindingType::ThreadgroupMemory, 1, 4));
    let image = row("image");
    assert_eq!((image.0, image.1, image.2), (BindingType::Texture, 2, Access::WriteOnly));
    let clone = made.clone();
    assert!(
        std::ptr::eq(clone.reflection().unwrap(), made.reflection().unwrap()),
        "clones share it"
    );
}
