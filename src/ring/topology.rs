//! Topologies: lanes between many actors at once.

use super::error::RingError;
use super::id::ActorId;
use super::state::State;

/// The connections between actors of a list, and the order of their edges.
///
/// The actors of a grid are in the order of their positions, `x` first.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// use aruminium::ring::{Message, Topology};
/// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
///     s += m;
///     for (uint edge = 0; edge < out.edges(); edge++) { if (out.has(edge) && m > 0) { out.send(edge, m - 1); } }
/// }";
/// let mut cells = Vec::new();
/// for i in 0..4 {
///     cells.push(ring.spawn::<u32, u32, u32>(&format!("cell {i}"), code, 0, Default::default())?);
/// }
/// let ids: Vec<_> = cells.iter().map(|cell| cell.id()).collect();
/// ring.topology(&ids, &Topology::Grid2 { width: 2, height: 2, wrap: false })?;
/// cells[0].send(1)?;
/// ring.run(10)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// Each actor sends to the next one, the last one to the first: edge 0.
    Ring,
    /// Each actor sends to its four neighbours: edges 0 to 3 are north, south, west and east. At a border
    /// an edge leads nowhere, or to the other side if the grid wraps, which makes a torus.
    Grid2 {
        /// How many actors a row has.
        width: usize,
        /// How many rows there are.
        height: usize,
        /// Whether opposite borders are neighbours.
        wrap: bool,
    },
    /// Each actor sends to its six neighbours: edges 0 to 5 are −x, +x, −y, +y, −z and +z.
    Grid3 {
        /// How many actors a row has.
        width: usize,
        /// How many rows a layer has.
        height: usize,
        /// How many layers there are.
        depth: usize,
        /// Whether opposite borders are neighbours.
        wrap: bool,
    },
    /// These pairs of positions in the list, from and to.
    Edges(Vec<(usize, usize)>),
}

impl Topology {
    /// The pairs of positions in a list of `count` actors; an edge may lead nowhere.
    fn pairs(&self, count: usize) -> Result<Vec<(usize, Option<usize>)>, RingError> {
        match self {
            Self::Ring => Ok((0..count).map(|at| (at, Some((at + 1) % count))).collect()),
            Self::Grid2 { width, height, wrap } => {
                let directions = [[0, -1, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]];
                grid([*width, *height, 1], *wrap, &directions, count)
            }
            Self::Grid3 { width, height, depth, wrap } => {
                let directions =
                    [[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]];
                grid([*width, *height, *depth], *wrap, &directions, count)
            }
            Self::Edges(edges) => match edges.iter().find(|(from, to)| *from.max(to) >= count) {
                Some((from, to)) => Err(RingError::Invalid(format!(
                    "the edge from {from} to {to} leaves the list of {count} actors"
                ))),
                None => Ok(edges.iter().map(|&(from, to)| (from, Some(to))).collect()),
            },
        }
    }
}

fn grid(
    size: [usize; 3],
    wrap: bool,
    directions: &[[isize; 3]],
    count: usize,
) -> Result<Vec<(usize, Option<usize>)>, RingError> {
    if size.iter().try_fold(1usize, |all, &n| all.checked_mul(n)) != Some(count) {
        let [width, height, depth] = size;
        return Err(RingError::Invalid(format!(
            "a grid of {width} x {height} x {depth} has other than {count} actors"
        )));
    }
    let mut pairs = Vec::new();
    for at in 0..count {
        let position = [at % size[0], at / size[0] % size[1], at / size[0] / size[1]];
        for direction in directions {
            let moved = |axis: usize| {
                let to = position[axis].checked_add_signed(direction[axis]);
                match to.filter(|&to| to < size[axis]) {
                    None if wrap => Some(if direction[axis] < 0 { size[axis] - 1 } else { 0 }),
                    inside => inside,
                }
            };
            let to = moved(0).zip(moved(1)).zip(moved(2));
            pairs.push((at, to.map(|((x, y), z)| x + size[0] * (y + size[1] * z))));
        }
    }
    Ok(pairs)
}

impl State {
    pub(super) fn topology(
        &mut self,
        actors: &[ActorId],
        shape: &Topology,
    ) -> Result<(), RingError> {
        let pairs = shape.pairs(actors.len())?;
        for &actor in actors {
            self.seat(actor)?;
        }
        let edge = |(from, to): (usize, Option<usize>)| (actors[from], to.map(|to| actors[to]));
        self.connect_all(&pairs.into_iter().map(edge).collect::<Vec<_>>())
    }
}
