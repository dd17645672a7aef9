//! Every kind of argument and result of a line of `metal_class!`, through the
//! message, through the table and through the direct type.

#![allow(clippy::undocumented_unsafe_blocks)] // The class in `support` is as declared here.

mod support;

/// An alias that many crates have.
#[allow(dead_code)] // The macros must not pick it up.
type Result<T> = std::result::Result<T, ()>;

use aruminium::objc::{Block, ClassState, Level, MessageError, Nullability, ObjcClass, Object};
use aruminium::{MTLSize, autorelease_pool, imp_table, metal_class, msg, selector};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use support::{DEALLOCATED, method, probe_class};

/// An error of the user's own.
#[derive(Debug, PartialEq)]
enum ProbeError {
    Words(String),
    Nothing,
}

metal_class! {
    /// An object with a method of every shape.
    class Probe: AruminiumProbe, table, direct FastProbe<'a>;

    /// A plain value.
    fn answer() -> usize = [answer];
    fn half(value: f64) -> f64 = [half:];
    fn not(value: bool) -> bool = [not:];
    /// Structs in and out, as a tuple and as itself.
    fn grow(size: (usize, usize, usize), by: usize) -> (usize, usize, usize) = [grow:by:];
    fn grow_size(size: MTLSize, by: usize) -> MTLSize = [grow:by:];
    fn sum(bytes: &[u8]) -> usize = [sum:length:];
    fn length_of(text: &str) -> usize = [lengthOf:];
    fn length_of_maybe(text: Option<&str>) -> usize = [lengthOf:];
    /// Objects, by all rules of ownership.
    fn itself() -> Probe = [itself];
    fn new_probe() -> Probe = [newProbe];
    fn maybe_itself() -> Option<Probe> = [itself];
    fn nothing() -> Option<Probe> = [nothing];
    fn never_nothing() -> Probe = [nothing];
    unsafe fn itself_autoreleased() -> Probe = autoreleased [itself];
    unsafe fn nothing_unchecked() -> Probe = unchecked [nothing];
    unsafe fn itself_unchecked_autoreleased() -> Probe = unchecked autoreleased [itself];
    /// Strings.
    fn name() -> String = [name];
    fn no_name() -> Option<String> = [nothing];
    /// Failures.
    fn probe_or_fail(fail: bool) -> std::result::Result<Probe, MessageError> = [probeOrFail:error:];
    fn probe_or_words(fail: bool) -> std::result::Result<Probe, ProbeError> = [probeOrFail:error:] or ProbeError::Words;
    fn try_or_fail(fail: bool) -> std::result::Result<(), MessageError> = [tryOrFail:error:];
    fn nothing_or_words() -> std::result::Result<Probe, ProbeError> = [nothing] or ProbeError::Words;
    fn nothing_or_else() -> std::result::Result<Probe, ProbeError> = [nothing] else ProbeError::Nothing;
    /// Objects as arguments.
    fn same(a: &Probe, b: Option<&Probe>) -> bool = [same:as:];
    fn count_of(probes: &[&Probe]) -> usize = [countOf:count:];
    fn call(block: &Block<(usize,), usize>, value: usize) -> usize = [call:with:];
}

metal_class! {
    /// The class itself receives these.
    class ProbeClass: AruminiumProbe;
    fn probe() -> Probe = class [probe];
    fn new() -> Probe = class [new];
    unsafe fn probe_unchecked() -> Probe = class unchecked [probe];
}

metal_class! {
    /// More methods for the class.
    trait ProbeExt for Probe;
    /// With documentation.
    fn answer_again() -> usize = [answer];
    unsafe fn half_unsafe(value: f64) -> f64 = [half:];
}

/// An exclusive probe: tests count deallocations, so only one test at a time may have a probe. The guard comes first,
/// so that it is dropped after the probe.
fn probe() -> (MutexGuard<'static, ()>, Probe) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(|poison| poison.into_inner());
    probe_class();
    (guard, ProbeClass::new())
}

fn deaths(body: impl FnOnce()) -> usize {
    let before = DEALLOCATED.load(Ordering::SeqCst);
    autorelease_pool(body);
    DEALLOCATED.load(Ordering::SeqCst) - before
}

