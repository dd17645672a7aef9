//! Messages that kernels log (`os_log`, MSL 6.19); soft Metal only.

use super::beyond::supports;
use super::command::Commands;
use super::error::{Fields, GpuError};
use super::foundation::NSArray;
use super::sanitize::records;
use crate::objc::autorelease_pool;
use crate::{msg, selector};
use std::fmt;

/// A message that a thread of a kernel has logged.
///
/// ```
/// use aruminium::{Gpu, GpuError, LogLevel};
/// let gpu = Gpu::open()?;
/// let source = r#"
/// #include <metal_logging>
/// constant metal::os_log sums("org.example.sums", "odd");
/// kernel void check(device const int *x, uint i [[thread_position_in_grid]]) {
///     if (x[i] % 2 != 0) {
///         sums.log_error("element %u is %d", i, x[i]);
///     }
/// }"#;
/// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("check")?)?;
/// let x = gpu.buffer_with_data(&[2i32, 4, 7, 8, -1].map(i32::to_ne_bytes).concat())?;
/// let commands = gpu.new_command_queue()?.commands()?;
/// let encoder = commands.encoder()?;
/// encoder.bind(&pipeline);
/// encoder.bind_buffer(&x, 0, 0);
/// encoder.launch((5, 1, 1), (5, 1, 1));
/// encoder.finish();
/// commands.submit();
/// commands.finish()?;
/// let logs = match commands.logs() {
///     Err(GpuError::Unsupported(_)) => return Ok(()), // Apple's Metal
///     logs => logs?,
/// };
/// let texts: Vec<&str> = logs.iter().map(|message| message.text.as_str()).collect();
/// assert_eq!(texts, ["element 2 is 7", "element 4 is -1"]);
/// assert_eq!((logs[0].level, logs[0].subsystem.as_str()), (LogLevel::Error, "org.example.sums"));
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogMessage {
    /// The kernel's name.
    pub kernel: String,
    /// The position of the thread in the grid.
    pub thread: [u32; 3],
    /// How important it is.
    pub level: LogLevel,
    /// The subsystem of the `os_log`; empty without one.
    pub subsystem: String,
    /// The category of the `os_log`; empty without one.
    pub category: String,
    /// The format with its arguments.
    pub text: String,
}

/// How important a message is (`MTLLogLevel`).
///
/// ```
/// assert!(aruminium::LogLevel::Debug < aruminium::LogLevel::Fault);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// `log_debug`
    Debug,
    /// `log_info`
    Info,
    /// `log`
    Notice,
    /// `log_error`
    Error,
    /// `log_fault`
    Fault,
}

impl LogLevel {
    fn of(number: u32) -> Option<Self> {
        let all = [Self::Debug, Self::Info, Self::Notice, Self::Error, Self::Fault];
        all.get((number as usize).checked_sub(1)?).copied()
    }
}

impl fmt::Display for LogMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl LogMessage {
    fn of(fields: &Fields) -> Option<Self> {
        Some(Self {
            kernel: fields.text("kernel")?,
            thread: fields.triple("thread")?,
            level: LogLevel::of(fields.small("level")?)?,
            subsystem: fields.text("subsystem")?,
            category: fields.text("category")?,
            text: fields.text("text")?,
        })
    }
}

impl Commands {
    /// The messages that the command buffer's kernels have logged so far; all of them once it has completed. They are in the
    /// order of launches, those of a launch in the order of threads, those of a thread in the order in which it wrote them.
    ///
    /// A command buffer has room for 1 MiB of messages, unless it or its queue was made with a log state (`MTLLogState`) of another
    /// size. If some had no room, the last message says how many.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal, where messages go to the system's log, or to the handlers of a log state.
    ///
    /// ```
    /// let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.submit();
    /// commands.finish()?;
    /// assert!(commands.logs().is_ok_and(|all| all.is_empty()) || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn logs(&self) -> Result<Vec<LogMessage>, GpuError> {
        supports(self, selector!(aruminiumLogs), "logs of kernels")?;
        autorelease_pool(|| {
            // SAFETY: soft Metal's command buffers return a list of records.
            let list = unsafe { msg!(self, [aruminiumLogs] -> NSArray) };
            Ok(records(&list, LogMessage::of))
        })
    }
}
