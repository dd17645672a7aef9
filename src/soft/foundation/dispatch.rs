//! libdispatch's queues and semaphores, as far as Metal's clients use them.
//!
//! A queue has its jobs in order and no thread while it has none. A serial queue runs one job at a time, a
//! concurrent one up to [`WIDTH`]; a barrier runs alone. The main queue runs its jobs in `dispatch_main`.

use super::NSObject;
use crate::abi::Id;
use crate::soft::fork;
use crate::soft::runtime::block::HeldBlock;
use crate::soft::runtime::class::ClassData;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::entry::{objc_autoreleasePoolPop, objc_autoreleasePoolPush};
#[cfg(feature = "export")]
use crate::soft::runtime::fatal::fatal;
use crate::soft::runtime::object::{Object, Retained, Strong};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::sync::atomic::AtomicUsize;
use std::sync::{Condvar, LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How many jobs of a concurrent queue run at a time.
const WIDTH: usize = 8;

/// The work that a queue runs.
pub(super) type Work = Box<dyn FnOnce() + Send>;

/// A queue that is not the main one.
pub(crate) struct Queue {
    label: CString,
    width: usize,
    /// The queue on which the jobs run; without one each has a thread.
    target: Mutex<Option<Retained>>,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(Work, bool)>,
    running: usize,
    /// Whether a barrier is running.
    barrier: bool,
    /// How many calls to suspend the queue have not been taken back.
    suspended: usize,
}

/// A counter that threads wait for.
pub(crate) struct Semaphore {
    count: Mutex<isize>,
    raised: Condvar,
}

soft_class! {
    /// A queue.
    pub(crate) class OS_dispatch_queue(Queue): NSObject;
}

soft_class! {
    /// The class of the main queue.
    pub(crate) class OS_dispatch_queue_main: NSObject, kind Immortal;
}

soft_class! {
    /// The class of the queue that all share.
    pub(crate) class OS_dispatch_queue_global: NSObject, kind Immortal;
}

#[cfg(feature = "export")]
soft_class! {
    /// The class of data without bytes.
    pub(crate) class OS_dispatch_data_empty: NSObject, kind Immortal;
    [bytes] = |_: Id| std::ptr::null::<std::ffi::c_void>();
    [length] = |_: Id| 0_usize;
}

soft_class! {
    /// A semaphore.
    pub(crate) class OS_dispatch_semaphore(Semaphore): NSObject;
}

/// An object without data that is a static.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct StaticObject {
    isa: &'static ClassData,
    count: AtomicUsize,
}

impl StaticObject {
    pub(super) const fn new(isa: &'static ClassData) -> Self {
        Self { isa, count: AtomicUsize::new(1) }
    }

    /// The object, whose reference count never changes.
    pub(super) fn id(&'static self) -> Id {
        Id::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }
}

/// The main queue.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub(crate) static _dispatch_main_q: StaticObject = StaticObject::new(&OS_dispatch_queue_main.class);

/// The queue that all share, as clients see it. They may release it as often as they like.
pub(super) static GLOBAL_QUEUE: StaticObject = StaticObject::new(&OS_dispatch_queue_global.class);

/// The queue that runs its jobs.
static GLOBAL: LazyLock<Strong<Queue>> =
    LazyLock::new(|| Queue::object(c"com.apple.root.default-qos", true, None));

/// Data without bytes.
#[cfg(feature = "export")]
#[unsafe(no_mangle)]
pub(crate) static _dispatch_data_empty: StaticObject =
    StaticObject::new(&OS_dispatch_data_empty.class);

/// The attribute of a concurrent queue for `dispatch_queue_create`. Only its address is used.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub(crate) static _dispatch_queue_attr_concurrent: StaticObject =
    StaticObject::new(&OS_dispatch_queue_main.class);

/// The jobs of the main queue, and the end at which they are taken.
static MAIN: LazyLock<(mpsc::Sender<Work>, Mutex<mpsc::Receiver<Work>>)> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    (sender, Mutex::new(receiver))
});

/// Any queue.
pub(super) enum AnyQueue<'a> {
    Main,
    Other(&'a Object<Queue>),
}