#[test]
fn arguments_and_results_are_passed_by_message_and_by_table() {
    let (_one, probe) = probe();
    let imps = unsafe { ProbeImps::resolve(probe.as_raw()) };
    let fast = unsafe { FastProbe::new(&probe, &imps) }.unwrap();
    let block = Block::<(usize,), usize>::new(|value: usize| value + 1);
    macro_rules! both {
        ($($method:ident($($argument:expr),*) == $expected:expr;)+) => {$(
            assert_eq!(probe.$method($($argument),*), $expected, "message");
            assert_eq!(fast.$method($($argument),*), $expected, "table");
        )+};
    }
    both! {
        answer() == 42;
        half(5.0) == 2.5;
        not(true) == false;
        not(false) == true;
        grow((1, 2, 3), 10) == (10, 20, 30);
        grow_size(MTLSize { width: 4, height: 5, depth: 6 }, 2) == MTLSize { width: 8, height: 10, depth: 12 };
        sum(&[1, 2, 3, 250]) == 256;
        sum(&[]) == 0;
        length_of("Grüße") == 5;
        length_of_maybe(Some("a\0b")) == 3;
        length_of_maybe(None) == usize::MAX;
        name() == "probe";
        no_name() == None;
        same(&probe, Some(&probe)) == true;
        same(&probe, None) == false;
        count_of(&[&probe, &probe]) == 2;
        call(&block, 41) == 42;
    }
    assert_eq!(fast.as_raw(), probe.as_raw());
    assert_eq!(format!("{probe:?}"), format!("Probe({:p})", probe.as_raw().as_ptr()));
}

#[test]
fn failures_become_the_declared_error() {
    let (_one, probe) = probe();
    let imps = unsafe { ProbeImps::resolve(probe.as_raw()) };
    let fast = unsafe { FastProbe::new(&probe, &imps) }.unwrap();

    for error in [probe.probe_or_fail(true).unwrap_err(), fast.probe_or_fail(true).unwrap_err()] {
        assert_eq!(error.to_string(), "no probe today");
        assert_eq!((error.domain(), error.code()), ("ProbeDomain", -7));
        assert_eq!(error.method(), "-[AruminiumProbe probeOrFail:error:]");
    }
    let words = || ProbeError::Words("no probe today".into());
    assert_eq!(probe.probe_or_words(true).unwrap_err(), words());
    assert_eq!(fast.probe_or_words(true).unwrap_err(), words());
    assert_eq!(probe.try_or_fail(true).unwrap_err().code(), -7);
    assert!(probe.try_or_fail(false).is_ok() && fast.try_or_fail(false).is_ok());
    assert_eq!(probe.probe_or_fail(false).unwrap().answer(), 42);

    let nil = ProbeError::Words("-[AruminiumProbe nothing] returned nil".into());
    assert_eq!(probe.nothing_or_words().unwrap_err(), nil);
    assert_eq!(probe.nothing_or_else().unwrap_err(), ProbeError::Nothing);
    assert!(probe.nothing().is_none() && fast.nothing().is_none());
}

#[test]
fn nil_where_none_was_declared_panics_with_the_method() {
    let (_one, probe) = probe();
    let panic = catch_unwind(|| probe.never_nothing()).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert_eq!(
        text,
        "-[AruminiumProbe nothing] returned nil, but it is declared to return an object: declare an `Option` or a `Result`"
    );
    // Unchecked, nil is an object whose methods return zero.
    let nothing = unsafe { probe.nothing_unchecked() };
    assert_eq!((nothing.answer(), nothing.grow((1, 1, 1), 1)), (0, (0, 0, 0)));
}

#[test]
fn every_object_dies_once() {
    let (_one, probe) = probe();
    let imps = unsafe { ProbeImps::resolve(probe.as_raw()) };
    let fast = unsafe { FastProbe::new(&probe, &imps) }.unwrap();
    assert_eq!(deaths(|| drop(probe.new_probe())), 1);
    assert_eq!(deaths(|| drop(fast.new_probe())), 1);
    assert_eq!(deaths(|| drop(ProbeClass::probe())), 1);
    assert_eq!(deaths(|| drop(unsafe { ProbeClass::probe_unchecked() })), 1);
    assert_eq!(deaths(|| drop(probe.probe_or_fail(false).unwrap())), 1);
    assert_eq!(deaths(|| drop((probe.itself(), fast.itself(), probe.maybe_itself()))), 0);
    assert_eq!(deaths(|| unsafe { drop(probe.itself_autoreleased()) }), 0);
    assert_eq!(deaths(|| unsafe { drop(fast.itself_unchecked_autoreleased()) }), 0);
    assert_eq!(
        deaths(|| {
            let one = probe.new_probe();
            let two = one.clone();
            drop(one);
            assert_eq!(two.answer(), 42);
            drop(two);
        }),
        1
    );
    assert_eq!(
        deaths(|| {
            let one = probe.new_probe();
            let raw = one.clone().into_raw_for_test();
            let again = unsafe { Probe::from_raw(raw) }.unwrap();
            drop(one);
            assert_eq!(again.answer(), 42);
        }),
        1
    );
    assert!(unsafe { Probe::from_raw(aruminium::abi::Id::NIL) }.is_none());
    assert_eq!(deaths(|| drop(probe)), 1);
}

