//! Classes: their data, how they are made, and which method implements a selector.
//!
//! A class and its metaclass are the two halves of a [`ClassPair`]. Pairs are never freed: those of the
//! embedded frameworks are statics, those made at run time are leaked, as in Apple's runtime.

use super::cache::Cache;
use super::declare;
use super::lock::{Guarded, Lock};
use super::nsobject::NSObject;
use super::object::Payload;
#[cfg(feature = "export")]
use super::property::Property;
use super::protocol::{self, ProtocolData};
use super::selector;
use super::variable::Variable;
use crate::abi::{Class, Imp, Method, Sel};
use crate::soft::sorted;
use crate::soft::system::entries;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

/// How the objects of a class are counted and freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Counted by the word after `isa`.
    Counted,
    /// Never counted and never freed: classes, protocols.
    Immortal,
    /// Counted in a block's own flags.
    Block,
    /// Freed. A message to one ends the program.
    Zombie,
}

/// A class or a metaclass. The first two fields are read by `objc_msgSend`.
#[repr(C)]
pub(crate) struct ClassData {
    // Pointers, not references: a class and its metaclass refer to each other.
    isa: AtomicPtr<ClassData>,
    pub(super) cache: Cache,
    pub(super) superclass: AtomicPtr<ClassData>,
    pub(super) kind: Kind,
    meta: bool,
    name: &'static CStr,
    declaration: Option<&'static Declaration>,
    /// Where the last instance variable of an object ends; 0 if the class and its superclasses have none.
    instance_end: AtomicUsize,
    links: Guarded<Option<Links>>,
}

/// The part of a class that changes. It is made when the class is first used.
#[derive(Default)]
struct Links {
    version: i32,
    methods: HashMap<Sel, &'static MethodData>,
    protocols: Vec<&'static ProtocolData>,
    subclasses: Vec<&'static ClassData>,
    variables: Vec<&'static Variable>,
    #[cfg(feature = "export")]
    properties: Vec<&'static Property>,
}

/// A class and its metaclass. The address of the pair is that of the class.
#[repr(C)]
pub struct ClassPair {
    pub(crate) class: ClassData,
    pub(super) meta: ClassData,
}

/// A class as `soft_class!` declares it.
pub(crate) struct Declaration {
    pub(crate) payload: Option<Payload>,
    pub(crate) protocols: &'static [&'static CStr],
    pub(crate) methods: &'static [Row],
    /// The messages of its header that it has no methods for.
    pub(crate) lacks: Option<&'static Lacking>,
}

/// Messages that a class's header declares and the class has no methods for. Such a message is reported and
/// returns nil or zero, whereas one that no header declares ends the program.
pub(crate) struct Lacking {
    /// The selectors of those whose results come back in registers; those of messages to a class itself begin with a plus sign.
    pub(crate) selectors: &'static [&'static str],
    /// The selectors of those whose result is a struct of more than 16 bytes, and how many bytes of memory it has as a result: none if it
    /// comes back in registers all the same ([`bytes_of_doubles`]).
    pub(crate) structs: &'static [(&'static str, usize)],
    /// Reports a message: what it is called in Objective-C, its selector, and the last of its arguments in case it
    /// and those before it are integers or pointers.
    pub(crate) report: fn(&dyn fmt::Display, &str, usize),
}

impl Lacking {
    /// How many bytes of memory the result of a message has, if a message to a class or to one of its objects is among them.
    pub(crate) fn bytes_of(&self, of_class: bool, selector: &str) -> Option<usize> {
        let is_listed = |listed: &str| match listed.strip_prefix('+') {
            Some(name) => of_class && name == selector,
            None => !of_class && listed == selector,
        };
        let one = self.structs.iter().find(|(listed, _)| is_listed(listed));
        one.map(|(_, bytes)| *bytes)
            .or_else(|| self.selectors.iter().any(|listed| is_listed(listed)).then_some(0))
    }
}

/// How many bytes of memory a struct of doubles has as a result. arm64 returns up to four of them in registers, and the sender then
/// names no memory; x86_64 returns up to two.
pub(crate) const fn bytes_of_doubles(count: usize, on_arm64: bool) -> usize {
    let in_registers = if on_arm64 { 4 } else { 2 };
    if count > in_registers { count * size_of::<f64>() } else { 0 }
}

/// A method in a declaration.
pub(crate) struct Row {
    pub(crate) of_class: bool,
    pub(crate) selector: &'static CStr,
    pub(crate) imp: Imp,
    pub(crate) types: declare::Types,
}

