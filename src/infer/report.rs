//! Statistics of streams: counts, and times of kernels.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Declares [`Counters`]: the public fields, the sums of the process, and the operations on all of them.
macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// Counts of recorded and submitted commands: of one stream, or of all streams of the process.
        ///
        /// ```
        /// use aruminium::infer::Counters;
        /// let before = Counters::now();
        /// // … streams run …
        /// let during = Counters::now().since(&before);
        /// assert_eq!(during.launches, 0);
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$meta])* pub $name: u64,)+
        }

        /// The sums of the process.
        struct Totals {
            $($name: AtomicU64,)+
        }

        static TOTALS: Totals = Totals { $($name: AtomicU64::new(0),)+ };

        impl Counters {
            /// The counters of the process: the sums of all streams that were submitted.
            ///
            /// ```
            /// assert!(aruminium::infer::Counters::now().launches >= 0);
            /// ```
            pub fn now() -> Self {
                Self { $($name: TOTALS.$name.load(Ordering::Relaxed),)+ }
            }

            /// The difference to an earlier snapshot.
            ///
            /// ```
            /// use aruminium::infer::Counters;
            /// let now = Counters::now();
            /// assert_eq!(now.since(&now), Counters::default());
            /// ```
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)+ }
            }

            /// Adds the counts to those of the process.
            pub(super) fn publish(&self) {
                $(TOTALS.$name.fetch_add(self.$name, Ordering::Relaxed);)+
            }
        }
    };
}

counters! {
    /// Launches of kernels.
    launches,
    /// Copies of bytes.
    copies,
    /// Barriers between launches that conflict.
    barriers,
    /// Launches that needed no barrier, because they do not conflict with those before them.
    barriers_avoided,
    /// Fences between encoders.
    fences,
    /// Command buffers that were submitted.
    command_buffers,
    /// Waits of the CPU for command buffers.
    syncs,
    /// Nanoseconds in which barriers were encoded; measured by streams that sample labels or launches.
    barrier_ns,
    /// Nanoseconds in which the GPU ran command buffers that were waited for.
    gpu_ns,
}

/// Launches of the process by kernel.
static KERNELS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

impl Counters {
    /// The number of launches of each kernel by the streams of the process, the most frequent first. Kernels of one function with
    /// other constants, and those of [`Ops`](super::Ops) for other types, count by themselves:
    /// see [`Kernel::variant`](super::Kernel::variant).
    ///
    /// ```
    /// for (kernel, launches) in aruminium::infer::Counters::kernels() {
    ///     println!("{kernel}: {launches}");
    /// }
    /// ```
    pub fn kernels() -> Vec<(String, u64)> {
        let kernels = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = kernels.iter().map(|(name, count)| (name.clone(), *count)).collect();
        list.sort_by_key(|row| std::cmp::Reverse(row.1));
        list
    }

    /// The same since an earlier snapshot, without kernels that were not launched since.
    ///
    /// ```
    /// use aruminium::infer::Counters;
    /// let before = Counters::kernels();
    /// // … streams run …
    /// assert!(Counters::kernels_since(&before).is_empty());
    /// ```
    pub fn kernels_since(earlier: &[(String, u64)]) -> Vec<(String, u64)> {
        let known: BTreeMap<&str, u64> =
            earlier.iter().map(|(name, count)| (&name[..], *count)).collect();
        let since = |(name, count): (String, u64)| {
            let count = count - known.get(&name[..]).copied().unwrap_or(0).min(count);
            (count > 0).then_some((name, count))
        };
        let mut list: Vec<_> = Self::kernels().into_iter().filter_map(since).collect();
        list.sort_by_key(|row| std::cmp::Reverse(row.1));
        list
    }
}

pub(super) fn publish_kernels(counts: &[(String, u64)]) {
    let mut kernels = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, count) in counts {
        *kernels.entry(name.clone()).or_default() += count;
    }
}

/// The parts for which a stream measures the GPU's time. Platforms measure command buffers; for smaller parts a stream puts
/// each into a command buffer of its own, which costs time and prevents parts from running concurrently. So all of them work
/// everywhere; [`Gpu::supports_counter_sampling`](crate::Gpu::supports_counter_sampling) says what the GPU could sample itself.
///
/// ```
/// use aruminium::infer::Sampling;
/// assert_eq!(Sampling::default(), Sampling::CommandBuffers);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sampling {
    /// Command buffers as the program cuts them: it costs nothing.
    #[default]
    CommandBuffers,
    /// Consecutive launches with the same label.
    Labels,
    /// Every launch.
    Launches,
}

/// A part of a stream that was measured.
///
/// ```
/// # let report = aruminium::infer::Report::default();
/// for span in &report.profile.spans {
///     println!("{} {}: {:.1} µs", span.label, span.kernel, (span.end - span.start) * 1e6);
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The label of its launches; empty if there are several.
    pub label: String,
    /// The kernel; empty if there are several.
    pub kernel: String,
    /// The number of launches.
    pub launches: u64,
    /// When the GPU began, in seconds since the system started.
    pub start: f64,
    /// When the GPU ended.
    pub end: f64,
}