impl Probe {
    /// `Object::into_raw` for a wrapper.
    fn into_raw_for_test(self) -> aruminium::abi::Id {
        let kept = std::mem::ManuallyDrop::new(self);
        kept.as_raw()
    }
}

metal_class! {
    /// A class that is initialised in two steps.
    class Blank: AruminiumProbe;
    fn alloc() -> Blank = class [alloc];
    fn init() -> Probe = [init];
    /// A name that the macros use themselves.
    fn receiver() -> usize = [answer];
}

#[test]
fn a_wrapper_is_valid_after_an_init_method() {
    let (_one, _probe) = probe();
    assert_eq!(
        deaths(|| {
            let blank = Blank::alloc();
            let ready = blank.init();
            drop(blank);
            assert_eq!(ready.answer(), 42);
        }),
        1
    );
    assert_eq!(
        deaths(|| unsafe {
            let blank = msg!(probe_class(), [alloc] -> Object);
            let ready = msg!(blank, [init] -> Object);
            drop(blank);
            assert_eq!(msg!(ready, [answer] -> usize), 42);
            // A bare pointer is not retained.
            let raw = msg!(probe_class(), [alloc] -> aruminium::abi::Id);
            drop(msg!(raw, [init] -> Object));
        }),
        2
    );
    assert_eq!(unsafe { msg!(Blank::alloc(), [answer] -> usize) }, 42);
    assert_eq!(Blank::alloc().receiver(), 42);
}

#[test]
fn traits_add_methods_to_a_class() {
    let (_one, probe) = probe();
    assert_eq!(probe.answer_again(), 42);
    assert_eq!(unsafe { probe.half_unsafe(9.0) }, 4.5);
    assert_eq!(<Probe as ProbeExt>::ADDED.len(), 2);
    assert_eq!(<Probe as ProbeExt>::ADDED[1].selector, "half:");
}

#[test]
fn messages_of_one_off_calls() {
    let (_one, probe) = probe();
    unsafe {
        assert_eq!(msg!(probe, [answer] -> usize), 42);
        assert_eq!(msg!(&probe, [grow: (1, 2, 3), by: 2usize] -> MTLSize).height, 4);
        let bytes = [5u8, 6];
        let start = bytes.as_ptr().cast::<std::ffi::c_void>();
        assert_eq!(msg!(probe.as_raw(), [sum: start, length: bytes.len()] -> usize), 11);
        let error =
            msg!(probe, [probeOrFail: true, error: _] -> std::result::Result<Probe, MessageError>)
                .unwrap_err();
        assert_eq!(error.to_string(), "no probe today");
        assert_eq!(error.method(), "[probeOrFail:error:]");
        let other: Object = msg!(probe, [itself] -> Object);
        assert_eq!(other.as_raw(), probe.as_raw());
        assert_eq!(msg!(probe_class(), [class] -> aruminium::abi::Class), probe_class());
        msg!(probe, [answer]); // A result may be ignored.

        // Temporaries of the receiver and the arguments live until the message returns.
        let new = || msg!(probe_class(), [new] -> Probe);
        assert!(!msg!(new(), [same: new().as_raw(), as: new().as_raw()] -> bool));
        assert_eq!(
            msg!(probe, [lengthOf: &aruminium::foundation::NSString::from("four")] -> usize),
            4
        );
    }
}

#[test]
#[cfg(debug_assertions)]
fn messages_with_wrong_types_are_caught_in_debug_builds() {
    let (_one, probe) = probe();
    let panic = catch_unwind(|| unsafe { msg!(probe, [half: 3] -> f64) }).unwrap_err();
    assert_eq!(
        panic.downcast_ref::<String>().unwrap(),
        "[AruminiumProbe half:] has the type d24@0:8d16, but was sent as d20@0:8i16"
    );
    let panic = catch_unwind(|| unsafe { msg!(probe, [sum: &[1u8][..]] -> usize) }).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("[sum:] takes 1 arguments, but was sent 2: a slice is two"), "{text}");
}