/// A method of a class. Methods live for ever.
pub(super) struct MethodData {
    pub(super) selector: Sel,
    owner: &'static ClassData,
    imp: AtomicPtr<c_void>,
    types: Types,
}

enum Types {
    Given(CString),
    Declared(declare::Types, OnceLock<CString>),
}

/// An implementation as a pointer that an atomic can hold.
pub(super) fn imp_to_ptr(imp: Imp) -> *mut c_void {
    imp as *mut c_void
}

/// # Safety
///
/// The pointer comes from [`imp_to_ptr`].
pub(super) unsafe fn imp_from_ptr(pointer: *mut c_void) -> Imp {
    // SAFETY: the caller's; a function's address survives the round trip.
    unsafe { std::mem::transmute::<*mut c_void, Imp>(pointer) }
}

impl MethodData {
    fn new(owner: &'static ClassData, selector: Sel, imp: Imp, types: Types) -> &'static Self {
        let imp = AtomicPtr::new(imp_to_ptr(imp));
        Box::leak(Box::new(Self { selector, owner, imp, types }))
    }

    /// Replaces the implementation and returns the old one.
    pub(super) fn set_imp(&self, imp: Imp, lock: &mut Lock) -> Imp {
        let old = self.imp();
        self.imp.store(imp_to_ptr(imp), Release);
        self.owner.refresh(self.selector, imp, lock);
        old
    }

    pub(super) fn imp(&self) -> Imp {
        // SAFETY: only implementations are stored here.
        unsafe { imp_from_ptr(self.imp.load(Acquire)) }
    }

    pub(super) fn types(&self) -> &CStr {
        match &self.types {
            Types::Given(text) => text,
            Types::Declared(types, text) => text.get_or_init(|| declare::encoded(types)),
        }
    }

    pub(super) fn handle(&'static self) -> Method {
        Method::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    /// # Safety
    ///
    /// The handle is nil or came from [`MethodData::handle`].
    pub(super) unsafe fn from_handle(method: Method) -> Option<&'static Self> {
        // SAFETY: the caller's; methods live for ever.
        unsafe { method.as_ptr().cast::<Self>().as_ref() }
    }
}

impl ClassPair {
    /// A class that source code declares, as the initial value of the static `this`.
    pub(crate) const fn declared(
        this: &'static Self,
        name: &'static CStr,
        superclass: Option<&'static Self>,
        kind: Kind,
        declaration: &'static Declaration,
    ) -> Self {
        let declaration = Some(declaration);
        let (above, above_meta) = match superclass {
            Some(pair) => (&raw const pair.class, &raw const pair.meta),
            None => (std::ptr::null(), &raw const this.class),
        };
        let root = &raw const NSObject.meta;
        Self {
            class: ClassData::new(&raw const this.meta, above, kind, name, declaration),
            meta: ClassData::new(root, above_meta, Kind::Immortal, name, declaration).of_classes(),
        }
    }

    /// A class made at run time. Without a superclass it is a root class.
    fn made(name: &CStr, superclass: Option<&'static ClassData>) -> &'static Self {
        let pair: *mut Self = Box::into_raw(Box::<Self>::new_uninit()).cast();
        // SAFETY: only addresses within the allocation are taken.
        let (class, meta) = unsafe { (&raw const (*pair).class, &raw const (*pair).meta) };
        let name: &'static CStr = Box::leak(name.into());
        let kind = superclass.map_or(Kind::Counted, |superclass| superclass.kind);
        let above = superclass.map_or(std::ptr::null(), std::ptr::from_ref);
        let above_meta = superclass.map_or(class, |superclass| superclass.isa());
        let root = superclass.map_or(meta, |superclass| superclass.isa().isa());
        // SAFETY: the allocation has the layout of a pair, is written before it is shared, and is never
        // freed.
        unsafe {
            pair.write(Self {
                class: ClassData::new(meta, above, kind, name, None),
                meta: ClassData::new(root, above_meta, Kind::Immortal, name, None).of_classes(),
            });
            let pair = &*pair;
            let end = superclass.map_or(0, ClassData::instance_end);
            pair.class.instance_end.store(end, Relaxed);
            pair
        }
    }
}

impl ClassData {
    const fn new(
        isa: *const Self,
        superclass: *const Self,
        kind: Kind,
        name: &'static CStr,
        declaration: Option<&'static Declaration>,
    ) -> Self {
        Self {
            isa: AtomicPtr::new(isa.cast_mut()),
            cache: Cache::empty(),
            superclass: AtomicPtr::new(superclass.cast_mut()),
            kind,
            meta: false,
            name,
            declaration,
            instance_end: AtomicUsize::new(0),
            links: Guarded::new(None),
        }
    }

