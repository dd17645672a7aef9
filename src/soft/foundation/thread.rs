//! NSThread: the threads of the program.

use super::date::Date;
use super::{List, NSObject, Pairs, Text};
use crate::abi::{Class, Imp};
use crate::soft::fork::lock;
use crate::soft::runtime::block::{BlockRef, HeldBlock};
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::entry::{objc_autoreleasePoolPop, objc_autoreleasePoolPush};
use crate::soft::runtime::object::{Object, Strong};
use crate::soft::system::is_main_thread;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// A thread.
pub(crate) struct Thread {
    main: bool,
    name: Mutex<Option<Strong<Text>>>,
    /// Values of the program, in an NSMutableDictionary.
    values: Strong<Pairs>,
}

soft_class! {
    /// A thread. Those that the program has made by other means have an object when they ask for it.
    pub(super) class NSThread(Thread): NSObject, lacks super::absent::THREAD;
    class [currentThread] = |_: Class| current();
    class [mainThread] = |_: Class| main_thread();
    class [isMainThread] = |_: Class| is_main_thread();
    class [isMultiThreaded] = |_: Class| true;
    class [sleepForTimeInterval:] = |_: Class, seconds: f64| sleep(seconds);
    class [sleepUntilDate:] = |_: Class, date: &Object<Date>| sleep(date.seconds_until());
    class [detachNewThreadWithBlock:] = |_: Class, block: Option<HeldBlock>| {
        std::thread::spawn(move || {
            // SAFETY: the block takes no arguments. The pool is this thread's.
            unsafe {
                let pool = objc_autoreleasePoolPush();
                if let Some(block) = block {
                    let call = std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef)>(block.invoke());
                    call(BlockRef::from_ptr(block.id().as_ptr()));
                }
                objc_autoreleasePoolPop(pool);
            }
        });
    };
    class [callStackSymbols] = |_: Class| List::object([]);
    class [callStackReturnAddresses] = |_: Class| List::object([]);
    [threadDictionary] = |thread: &Thread| thread.values.clone();
    [isMainThread] = |thread: &Thread| thread.main;
    [isExecuting] = |_: &Thread| true;
    [isFinished] = |_: &Thread| false;
    [isCancelled] = |_: &Thread| false;
    [name] = |thread: &Thread| lock(&thread.name).clone();
    [setName:] = |thread: &Thread, name: Option<Strong<Text>>| *lock(&thread.name) = name;
}

impl Thread {
    fn object(main: bool) -> Strong<Self> {
        Strong::new(Self { main, name: Mutex::default(), values: Pairs::empty_and_mutable() })
    }
}

fn main_thread() -> Strong<Thread> {
    static MAIN: OnceLock<Strong<Thread>> = OnceLock::new();
    MAIN.get_or_init(|| Thread::object(true)).clone()
}

fn current() -> Strong<Thread> {
    thread_local! {
        static CURRENT: Strong<Thread> = match is_main_thread() {
            true => main_thread(),
            false => Thread::object(false),
        };
    }
    CURRENT.with(Strong::clone)
}

fn sleep(seconds: f64) {
    if let Ok(duration) = Duration::try_from_secs_f64(seconds) {
        std::thread::sleep(duration);
    }
}
