//! Work of a command buffer that is in flight while its later commands are executed.

use super::error::CommandError;
use super::log::Log;
use super::memory::Memory;
use super::queue::now;
use crate::soft::kernel::sanitize::Session;
use crate::soft::kernel::{Fault, Finished, Kernel, Launch, Submitted, Transfer};
use std::ops::Range;
use std::sync::Arc;

/// Work that was submitted to a device.
enum Work {
    Launch(Arc<Kernel>),
    /// A copy or a fill, by the memory that did it.
    Transfer(Arc<Memory>),
}

impl Work {
    /// Waits for it, and for all that the calling thread submitted before.
    fn finish(&self) -> Finished {
        match self {
            Self::Launch(kernel) => kernel.finish(),
            Self::Transfer(memory) => memory.device().map_or(Ok(None), |device| device.finish()),
        }
    }
}

/// When a device worked: its first work began, and its last ended.
pub(crate) type Worked = Option<(f64, f64)>;

/// The work that was submitted and not waited for.
pub(super) struct Launched<'a> {
    work: Vec<Work>,
    /// The commands that have begun and are not known to have completed.
    pub(super) begun: Range<usize>,
    /// When the first of it was submitted.
    submitted_at: f64,
    /// When the first of all work began, as far as is known.
    began: Option<f64>,
    /// When the device did what was waited for, if it measured any of that.
    pub(super) worked: Worked,
    /// The session that the command buffer's checked kernels share.
    pub(super) session: &'a Session,
    /// Where its kernels log.
    pub(super) log: &'a Log,
}

impl<'a> Launched<'a> {
    pub(super) fn new(session: &'a Session, log: &'a Log) -> Self {
        let work = Vec::new();
        Self { work, begun: 0..0, submitted_at: 0.0, began: None, worked: None, session, log }
    }

    /// Whether all that was submitted has been waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// Begins a command. What a device does in order need not be waited for.
    pub(super) fn begin(&mut self, command: usize, in_order: bool) -> Result<(), CommandError> {
        if !in_order {
            self.finish()?;
        }
        if self.is_empty() {
            self.begun = command..command;
        }
        self.begun.end = self.begun.end.max(command + 1);
        Ok(())
    }

    /// Submits a launch.
    ///
    /// # Safety
    /// As for [`Kernel::submit`].
    pub(super) unsafe fn submit(
        &mut self,
        kernel: &Arc<Kernel>,
        launch: &Launch<'_>,
    ) -> Result<(), CommandError> {
        // SAFETY: the caller's.
        let submitted = unsafe { kernel.submit(launch) };
        self.submitted(submitted, || Work::Launch(Arc::clone(kernel)))
    }

    /// Submits a copy or a fill to the device of one of its ends, if that is a device's memory. Returns whether a device does it.
    ///
    /// # Safety
    /// As for [`DeviceMemory::transfer`](crate::soft::kernel::DeviceMemory::transfer).
    pub(super) unsafe fn transfer(
        &mut self,
        transfer: &Transfer,
        ends: &[&Arc<Memory>],
    ) -> Result<bool, CommandError> {
        let device = ends.iter().find_map(|memory| Some((memory, memory.device()?)));
        let Some((memory, device)) = device else { return Ok(false) };
        // SAFETY: the caller's.
        match unsafe { device.transfer(transfer) } {
            Some(submitted) => {
                let work = || Work::Transfer(Arc::clone(memory));
                self.submitted(submitted, work).map(|()| true)
            }
            None => Ok(false),
        }
    }

    fn submitted(
        &mut self,
        submitted: Result<Submitted, Fault>,
        work: impl FnOnce() -> Work,
    ) -> Result<(), CommandError> {
        match submitted {
            Ok(Submitted::Done) => Ok(()),
            Ok(state) => {
                if self.work.is_empty() {
                    self.submitted_at = now();
                }
                self.work.push(work());
                if matches!(state, Submitted::Full) { self.finish() } else { Ok(()) }
            }
            // A fault of earlier work comes first.
            Err(fault) => self.finish().and(Err(fault.into())),
        }
    }

