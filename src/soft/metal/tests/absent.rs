//! Messages that Metal's headers declare and the classes here have no methods for.

use super::*;
use std::sync::mpsc;
use std::time::Duration;

const NEEDLE: &str = "soft Metal does not have this";

fn responds(object: Id, selector: &str) -> bool {
    send!(object, "respondsToSelector:", sel(selector) => Sel; Bool).get()
}

#[test]
fn the_result_is_nil_and_the_error_says_what_is_missing() {
    pool(|| {
        let mut error = Id::NIL;
        let mut reflection = Id::NIL;
        let name = "newRenderPipelineStateWithTileDescriptor:options:reflection:error:";
        let state = send!(
            *device(), "newRenderPipelineStateWithTileDescriptor:options:reflection:error:",
            Id::NIL => Id, 0 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        );
        assert!(state.is_nil() && reflection.is_nil());
        let text = error_text(error);
        assert!(text.contains(NEEDLE) && text.contains(name), "{text}");
        assert!(!responds(*device(), name));
        // A null pointer for the error, and no error at all.
        let none: *mut Id = std::ptr::null_mut();
        send!(*device(), "newDynamicLibrary:error:", Id::NIL => Id, none => *mut Id; Id);
        let rate = Id::NIL;
        assert!(
            send!(*device(), "newRasterizationRateMapWithDescriptor:", rate => Id; Id).is_nil()
        );
    });
}

#[test]
fn a_completion_handler_is_called_with_the_error() {
    let (sender, receiver) = mpsc::channel();
    let send_text = move |_: *mut c_void, error: *mut c_void| {
        let error = Id::from_ptr(error);
        let sent = if error.is_nil() { "without an error".to_owned() } else { error_text(error) };
        _ = sender.send(sent);
    };
    send!(
        *device(), "newLibraryWithStitchedDescriptor:completionHandler:", Id::NIL => Id,
        block(send_text) => Id; ()
    );
    let text = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(text.contains(NEEDLE), "{text}");
}

/// The classes of what soft Metal does not have make objects, and name class and selector of each message, once.
#[test]
fn classes_without_methods_report_their_messages() {
    let test = "soft::metal::tests::absent::classes_without_methods_report_their_messages";
    let run = || {
        pool(|| {
            let triangles = class("MTLAccelerationStructureTriangleGeometryDescriptor");
            assert!(send!(triangles, "descriptor"; Id).is_nil());
            let object = new("MTLPrimitiveAccelerationStructureDescriptor");
            for _ in 0..2 {
                send!(*object, "setUsage:", 1 => usize; ());
            }
            assert_eq!(send!(*object, "usage"; usize), 0);
            assert!(!responds(*object, "usage") && responds(*object, "hash"));
            let name = "MTLAccelerationStructureDescriptor";
            assert!(send!(*object, "isKindOfClass:", class(name) => Id; Bool).get());
            // Methods of a superclass work.
            let function = new("MTLIntersectionFunctionDescriptor");
            send!(*function, "setName:", *string("hit") => Id; ());
            assert_eq!(text(send!(*function, "name"; Id)), "hit");
        });
    };
    let Some(output) = crate::child::in_child(test, &[], run) else { return };
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let reported: Vec<_> = printed.lines().filter(|line| line.contains(NEEDLE)).collect();
    let expected = [
        "+[MTLAccelerationStructureTriangleGeometryDescriptor descriptor]",
        "-[MTLPrimitiveAccelerationStructureDescriptor setUsage:]",
        "-[MTLPrimitiveAccelerationStructureDescriptor usage]",
    ];
    assert_eq!(reported.len(), expected.len(), "{printed}");
    for (line, message) in reported.iter().zip(expected) {
        assert!(line.contains(message), "{line}");
    }
}

/// Sends a message without arguments whose result is a struct, to an object or to what `objc_msgSendSuper` is passed.
fn send_for_struct<R>(send: Imp, to: *const c_void, selector: &str, result: &mut R) {
    // SAFETY: the test names a method of this type. On x86_64 the result's address comes first, and is returned.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            type Send<R> = extern "C" fn(*mut R, *const c_void, Sel) -> *mut R;
            let to = std::mem::transmute::<Imp, Send<R>>(send)(result, to, sel(selector));
            assert!(std::ptr::eq(to, result));
        }
        #[cfg(target_arch = "aarch64")]
        {
            type Send<R> = extern "C" fn(*const c_void, Sel) -> R;
            *result = std::mem::transmute::<Imp, Send<R>>(send)(to, sel(selector));
        }
    }
}