impl<'a> AnyQueue<'a> {
    /// The queue that an object is.
    ///
    /// # Safety
    ///
    /// `queue` is nil or an object, and lives for `'a`.
    pub(super) unsafe fn from_id(queue: Id) -> Option<Self> {
        if queue == _dispatch_main_q.id() {
            return Some(Self::Main);
        }
        if queue == GLOBAL_QUEUE.id() {
            return Some(Self::Other(&GLOBAL));
        }
        // SAFETY: the caller's.
        unsafe { Object::from_id(queue) }.map(Self::Other)
    }

    pub(super) fn label(&self) -> &'a CStr {
        match self {
            Self::Main => c"com.apple.main-thread",
            Self::Other(queue) => &queue.label,
        }
    }

    /// Whether it runs one job at a time.
    #[cfg(feature = "export")]
    pub(super) fn is_serial(&self) -> bool {
        !matches!(self, Self::Other(queue) if queue.width > 1)
    }

    /// Runs a job some time.
    pub(super) fn submit(&self, work: Work, barrier: bool) {
        match self {
            // The receiver is a static, so it is there.
            Self::Main => drop(MAIN.0.send(work)),
            Self::Other(queue) => Queue::submit(queue.retain(), work, barrier),
        }
    }

    /// Runs a job on this thread when its turn has come.
    pub(super) fn wait(&self, work: impl FnOnce(), barrier: bool) {
        let (turn, come) = mpsc::channel();
        let (done, end) = mpsc::channel::<()>();
        let hold = move || {
            let _ = turn.send(());
            // Ends when `done` is dropped.
            let _ = end.recv();
        };
        self.submit(Box::new(hold), barrier);
        let _ = come.recv();
        as_current(self.id(), work);
        drop(done);
    }

    /// The queue as an object.
    pub(super) fn id(&self) -> Id {
        match self {
            Self::Main => _dispatch_main_q.id(),
            Self::Other(queue) if std::ptr::eq(*queue, &**GLOBAL) => GLOBAL_QUEUE.id(),
            Self::Other(queue) => queue.id(),
        }
    }
}

thread_local! {
    /// The queue whose job this thread runs, or nil.
    static CURRENT: Cell<Id> = const { Cell::new(Id::NIL) };
}

/// Runs a job, during which the thread's queue is this one.
fn as_current(queue: Id, work: impl FnOnce()) {
    struct Restore(Id);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(queue));
    work();
}

/// The queue whose job this thread runs, its target, the target of that, and so on.
#[cfg(feature = "export")]
pub(super) fn current_queues() -> impl Iterator<Item = Retained> {
    // SAFETY: a queue is alive while it runs a job.
    let target = |queue: &Retained| unsafe {
        let queue = Object::<Queue>::from_id(queue.id())?;
        fork::lock(&queue.target).clone()
    };
    // SAFETY: as above.
    std::iter::successors(unsafe { Retained::retain(CURRENT.get()) }, target)
}

/// Runs a job some time on the queue that an object is. It does not run if the object is no queue.
pub(crate) fn run_on(queue: &Retained, work: impl FnOnce() + Send + 'static) {
    // SAFETY: an owned object is alive.
    if let Some(queue) = unsafe { AnyQueue::from_id(queue.id()) } {
        queue.submit(Box::new(work), false);
    }
}

/// A new queue that runs one job at a time.
pub(crate) fn serial_queue(label: &CStr) -> Retained {
    Queue::object(label, false, None).into_retained()
}

impl Jobs {
    /// Takes the next job, if it may run now.
    fn next(&mut self, width: usize) -> Option<Work> {
        let alone = self.waiting.front()?.1;
        let limit = if alone { 1 } else { width };
        if self.barrier || self.suspended > 0 || self.running >= limit {
            return None;
        }
        self.running += 1;
        self.barrier = alone;
        self.waiting.pop_front().map(|(work, _)| work)
    }
}

impl Queue {
    /// A new queue.
    pub(super) fn object(label: &CStr, concurrent: bool, target: Option<Retained>) -> Strong<Self> {
        let width = if concurrent { WIDTH } else { 1 };
        let target = Mutex::new(target);
        Strong::new(Self { label: label.to_owned(), width, target, jobs: Mutex::default() })
    }

    /// Makes later jobs run on another queue.
    #[cfg(feature = "export")]
    pub(super) fn set_target(&self, target: Option<Retained>) {
        *fork::lock(&self.target) = target;
    }

