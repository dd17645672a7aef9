//! Compares the methods of all classes here with Apple's declarations.

use super::{Id, Imp, Sel, send};
use crate::abi::{Bool, Protocol};
use crate::soft::runtime::class::{ClassData, bytes_of_doubles, listed};
use crate::soft::runtime::entry;
use std::collections::{HashMap, HashSet};

/// Methods whose name is a keyword of Rust are missing from the table, which was made by way of
/// generated Rust bindings. Apple's headers declare them as these encodings say.
const KEYWORDS: [(&str, &str, &str); 9] = [
    ("SoftMTLHeap", "type", "q"),
    ("SoftMTLLibrary", "type", "q"),
    ("SoftMTLBinding", "type", "q"),
    ("SoftMTLFunctionLog", "type", "Q"),
    ("MTLArgument", "type", "Q"),
    ("MTLFunctionConstant", "type", "Q"),
    ("MTLHeapDescriptor", "type", "q"),
    ("SoftMTL4CounterHeap", "type", "q"),
    ("MTL4CounterHeapDescriptor", "type", "q"),
];

/// The methods of Foundation's protocol for copying.
const COPYING: &str = "copyWithZone:";

/// A method of NSObject that classes override.
const DESCRIPTION: &str = "description";

/// Messages of Metal's that its headers do not declare.
const SENT_BY_METAL_RS: [&str; 4] = [
    "familyName",
    "newComputePipelineStateWithDescriptor:error:",
    "newRenderPipelineStateWithMeshDescriptor:error:",
    "vendorName",
];

/// The classes of Foundation whose headers the table has.
const FOUNDATION: [&str; 8] = [
    "NSString",
    "NSMutableString",
    "NSArray",
    "NSMutableArray",
    "NSData",
    "NSMutableData",
    "NSError",
    "NSURL",
];

fn classes() -> Vec<&'static ClassData> {
    let here = |class: &&ClassData| {
        let name = class.to_string();
        name.contains("MTL") || FOUNDATION.contains(&&*name)
    };
    listed().filter(here).collect()
}

/// Encodings in which C strings and blocks are objects.
fn unnamed(types: &str) -> String {
    types.replace("@?", "@").replace('*', "@")
}