/// The result of a message to a class's object, and to its class as a superclass, is all zero. `filled` is what was there before.
fn assert_zero<R: Copy + Default + PartialEq + std::fmt::Debug>(
    of: &str,
    selector: &str,
    filled: R,
) {
    #[cfg(target_arch = "x86_64")]
    let (send, send_super): (Imp, Imp) = (objc_msgSend_stret, objc_msgSendSuper_stret);
    #[cfg(target_arch = "aarch64")]
    let (send, send_super): (Imp, Imp) = (objc_msgSend, objc_msgSendSuper);
    let object = new(of);
    let with_class = [object.as_ptr(), class(of).as_ptr()];
    for (send, to) in
        [(send, object.as_ptr().cast_const()), (send_super, with_class.as_ptr().cast())]
    {
        let mut result = filled;
        send_for_struct(send, to, selector, &mut result);
        assert_eq!(result, R::default(), "{of} {selector}");
    }
}

/// A struct that comes back in memory is cleared, and so are the registers of one that comes back in those.
#[test]
fn a_struct_is_zero() {
    let size = MTLSize { width: 1, height: 2, depth: 3 };
    assert_zero("MTLRasterizationRateMapDescriptor", "screenSize", size);
    assert_zero("MTLMeshRenderPipelineDescriptor", "requiredThreadsPerMeshThreadgroup", size);
    #[repr(C)]
    #[derive(Clone, Copy, Default, PartialEq, Debug)]
    struct Rect([f64; 4]);
    assert_zero("NSValue", "rectValue", Rect([1.0, 2.0, 3.0, 4.0]));
    assert_zero("NSValue", "edgeInsetsValue", Rect([1.0, 2.0, 3.0, 4.0]));
}

/// The register for results in memory may hold any address: nothing is written there if the result comes back in other registers.
#[test]
#[cfg(target_arch = "aarch64")]
fn results_in_registers_leave_memory_as_it_is() {
    let (object, mut memory) = (new("NSValue"), [7u8; 32]);
    // SAFETY: a message of this type; on arm64 its sender may have any value in x8.
    unsafe {
        std::arch::asm!(
            "blr {send}",
            send = in(reg) objc_msgSend as unsafe extern "C" fn(),
            inout("x0") object.as_ptr() => _,
            inout("x1") sel("rectValue").as_ptr() => _,
            inout("x8") memory.as_mut_ptr() => _,
            clobber_abi("C"),
        );
    }
    assert_eq!(memory, [7; 32]);
}

/// A message that no header declares is not one of those.
#[test]
fn classes_without_methods_do_not_know_other_messages() {
    let test = "soft::metal::tests::absent::classes_without_methods_do_not_know_other_messages";
    let run = || {
        let object = new("MTLPrimitiveAccelerationStructureDescriptor");
        send!(*object, "setUsage:error:", 1 => usize, *string("no error pointer") => Id; ());
    };
    let Some(output) = crate::child::in_child(test, &[], run) else { return };
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{printed}");
    let message =
        "-[MTLPrimitiveAccelerationStructureDescriptor setUsage:error:]: unrecognized selector";
    assert!(printed.contains(message) && !printed.contains(NEEDLE), "{printed}");
}

/// A message for initialisation that returns nil frees its receiver.
#[test]
fn objects_that_cannot_be_initialised_are_freed() {
    for (of, selector) in [
        ("MTLFunctionStitchingInputNode", "initWithArgumentIndex:"),
        ("NSMutableString", "initWithCString:"),
    ] {
        let object = send!(class(of), "alloc"; Id);
        let mut weak = Id::NIL;
        // SAFETY: a variable that stays where it is, and an object; the message consumes the object.
        unsafe {
            objc_initWeak(&raw mut weak, object);
            assert!(send!(object, selector, 0 => usize; Id).is_nil());
            assert!(objc_loadWeakRetained(&raw mut weak).is_nil(), "{of} {selector}");
            objc_destroyWeak(&raw mut weak);
        }
    }
}

