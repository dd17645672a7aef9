//! How a message uses the memory of its arguments.

/// How a message to an encoder or a command buffer uses its arguments, by its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Sets the pipeline.
    Pipeline,
    /// Sets a buffer or bytes at an index; the pipeline determines the use.
    Bind,
    /// Sets a texture.
    Texture,
    /// Launches the pipeline; a buffer that is passed holds sizes.
    Launch,
    /// Runs commands that may read and write everything that is bound.
    Execute,
    /// Ends the encoder.
    End,
    /// Makes an encoder.
    Encode,
    /// Submits the command buffer.
    Commit,
    /// Copies from its first resource to its second.
    Copy,
    /// Makes resources reachable for all later commands.
    Keep,
    /// Takes resources out of a residency set, or a set out of a queue.
    Remove,
    /// Takes everything out of a residency set.
    Clear,
    /// Sets whether the resource's contents may be discarded.
    Purge,
    /// Anything else: all resources that are passed count as written.
    Other,
}

impl Moment {
    /// The moment of a selector.
    pub const fn of(selector: &str) -> Self {
        const TABLE: [(&str, bool, Moment); 22] = [
            ("setComputePipelineState:", true, Moment::Pipeline),
            ("setBuffer:offset:atIndex:", true, Moment::Bind),
            ("setBytes:length:atIndex:", true, Moment::Bind),
            ("endEncoding", true, Moment::End),
            ("computeCommandEncoder", false, Moment::Encode),
            ("blitCommandEncoder", false, Moment::Encode),
            ("renderCommandEncoder", false, Moment::Encode),
            ("parallelRenderCommandEncoder", false, Moment::Encode),
            ("resourceStateCommandEncoder", false, Moment::Encode),
            ("accelerationStructureCommandEncoder", false, Moment::Encode),
            ("commit", true, Moment::Commit),
            ("setTexture", false, Moment::Texture),
            ("dispatch", false, Moment::Launch),
            ("execute", false, Moment::Execute),
            ("copyFrom", false, Moment::Copy),
            ("addAllocation", false, Moment::Keep),
            ("addResidencySet", false, Moment::Keep),
            ("useResidencySet", false, Moment::Keep),
            ("removeAllocation", false, Moment::Remove),
            ("removeResidencySet", false, Moment::Remove),
            ("removeAllAllocations", true, Moment::Clear),
            ("setPurgeableState:", true, Moment::Purge),
        ];
        let mut row = 0;
        while row < TABLE.len() {
            let (text, whole, moment) = TABLE[row];
            if starts_with(selector, text) && (!whole || selector.len() == text.len()) {
                return moment;
            }
            row += 1;
        }
        Self::Other
    }
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut i = 0;
    while i < start.len() {
        if i == text.len() || text[i] != start[i] {
            return false;
        }
        i += 1;
    }
    true
}