    /// The same as a metaclass.
    const fn of_classes(mut self) -> Self {
        self.meta = true;
        self
    }

    /// The class as Objective-C passes it.
    pub(crate) fn handle(&'static self) -> Class {
        Class::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    /// # Safety
    ///
    /// The handle is nil or a class of this runtime.
    pub(crate) unsafe fn from_handle(class: Class) -> Option<&'static Self> {
        // SAFETY: the caller's; classes live for ever.
        unsafe { class.as_ptr().cast::<Self>().as_ref() }
    }

    pub(super) fn isa(&self) -> &'static Self {
        // SAFETY: set when the class was made, to one that lives for ever.
        unsafe { &*self.isa.load(Relaxed) }
    }

    pub(crate) fn superclass(&self) -> Option<&'static Self> {
        // SAFETY: as for `isa`, or null.
        unsafe { self.superclass.load(Relaxed).as_ref() }
    }

    pub(crate) fn name(&self) -> &'static CStr {
        self.name
    }

    pub(crate) fn is_meta(&self) -> bool {
        self.meta
    }

    /// The class and its superclasses, nearest first.
    pub(crate) fn ancestry(&'static self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(Some(self), |class| class.superclass())
    }

    /// Whether this is `other` or a subclass of it.
    pub(crate) fn is_kind_of(&'static self, other: &Self) -> bool {
        self.ancestry().any(|class| std::ptr::eq(class, other))
    }

    /// The class whose payload objects of this class carry, and the payload's description.
    pub(super) fn payload(&'static self) -> Option<(&'static Self, &'static Payload)> {
        self.ancestry().find_map(|class| Some((class, class.declaration?.payload.as_ref()?)))
    }

    /// Whether objects of this class carry the payload that `class` declares. Compiled into each method: a method that called it
    /// would save registers first, for every message.
    #[inline]
    pub(super) fn has_payload_of(&'static self, class: &Self) -> bool {
        self.payload().is_some_and(|(found, _)| std::ptr::eq(found, class))
    }

    /// The class's declaration, if it is declared in source code.
    #[cfg(test)]
    pub(crate) fn declaration(&self) -> Option<&'static Declaration> {
        self.declaration
    }

    /// The list that has this selector of those of the class and its superclasses, and how many bytes of memory the result has.
    pub(crate) fn lacking(&'static self, selector: &str) -> Option<(&'static Lacking, usize)> {
        let mut lacks = self.ancestry().filter_map(|class| class.declaration?.lacks);
        lacks.find_map(|lacks| Some((lacks, lacks.bytes_of(self.meta, selector)?)))
    }

    /// Makes the links of a class, and of its superclasses before it.
    fn links(&'static self, lock: &mut Lock) -> &'static Guarded<Option<Links>> {
        if self.links.get(lock).is_some() {
            return &self.links;
        }
        // Classes made at run time have links from the start, so this recursion is as deep as the
        // declared classes are nested.
        if let Some(superclass) = self.superclass() {
            superclass.change(lock, |links| links.subclasses.push(self));
        }
        let mut links = Links::default();
        if let Some(declaration) = self.declaration {
            for row in declaration.methods.iter().filter(|row| row.of_class == self.meta) {
                let selector = selector::intern(row.selector, lock);
                let types = Types::Declared(row.types, OnceLock::new());
                links.methods.insert(selector, MethodData::new(self, selector, row.imp, types));
            }
            if !self.meta {
                links.protocols =
                    declaration.protocols.iter().map(|name| protocol::intern(name, lock)).collect();
            }
        }
        *self.links.get_mut(lock) = Some(links);
        &self.links
    }

    fn change<R>(&'static self, lock: &mut Lock, change: impl FnOnce(&mut Links) -> R) -> R {
        change(self.links(lock).get_mut(lock).as_mut().expect("links were made"))
    }

    /// The class's own method for a selector.
    fn own_method(&'static self, selector: Sel, lock: &mut Lock) -> Option<&'static MethodData> {
        self.change(lock, |links| links.methods.get(&selector).copied())
    }

    /// The method for a selector: the class's own or the nearest inherited one.
    pub(super) fn method(
        &'static self,
        selector: Sel,
        lock: &mut Lock,
    ) -> Option<&'static MethodData> {
        self.ancestry().find_map(|class| class.own_method(selector, lock))
    }

    /// The method of a name. Selectors are never freed, and a name may be any text: this registers none.
    pub(super) fn method_named(
        &'static self,
        name: &CStr,
        lock: &mut Lock,
    ) -> Option<&'static MethodData> {
        // This registers the selectors of declared methods.
        self.links(lock);
        let selector = selector::registered(name, lock)?;
        self.method(selector, lock)
    }

    /// The implementation of a selector. It is in the cache from now on.
    pub(super) fn cached_imp(&'static self, selector: Sel) -> Option<Imp> {
        let mut lock = Lock::take();
        if let Some(imp) = self.cache.get(selector, &lock) {
            return Some(imp);
        }
        let imp = self.method(selector, &mut lock)?.imp();
        self.cache.insert(selector, imp, &mut lock);
        Some(imp)
    }

    /// Adds a method, or replaces it if `replace` is set. Returns the implementation that the class itself
    /// had before.
    pub(super) fn set_method(
        &'static self,
        selector: Sel,
        imp: Imp,
        types: &CStr,
        replace: bool,
    ) -> Option<Imp> {
        let mut lock = Lock::take();
        let old = self.own_method(selector, &mut lock);
        let answer = old.map(MethodData::imp);
        match old {
            Some(_) if !replace => return answer,
            Some(method) => {
                method.set_imp(imp, &mut lock);
            }
            None => {
                let method = MethodData::new(self, selector, imp, Types::Given(types.to_owned()));
                self.change(&mut lock, |links| links.methods.insert(selector, method));
                self.refresh(selector, imp, &mut lock);
            }
        }
        answer
    }

    /// Puts a new implementation into every cache that holds the class's old one. Subclasses with a method
    /// of their own, and what is below them, are not affected.
    fn refresh(&'static self, selector: Sel, imp: Imp, lock: &mut Lock) {
        let mut stale = vec![self];
        while let Some(class) = stale.pop() {
            class.cache.replace(selector, imp, lock);
            for subclass in class.change(lock, |links| links.subclasses.clone()) {
                if subclass.own_method(selector, lock).is_none() {
                    stale.push(subclass);
                }
            }
        }
    }

    /// The class's own methods.
    pub(super) fn own_methods(&'static self) -> Vec<&'static MethodData> {
        self.change(&mut Lock::take(), |links| links.methods.values().copied().collect())
    }

    /// The protocols that the class itself adopts.
    pub(super) fn own_protocols(&'static self) -> Vec<&'static ProtocolData> {
        self.change(&mut Lock::take(), |links| links.protocols.clone())
    }

    /// The instance variables that the class itself adds.
    pub(super) fn own_variables(&'static self) -> Vec<&'static Variable> {
        self.change(&mut Lock::take(), |links| links.variables.clone())
    }

    /// Reads or changes the version that programs give the class.
    pub(super) fn change_version<R>(&'static self, change: impl FnOnce(&mut i32) -> R) -> R {
        self.change(&mut Lock::take(), |links| change(&mut links.version))
    }

    /// Reads or changes the properties that the class itself has got at run time.
    #[cfg(feature = "export")]
    pub(super) fn change_properties<R>(
        &'static self,
        change: impl FnOnce(&mut Vec<&'static Property>) -> R,
    ) -> R {
        self.change(&mut Lock::take(), |links| change(&mut links.properties))
    }

    /// Where the last instance variable of an object ends; 0 without instance variables.
    pub(super) fn instance_end(&self) -> usize {
        self.instance_end.load(Relaxed)
    }

    /// Adds an instance variable of `size` bytes to a class that is not registered yet. Returns whether it
    /// did. `begin` is the size of an object so far.
    pub(super) fn add_variable(
        &'static self,
        name: &CStr,
        types: &CStr,
        begin: usize,
        (size, align): (usize, usize),
    ) -> bool {
        let lock = &mut Lock::take();
        let registered = |lock: &Lock| {
            lock.classes.0.get(self.name).is_some_and(|class| std::ptr::eq(*class, self))
        };
        let taken =
            |links: &mut Links| links.variables.iter().any(|other| other.name.as_c_str() == name);
        if self.meta || self.kind != Kind::Counted || registered(lock) || self.change(lock, taken) {
            return false;
        }
        let offset = begin.next_multiple_of(align);
        let variable = Variable { name: name.to_owned(), types: types.to_owned(), offset, size };
        self.change(lock, |links| links.variables.push(Box::leak(Box::new(variable))));
        self.instance_end.store(offset + size, Relaxed);
        true
    }

    /// The selectors of the class's own methods.
    #[cfg(test)]
    pub(super) fn own_selectors(class: Class) -> Vec<Sel> {
        // SAFETY: tests pass classes.
        let class = unsafe { Self::from_handle(class) }.expect("a class");
        class.own_methods().iter().map(|method| method.selector).collect()
    }

    /// Adopts a protocol. Returns whether it is new to the class.
    pub(super) fn adopt(&'static self, protocol: &'static ProtocolData) -> bool {
        let lock = &mut Lock::take();
        if self.adopts(protocol, lock) {
            return false;
        }
        self.change(lock, |links| links.protocols.push(protocol));
        true
    }

    /// Whether the class itself, not a superclass, adopts a protocol.
    fn adopts(&'static self, protocol: &'static ProtocolData, lock: &mut Lock) -> bool {
        self.change(lock, |links| links.protocols.iter().any(|own| std::ptr::eq(*own, protocol)))
    }

    /// Whether the class or a superclass adopts a protocol.
    pub(super) fn conforms_to(&'static self, protocol: &'static ProtocolData) -> bool {
        let lock = &mut Lock::take();
        self.ancestry().any(|class| {
            let adopted = class.change(lock, |links| links.protocols.clone());
            adopted.into_iter().any(|adopted| adopted.conforms_to(protocol, lock))
        })
    }
}

impl fmt::Display for ClassData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.to_string_lossy())
    }
}