/// A program may fetch every function of a library when it starts. Those that render have no code.
#[test]
fn functions_of_rendering_exist_without_code() {
    let source = "
        vertex float4 vs(uint i [[vertex_id]]) { return float4(i); }
        fragment half4 fs() { return half4(1); }
        kernel void k(device float *x) { x[0] = 1; }
        struct P { float far; };
        [[object]] void os(object_data P &p [[payload]], constant float &far [[buffer(2)]]) { p.far = far; }
        [[mesh]] void ms(const object_data P &p [[payload]], uint i [[thread_index_in_threadgroup]]) {}
        struct Hit { bool accept [[accept_intersection]]; float at [[distance]]; };
        [[intersection(bounding_box)]] Hit is(float3 from [[origin]], ray_data float &far [[payload]],
            constant float &near [[buffer(1)]]) { far = near; return {from.x > near, near}; }";
    let library = library(source);
    pool(|| {
        for (name, kind) in [("vs", 1), ("fs", 2), ("k", 3), ("os", 8), ("ms", 7), ("is", 6)] {
            let function = function(*library, name);
            assert_eq!(text(send!(*function, "name"; Id)), name);
            assert_eq!(send!(*function, "functionType"; usize), kind);
            let mut error = Id::NIL;
            let pipeline = send!(
                *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
                &raw mut error => *mut Id; Id
            );
            if kind == 3 {
                drop(Own::new(pipeline));
                continue;
            }
            let text = error_text(error);
            assert!(
                pipeline.is_nil() && text.contains(&format!("'{name}' is not a kernel")),
                "{text}"
            );
        }
    });
}

/// A render pipeline state has the arguments of its functions; the host binds neither positions nor what a fragment gets
/// from its vertices.
#[test]
fn a_render_pipeline_lists_the_arguments_of_its_functions() {
    let source = "
        struct V { float2 position; float3 color; };
        struct Out { float4 position [[position]]; float4 color; };
        vertex Out vs(device V *all [[buffer(3)]], constant float4 &unused [[buffer(0)]], uint i [[vertex_id]]) {
            return {float4(all[i].position, 0, 1), float4(all[i].color, 1)};
        }
        fragment float4 fs(Out in [[stage_in]], texture2d<float> picture, sampler how, constant float &gain) {
            return gain * picture.sample(how, in.position.xy) + dfdx(in.color);
        }
        kernel void k(device float *x) { x[0] = 1; }";
    let library = library(source);
    pool(|| {
        let descriptor = new("MTLRenderPipelineDescriptor");
        let make = |reflection: &mut Id, error: &mut Id| {
            send!(
                *device(), "newRenderPipelineStateWithDescriptor:options:reflection:error:",
                *descriptor => Id, 1 => usize, reflection => *mut Id, error => *mut Id; Id
            )
        };
        let (mut reflection, mut error) = (Id::NIL, Id::NIL);
        assert!(make(&mut reflection, &mut error).is_nil() && reflection.is_nil());
        assert!(error_text(error).contains("needs a vertex function"));
        send!(*descriptor, "setVertexFunction:", *function(*library, "k") => Id; ());
        assert!(make(&mut reflection, &mut error).is_nil());
        assert!(error_text(error).contains("'k' is not a vertex function"));
        send!(*descriptor, "setVertexFunction:", *function(*library, "vs") => Id; ());
        send!(*descriptor, "setFragmentFunction:", *function(*library, "fs") => Id; ());
        let state = Own::new(make(&mut reflection, &mut error));
        assert_eq!(send!(*state, "reflection"; Id), reflection);

        let listed = |selector: &str| {
            let list = send!(reflection, selector; Id);
            let argument = |at: usize| {
                let argument = send!(list, "objectAtIndex:", at => usize; Id);
                let name = text(send!(argument, "name"; Id));
                let numbers = [send!(argument, "type"; usize), send!(argument, "index"; usize)];
                (name, numbers, send!(argument, "isActive"; Bool).get())
            };
            (0..send!(list, "count"; usize)).map(argument).collect::<Vec<_>>()
        };
        let vertex = [("all".to_owned(), [0, 3], true), ("unused".to_owned(), [0, 0], false)];
        assert_eq!(listed("vertexArguments"), vertex);
        // Derivatives are not implemented: that the function uses what it names is assumed.
        let fragment = [
            ("picture".to_owned(), [2, 0], true),
            ("how".to_owned(), [3, 0], true),
            ("gain".to_owned(), [0, 0], true),
        ];
        assert_eq!(listed("fragmentArguments"), fragment);
        // The same without a pipeline.
        let alone = send!(*library, "reflectionForFunctionWithName:", *string("vs") => Id; Id);
        assert_eq!(send!(send!(alone, "bindings"; Id), "count"; usize), 2);
        let none = send!(*library, "reflectionForFunctionWithName:", *string("none") => Id; Id);
        assert!(none.is_nil());
        let bindings = send!(reflection, "vertexBindings"; Id);
        let first = send!(bindings, "objectAtIndex:", 0 => usize; Id);
        assert_eq!(text(send!(first, "description"; Id)), "<MTLBinding: all [[buffer(3)]]>");
        let members = send!(send!(first, "bufferStructType"; Id), "members"; Id);
        let color = send!(members, "objectAtIndex:", 1 => usize; Id);
        let color = (text(send!(color, "name"; Id)), send!(color, "offset"; usize));
        assert_eq!(color, ("color".to_owned(), 16));
    });
}