imp_table! {
    /// A table without a wrapper type.
    table LooseImps: AruminiumProbe;
    fn answer() -> usize = [answer];
    fn name() -> String = [name];
    fn fail(fail: bool) -> std::result::Result<Object, ProbeError> = [probeOrFail:error:] or ProbeError::Words;
    fn missing() -> usize = [methodThatNobodyHas];
}

extern "C" fn other_answer(_: aruminium::abi::Id, _: aruminium::abi::Sel) -> usize {
    43
}

#[test]
fn tables_compare_the_class_of_their_object() {
    let (_one, probe) = probe();
    let other_class = support::make_class(
        "AruminiumProbeUnderCapture",
        "AruminiumProbe",
        &[method!(
            "answer",
            "Q16@0:8",
            other_answer,
            fn(aruminium::abi::Id, aruminium::abi::Sel) -> usize
        )],
        &[],
    );
    let other = unsafe { msg!(other_class, [new] -> Probe) };
    unsafe {
        let mut imps = LooseImps::resolve(probe.as_raw());
        assert!(imps.matches(probe.as_raw()) && !imps.refresh(probe.as_raw()));
        assert_eq!(imps.answer(probe.as_raw()), 42);
        assert_eq!(imps.name(probe.as_raw()), "probe");
        let words = imps.fail(probe.as_raw(), true).unwrap_err();
        assert_eq!(words, ProbeError::Words("no probe today".into()));

        assert!(!imps.matches(other.as_raw()));
        assert!(imps.refresh(other.as_raw()));
        assert_eq!(imps.answer(other.as_raw()), 43);

        // A direct type is never made with a table of another class.
        let table = ProbeImps::resolve(probe.as_raw());
        assert!(FastProbe::new(&other, &table).is_none());
        assert!(format!("{imps:?}").starts_with("LooseImps"));
    }
}

static DETACHED: AtomicUsize = AtomicUsize::new(0);

struct Tally(usize);

impl ClassState for Tally {
    fn attach(object: &Object) -> Self {
        assert!(!object.as_raw().is_nil());
        Tally(7)
    }
    fn detach(&mut self, object: &Object) {
        // The object is still alive.
        assert_eq!(unsafe { msg!(object, [answer] -> usize) }, 42);
        DETACHED.fetch_add(self.0, Ordering::SeqCst);
    }
}

metal_class! {
    /// A class with a state beside its pointer.
    class Tallied: AruminiumProbe, state Tally;
    fn make() -> Tallied = class [new];
    fn answer() -> usize = [answer];
}

#[test]
fn state_is_attached_and_detached() {
    let (_one, _probe) = probe();
    let tallied = Tallied::make();
    assert_eq!((tallied.answer(), tallied.state.0), (42, 7));
    drop(tallied);
    assert_eq!(DETACHED.load(Ordering::SeqCst), 7);
}

#[test]
fn reflection_lists_the_declarations() {
    let info = Probe::INFO;
    assert_eq!((info.rust, info.objc), ("Probe", "AruminiumProbe"));
    let find = |name: &str| *info.methods.iter().find(|method| method.name == name).unwrap();
    assert_eq!(find("grow").encoding().to_string(), "{?=QQQ}48@0:8{?=QQQ}16Q40");
    assert_eq!(find("sum").encoding().to_string(), "Q32@0:8^v16Q24");
    let truth = if cfg!(target_arch = "x86_64") { 'c' } else { 'B' };
    assert_eq!(find("probe_or_words").encoding().to_string(), format!("@28@0:8{truth}16^@20"));
    assert_eq!(find("probe_or_fail").nullability, Nullability::Error);
    assert_eq!(find("nothing_or_else").nullability, Nullability::Nullable);
    assert_eq!(find("itself").nullability, Nullability::NonNull);
    assert_eq!(find("new_probe").family().name(), "new");
    assert_eq!(ProbeClass::INFO.methods[0].level, Level::Class);

    let class = probe_class();
    for method in info.methods {
        let (found, same) =
            unsafe { method.found_in(class) }.unwrap_or_else(|| panic!("{method:?}"));
        assert!(same, "{}: {} against {found}", method.selector, method.encoding());
    }
}

#[test]
fn selectors_are_equal_by_name() {
    assert_eq!(selector!(grow:by:), selector!(grow:by:));
    assert_ne!(selector!(grow:by:), selector!(grow:));
}
