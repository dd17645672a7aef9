//! Compares the methods of all classes here with Apple's declarations.

use crate::soft::runtime::class::{ClassData, listed};
use std::collections::{HashMap, HashSet};

/// Methods whose name is a keyword of Rust are missing from the table, which was made by way of
/// generated Rust bindings. Apple's headers declare them as these encodings say.
const KEYWORDS: [(&str, &str, &str); 6] = [
    ("SoftMTLHeap", "type", "q"),
    ("SoftMTLLibrary", "type", "q"),
    ("SoftMTLBinding", "type", "q"),
    ("MTLArgument", "type", "Q"),
    ("MTLFunctionConstant", "type", "Q"),
    ("MTLHeapDescriptor", "type", "q"),
];

/// The methods of Foundation's protocol for copying.
const COPYING: &str = "copyWithZone:";

fn classes() -> Vec<&'static ClassData> {
    let here = |class: &&ClassData| class.to_string().contains("MTL");
    listed().filter(here).collect()
}

#[test]
fn every_method_is_declared_as_apple_declares_it() {
    let text = include_str!("../../../../tests/data/metal-methods.tsv");
    let facts: HashMap<(&str, &str, &str), (&str, String)> = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|row| ((row[1], row[2], row[3]), (row[4], row[5].replace("^^@", "^@"))))
        .collect();
    let above: Vec<Vec<&str>> = include_str!("../../../../tests/data/protocols.tsv")
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for class in classes() {
        let name = class.to_string();
        let declaration = class.declaration().unwrap();
        let mut owners: Vec<&str> = vec![&name];
        owners.extend(declaration.protocols.iter().map(|name| name.to_str().unwrap()));
        let mut next = 0;
        while let Some(owner) = owners.get(next).copied() {
            owners.extend(above.iter().filter(|row| row[0] == owner).map(|row| row[1]));
            next += 1;
        }
        for row in declaration.methods {
            let level = if row.of_class { "class" } else { "instance" };
            let selector = row.selector.to_str().unwrap();
            let types = (row.types)();
            // The facts are of arm64, where a `BOOL` is C's `bool`; no method takes a `char`.
            let spelled = |encoding: &crate::abi::Encoding| match encoding.to_string() {
                text if text == <crate::abi::Bool as crate::abi::Encode>::ENCODING => {
                    "B".to_owned()
                }
                text => text,
            };
            let result = spelled(&types.result);
            let arguments: Vec<String> = types.arguments[2..].iter().map(spelled).collect();
            let declared = (result.as_str(), arguments.join(" "));
            seen += 1;
            // Selectors beyond Metal's API are ours to declare.
            if selector.starts_with("aruminium") {
                continue;
            }
            if selector == COPYING {
                assert_eq!(declared, ("@", "^v".to_owned()));
                continue;
            }
            if let Some((.., encoding)) =
                KEYWORDS.iter().find(|known| known.0 == name && known.1 == selector)
            {
                assert_eq!(declared, (*encoding, String::new()), "{name} {selector}");
                continue;
            }
            match owners.iter().find_map(|owner| facts.get(&(*owner, level, selector))) {
                Some(fact) if *fact == declared => {}
                fact => wrong.push(format!("{name} {selector}: {declared:?}, known {fact:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 500, "{seen}");
}

#[test]
fn no_method_is_declared_twice() {
    for class in classes() {
        let mut seen = HashSet::new();
        for row in class.declaration().unwrap().methods {
            assert!(seen.insert((row.of_class, row.selector)), "{class} {:?}", row.selector);
        }
    }
}

/// What is left of a protocol's methods, which no class here answers: a list to be looked at when a
/// method is missed. Those in it need what soft Metal does not have.
#[test]
fn every_message_of_a_compute_driver_has_a_method() {
    let text = include_str!("../../../../tests/data/metal-methods.tsv");
    let answered: HashSet<(String, &str)> = classes()
        .into_iter()
        .flat_map(|class| {
            let declaration = class.declaration().unwrap();
            let protocols =
                declaration.protocols.iter().map(|name| name.to_str().unwrap().to_owned());
            let owners: Vec<String> = protocols.chain([class.to_string()]).collect();
            declaration.methods.iter().flat_map(move |row| {
                let selector = row.selector.to_str().unwrap();
                owners.clone().into_iter().map(move |owner| (owner, selector))
            })
        })
        .collect();
    // Parts of protocols that are about drawing, ray tracing, sparse memory, counters and tools.
    let elsewhere = [
        "render",
        "Render",
        "acceleration",
        "Acceleration",
        "parallel",
        "present",
        "resourceState",
        "ntersectionFunction",
        "isibleFunction",
        "tensor",
        "Tensor",
        "ounters",
        "counter",
        "Counter",
        "sparse",
        "Sparse",
        "IndirectCommandBuffer",
        "executeCommandsInBuffer",
        "resetCommandsInBuffer",
        "remote",
        "Remote",
        "Shared",
        "IO",
        "MTL4",
        "rgument",
        "BinaryFunctions",
        "BinaryArchive",
        "unctionHandle",
        "functionHandle",
        "ynamicLibrary",
        "Stitched",
        "attributeStride",
        "iosurface",
        "stageIn",
        "StageIn",
        "vertex",
        "sampleTimestamps",
        "DepthStencil",
        "DefaultSamplePositions",
        "ArchiveWithURL",
        "logState",
        "LogState",
        "Compiler",
        "CommandAllocator",
        "newCommandBuffer",
        "Pipeline",
        "TextureViewPool",
        "setOwnerWithIdentity",
        "setSamplerStates:lod",
        "sizeOf",
        "lodMinClamps",
        "options:",
        "reflectionFor",
        "RasterizationRate",
        "IndirectBuffer:indirectBufferOffset:",
        "TextureViewWithDescriptor",
        "PlacementSparse",
    ];
    let protocols = [
        "MTLDevice",
        "MTLBuffer",
        "MTLTexture",
        "MTLLibrary",
        "MTLFunction",
        "MTLComputePipelineState",
        "MTLCommandQueue",
        "MTLCommandBuffer",
        "MTLComputeCommandEncoder",
        "MTLBlitCommandEncoder",
        "MTLFence",
        "MTLEvent",
        "MTLSharedEvent",
        "MTLHeap",
        "MTLResidencySet",
        "MTLSamplerState",
    ];
    let missing: Vec<String> = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|row| protocols.contains(&row[1]))
        .filter(|row| !answered.contains(&(row[1].to_owned(), row[3])))
        .filter(|row| !elsewhere.iter().any(|part| row[3].contains(part)))
        .map(|row| format!("{} {}", row[1], row[3]))
        .collect();
    assert!(missing.is_empty(), "{} missing:\n{}", missing.len(), missing.join("\n"));
}