/// A vertex function lists what it reads by `[[stage_in]]`; a function without such an argument has no list.
#[test]
fn a_vertex_function_lists_its_attributes() {
    let library = library(
        "struct In { float3 position [[attribute(0)]]; half2 at [[attribute(3)]]; };
        struct Out { float4 position [[position]]; };
        vertex Out vs(In in [[stage_in]]) { return {float4(in.position, in.at.x)}; }
        fragment float4 fs(Out in [[stage_in]]) { return in.position; }
        vertex float4 all(uint i [[vertex_id]]) { return float4(i); }",
    );
    pool(|| {
        let vs = function(*library, "vs");
        for (selector, name) in
            [("vertexAttributes", "MTLVertexAttribute"), ("stageInputAttributes", "MTLAttribute")]
        {
            let list = send!(*vs, selector; Id);
            let attribute = |nth: usize| {
                let one = send!(list, "objectAtIndex:", nth => usize; Id);
                assert!(send!(one, "isKindOfClass:", class(name) => Id; Bool).get());
                assert!(send!(one, "isActive"; Bool).get());
                assert!(!send!(one, "isPatchData"; Bool).get());
                let numbers =
                    ["attributeIndex", "attributeType"].map(|name| send!(one, name; usize));
                (text(send!(one, "name"; Id)), numbers)
            };
            assert_eq!(send!(list, "count"; usize), 2);
            let expected = [("position".to_owned(), [0, 5]), ("at".to_owned(), [3, 17])];
            assert_eq!([attribute(0), attribute(1)], expected);
            for name in ["fs", "all"] {
                assert!(send!(*function(*library, name), selector; Id).is_nil());
            }
        }
    });
}

/// Whether a member of a function's input exists, and whether the function uses it, does not depend on other members.
#[test]
fn attributes_depend_on_function_constants_and_on_their_use() {
    let library = library(
        "constant bool has_at [[function_constant(0)]];
        constant bool has_none = !has_at;
        struct In {
            float3 position [[attribute(0)]];
            float2 at [[attribute(1), function_constant(has_at)]];
            float2 other [[attribute(2), function_constant(has_none)]];
            float3 normal [[attribute(3)]];
        };
        vertex float4 vs(In in [[stage_in]]) { return float4(in.position, has_at ? in.at.x : 1); }
        float all(In in) { return in.position.x; }
        vertex float4 passed(In in [[stage_in]]) { return all(in); }",
    );
    pool(|| {
        for (value, expected) in [(true, "at"), (false, "other")] {
            let values = new("MTLFunctionConstantValues");
            send!(
                *values, "setConstantValue:type:atIndex:", (&raw const value).cast() => *const c_void,
                53 => usize, 0 => usize; ()
            );
            for (name, active) in [("vs", [true, value, false]), ("passed", [true; 3])] {
                let mut error = Id::NIL;
                let function = Own::new(send!(
                    *library, "newFunctionWithName:constantValues:error:", *string(name) => Id,
                    *values => Id, &raw mut error => *mut Id; Id
                ));
                let list = send!(*function, "vertexAttributes"; Id);
                let attribute = |nth: usize| {
                    let one = send!(list, "objectAtIndex:", nth => usize; Id);
                    (text(send!(one, "name"; Id)), send!(one, "isActive"; Bool).get())
                };
                assert_eq!(send!(list, "count"; usize), 3, "{name} {value}");
                let names = ["position", expected, "normal"].map(str::to_owned);
                let expected: Vec<_> = names.into_iter().zip(active).collect();
                assert_eq!([attribute(0), attribute(1), attribute(2)][..], expected, "{name}");
            }
        }
    });
}

