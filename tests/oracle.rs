//! Every declaration of the crate is compared with the facts in `tests/data`.

use aruminium::abi::{
    Bool, Class, Encode, Encoding, Id, MTLOrigin, MTLRegion, MTLSize, MethodEncoding, NSRange, Sel,
};
use aruminium::objc::{ClassInfo, Level, MethodInfo, Nullability};
use std::collections::HashMap;

const TABLES: [&str; 2] =
    [include_str!("data/metal-methods.tsv"), include_str!("data/foundation-methods.tsv")];

/// One method of a table.
#[derive(Debug)]
struct Fact {
    result: &'static str,
    arguments: Vec<String>,
    family: &'static str,
    null: &'static str,
}

type Facts = HashMap<(&'static str, &'static str, &'static str), Fact>;

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

fn facts() -> Facts {
    let mut facts = Facts::new();
    for row in TABLES.into_iter().flat_map(rows) {
        let [_, owner, level, selector, result, arguments, family, null] = row[..] else {
            panic!("a row of eight columns: {row:?}");
        };
        let arguments = arguments
            .split_whitespace()
            .map(|argument| if argument == "^^@" { "^@".to_owned() } else { argument.to_owned() })
            .collect();
        facts.insert((owner, level, selector), Fact { result, arguments, family, null });
    }
    assert!(facts.len() > 3_000);
    facts
}

/// The owner and the protocols that it adopts.
fn owners(owner: &'static str) -> Vec<&'static str> {
    let mut owners = vec![owner];
    let mut next = 0;
    while next < owners.len() {
        let adopted = rows(include_str!("data/protocols.tsv")).filter(|row| row[0] == owners[next]);
        let adopted: Vec<_> = adopted.map(|row| row[1]).collect();
        owners.extend(adopted);
        next += 1;
    }
    owners
}

/// The error of a declaration, if it has one.
fn mismatch(facts: &Facts, class: &ClassInfo, method: &MethodInfo) -> Option<String> {
    let level = match method.level {
        Level::Instance => "instance",
        Level::Class => "class",
    };
    let name = format!("{}::{} [{} {}]", class.rust, method.name, class.objc, method.selector);
    let found = owners(class.objc)
        .into_iter()
        .find_map(|owner| facts.get(&(owner, level, method.selector)));
    let Some(fact) = found else {
        return Some(format!("{name}: no such {level} method is known"));
    };
    // The facts are those of arm64; `BOOL` is another type on x86_64.
    let on_arm64 = |encoding| if encoding == Bool::ENCODING { "B" } else { encoding };
    let arguments: Vec<&str> =
        method.arguments.iter().copied().flatten().copied().map(on_arm64).collect();
    let null = match method.nullability {
        Nullability::NonNull => "nonnull",
        Nullability::Nullable => "nullable",
        Nullability::Error => "error",
    };
    // A declaration may be more careful than the header.
    let null_fits = null == fact.null || (null, fact.null) == ("nullable", "nonnull");
    let declared = (on_arm64(method.result), &arguments[..], method.family().name());
    let known: Vec<&str> = fact.arguments.iter().map(String::as_str).collect();
    if declared != (fact.result, &known[..], fact.family) || !null_fits {
        return Some(format!("{name}: declared {declared:?} {null}, known {fact:?}"));
    }
    None
}

#[test]
fn every_declared_method_is_as_apple_declares_it() {
    let facts = facts();
    let mismatches: Vec<String> = aruminium::CLASSES
        .iter()
        .flat_map(|class| class.methods.iter().map(move |method| (class, method)))
        .filter_map(|(class, method)| mismatch(&facts, class, method))
        .collect();
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
}

aruminium::metal_class! {
    /// Declarations with one fault each.
    class Wrong: MTLCommandBuffer;
    fn committed() -> bool = [commit];
    fn label() -> String = [label];
    unsafe fn wait_for(event: aruminium::abi::Id, value: u32) = [encodeWaitForEvent:value:];
    fn unheard_of() = [commitSoon];
    fn right() -> f64 = [GPUEndTime];
}

#[test]
fn wrong_declarations_are_found() {
    use aruminium::objc::ObjcClass;
    let facts = facts();
    let of = |name: &str| {
        let method = Wrong::INFO.methods.iter().find(|method| method.name == name).unwrap();
        mismatch(&facts, &Wrong::INFO, method)
    };
    assert!(of("committed").unwrap().contains("[MTLCommandBuffer commit]: declared (\"B\""));
    assert!(of("label").unwrap().contains("nonnull, known"));
    assert!(of("wait_for").unwrap().contains("\"I\""));
    assert!(of("unheard_of").unwrap().contains("no such instance method"));
    assert_eq!(of("right"), None);
}

#[test]
fn structs_are_encoded_as_apple_encodes_them() {
    let known: HashMap<&str, &str> =
        rows(include_str!("data/metal-structs.tsv")).map(|row| (row[0], row[1])).collect();
    assert_eq!(MTLSize::ENCODING, known["MTLSize"]);
    assert_eq!(MTLOrigin::ENCODING, known["MTLOrigin"]);
    assert_eq!(MTLRegion::ENCODING, known["MTLRegion"]);
    // A range has no row of its own, but methods that take one.
    assert_eq!(
        facts()[&("MTLBlitCommandEncoder", "instance", "fillBuffer:range:value:")].arguments[1],
        NSRange::ENCODING
    );
}

#[test]
fn sizes_follow_from_encodings() {
    fn check<T: Encode>() {
        let (size, align) = T::ENCODING.parse::<Encoding>().unwrap().layout().unwrap();
        assert_eq!((size, align), (size_of::<T>(), align_of::<T>()), "{}", T::ENCODING);
    }
    check::<MTLSize>();
    check::<MTLOrigin>();
    check::<MTLRegion>();
    check::<NSRange>();
    check::<Bool>();
    check::<Id>();
    check::<Class>();
    check::<Sel>();
    check::<u16>();
    check::<f64>();
    check::<usize>();
}

#[test]
fn every_known_encoding_parses_and_prints() {
    for fact in facts().values() {
        for text in fact.arguments.iter().map(String::as_str).chain([fact.result]) {
            // An opaque struct may be written with an empty list of fields.
            assert_eq!(text.parse::<Encoding>().unwrap().to_string(), text.replace("=}", "}"));
        }
    }
}

/// The value of a constant as C writes it: a number, a shift, a sum.
fn value(expression: &str) -> Option<i64> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.rsplit_once(" + ") {
        return Some(value(left)? + value(right)?);
    }
    if let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return value(inner);
    }
    if let Some((left, right)) = expression.split_once(" << ") {
        return Some(value(left)? << value(right)?);
    }
    expression.parse().ok()
}