    /// Waits for all of it.
    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        let Some(last) = self.work.last() else { return Ok(()) };
        let result = last.finish();
        let work = std::mem::take(&mut self.work);
        match result {
            Ok(lasted) => {
                let end = now();
                // Work that the device did not measure may have begun as early as it was submitted.
                let begin = lasted.map_or(self.submitted_at, |lasted| end - lasted.as_secs_f64());
                let earlier = self.worked.map(|(first, _)| first).or(self.began);
                let first = *self.began.insert(earlier.unwrap_or(begin));
                if lasted.is_some() || self.worked.is_some() {
                    self.worked = Some((first, end));
                }
                Ok(())
            }
            Err((number, fault)) => Err(match work.get(number) {
                Some(Work::Launch(kernel)) => kernel.located(fault).into(),
                _ => fault.into(),
            }),
        }
    }
}

impl Drop for Launched<'_> {
    fn drop(&mut self) {
        // Where something panicked, nothing may run any more that uses the recording.
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FuncId, Module, Span};
    use crate::soft::kernel::{
        Backend, CompileError, CompileOptions, Executable, FaultKind, Parameter, SourcePosition,
    };
    use std::sync::Mutex;
    use std::time::Duration;

    /// A device that runs nothing before it is waited for, of two launches at most, and where the kernel `bad` has a fault. It does not
    /// measure how long it worked where the last kernel is `short`.
    #[derive(Clone, Default)]
    struct Slow {
        submitted: Arc<Mutex<Vec<String>>>,
        done: Arc<Mutex<Vec<String>>>,
    }

    struct Code(Slow, String);

    impl Code {
        fn fault(&self, kernel: &str) -> Fault {
            let kind = FaultKind::Device { what: "bad".into() };
            let position = Some([0; 3]);
            Fault { kernel: kernel.into(), kind, span: Span::default(), source: None, position }
        }
    }

    impl Executable for Code {
        fn parameters(&self) -> &[Parameter] {
            &[]
        }

        unsafe fn launch(&self, _: &Launch<'_>) -> Result<(), Fault> {
            unreachable!("it is submitted")
        }

        unsafe fn submit(&self, launch: &Launch<'_>) -> Result<Submitted, Fault> {
            if launch.group == [0; 3] {
                return Err(self.fault(&self.1));
            }
            let mut submitted = self.0.submitted.lock().unwrap();
            submitted.push(self.1.clone());
            Ok(if submitted.len() == 2 { Submitted::Full } else { Submitted::Running })
        }

        fn finish(&self) -> Finished {
            let mut lasted = None;
            for (number, name) in self.0.submitted.lock().unwrap().drain(..).enumerate() {
                lasted = (name != "short").then_some(Duration::from_millis(3));
                if name == "bad" {
                    return Err((number, self.fault(&name)));
                }
                self.0.done.lock().unwrap().push(name);
            }
            Ok(lasted)
        }
    }

    impl Backend for Slow {
        fn device_name(&self) -> String {
            "slow".into()
        }

        fn compile(
            &self,
            module: &Module,
            _: &CompileOptions,
        ) -> Result<Box<dyn Executable>, CompileError> {
            Ok(Box::new(Code(self.clone(), module.name.clone())))
        }
    }

    impl Slow {
        /// A kernel whose source is a file of its name.
        fn kernel(&self, name: &'static str) -> Arc<Kernel> {
            let module = Module {
                name: name.into(),
                allocations: Vec::new(),
                textures: Vec::new(),
                samplers: Vec::new(),
                functions: Vec::new(),
                library: Default::default(),
                entry: FuncId(0),
            };
            let locate = move |_| Some(SourcePosition { file: name.into(), line: 1, column: 1 });
            let kernel =
                Kernel::compile(self, &module, &CompileOptions::default(), Vec::new(), locate);
            Arc::new(kernel.unwrap())
        }

        fn done(&self) -> Vec<String> {
            self.done.lock().unwrap().clone()
        }
    }

    /// A launch of threadgroups of this many threads.
    fn launch(threads: u32) -> Launch<'static> {
        Launch::bare([1; 3], [threads; 3])
    }

    #[test]
    fn launches_are_waited_for_when_the_device_takes_no_more_and_at_the_end() {
        let device = Slow::default();
        let (a, b) = (device.kernel("a"), device.kernel("b"));
        let (session, log) = (Session::default(), Log::default());
        let mut launched = Launched::new(&session, &log);
        // SAFETY: nothing is bound.
        unsafe {
            launched.submit(&a, &launch(1)).unwrap();
            assert!(device.done().is_empty());
            launched.submit(&b, &launch(1)).unwrap();
            assert_eq!(device.done(), ["a", "b"]);
            launched.submit(&a, &launch(1)).unwrap();
        }
        drop(launched);
        assert_eq!(device.done(), ["a", "b", "a"]);
    }

    #[test]
    fn the_time_of_the_device_is_from_its_first_work_to_its_last() {
        let device = Slow::default();
        let kernel = device.kernel("a");
        let (session, log) = (Session::default(), Log::default());
        let mut launched = Launched::new(&session, &log);
        let before = now();
        for _ in 0..2 {
            // SAFETY: nothing is bound.
            unsafe { launched.submit(&kernel, &launch(1)).unwrap() };
            std::thread::sleep(Duration::from_millis(1));
            launched.finish().unwrap();
        }
        let (begin, end) = launched.worked.expect("the device measures its time");
        assert!(begin >= before + 0.001 - 0.003 && begin <= end - 0.004, "{}", end - begin);
        assert!(end <= now());
    }

    #[test]
    fn work_that_the_device_did_not_measure_is_in_its_time() {
        let device = Slow::default();
        let (session, log) = (Session::default(), Log::default());
        for (names, measured) in
            [(["a", "short"], true), (["short", "a"], true), (["short", "short"], false)]
        {
            let mut launched = Launched::new(&session, &log);
            let before = now();
            for name in names {
                // SAFETY: nothing is bound.
                unsafe { launched.submit(&device.kernel(name), &launch(1)).unwrap() };
                std::thread::sleep(Duration::from_millis(5));
                launched.finish().unwrap();
            }
            assert_eq!(launched.worked.is_some(), measured, "{names:?}");
            let Some((begin, end)) = launched.worked else { continue };
            // The measured work has 3 ms, the other one the 5 ms from when it was submitted.
            assert!(begin >= before && end <= now(), "{names:?}");
            assert!(end - begin >= 0.008, "{names:?}: {}", end - begin);
        }
    }

    #[test]
    fn a_fault_is_reported_with_the_source_of_its_own_kernel() {
        let device = Slow::default();
        let (good, bad) = (device.kernel("good"), device.kernel("bad"));
        let (session, log) = (Session::default(), Log::default());
        let mut launched = Launched::new(&session, &log);
        // SAFETY: nothing is bound.
        let error = unsafe {
            launched.submit(&bad, &launch(1)).unwrap();
            launched.submit(&good, &launch(1)).unwrap_err()
        };
        assert!(
            error.message.contains("kernel 'bad'") && error.message.contains("bad:"),
            "{error:?}"
        );
        assert!(device.done().is_empty());
        assert_eq!(launched.finish().map_err(|error| error.message), Ok(()));
    }

    #[test]
    fn a_fault_of_an_earlier_launch_comes_before_that_of_a_refused_one() {
        let device = Slow::default();
        let (good, bad) = (device.kernel("good"), device.kernel("bad"));
        let refused = |first: &Arc<Kernel>| {
            let (session, log) = (Session::default(), Log::default());
            let mut launched = Launched::new(&session, &log);
            // SAFETY: nothing is bound.
            unsafe {
                launched.submit(first, &launch(1)).unwrap();
                launched.submit(&good, &launch(0)).unwrap_err().message
            }
        };
        assert!(refused(&bad).contains("kernel 'bad'"));
        assert!(refused(&good).contains("kernel 'good'"));
        assert_eq!(device.done(), ["good"]);
    }
    /// A command that waits for earlier ones has begun only when those have completed, and then they are not at fault for it.
    #[test]
    fn a_command_that_waits_begins_afterwards() {
        let device = Slow::default();
        for (name, begun) in [("good", 4..5), ("bad", 2..4)] {
            let kernel = device.kernel(name);
            let (session, log) = (Session::default(), Log::default());
            let mut launched = Launched::new(&session, &log);
            launched.begin(2, true).unwrap();
            // SAFETY: nothing is bound.
            unsafe { launched.submit(&kernel, &launch(1)).unwrap() };
            launched.begin(3, true).unwrap();
            assert_eq!(launched.begun, 2..4);
            assert_eq!(launched.begin(4, false).is_err(), name == "bad");
            assert_eq!(launched.begun, begun);
        }
    }
}
