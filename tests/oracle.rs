//! Every declaration of the crate against the facts in `tests/data`.

use aruminium::abi::{
    Bool, Class, Encode, Encoding, Id, MTLOrigin, MTLRegion, MTLSize, MethodEncoding, NSRange, Sel,
};
use aruminium::objc::{ClassInfo, Level, MethodInfo, Nullability};
use std::collections::HashMap;

const TABLES: [&str; 2] =
    [include_str!("data/metal-methods.tsv"), include_str!("data/foundation-methods.tsv")];

/// What a table says of one method.
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

/// The owner and all that it adopts.
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

/// What is wrong with a declaration, if anything.
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
    let arguments: Vec<&str> = method.arguments.iter().copied().flatten().copied().collect();
    let null = match method.nullability {
        Nullability::NonNull => "nonnull",
        Nullability::Nullable => "nullable",
        Nullability::Error => "error",
    };
    // A declaration may be more careful than the header.
    let null_fits = null == fact.null || (null, fact.null) == ("nullable", "nonnull");
    let declared = (method.result, &arguments[..], method.family().name());
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

/// The methods behind the declarations, as the runtime tells them.
#[test]
fn every_declared_method_of_a_class_is_found_at_run_time() {
    let mut seen = 0;
    for class in aruminium::CLASSES.iter().filter(|class| class.objc.starts_with("NS")) {
        let name = std::ffi::CString::new(class.objc).unwrap();
        // SAFETY: the name is a C string.
        let found = unsafe { aruminium::objc::link::objc_getClass(name.as_ptr()) };
        assert!(!found.is_nil(), "{}", class.objc);
        for method in class.methods {
            // SAFETY: the class was found.
            let method_found = unsafe { method.found_in(found) };
            let (text, same) =
                method_found.unwrap_or_else(|| panic!("{} {}", class.objc, method.selector));
            assert!(
                same,
                "[{} {}]: declared {}, found {text}",
                class.objc,
                method.selector,
                method.encoding()
            );
            assert!(text.parse::<MethodEncoding>().is_ok());
            seen += 1;
        }
    }
    assert!(seen > 20);
}