/// How many bytes of memory the result of a message to a class or to one of its objects has, if the class or a superclass lacks it.
fn lacked(class: &'static ClassData, of_class: bool, selector: &str) -> Option<usize> {
    let mut classes = std::iter::successors(Some(class), |class| class.superclass());
    classes.find_map(|class| class.declaration()?.lacks?.bytes_of(of_class, selector))
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
    // A subclass that has a payload of its own declares the methods of its superclass, too. Here these are no
    // subclasses.
    let attachments = ["Color", "Depth", "Stencil"].map(|kind| {
        (format!("MTLRenderPass{kind}AttachmentDescriptor"), "MTLRenderPassAttachmentDescriptor")
    });
    let mut wrong = Vec::new();
    let mut seen = 0;
    for class in classes() {
        let name = class.to_string();
        let declaration = class.declaration().unwrap();
        let superclass = class.superclass().map(ToString::to_string).unwrap_or_default();
        let mut owners: Vec<&str> = vec![&name, &superclass];
        owners.extend(attachments.iter().filter(|row| row.0 == name).map(|row| row.1));
        owners
            .extend((name == "MTL4ComputePipelineDescriptor").then_some("MTL4PipelineDescriptor"));
        owners.extend(declaration.protocols.iter().map(|name| name.to_str().unwrap()));
        let mut next = 0;
        while let Some(owner) = owners.get(next).copied() {
            owners.extend(above.iter().filter(|row| row[0] == owner).map(|row| row[1]));
            next += 1;
        }
        for row in declaration.methods {
            let level = if row.of_class { "class" } else { "instance" };
            let selector = row.selector.to_str().unwrap();
            let types = crate::soft::runtime::declare::method_encoding(row.types);
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
            if SENT_BY_METAL_RS.contains(&selector) {
                continue;
            }
            if selector == COPYING {
                assert_eq!(declared, ("@", "^{_NSZone}".to_owned()));
                continue;
            }
            if selector == DESCRIPTION {
                assert_eq!(declared, ("@", String::new()));
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
                // The table was made by way of Rust bindings, which name C strings and comparators of Foundation.
                Some(fact)
                    if FOUNDATION.contains(&&*name)
                        && fact.0 == declared.0
                        && unnamed(&fact.1) == unnamed(&declared.1) => {}
                // The table has a part of Foundation's headers.
                None if FOUNDATION.contains(&&*name) => {}
                fact => wrong.push(format!("{name} {selector}: {declared:?}, known {fact:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 500, "{seen}");
}

/// Objects conform to the protocols that their protocols adopt in the headers.
#[test]
fn protocols_adopt_what_the_headers_say() {
    let protocol = |name: &str| {
        let name = std::ffi::CString::new(name).unwrap();
        // SAFETY: a C string.
        unsafe { entry::objc_getProtocol(name.as_ptr()) }
    };
    let rows = include_str!("../../../../tests/data/protocols.tsv").lines().skip(1);
    let mut count = 0;
    for (name, above) in rows.filter_map(|row| row.split_once('\t')) {
        // SAFETY: protocols or nil.
        let adopts = unsafe { entry::protocol_conformsToProtocol(protocol(name), protocol(above)) };
        assert!(adopts.get(), "{name} {above}");
        count += 1;
    }
    assert_eq!(count, 15);
    let buffer = super::buffer(4);
    for (name, expected) in [("MTLBuffer", true), ("MTLAllocation", true), ("MTLEvent", false)] {
        let conforms = send!(*buffer, "conformsToProtocol:", protocol(name) => Protocol; Bool);
        assert_eq!(conforms.get(), expected, "{name}");
    }
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

/// The owners of an owner's methods: itself and the protocols that it adopts.
fn with_adopted(owner: &str) -> Vec<&str> {
    let adopted: Vec<_> = include_str!("../../../../tests/data/protocols.tsv")
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let mut owners = vec![owner];
    let mut next = 0;
    while let Some(owner) = owners.get(next).copied() {
        owners.extend(adopted.iter().filter(|row| row.0 == owner).map(|row| row.1));
        next += 1;
    }
    owners
}

/// How many bytes of memory a result has, whose fields are words if it has more than 16: none if it comes back in registers,
/// as structs of up to 16 bytes do, and some of doubles.
fn bytes_in_memory(encoding: &str) -> usize {
    let fields = encoding.split_once('=').map(|(_, fields)| fields.trim_end_matches('}'));
    if let Some(doubles) = fields.filter(|fields| fields.chars().all(|field| field == 'd')) {
        return bytes_of_doubles(doubles.len(), cfg!(target_arch = "aarch64"));
    }
    let size = |c| if "QqdD".contains(c) { 8 } else { 0 };
    Some(encoding.chars().map(size).sum()).filter(|bytes| *bytes > 16).unwrap_or(0)
}

/// Structs of four doubles, such as rectangles, come back in registers on arm64, so that a message must clear no memory for them.
#[test]
fn four_doubles_are_in_registers_on_arm64() {
    let bytes = |on_arm64| [1, 2, 3, 4, 5].map(|count| bytes_of_doubles(count, on_arm64));
    assert_eq!(bytes(true), [0, 0, 0, 0, 40]);
    assert_eq!(bytes(false), [0, 0, 24, 32, 40]);
    let value = listed().find(|class| class.to_string() == "NSValue").unwrap();
    for selector in ["rectValue", "edgeInsetsValue"] {
        let listed = lacked(value, false, selector);
        assert_eq!(listed, Some(bytes_in_memory("{NSEdgeInsets=dddd}")), "{selector}");
    }
}

/// Whether the last argument is what its name says to a report, which writes an error there or calls a handler.
fn is_reported_by_suffix(selector: &str, arguments: &str) -> bool {
    let last = arguments.rsplit(' ').next().unwrap_or_default();
    (!selector.ends_with("error:") || last.starts_with("^@"))
        && (!selector.ends_with("completionHandler:") || last == "@?")
}

/// Every message that the headers declare for a class here and its objects has a method, or is listed among
/// those that the class lacks, and nothing else is listed.
#[test]
fn every_message_of_the_headers_has_a_method_or_is_listed() {
    let text = include_str!("../../../../tests/data/metal-methods.tsv");
    let facts: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut wrong = Vec::new();
    for class in classes() {
        let declaration = class.declaration().unwrap();
        let name = class.to_string();
        let own = declaration.lacks.into_iter().flat_map(|lacks| {
            let structs = lacks.structs.iter().map(|(selector, _)| selector);
            lacks.selectors.iter().chain(structs)
        });
        let is_absent = declaration.methods.is_empty();
        let protocols = declaration.protocols.iter().map(|name| name.to_str().unwrap());
        let owners: HashSet<&str> = protocols.flat_map(with_adopted).chain([&*name]).collect();
        let mut declared = HashSet::new();
        for fact in facts.iter().filter(|fact| owners.contains(fact[1])) {
            let (level, selector) = (fact[2], fact[3]);
            let selector_c = std::ffi::CString::new(selector).unwrap();
            // SAFETY: classes and names are.
            let responds = unsafe {
                let selector = entry::sel_registerName(selector_c.as_ptr());
                let of = match level {
                    "class" => entry::object_getClass(class.handle().as_id()),
                    _ => class.handle(),
                };
                entry::class_respondsToSelector(of, selector).get()
            };
            let entry = if level == "class" { format!("+{selector}") } else { selector.to_owned() };
            let listed = lacked(class, level == "class", selector);
            declared.insert(entry);
            let bytes = bytes_in_memory(fact[4]);
            match (responds, listed) {
                (true, Some(_)) => wrong.push(format!("{name} {selector}: listed, with a method")),
                (false, None) => wrong.push(format!("{name} {level} {selector} -> {}", fact[4])),
                (false, Some(listed)) if listed != bytes => {
                    wrong
                        .push(format!("{name} {selector}: its result has {bytes} bytes of memory"));
                }
                (false, Some(_)) if !is_reported_by_suffix(selector, fact[5]) => {
                    wrong.push(format!("{name} {selector}: of type {}", fact[5]));
                }
                // The address of such a result is passed, but no argument that is reported to.
                (false, Some(1..)) if fact[5].contains("^@") || fact[5].contains("@?") => {
                    wrong
                        .push(format!("{name} {selector}: a struct, and an argument to report to"));
                }
                _ => {}
            }
        }
        let is_known = |selector: &str| {
            declared.contains(selector)
                || SENT_BY_METAL_RS.contains(&selector)
                || (is_absent && selector == COPYING)
        };
        let unknown = own.filter(|selector| !is_known(selector));
        wrong.extend(unknown.map(|selector| format!("{name} {selector}: in no header")));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every class and every protocol of Metal's headers exists, whether or not it has methods here: what a program asks for
/// by its name is found, and its messages are reported with their names.
#[test]
fn every_class_and_protocol_of_the_headers_exists() {
    let text = include_str!("../../../../tests/data/metal-methods.tsv");
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let owners: HashSet<_> = rows.map(|row| (row[0] == "protocol", row[1])).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (is_protocol, name) in owners.into_iter().filter(|owner| owner.1.starts_with("MTL")) {
        let text = std::ffi::CString::new(name).unwrap();
        // SAFETY: a C string.
        let exists = unsafe {
            match is_protocol {
                true => !entry::objc_getProtocol(text.as_ptr()).is_nil(),
                false => !entry::objc_getClass(text.as_ptr()).is_nil(),
            }
        };
        if !exists {
            wrong.push(name);
        }
        count += 1;
    }
    wrong.sort_unstable();
    assert!(wrong.is_empty(), "{} missing: {wrong:?}", wrong.len());
    assert!(count > 200, "{count}");
}

/// A class that conforms to a protocol has the methods that the protocol requires.
#[test]
fn classes_have_what_their_protocols_require() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for class in listed() {
        for protocol in class.declaration().unwrap().protocols {
            for of_class in [false, true] {
                let level = match of_class {
                    // SAFETY: a class is an object.
                    true => unsafe { entry::object_getClass(class.handle().as_id()) },
                    false => class.handle(),
                };
                let mut number = 0;
                // SAFETY: a C string, a protocol and a class; the list has as many methods as it says.
                let required = unsafe {
                    let protocol = entry::objc_getProtocol(protocol.as_ptr());
                    let (yes, instance) = (Bool::new(true), Bool::new(!of_class));
                    let list = entry::protocol_copyMethodDescriptionList(
                        protocol,
                        yes,
                        instance,
                        &raw mut number,
                    );
                    if list.is_null() {
                        &[]
                    } else {
                        std::slice::from_raw_parts(list, number as usize)
                    }
                };
                for method in required {
                    // SAFETY: a class and a selector, whose name is a C string.
                    let (responds, name) = unsafe {
                        let name = std::ffi::CStr::from_ptr(entry::sel_getName(method.name));
                        (entry::class_respondsToSelector(level, method.name).get(), name)
                    };
                    if !responds {
                        wrong.push(format!("{class} conforms to {protocol:?} without {name:?}"));
                    }
                    count += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 40, "{count}");
}