/// An argument whose function constant is false does not exist.
#[test]
fn arguments_of_rendering_depend_on_function_constants() {
    let library = library(
        "constant bool c [[function_constant(0)]];
        constant bool d = !c;
        vertex float4 vs(constant float4 &a [[buffer(0), function_constant(c)]],
            constant float4 &b [[buffer(0), function_constant(d)]], constant float4 &all [[buffer(1)]]) { return all; }",
    );
    pool(|| {
        for (value, expected) in [(true, "a"), (false, "b")] {
            let values = new("MTLFunctionConstantValues");
            send!(
                *values, "setConstantValue:type:atIndex:", (&raw const value).cast() => *const c_void,
                53 => usize, 0 => usize; ()
            );
            let mut error = Id::NIL;
            let function = Own::new(send!(
                *library, "newFunctionWithName:constantValues:error:", *string("vs") => Id,
                *values => Id, &raw mut error => *mut Id; Id
            ));
            let descriptor = new("MTLRenderPipelineDescriptor");
            send!(*descriptor, "setVertexFunction:", *function => Id; ());
            let mut reflection = Id::NIL;
            let _state = Own::new(send!(
                *device(), "newRenderPipelineStateWithDescriptor:options:reflection:error:",
                *descriptor => Id, 1 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
            ));
            let bindings = send!(reflection, "vertexBindings"; Id);
            let name = |at: usize| {
                text(send!(send!(bindings, "objectAtIndex:", at => usize; Id), "name"; Id))
            };
            assert_eq!(send!(bindings, "count"; usize), 2);
            assert_eq!([name(0), name(1)], [expected, "all"]);
        }
    });
}

/// A render pass is described and encoded as on Apple's systems, and is then an error of its command buffer.
#[test]
fn a_render_pass_is_an_error_of_its_command_buffer() {
    pool(|| {
        let pass = Own::retain(send!(class("MTLRenderPassDescriptor"), "renderPassDescriptor"; Id));
        let colors = send!(*pass, "colorAttachments"; Id);
        let color = || send!(colors, "objectAtIndexedSubscript:", 0 => usize; Id);
        send!(color(), "setLoadAction:", 2 => usize; ());
        let actions = (send!(color(), "loadAction"; usize), send!(color(), "storeAction"; usize));
        assert_eq!(actions, (2, 1));
        assert_eq!(send!(send!(*pass, "depthAttachment"; Id), "clearDepth"; f64), 1.0);
        let (positions, mut read) = ([0.25f32, 0.5], [0f32; 4]);
        send!(
            *pass, "setSamplePositions:count:", positions.as_ptr() => *const f32, 1 => usize; ()
        );
        let count = send!(
            *pass, "getSamplePositions:count:", read.as_mut_ptr() => *mut f32, 2 => usize; usize
        );
        assert_eq!((count, read), (1, [0.25, 0.5, 0.0, 0.0]));

        let commands = commands(*queue());
        let encoder = "renderCommandEncoderWithDescriptor:";
        let encoder = Own::retain(send!(*commands, encoder, *pass => Id; Id));
        send!(
            *encoder, "setVertexBuffer:offset:atIndex:", *buffer(4) => Id, 0 => usize, 0 => usize; ()
        );
        end(*encoder);
        let error = finish(*commands).unwrap_err();
        assert!(
            error.contains("MTLRenderCommandEncoder") && error.contains("does not render"),
            "{error}"
        );
    });
}