    /// Stops the queue from starting jobs, once more.
    #[cfg(feature = "export")]
    pub(super) fn suspend(&self) {
        fork::lock(&self.jobs).suspended += 1;
    }

    /// Takes back one call to suspend the queue. After the last one its jobs run.
    #[cfg(feature = "export")]
    pub(super) fn resume(this: &Object<Self>) {
        let mut jobs = fork::lock(&this.jobs);
        let Some(left) = jobs.suspended.checked_sub(1) else {
            fatal(format_args!("dispatch_resume: the queue was resumed more often than suspended"));
        };
        jobs.suspended = left;
        let ready: Vec<_> = std::iter::from_fn(|| jobs.next(this.width)).collect();
        drop(jobs);
        ready.into_iter().for_each(|work| Self::start(this.retain(), work));
    }

    fn submit(this: Strong<Self>, work: Work, barrier: bool) {
        let mut jobs = fork::lock(&this.jobs);
        jobs.waiting.push_back((work, barrier));
        let next = jobs.next(this.width);
        drop(jobs);
        if let Some(work) = next {
            Self::start(this, work);
        }
    }

    /// Runs a job on the target queue or on a thread of its own, and then what waits.
    fn start(this: Strong<Self>, mut work: Work) {
        let target = fork::lock(&this.target).clone();
        let run = move || {
            loop {
                as_current(AnyQueue::Other(&this).id(), || in_pool(work));
                let mut jobs = fork::lock(&this.jobs);
                jobs.running -= 1;
                jobs.barrier = false;
                let Some(next) = jobs.next(this.width) else { return };
                work = next;
                while let Some(other) = jobs.next(this.width) {
                    Self::start(this.clone(), other);
                }
            }
        };
        match target {
            Some(target) => run_on(&target, run),
            None => drop(thread::spawn(run)),
        }
    }
}

/// Runs a job in an autorelease pool.
pub(super) fn in_pool(work: impl FnOnce()) {
    // SAFETY: the pool is ended by the thread that began it.
    unsafe {
        let pool = objc_autoreleasePoolPush();
        work();
        objc_autoreleasePoolPop(pool);
    }
}

/// Runs the main queue's jobs for ever.
pub(super) fn run_main() -> ! {
    let jobs = MAIN.1.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Ok(work) = jobs.recv() {
            as_current(_dispatch_main_q.id(), || in_pool(work));
        }
    }
}

/// Runs the main queue's jobs until a time, or one job. Only the main thread calls it. Returns whether it could: a job of the
/// queue that runs it again, by a run loop for example, finds it locked.
pub(super) fn run_main_until(end: Instant, once: bool) -> bool {
    let Ok(jobs) = MAIN.1.try_lock() else { return false };
    while let Ok(work) = jobs.recv_timeout(end.saturating_duration_since(Instant::now())) {
        as_current(_dispatch_main_q.id(), || in_pool(work));
        if once {
            break;
        }
    }
    true
}

/// A block as a job.
pub(super) fn block_work(block: HeldBlock) -> Work {
    Box::new(move || {
        // SAFETY: a block that is submitted takes nothing.
        unsafe {
            let invoke =
                std::mem::transmute::<crate::abi::Imp, unsafe extern "C" fn(Id)>(block.invoke());
            invoke(block.id());
        }
    })
}

impl Semaphore {
    pub(super) fn object(count: isize) -> Strong<Self> {
        Strong::new(Self { count: Mutex::new(count), raised: Condvar::new() })
    }

    /// Takes one, waiting until `end`, or without end. False if the time is over.
    pub(super) fn wait(&self, end: Option<Instant>) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count <= 0 {
            let left =
                end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            count = match end {
                Some(_) => self
                    .raised
                    .wait_timeout(count, left)
                    .map_or_else(|poison| poison.into_inner().0, |(count, _)| count),
                None => self.raised.wait(count).unwrap_or_else(PoisonError::into_inner),
            };
        }
        *count -= 1;
        true
    }

    /// Adds one.
    pub(super) fn signal(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.raised.notify_one();
    }
}

/// When a thread waits until. Times of libdispatch are nanoseconds; these begin at the first use.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// `DISPATCH_TIME_NOW` and `DISPATCH_TIME_FOREVER`.
const NOW: u64 = 0;
const FOREVER: u64 = u64::MAX;