impl fmt::Debug for ClassData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", if self.meta { "metaclass" } else { "class" })
    }
}

impl fmt::Debug for ClassPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class.fmt(f)
    }
}

/// The registered classes.
#[derive(Default)]
pub(super) struct Classes(HashMap<&'static CStr, &'static ClassData>);

/// The classes that `soft_class!` declared anywhere in the program: each puts its address into a
/// linker section, as the classes of Apple's binaries do.
fn declared() -> impl Iterator<Item = &'static ClassPair> {
    entries!(classes: ClassPair)
}

/// The classes that source code declares.
#[cfg(test)]
pub(crate) fn listed() -> impl Iterator<Item = &'static ClassData> {
    declared().map(|pair| &pair.class)
}

/// The declared classes that adopt a protocol by its name.
pub(super) fn adopting(name: &CStr) -> impl Iterator<Item = &'static ClassPair> {
    let protocols =
        |pair: &ClassPair| pair.class.declaration.map_or(&[][..], |class| class.protocols);
    declared().filter(move |pair| protocols(pair).contains(&name))
}

/// Registers the classes that source code declares.
pub(super) fn list_declared(lock: &mut Lock) {
    for pair in declared() {
        lock.classes.0.insert(pair.class.name, &pair.class);
        // A protocol is known from the start, whether its classes have been used or not.
        for name in pair.class.declaration.map_or(&[][..], |declaration| declaration.protocols) {
            protocol::intern(name, lock);
        }
    }
}