/// The GPU's time by label and kernel.
///
/// ```
/// use aruminium::infer::{Arg, DType, Grid, Kernels, Sampling, Stream, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let kernels = Kernels::new(&gpu);
/// kernels.add("one", "kernel void one(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }");
/// let x = Tensor::new(&gpu, DType::F32, &[100])?;
/// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
/// stream.sample(Sampling::Launches)?;
/// stream.label("ones")?;
/// stream.launch(&kernels.get("one", "one")?, &[Arg::Tensor(&x)], Grid::threads_1d(100))?;
/// let profile = stream.finish()?.profile;
/// assert!(profile.table().contains("ones"));
/// assert!(profile.chrome_trace().starts_with('['));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// The parts, in order.
    pub spans: Vec<Span>,
}

/// The times of one label and kernel.
///
/// ```
/// # let profile = aruminium::infer::Profile::default();
/// for row in profile.rows() {
///     println!("{}: {} times, {:.3} ms", row.kernel, row.count, row.total * 1e3);
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProfileRow {
    /// The label.
    pub label: String,
    /// The kernel; empty for parts of several launches.
    pub kernel: String,
    /// The number of parts.
    pub count: u64,
    /// The number of launches in them.
    pub launches: u64,
    /// The sum of their times, in seconds.
    pub total: f64,
    /// The shortest time.
    pub min: f64,
    /// The longest time.
    pub max: f64,
}

impl Profile {
    /// The times by label and kernel, the longest total first.
    ///
    /// ```
    /// assert!(aruminium::infer::Profile::default().rows().is_empty());
    /// ```
    pub fn rows(&self) -> Vec<ProfileRow> {
        let mut rows: BTreeMap<(&str, &str), ProfileRow> = BTreeMap::new();
        for Span { label, kernel, launches, start, end } in &self.spans {
            let row = rows.entry((label, kernel)).or_insert_with(|| ProfileRow {
                label: label.clone(),
                kernel: kernel.clone(),
                count: 0,
                launches: 0,
                total: 0.0,
                min: f64::INFINITY,
                max: 0.0,
            });
            let time = end - start;
            (row.count, row.launches) = (row.count + 1, row.launches + launches);
            (row.total, row.min, row.max) =
                (row.total + time, row.min.min(time), row.max.max(time));
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by(|one, other| other.total.total_cmp(&one.total));
        rows
    }

    /// The rows as text with columns.
    ///
    /// ```
    /// assert!(aruminium::infer::Profile::default().table().starts_with("label"));
    /// ```
    pub fn table(&self) -> String {
        let rows = self.rows();
        let widths = |text: fn(&ProfileRow) -> &str, least: usize| {
            rows.iter().map(|row| text(row).chars().count()).fold(least, usize::max)
        };
        let (labels, kernels) = (widths(|row| &row.label, 12), widths(|row| &row.kernel, 24));
        let mut text = format!(
            "{:<labels$} {:<kernels$} {:>8} {:>8} {:>12} {:>12} {:>12}\n",
            "label", "kernel", "count", "launches", "total µs", "min µs", "max µs"
        );
        for row in &rows {
            let ProfileRow { label, kernel, count, launches, .. } = row;
            let [total, min, max] = [row.total, row.min, row.max].map(|seconds| seconds * 1e6);
            _ = writeln!(
                text,
                "{label:<labels$} {kernel:<kernels$} {count:>8} {launches:>8} {total:>12.1} {min:>12.1} {max:>12.1}"
            );
        }
        text
    }

    /// The spans in the format of Chrome's trace viewer, which other viewers read too: a JSON array of events.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Profile::default().chrome_trace(), "[\n]\n");
    /// ```
    pub fn chrome_trace(&self) -> String {
        let mut text = String::from("[");
        for (index, span) in self.spans.iter().enumerate() {
            let name = if span.kernel.is_empty() { &span.label } else { &span.kernel };
            let (name, label) = (quoted(name), quoted(&span.label));
            let (start, duration) = (span.start * 1e6, (span.end - span.start) * 1e6);
            let comma = if index == 0 { "" } else { "," };
            _ = write!(
                text,
                "{comma}\n{{\"name\": {name}, \"cat\": {label}, \"ph\": \"X\", \"ts\": {start:.3}, \"dur\": {duration:.3}, \
                 \"pid\": 1, \"tid\": 1, \"args\": {{\"launches\": {}}}}}",
                span.launches
            );
        }
        text + "\n]\n"
    }
}

/// A string as a JSON literal.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => _ = write!(quoted, "\\u{:04x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Statistics of a stream.
///
/// ```
/// let gpu = aruminium::Gpu::open()?;
/// let report = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?).finish()?;
/// assert_eq!((report.counters.launches, report.counters.command_buffers), (0, 0));
/// println!("{report}");
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The counts.
    pub counters: Counters,
    /// The number of launches by label, in the order of their first launch.
    pub labels: Vec<(String, u64)>,
    /// The number of launches by kernel.
    pub kernels: Vec<(String, u64)>,
    /// The GPU's time by part; see [`Sampling`].
    pub profile: Profile,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { launches, copies, barriers, fences, command_buffers, gpu_ns, .. } =
            self.counters;
        write!(
            f,
            "{launches} launches, {copies} copies, {barriers} barriers and {fences} fences in {command_buffers} command \
             buffers, {:.3} ms on the GPU",
            gpu_ns as f64 / 1e6
        )
    }
}