/// The time that is `delta` nanoseconds after another.
pub(super) fn time(when: u64, delta: i64) -> u64 {
    match when {
        FOREVER => FOREVER,
        NOW => time(ORIGIN.elapsed().as_nanos() as u64 + 1, delta),
        when => when.saturating_add_signed(delta).max(1),
    }
}

/// The instant of a time; none for `DISPATCH_TIME_FOREVER`.
pub(super) fn instant(when: u64) -> Option<Instant> {
    match when {
        FOREVER => None,
        when => ORIGIN.checked_add(Duration::from_nanos(when)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_queue_runs_its_jobs_in_order() {
        let queue = Queue::object(c"serial", false, None);
        let any = AnyQueue::Other(&queue);
        let order = std::sync::Arc::new(Mutex::new(Vec::new()));
        for number in 0..100 {
            let order = order.clone();
            any.submit(Box::new(move || order.lock().unwrap().push(number)), false);
        }
        let mut on_this_thread = None;
        any.wait(|| on_this_thread = Some(thread::current().id()), false);
        assert_eq!(on_this_thread, Some(thread::current().id()));
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn queues_with_one_serial_target_take_turns() {
        let target = serial_queue(c"target");
        let queues = [(); 3].map(|()| Queue::object(c"one of three", true, Some(target.clone())));
        let running = std::sync::Arc::new(Mutex::new((0, 0)));
        for number in 0..30 {
            let running = running.clone();
            let work = move || {
                running.lock().unwrap().0 += 1;
                thread::sleep(Duration::from_millis(1));
                let mut running = running.lock().unwrap();
                assert_eq!(running.0, 1);
                *running = (0, running.1 + 1);
            };
            AnyQueue::Other(&queues[number % 3]).submit(Box::new(work), false);
        }
        for queue in &queues {
            AnyQueue::Other(queue).wait(|| (), true);
        }
        assert_eq!(*running.lock().unwrap(), (0, 30));
    }

    #[test]
    fn the_global_queue_outlives_releases() {
        use crate::soft::foundation::entry::*;
        // SAFETY: as on Apple's systems, reference counts of a global queue have no effect.
        unsafe {
            let queue = dispatch_get_global_queue(0, 0);
            for _ in 0..3 {
                dispatch_release(queue);
                CFRelease(queue);
            }
            let queue = AnyQueue::from_id(dispatch_get_global_queue(2, 0)).unwrap();
            assert_eq!(queue.label(), c"com.apple.root.default-qos");
            let mut ran = false;
            queue.wait(|| ran = true, false);
            assert!(ran);
        }
    }

    #[test]
    fn a_barrier_runs_alone() {
        let queue = Queue::object(c"concurrent", true, None);
        let any = AnyQueue::Other(&queue);
        let running = std::sync::Arc::new(Mutex::new((0, 0)));
        for number in 0..60 {
            let running = running.clone();
            let barrier = number % 7 == 3;
            let work = move || {
                let before = {
                    let mut running = running.lock().unwrap();
                    running.0 += 1;
                    running.0
                };
                thread::sleep(Duration::from_millis(1));
                let mut running = running.lock().unwrap();
                if barrier {
                    assert_eq!((before, running.0), (1, 1));
                    running.1 += 1;
                }
                running.0 -= 1;
            };
            any.submit(Box::new(work), barrier);
        }
        any.wait(|| assert_eq!(*running.lock().unwrap(), (0, 9)), true);
    }

    #[cfg(feature = "export")]
    #[test]
    fn a_suspended_queue_starts_no_jobs() {
        let queue = Queue::object(c"suspended", true, None);
        let (sender, receiver) = mpsc::channel();
        queue.suspend();
        queue.suspend();
        for number in 0..20 {
            let sender = sender.clone();
            AnyQueue::Other(&queue).submit(Box::new(move || sender.send(number).unwrap()), false);
        }
        Queue::resume(&queue);
        assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
        Queue::resume(&queue);
        let mut all: Vec<i32> = receiver.iter().take(20).collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_semaphore_counts_and_times_out() {
        let semaphore = Semaphore::object(1);
        assert!(semaphore.wait(None));
        assert!(!semaphore.wait(instant(time(NOW, 1_000_000))));
        let other = semaphore.clone();
        thread::spawn(move || other.signal());
        assert!(semaphore.wait(instant(FOREVER)));
    }
}