/// The registered class of a name.
pub(super) fn named(name: &CStr) -> Option<&'static ClassData> {
    Lock::take().classes.0.get(name).copied()
}

/// Makes a class that is not yet registered; none when the name is taken.
pub(super) fn allocate_pair(
    name: &CStr,
    superclass: Option<&'static ClassData>,
) -> Option<&'static ClassData> {
    let lock = &mut Lock::take();
    if lock.classes.0.contains_key(name) {
        return None;
    }
    let pair = ClassPair::made(name, superclass);
    pair.class.links(lock);
    pair.meta.links(lock);
    Some(&pair.class)
}

/// Makes a class that [`allocate_pair`] made known by its name.
pub(super) fn register_pair(class: &'static ClassData) {
    Lock::take().classes.0.entry(class.name).or_insert(class);
}

/// Removes a class that was made at run time from the registry. Its memory stays: caches and objects may
/// refer to it.
pub(super) fn dispose_pair(class: &'static ClassData) {
    let lock = &mut Lock::take();
    let listed = lock.classes.0.get(class.name).is_some_and(|listed| std::ptr::eq(*listed, class));
    if class.declaration.is_none() && listed {
        lock.classes.0.remove(class.name);
    }
}

/// The registered classes, in the order of their names.
pub(super) fn all() -> Vec<&'static ClassData> {
    let mut all: Vec<_> = Lock::take().classes.0.values().copied().collect();
    sorted::sort_by_key(&mut all, |class| class.name);
    all
}