#[test]
fn expressions_of_constants_are_read() {
    for (expression, expected) in
        [("7", 7), ("-1", -1), ("2 << 16", 2 << 16), ("(2 << 16) + 1", (2 << 16) + 1)]
    {
        assert_eq!(value(expression), Some(expected));
    }
    assert_eq!(value("MTLBindingAccess::ReadOnly.0"), None);
}

#[test]
fn every_declared_value_is_as_apple_declares_it() {
    let known: HashMap<(&str, &str), &str> = rows(include_str!("data/metal-constants.tsv"))
        .map(|row| ((row[0], row[1]), row[2]))
        .collect();
    let mut seen = 0;
    for enumeration in aruminium::ENUMS {
        for (name, declared) in enumeration.values {
            let (objc, rust) = (enumeration.objc, enumeration.rust);
            let Some(expression) = known.get(&(objc, name)) else {
                panic!("{rust}::{name}: {objc} has none")
            };
            assert_eq!(
                value(expression),
                Some(*declared),
                "{rust}::{name} is {objc}'s {expression}"
            );
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

/// The errors of a class's methods at run time, and the number of methods.
fn differences(class: &ClassInfo, found: Class) -> (Vec<String>, usize) {
    let mut wrong = Vec::new();
    for method in class.methods {
        let name = format!("[{} {}]", class.objc, method.selector);
        // SAFETY: the class is the runtime's.
        match unsafe { method.found_in(found) } {
            None => wrong.push(format!("{name} is missing")),
            Some((text, same)) => {
                if !same || text.parse::<MethodEncoding>().is_err() {
                    wrong.push(format!("{name}: declared {}, found {text}", method.encoding()));
                }
            }
        }
    }
    (wrong, class.methods.len())
}

/// The declared methods exist at run time: in classes that have a name, and in the classes of live objects, whose names
/// are private to Metal.
#[test]
fn every_declared_method_is_found_at_run_time() -> Result<(), aruminium::GpuError> {
    use aruminium::{
        ArgumentTableDescriptor, FunctionTableDescriptor, Gpu, HeapDescriptor,
        IndirectCommandTypes, IndirectCommandsDescriptor, LinkedFunctions, PipelineDescriptor,
        PixelFormat, ResidencySetDescriptor, SamplerDescriptor, TensorDataType, TensorDescriptor,
        TextureDescriptor,
    };
    let gpu = Gpu::open()?;
    let queue = gpu.new_command_queue()?;
    let library = gpu.compile(
        "struct In { device int *x [[id(0)]]; };
         [[visible]] int two(int x) { return x; }
         kernel void one(constant In &in [[buffer(0)]]) { in.x[0] = 1; }",
    )?;
    let function = library.function("one")?;
    let arguments = function.argument_encoder(0).expect("an argument buffer");
    let descriptor = PipelineDescriptor::new(&function);
    let (linked, two) = (LinkedFunctions::new(), library.function("two")?);
    linked.set_functions(&[&two]);
    descriptor.set_linked_functions(&linked);
    let pipeline = gpu.pipeline_with(&descriptor)?;
    let handle = pipeline.function_handle(&two).expect("it is linked");
    let descriptor = FunctionTableDescriptor::new();
    descriptor.set_function_count(1);
    let table = pipeline.function_table(&descriptor)?;
    let descriptor = IndirectCommandsDescriptor::new();
    descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    let indirect = gpu.indirect_commands(&descriptor, 1)?;
    let command = indirect.command(0).expect("there is one");
    let commands = queue.commands()?;
    let copied = queue.commands()?;
    let (encoder, copier) = (commands.encoder()?, copied.copier()?);
    let buffer = gpu.buffer(4)?;
    let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Float, 1, 1))?;
    let sampler = gpu.sampler(&SamplerDescriptor::new())?;
    let (fence, event, shared) = (gpu.fence()?, gpu.event()?, gpu.shared_event()?);
    let descriptor = HeapDescriptor::new();
    descriptor.set_size(1 << 16);
    let heap = gpu.heap(&descriptor)?;
    let resident = gpu.residency_set(&ResidencySetDescriptor::new());
    let archive = gpu.binary_archive()?;
    let new = gpu.queue4();
    let (allocator, commands4) = (gpu.command_allocator(), gpu.commands4());
    let encoder4 =
        commands4.as_ref().ok().zip(allocator.as_ref().ok()).and_then(|(commands, allocator)| {
            commands.begin(allocator);
            commands.encoder().ok()
        });
    let table4 =
        new.as_ref().ok().and_then(|_| gpu.argument_table(&ArgumentTableDescriptor::new()).ok());
    let tensor = new
        .as_ref()
        .ok()
        .and_then(|_| gpu.tensor(&TensorDescriptor::new(TensorDataType::Float32, &[1])).ok());

    macro_rules! objects {
        ($($protocol:ident: $object:expr),+ $(,)?) => { [$((stringify!($protocol), $object.as_raw())),+] };
    }
    let mut objects = HashMap::from(objects! {
        MTLDevice: gpu, MTLCommandQueue: queue, MTLLibrary: library, MTLFunction: function,
        MTLComputePipelineState: pipeline, MTLCommandBuffer: commands, MTLComputeCommandEncoder: encoder,
        MTLBlitCommandEncoder: copier, MTLBuffer: buffer, MTLTexture: texture, MTLSamplerState: sampler,
        MTLFence: fence, MTLEvent: event, MTLSharedEvent: shared, MTLHeap: heap,
        MTLArgumentEncoder: arguments, MTLFunctionHandle: handle, MTLVisibleFunctionTable: table,
        MTLIndirectCommandBuffer: indirect, MTLIndirectComputeCommand: command, MTLBinaryArchive: archive,
    });
    if let Ok(resident) = &resident {
        objects.insert("MTLResidencySet", resident.as_raw());
    }
    if let (Ok(queue), Ok(allocator), Ok(commands), Some(encoder), Some(table), Some(tensor)) =
        (&new, &allocator, &commands4, &encoder4, &table4, &tensor)
    {
        objects.extend(objects! {
            MTL4CommandQueue: queue, MTL4CommandAllocator: allocator, MTL4CommandBuffer: commands,
            MTL4ComputeCommandEncoder: encoder, MTL4ArgumentTable: table, MTLTensor: tensor,
        });
    }

    let (mut wrong, mut seen) = (Vec::new(), 0);
    for class in aruminium::CLASSES {
        let name = std::ffi::CString::new(class.objc).unwrap();
        // SAFETY: the name is a C string, and the objects are alive.
        let found = unsafe {
            match objects.get(class.objc) {
                Some(&object) => aruminium::objc::link::object_getClass(object),
                None => aruminium::objc::link::objc_getClass(name.as_ptr()),
            }
        };
        if found.is_nil() {
            // Systems before macOS 15 lack the class of residency sets, and those before macOS 26 lack Metal 4. Soft Metal
            // has no rendering. Feedback exists during a call back only.
            assert!(
                ["MTLRenderPipelineState", "MTL4CommitFeedback"].contains(&class.objc)
                    || (class.objc.starts_with("MTL4") || class.objc.starts_with("MTLTensor"))
                        && new.is_err()
                    || class.objc.starts_with("MTLResidencySet") && resident.is_err(),
                "{}",
                class.objc
            );
            continue;
        }
        let (more, methods) = differences(class, found);
        wrong.extend(more);
        seen += methods;
    }
    assert!(wrong.is_empty(), "{} methods differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 250, "{seen}");
    Ok(())
}
